//! Requests that are under way are let finish before a restart.

use elone_hal::virtio::blk::{BlockError, Operation};
use elone_hal::virtio::{DeviceError, Fault};

use crate::blk::silent;
use crate::common::{MODERN, Shared, variants};

/// The device completes its next request with `status`.
pub(crate) fn complete(device: &Shared, status: u8) {
    let mut device = device.lock();
    let chain = device.pop(0).expect("submitted");
    let room = chain.room() as usize;
    let written = chain.write(&[&vec![0xaa; room - 1][..], &[status]].concat());
    device.push(0, chain.head, written);
}

#[test]
fn what_is_under_way_is_waited_for_and_still_told() {
    for variant in variants() {
        let (device, mut blk) = silent(variant, 100);
        for buffer in 0..5 {
            blk.submit(Operation::Write, u64::from(buffer), buffer, 512).expect("room");
        }
        complete(&device, 0);
        let mut left = 4;
        let finished = blk.drain(|| {
            left -= 1;
            complete(&device, if left == 0 { 1 } else { 0 });
            true
        });
        assert!(finished && left == 0, "not a poll more than it took");
        assert!(blk.arm(), "there is something to be told");
        for buffer in 0..4 {
            assert_eq!(blk.completed(), Ok(Some((buffer, Ok(())))));
        }
        assert_eq!(blk.completed(), Ok(Some((4, Err(BlockError::Io)))));
        assert_eq!(blk.completed(), Ok(None));
    }
}

#[test]
fn nothing_under_way_is_no_reason_to_wait() {
    let (_, mut blk) = silent((MODERN, 0), 100);
    assert!(blk.drain(|| panic!("there is nothing to wait for")));
    blk.submit(Operation::Flush, 0, 3, 0).expect("done at once");
    assert!(blk.drain(|| panic!("there is nothing to wait for")));
}

#[test]
fn patience_ends() {
    let (device, mut blk) = silent((MODERN, 0), 100);
    blk.submit(Operation::Write, 0, 3, 512).expect("room");
    let mut patience = 0..20;
    assert!(!blk.drain(|| patience.next().is_some()));
    assert_eq!(patience.len(), 0);
    assert!(!blk.is_held(3), "the device may be at it still");
    complete(&device, 0);
    assert_eq!(blk.completed(), Ok(Some((3, Ok(())))), "nothing was lost by waiting");
}

#[test]
fn a_device_that_breaks_is_not_waited_for() {
    let (device, mut blk) = silent((MODERN, 0), 100);
    blk.submit(Operation::Write, 0, 3, 512).expect("room");
    device.lock().need_reset();
    assert!(!blk.drain(|| panic!("it said that it needs a reset")));
    assert_eq!(blk.completed(), Err(DeviceError::Broken(Fault::NeedsReset)));
    blk.restart().expect("it comes up");

    blk.submit(Operation::Write, 0, 3, 512).expect("room");
    device.lock().ring(0).write_used_index(7);
    assert!(!blk.drain(|| panic!("it broke its protocol")));
    assert_eq!(blk.completed(), Err(DeviceError::Broken(Fault::IndexJump(7))));
}
