//! Uses up its stack: by recursion or, with `app.how=frame`, by one frame of a mebibyte. Must end
//! in the report of an overflow, not in a hang.
#![no_std]
#![no_main]

use elone::{Platform, info};

#[elone::main]
async fn main(platform: Platform) {
    let sum = match platform.setting("how") {
        Some("frame") => one_frame(core::hint::black_box(7)),
        _ => deeper(core::hint::black_box(u64::MAX)),
    };
    info!("SURVIVED {sum}");
}

#[inline(never)]
fn deeper(depth: u64) -> u64 {
    let frame = core::hint::black_box([depth; 32]);
    if depth == 0 { 0 } else { frame[7] ^ deeper(depth - 1).rotate_left(1) }
}

#[inline(never)]
fn one_frame(value: u8) -> u64 {
    let frame = core::hint::black_box([value; 1 << 20]);
    frame.iter().map(|byte| u64::from(*byte)).sum()
}
