//! Asks for blocks of all sizes, resizes and frees them in a random order, and sees at each step that
//! one of them still holds what was written to it. Has the kernel read blocks and write to them. Says
//! what guards them, and ends well.
#![no_std]
#![no_main]

extern crate alloc;

use alloc::string::String;
use alloc::vec::Vec;

use elone::gate::calls;
use elone::{Platform, heap, info};

const STEPS: u32 = 3_000;
/// At most so many blocks at a time.
const LIVE: usize = 32;

#[elone::main]
async fn main(platform: Platform) -> Result<(), &'static str> {
    let before = heap::usage();
    let mut blocks: Vec<Vec<u8>> = Vec::with_capacity(LIVE);
    let mut random = 0x9e37_79b9_u32;
    for step in 0..STEPS {
        random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let number = (random >> 8) as usize;
        let size = 1 + number % [60, 60, 300, 2_000, 20_000][number / 7 % 5];
        if blocks.len() < LIVE && !number.is_multiple_of(3) {
            blocks.push(filled(size, step.to_le_bytes()[0]));
            continue;
        }
        let index = number % blocks.len().max(1);
        let Some(block) = blocks.get_mut(index) else { continue };
        if !block.iter().all(|byte| *byte == block[0]) {
            return Err("a block does not hold what was written to it");
        }
        if number.is_multiple_of(2) {
            let first = block[0];
            block.resize(size, first);
            block.shrink_to_fit();
        } else {
            blocks.swap_remove(index);
        }
    }
    drop(blocks);
    if heap::usage().allocated != before.allocated {
        return Err("what was freed is still counted");
    }
    ask_the_kernel()?;
    info!("{STEPS} steps, guarded by: {}", platform.machine().protections);
    Ok(())
}

/// What a block holds is what the kernel reads, and the other way round.
fn ask_the_kernel() -> Result<(), &'static str> {
    let words = String::from("kept by the heap, told to the kernel\n");
    calls::console_write(words.as_bytes());
    let mut bytes = filled(64, 0);
    calls::entropy(&mut bytes[3..61]).map_err(|_| "no entropy")?;
    let ends = [&bytes[..3], &bytes[61..]].concat();
    let is_filled = bytes[3..61].iter().any(|byte| *byte != 0);
    if is_filled && ends == [0; 6] { Ok(()) } else { Err("not what was asked for is filled") }
}

fn filled(size: usize, byte: u8) -> Vec<u8> {
    alloc::vec![byte; size]
}
