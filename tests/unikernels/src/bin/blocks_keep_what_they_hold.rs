//! Asks for blocks of all sizes, resizes and frees them in a random order, and sees at each step that
//! one of them still holds what was written to it. Says what guards them, and ends well.
#![no_std]
#![no_main]

extern crate alloc;

use alloc::vec::Vec;

use elone::{Platform, heap, info};

const STEPS: u32 = 5_000;
/// At most so many blocks at a time.
const LIVE: usize = 64;

#[elone::main]
async fn main(platform: Platform) -> Result<(), &'static str> {
    let before = heap::usage();
    let mut blocks: Vec<Vec<u8>> = Vec::with_capacity(LIVE);
    let mut random = 0x9e37_79b9_u32;
    for step in 0..STEPS {
        random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let number = (random >> 8) as usize;
        let size = 1 + number % [60, 60, 300, 5_000, 100_000][number / 7 % 5];
        if blocks.len() < LIVE && number % 3 > 0 {
            blocks.push(filled(size, step.to_le_bytes()[0]));
            continue;
        }
        let index = number % blocks.len().max(1);
        let Some(block) = blocks.get_mut(index) else { continue };
        if !block.iter().all(|byte| *byte == block[0]) {
            return Err("a block does not hold what was written to it");
        }
        if number % 2 == 0 {
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
    info!("{STEPS} steps, guarded by: {}", platform.machine().protections);
    Ok(())
}

fn filled(size: usize, byte: u8) -> Vec<u8> {
    alloc::vec![byte; size]
}
