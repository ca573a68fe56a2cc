//! Says hello, and where from. The smallest application there is.
#![no_std]
#![no_main]

use core::fmt::Write;

use elone::Platform;

#[elone::main]
async fn main(platform: Platform) -> Result<(), core::fmt::Error> {
    let machine = platform.machine();
    writeln!(platform.console(), "Hello from {}, at {}", machine.board, machine.application_at)
}
