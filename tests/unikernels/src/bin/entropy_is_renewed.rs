//! Draws so much entropy that the kernel has to renew its generator, twice, and shows none of it.
#![no_std]
#![no_main]

use elone::{Platform, info};

/// How much, in bytes: the generator is renewed after each MiB.
const ENOUGH: usize = 2 << 20;

#[elone::main]
async fn main(_platform: Platform) -> Result<(), elone::Error> {
    let mut bytes = [0; 1024];
    let mut last = bytes;
    for _ in 0..=ENOUGH / bytes.len() {
        elone::entropy::fill(&mut bytes)?;
        assert!(bytes != last, "the same bytes again");
        last = bytes;
    }
    info!("{ENOUGH} bytes of entropy and more");
    Ok(())
}
