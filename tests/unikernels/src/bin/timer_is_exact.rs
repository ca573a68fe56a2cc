//! Sleeps for many spans, short and long, and says how late it woke. Must never wake early; the
//! harness judges the lateness, where the machine's time is made of instructions.
#![no_std]
#![no_main]

use elone::gate::{Events, Nanoseconds, calls};
use elone::{Platform, info};

/// Nanoseconds.
const SPANS: [u64; 6] = [1_000, 20_000, 100_000, 1_000_000, 7_654_321, 50_000_000];
const ROUNDS: usize = 20;

#[elone::main]
async fn main(_platform: Platform) -> Result<(), &'static str> {
    let mut latest = 0;
    for span in SPANS.into_iter().cycle().take(SPANS.len() * ROUNDS) {
        let deadline = Nanoseconds(calls::now().0 + span);
        while !calls::wait(Some(deadline)).contains(Events::DEADLINE) {}
        let woken = calls::now();
        if woken < deadline {
            return Err("woken early");
        }
        latest = latest.max(woken.0 - deadline.0);
    }
    info!("never early, at most {latest} ns late");
    Ok(())
}
