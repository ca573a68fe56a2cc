//! Calls the kernel at random: `app.calls=` times, from the seed `app.seed=`. Every call must be
//! answered as documented, leave every register but those of the answer and all memory but what it
//! named as it was; and afterwards network and disk must work.
#![no_std]
#![no_main]

extern crate alloc;

mod after;
mod call;
mod memory;
mod random;
mod storm;

use elone::gate::{DeviceClass, DeviceInfo, Handle, calls};
use elone::{Platform, info};
use storm::{Devices, Storm};

#[elone::main]
async fn main(platform: Platform) -> Result<(), &'static str> {
    let number = |name| platform.setting(name).and_then(|number| number.parse::<u64>().ok());
    let (seed, calls) = (number("seed").unwrap_or(1), number("calls").unwrap_or(10_000));
    // Text that the kernel has written down for this application, at the beginning of all of it.
    let told = platform.machine().board.as_ptr().addr() as u64;
    let mut storm = Storm::new(seed, told);
    storm.blow(calls / 10, Devices::Unclaimed)?;

    let [Some(net), Some(disk)] = [DeviceClass::Net, DeviceClass::Block].map(claim) else {
        return Err("a device is missing");
    };
    let DeviceInfo::Block(info) = disk.2 else { return Err("no disk") };
    storm.memory.buffers = whole(disk.1);
    let devices = Devices::Claimed {
        net: (u64::from(net.0.0), net.1),
        disk: (u64::from(disk.0.0), disk.1),
        sectors: info.sectors,
    };
    storm.blow(calls - calls / 10, devices)?;
    storm.tell();

    after::is_bounded(&mut storm.memory, net.0, disk.0)?;
    after::disk_works(disk.0, disk.1)?;
    after::network_works(net.0, net.1)?;
    info!("the kernel has stood {calls} calls from seed {seed}");
    Ok(())
}

fn claim(class: DeviceClass) -> Option<(Handle, elone::gate::Area, DeviceInfo)> {
    let info = calls::device(class, 0).ok()?;
    Some(match &info {
        DeviceInfo::Net(net) => (net.handle, net.area, info),
        DeviceInfo::Block(disk) => (disk.handle, disk.area, info),
    })
}

/// Where a device's buffers begin, and how many bytes they are.
fn whole(area: elone::gate::Area) -> (u64, u64) {
    (area.base().addr().get() as u64, u64::from(area.count()) * u64::from(area.size()))
}
