//! Draws so much entropy that the kernel has to renew its generator, and shows none of it.
#![no_std]
#![no_main]

use elone::gate::{Nanoseconds, calls};
use elone::{Platform, info};

/// How much, in bytes: the generator is renewed after a MiB.
const ENOUGH: usize = 1 << 20;
/// How long a device may then take to answer, in seconds; the answer is taken by who asks again.
const PATIENCE: u64 = 2;

#[elone::main]
async fn main(_platform: Platform) -> Result<(), elone::Error> {
    let mut bytes = [0; 1024];
    let mut last = bytes;
    for _ in 0..=ENOUGH / bytes.len() {
        elone::entropy::fill(&mut bytes)?;
        assert!(bytes != last, "the same bytes again");
        last = bytes;
    }
    calls::wait(Some(Nanoseconds(calls::now().0 + PATIENCE * 1_000_000_000)));
    elone::entropy::fill(&mut bytes)?;
    assert!(bytes != last, "the same bytes again");
    info!("{ENOUGH} bytes of entropy and more");
    Ok(())
}
