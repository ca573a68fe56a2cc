//! Hangs in one of several ways a life, as often as `app.lives=` says: in a loop, in floods of calls
//! that ask for the time, read the console, or are refused, and in a task's loop.
//!
//! The loops keep a register at what the counter showed last, and another at what it showed first,
//! so the report tells how long it took to be found: x20 - x21, in ticks of x22 Hz.
#![no_std]
#![no_main]

use core::arch::asm;

use elone::gate::{Nanoseconds, calls};
use elone::{Platform, info};

#[elone::main]
async fn main(platform: Platform) {
    let life = platform.past().restarts;
    let lives = platform.setting("lives").and_then(|lives| lives.parse().ok()).unwrap_or(1);
    if life >= lives {
        info!("{life} lives were found to hang");
        return;
    }
    // The number of a call for each; none for a loop without.
    let call = [None, Some(1), Some(5), Some(99), None][life as usize % 5];
    info!("life {life} hangs");
    if life % 5 == 4 {
        platform.spawn(async move { hang(call) });
        platform.shutdown().await;
    }
    hang(call)
}

fn hang(call: Option<u64>) -> ! {
    // The watchdog counts from here.
    calls::wait(Some(Nanoseconds(0)));
    match call {
        // SAFETY: reads registers that may be read; never returns.
        None => unsafe {
            asm!(
                "mrs x22, cntfrq_el0",
                "isb",
                "mrs x21, cntvct_el0",
                "2: isb",
                "mrs x20, cntvct_el0",
                "b 2b",
                options(noreturn)
            )
        },
        // SAFETY: as above; the calls name no memory.
        Some(number) => unsafe {
            asm!(
                "mrs x22, cntfrq_el0",
                "isb",
                "mrs x21, cntvct_el0",
                "2: isb",
                "mrs x20, cntvct_el0",
                "mov x0, #0",
                "mov x1, #0",
                "svc #0",
                "b 2b",
                in("x8") number,
                options(noreturn)
            )
        },
    }
}
