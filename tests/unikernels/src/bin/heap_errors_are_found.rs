//! Does to a block of the heap what must not be done, as `app.what=` says, of as many bytes as
//! `app.size=` says: writes over an end of it, writes to it or reads it after it was freed, frees it
//! twice, or frees what is no block. Then it goes on for a while, as what is wrong may be found when
//! memory is used again. Must end in the report of what was done; left alone, it ends well.
#![no_std]
#![no_main]

extern crate alloc;

use core::alloc::Layout;
use core::hint::black_box;

use elone::{Platform, info};

/// So many more blocks are asked for and freed; more than the heap keeps back.
const MORE: usize = 100;

#[elone::main]
async fn main(platform: Platform) -> Result<(), &'static str> {
    let size = platform.setting("size").and_then(|size| size.parse().ok()).unwrap_or(48);
    let layout = Layout::from_size_align(size, 8).map_err(|_| "no such size")?;
    let block = take(layout);
    info!("block {:#x}, {}", block.addr(), platform.machine().protections);
    let end = size.cast_signed();
    match platform.setting("what") {
        Some("overrun") => change(block, end),
        Some("far-overrun") => write(block, (end + 15) & !15, 0xaa),
        Some("underrun") => change(block, -1),
        Some("write-after-free") => {
            give(block, layout);
            write(block, 1, 0xaa);
            go_on(layout);
            return Err("SURVIVED");
        }
        Some("read-after-free") => {
            give(block, layout);
            // SAFETY: none; this is what must not be done.
            let byte = unsafe { block.read_volatile() };
            info!("read {byte:#x}");
            return Err("SURVIVED");
        }
        Some("double-free") => {
            give(block, layout);
            give(block, layout);
            go_on(layout);
            return Err("SURVIVED");
        }
        Some("wild-free") => give(block.wrapping_add(16), layout),
        _ => {
            give(block, layout);
            go_on(layout);
            info!("all is well");
            return Ok(());
        }
    }
    give(block, layout);
    go_on(layout);
    Err("SURVIVED")
}

/// A block, with all of it written.
fn take(layout: Layout) -> *mut u8 {
    // SAFETY: the layout has a size.
    let block = unsafe { alloc::alloc::alloc(black_box(layout)) };
    // SAFETY: the block has so many bytes.
    unsafe { block.write_bytes(0, layout.size()) };
    black_box(block)
}

fn give(block: *mut u8, layout: Layout) {
    // SAFETY: the block's own layout; that it is a live block is not always so.
    unsafe { alloc::alloc::dealloc(black_box(block), layout) };
}

/// Makes a byte another one, whatever it was: a canary may be any.
fn change(block: *mut u8, at: isize) {
    // SAFETY: none; this is what must not be done.
    let byte = unsafe { block.wrapping_offset(at).read_volatile() };
    write(block, at, !byte);
}

fn write(block: *mut u8, at: isize, byte: u8) {
    // SAFETY: none; this is what must not be done.
    unsafe { block.wrapping_offset(at).write_volatile(byte) };
}

fn go_on(layout: Layout) {
    for _ in 0..MORE {
        give(take(layout), layout);
    }
}
