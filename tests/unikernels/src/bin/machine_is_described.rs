//! Shows what it was told of its machine, its clock, its heap and its devices.
#![no_std]
#![no_main]

use elone::gate::{DeviceClass, DeviceInfo, calls};
use elone::{Platform, info};

#[elone::main]
async fn main(platform: Platform) {
    let machine = platform.machine();
    info!("entered {} application {}", machine.entered_at, machine.application_at);
    info!("hypervisor [{}] board [{}]", machine.hypervisor, machine.board);
    info!("core [{}] controller [{}]", machine.core, machine.interrupt_controller);
    info!("memory {}", machine.memory);
    match elone::wall_clock() {
        Ok(time) => info!("date {}", time.0 / 1_000_000_000),
        Err(error) => info!("date: {error}"),
    }
    for index in 0..4 {
        match calls::device(DeviceClass::Block, index) {
            Ok(DeviceInfo::Block(disk)) => {
                info!("disk {index}: {} sectors, read only: {}", disk.sectors, disk.read_only);
            }
            Ok(other) => info!("disk {index}: {other:?}"),
            Err(error) => info!("disk {index}: {error}"),
        }
    }
    match calls::device(DeviceClass::Net, 0) {
        Ok(DeviceInfo::Net(net)) => info!("net: mac {:x?} mtu {}", net.mac, net.mtu),
        Ok(other) => info!("net: {other:?}"),
        Err(error) => info!("net: {error}"),
    }
    if let Err(error) = calls::device(DeviceClass::Net, 0) {
        info!("net again: {error}");
    }
}
