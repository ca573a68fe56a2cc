//! The gateway, as the application of an Elone machine.
#![no_std]
#![no_main]

mod application;

#[elone::main]
async fn main(platform: elone::Platform) -> Result<(), elone::Error> {
    application::run(platform).await
}
