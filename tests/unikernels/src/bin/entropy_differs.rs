//! Shows sixteen bytes of entropy, for the harness to compare with those of another boot.
#![no_std]
#![no_main]

use elone::{Platform, info};

#[elone::main]
async fn main(_platform: Platform) -> Result<(), elone::Error> {
    let mut bytes = [0; 16];
    elone::entropy::fill(&mut bytes)?;
    info!("entropy {:032x}", u128::from_be_bytes(bytes));
    Ok(())
}
