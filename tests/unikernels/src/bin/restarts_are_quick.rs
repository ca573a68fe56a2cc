//! Faults as soon as it has a device that fills its buffers, and says in its next life how long ago
//! that was: the time is in x0 at the fault, and so in the report that the next life is told. Ends
//! when it has been started again as often as `app.times=` says. For `cargo xtask bench`.
#![no_std]
#![no_main]

use elone::gate::{BufferId, DeviceClass, DeviceInfo, Error, Nanoseconds, calls};
use elone::{Platform, info};

/// How many buffers the device has when the application dies.
const BUFFERS: usize = 64;

#[elone::main]
async fn main(platform: Platform) -> Result<(), Error> {
    let begin = calls::now();
    let past = platform.past();
    if let Some(end) = time_of_death(past.report) {
        info!("restart {} took {} ns", past.restarts, begin.0.wrapping_sub(end.0));
    }
    let times = platform.setting("times").and_then(|times| times.parse().ok()).unwrap_or(1);
    if past.restarts >= times {
        return Ok(());
    }
    let DeviceInfo::Net(net) = calls::device(DeviceClass::Net, 0)? else {
        return Err(Error::NoSuchDevice);
    };
    let mut number = 0..;
    let empty = [(); BUFFERS].map(|()| BufferId(number.next().unwrap_or(u16::MAX)));
    calls::net_receive(net.handle, &empty, &mut [])?;
    let now = calls::now().0;
    // SAFETY: none; this is the fault.
    unsafe { core::arch::asm!("udf #0", in("x0") now, options(noreturn)) }
}

/// What x0 was in a report.
fn time_of_death(report: &str) -> Option<Nanoseconds> {
    let (_, rest) = report.split_once("\n  x0  ")?;
    u64::from_str_radix(rest.get(..16)?, 16).ok().map(Nanoseconds)
}
