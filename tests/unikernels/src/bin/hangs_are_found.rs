//! Never waits again: spins, or calls without end for the time with `app.how=calls`, for the date with
//! `app.how=dates`, or for events that come at once with `app.how=waits`. Must be found to hang in all
//! but the last. Ends once it has been restarted as often as `app.times=` says.
#![no_std]
#![no_main]

use elone::gate::{Nanoseconds, calls};
use elone::{Platform, info};

#[elone::main]
async fn main(platform: Platform) {
    let past = platform.past();
    info!("restarts {} faults {} class {:?}", past.restarts, past.faults, past.class());
    let times = platform.setting("times").and_then(|times| times.parse().ok());
    if times.is_some_and(|times: u32| past.restarts >= times) {
        return;
    }
    let how = platform.setting("how");
    info!("here it goes");
    loop {
        match how {
            Some("calls") => drop(core::hint::black_box(calls::now())),
            Some("dates") => drop(core::hint::black_box(calls::wall_clock())),
            Some("waits") => drop(core::hint::black_box(calls::wait(Some(Nanoseconds(0))))),
            _ => core::hint::spin_loop(),
        }
    }
}
