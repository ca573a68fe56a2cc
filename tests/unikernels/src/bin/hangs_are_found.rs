//! Never waits again: spins, or calls for the time without end with `app.how=calls`, or for events
//! that come at once with `app.how=waits`. Must be found to hang in the first two, and not in the
//! last.
#![no_std]
#![no_main]

use elone::gate::{Nanoseconds, calls};
use elone::{Platform, info};

#[elone::main]
async fn main(platform: Platform) {
    let how = platform.setting("how");
    info!("here it goes");
    loop {
        match how {
            Some("calls") => drop(core::hint::black_box(calls::now())),
            Some("waits") => drop(core::hint::black_box(calls::wait(Some(Nanoseconds(0))))),
            _ => core::hint::spin_loop(),
        }
    }
}
