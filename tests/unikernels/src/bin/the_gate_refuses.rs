//! Calls the gate with wrong handles, buffers, lengths and sectors. Each call must be refused with
//! the error that its docs name, and change nothing.
#![no_std]
#![no_main]

use elone::gate::{
    BlockCompletion, BlockOperation, BlockRequest, BufferId, DeviceClass, DeviceInfo, Error, Frame,
    Handle, calls,
};
use elone::{Platform, info};

#[elone::main]
async fn main(_platform: Platform) -> Result<(), Error> {
    let nobody = Handle(7);
    assert!(calls::net_send(nobody, &[], &mut []) == Err(Error::BadHandle));
    assert!(calls::net_receive(Handle(255), &[], &mut []) == Err(Error::BadHandle));
    assert!(calls::block_complete(nobody, &mut []) == Err(Error::BadHandle));
    assert!(calls::net_send(Handle(0), &[], &mut []) == Err(Error::BadHandle), "before the claim");

    let DeviceInfo::Net(net) = calls::device(DeviceClass::Net, 0)? else {
        return Err(Error::NoSuchDevice);
    };
    let DeviceInfo::Block(disk) = calls::device(DeviceClass::Block, 0)? else {
        return Err(Error::NoSuchDevice);
    };
    assert!(calls::net_send(disk.handle, &[], &mut []) == Err(Error::BadHandle), "another class");
    refuses_frames(net.handle, net.area.count(), net.area.size());
    refuses_requests(disk.handle, disk.sectors);
    info!("every wrong call was refused");
    Ok(())
}

fn refuses_frames(handle: Handle, count: u16, size: u16) {
    let frame = |buffer, length| Frame { buffer: BufferId(buffer), length };
    let send =
        |frames: &[Frame]| calls::net_send(handle, frames, &mut []).map(|sent| sent.accepted);
    assert!(send(&[frame(0, 60), frame(count, 60)]) == Err(Error::BadBuffer));
    assert!(send(&[frame(0, 60), frame(1, 13)]) == Err(Error::OutOfRange));
    assert!(send(&[frame(0, 60), frame(1, size + 1)]) == Err(Error::OutOfRange));
    assert!(send(&[frame(0, 60), frame(1, 60), frame(0, 60)]) == Err(Error::BadBuffer), "twice");

    let receive = |empty: &[BufferId]| calls::net_receive(handle, empty, &mut []);
    assert!(receive(&[BufferId(0), BufferId(u16::MAX)]) == Err(Error::BadBuffer));
    assert!(receive(&[BufferId(0), BufferId(0)]) == Err(Error::BadBuffer), "twice");
    // Nothing was taken by what was refused, and what is the device's is not the application's.
    assert!(receive(&[BufferId(0)]) == Ok(0));
    assert!(receive(&[BufferId(0)]) == Err(Error::BadBuffer));
    assert!(send(&[frame(0, 60)]) == Err(Error::BadBuffer));
}

fn refuses_requests(handle: Handle, sectors: u64) {
    let request = |sector, buffer, length| {
        let operation = BlockOperation::Read;
        calls::block_submit(
            handle,
            BlockRequest { operation, sector, buffer: BufferId(buffer), length },
        )
    };
    assert!(request(0, u16::MAX, 512) == Err(Error::BadBuffer));
    assert!(request(sectors, 0, 512) == Err(Error::OutOfRange));
    assert!(request(u64::MAX, 0, 512) == Err(Error::OutOfRange));
    assert!(request(0, 0, 0) == Err(Error::OutOfRange));
    assert!(request(0, 0, 100) == Err(Error::OutOfRange));
    assert!(request(0, 0, 1 << 20) == Err(Error::OutOfRange));
    // Nothing was taken by what was refused.
    assert!(request(0, 0, 512) == Ok(()));
    assert!(request(0, 0, 512) == Err(Error::BadBuffer), "the device has it");
    let mut done = [BlockCompletion::EMPTY];
    while calls::block_complete(handle, &mut done) == Ok(0) {
        calls::wait(None);
    }
    assert!(done[0].buffer == BufferId(0) && done[0].result == Ok(()));
}
