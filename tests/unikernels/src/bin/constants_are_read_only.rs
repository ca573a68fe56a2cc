//! Writes to a constant. Must end in a write abort at the constant's address.
#![no_std]
#![no_main]

use elone::{Platform, info};

static CONSTANT: u64 = 0x0123_4567_89ab_cdef;

#[elone::main]
async fn main(_platform: Platform) {
    let constant = &raw const CONSTANT;
    info!("target {:#x}", constant.addr());
    // SAFETY: none; this is the attack. Where the promise is kept the store never happens.
    unsafe { constant.cast_mut().write_volatile(0) };
    info!("SURVIVED");
}
