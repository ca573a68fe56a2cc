//! Puts an instruction into memory and jumps to it: data, stack, heap or a constant, as the setting
//! `app.where=` says. Must end in an execute abort at that address.
#![no_std]
#![no_main]

extern crate alloc;

use alloc::boxed::Box;
use core::sync::atomic::{AtomicU32, Ordering};

use elone::{Platform, info};

/// `ret`.
const RETURN: u32 = 0xd65f_03c0;

static DATA: AtomicU32 = AtomicU32::new(RETURN);
static CONSTANT: u32 = RETURN;

#[elone::main]
async fn main(platform: Platform) {
    let stack = core::hint::black_box(RETURN);
    let heap = Box::new(core::hint::black_box(RETURN));
    DATA.store(RETURN, Ordering::SeqCst);
    let address = match platform.setting("where") {
        Some("stack") => (&raw const stack).addr(),
        Some("heap") => (&raw const *heap).addr(),
        Some("constant") => (&raw const CONSTANT).addr(),
        _ => DATA.as_ptr().addr(),
    };
    info!("target {address:#x}");
    // SAFETY: none; this is the attack. The address holds a `ret` that must not run.
    let run = unsafe { core::mem::transmute::<usize, extern "C" fn()>(address) };
    run();
    info!("SURVIVED");
}
