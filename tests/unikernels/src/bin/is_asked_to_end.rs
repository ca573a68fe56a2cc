//! Is asked to end, and does as `app.how=` says: `ends` when it is told, `ignores` it, `spins` from
//! the beginning on, never asking, or `spins-then` or `faults-then` once it is told.
//! With `counts` it says how often it was told within half a second of the first time.
#![no_std]
#![no_main]

use elone::gate::{Events, Nanoseconds, calls};
use elone::{Platform, info};

/// What `ends` ends with.
const STATUS: u8 = 7;

#[elone::main]
async fn main(platform: Platform) {
    let past = platform.past();
    let how = platform.setting("how").unwrap_or("ends");
    info!("{how}: ready, restarts {}", past.restarts);
    match how {
        "spins" => spin(),
        "ignores" => loop {
            calls::wait(None);
        },
        "counts" => count(),
        _ => {}
    }
    let left = platform.time_left();
    platform.shutdown().await;
    info!("told: {left:?} before, {} s now", platform.time_left().map_or(0, |left| left.as_secs()));
    match how {
        "spins-then" => spin(),
        "faults-then" => panic!("as asked for"),
        _ => elone::exit(STATUS),
    }
}

fn spin() -> ! {
    loop {
        core::hint::spin_loop();
    }
}

fn count() -> ! {
    let mut times = 0;
    let mut end = None;
    loop {
        let events = calls::wait(end);
        if events.contains(Events::SHUTDOWN) {
            times += 1;
            end = end.or(Some(Nanoseconds(calls::now().0 + 500_000_000)));
        }
        if end.is_some_and(|end| calls::now() >= end) {
            info!("told {times} times");
            elone::exit(STATUS)
        }
    }
}
