//! Writes to its own code. Must end in a write abort at the code's address.
#![no_std]
#![no_main]

use elone::{Platform, info};

#[elone::main]
async fn main(_platform: Platform) {
    let code = (target as fn() as *const ()).addr();
    info!("target {code:#x}");
    // SAFETY: none; this is the attack. Where the promise is kept the store never happens.
    unsafe { (code as *mut u32).write_volatile(0xd503_201f) };
    info!("SURVIVED");
}

#[inline(never)]
fn target() {
    core::hint::black_box(());
}
