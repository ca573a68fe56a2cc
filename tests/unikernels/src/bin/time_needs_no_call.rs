//! Looks at the clock without a call and by one, in turns. Both must say the same; and where a
//! nanosecond is an instruction, a look must take far fewer of them than a call does.
#![no_std]
#![no_main]

use core::arch::asm;
use core::hint::black_box;

use elone::gate::abi::Call;
use elone::gate::calls;
use elone::{Platform, info};

const ROUNDS: u64 = 1_000;

#[elone::main]
async fn main(_platform: Platform) -> Result<(), &'static str> {
    for _ in 0..ROUNDS {
        let (before, asked, after) = (calls::now().0, ask(), calls::now().0);
        if !(before..=after).contains(&asked) {
            info!("{before}, {asked}, {after}");
            return Err("there are two times");
        }
    }
    let look = span(|| _ = black_box(calls::now()));
    let call = span(|| _ = black_box(ask()));
    info!("a look takes {look} ns, a call {call} ns");
    if look * 4 < call { Ok(()) } else { Err("a look is as much as a call") }
}

/// How long it takes, each time.
fn span(work: impl Fn()) -> u64 {
    let begin = ask();
    for _ in 0..ROUNDS {
        work();
    }
    (ask() - begin) / ROUNDS
}

/// What the kernel says, by `svc`.
fn ask() -> u64 {
    let (number, _) = Call::Now.encode();
    let now;
    // SAFETY: the kernel keeps all registers but x0 to x5.
    unsafe {
        asm!(
            "svc #0",
            in("x8") number, out("x0") _, out("x1") now, out("x2") _, out("x3") _, out("x4") _,
            out("x5") _, options(nostack, nomem),
        );
    }
    now
}
