//! Says hello, and where from. The smallest application there is.
#![no_std]
#![no_main]

use elone::{Platform, info};

#[elone::main]
async fn main(platform: Platform) -> Result<(), elone::Error> {
    let machine = platform.machine();
    info!("Hello from {}, at {}", machine.board, machine.application_at);
    Ok(())
}
