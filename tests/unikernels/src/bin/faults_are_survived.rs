//! Tells what it was told of earlier lives, then dies, until it has been restarted as often as
//! `app.times=` says (once, if it says nothing): in a panic or, with `app.how=undefined`, at an
//! instruction that is not there, after some last words.
#![no_std]
#![no_main]

use elone::gate::calls;
use elone::{Platform, info};

#[elone::main]
async fn main(platform: Platform) {
    let past = platform.past();
    info!("restarts {} faults {} class {:?}", past.restarts, past.faults, past.class());
    for line in past.report.lines() {
        info!("report {line}");
    }
    let times = platform.setting("times").and_then(|times| times.parse().ok()).unwrap_or(1);
    if past.restarts >= times {
        info!("I am still here");
        return;
    }
    if platform.setting("how") == Some("undefined") {
        calls::report("it is dark\nhere");
        // SAFETY: none; this is the fault.
        unsafe { core::arch::asm!("udf #0") };
    }
    panic!("life {} is over", past.restarts);
}
