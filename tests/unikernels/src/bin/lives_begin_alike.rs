//! Looks for what the life before has left where no rule says that anything may be: on the stack below
//! what is in use, and in the one register of EL0's own that no frame holds. Then leaves something in
//! both, sees that it is there, and dies, until it has been restarted as often as `app.times=` says.
#![no_std]
#![no_main]

use core::arch::asm;

use elone::{Platform, info};

/// How far below what is in use the stack is looked at, and how much of it from there on: so much less
/// than its 128 KiB (kernel, `contained::layout`) that all of it is there, and so far down that nothing
/// has been there when this begins.
const BELOW: usize = 100 << 10;
const LOOKED_AT: usize = 64 << 10;
const WORDS: usize = LOOKED_AT / size_of::<u64>();
const LEFT: u64 = 0x1ef7_be41_1ef7_be41;

#[elone::main]
async fn main(platform: Platform) -> Result<(), &'static str> {
    let times = platform.setting("times").and_then(|times| times.parse().ok()).unwrap_or(1);
    let here = 0_usize;
    let stack = (&raw const here).expose_provenance() - BELOW;
    if count(stack, 0) != WORDS {
        return Err("something is on the stack");
    }
    if register() != 0 {
        return Err("something is in the register");
    }
    leave(stack);
    if count(stack, LEFT) != WORDS || register() != LEFT {
        return Err("nothing can be left");
    }
    if platform.past().restarts >= times {
        info!("{times} lives began as the first did");
        return Ok(());
    }
    panic!("life {} is over", platform.past().restarts);
}

/// How many of the words from `stack` on are `word`.
fn count(stack: usize, word: u64) -> usize {
    let stack = core::ptr::with_exposed_provenance::<u64>(stack);
    // SAFETY: mapped for as long as this runs, aligned, and far below all that is in use.
    (0..WORDS).filter(|&at| unsafe { stack.add(at).read_volatile() } == word).count()
}

/// Fills the words from `stack` on, and the register.
fn leave(stack: usize) {
    let stack = core::ptr::with_exposed_provenance_mut::<u64>(stack);
    for at in 0..WORDS {
        // SAFETY: as above.
        unsafe { stack.add(at).write_volatile(LEFT) };
    }
    // SAFETY: nothing here keeps anything in it.
    unsafe { asm!("msr tpidr_el0, {}", in(reg) LEFT, options(nomem, nostack)) };
}

fn register() -> u64 {
    let word;
    // SAFETY: reads a register that EL0 may read.
    unsafe { asm!("mrs {}, tpidr_el0", out(reg) word, options(nomem, nostack)) };
    word
}
