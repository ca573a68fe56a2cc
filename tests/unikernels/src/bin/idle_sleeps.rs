//! Has nothing to do for a second, or as many as `app.seconds=` says, with a network and a disk
//! claimed. Must be woken once, by its own deadline, and by nothing before.
#![no_std]
#![no_main]

use elone::gate::{DeviceClass, DeviceInfo, Events, Nanoseconds, calls};
use elone::{Platform, info};

#[elone::main]
async fn main(platform: Platform) -> Result<(), &'static str> {
    let _disk = calls::device(DeviceClass::Block, 0);
    if let Ok(DeviceInfo::Net(net)) = calls::device(DeviceClass::Net, 0) {
        let empty: [_; 8] = core::array::from_fn(|index| elone::gate::BufferId(index as u16));
        calls::net_receive(net.handle, &empty, &mut []).map_err(|_| "buffers were refused")?;
    }
    let seconds = platform.setting("seconds").and_then(|seconds| seconds.parse().ok()).unwrap_or(1);
    let deadline = Nanoseconds(calls::now().0 + seconds * 1_000_000_000);
    let mut wakes = 0;
    loop {
        let events = calls::wait(Some(deadline));
        wakes += 1;
        if events.contains(Events::DEADLINE) {
            break;
        }
    }
    info!("{wakes} wake-up in {seconds} s");
    if wakes == 1 { Ok(()) } else { Err("woken for nothing") }
}
