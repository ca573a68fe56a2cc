//! The disk.

use elone_hal::fake::virtio::Virtio;
use elone_hal::fake::{honest, memory};
use elone_hal::virtio::DeviceError;
use elone_hal::virtio::blk::{Blk, BlockError, Operation};

use crate::common::{BLOCK, MODERN, Shared, open, open_serving, pool, read, variants, write};

const READ_ONLY: u64 = 1 << 5;
const FLUSH: u64 = 1 << 9;

/// A disk of `sectors` that does nothing by itself.
pub(crate) fn silent((version, features): (u32, u64), sectors: u64) -> (Shared, Blk) {
    let config = sectors.to_le_bytes();
    let (device, transport) = open(Virtio::new(version, BLOCK, features, &[64], &config));
    (device, Blk::probe(transport, &mut pool()).expect("a disk"))
}

#[test]
fn what_is_written_is_read_back() {
    for (version, features) in variants() {
        let device = Virtio::new(version, BLOCK, features | FLUSH, &[64], &40_u64.to_le_bytes());
        let (_, transport) = open_serving(device, honest::disk(vec![0; 40 * 512]));
        let mut blk = Blk::probe(transport, &mut pool()).expect("a disk");
        assert_eq!((blk.sectors(), blk.is_read_only()), (40, false));

        write(blk.area(), 0, &[b'x'; 4096]);
        write(blk.area(), 1, &[b'y'; 512]);
        blk.submit(Operation::Write, 8, 0, 4096).expect("room");
        blk.submit(Operation::Write, 39, 1, 512).expect("room");
        blk.submit(Operation::Flush, 0, 2, 0).expect("room");
        for buffer in 0..3 {
            assert_eq!(blk.completed(), Ok(Some((buffer, Ok(())))));
        }
        blk.submit(Operation::Read, 15, 3, 1024).expect("room");
        blk.submit(Operation::Read, 39, 4, 512).expect("room");
        assert_eq!(blk.completed(), Ok(Some((3, Ok(())))));
        assert_eq!(blk.completed(), Ok(Some((4, Ok(())))));
        assert_eq!(blk.completed(), Ok(None));
        assert_eq!(read(blk.area(), 3, 1024), [[b'x'; 512], [0; 512]].concat());
        assert_eq!(read(blk.area(), 4, 512), [b'y'; 512]);
    }
}

#[test]
fn a_disk_of_any_size_is_a_disk_and_its_end_is_its_end() {
    for sectors in [0, 1, 7, u64::MAX] {
        let (_, mut blk) = silent((MODERN, 0), sectors);
        assert_eq!(blk.sectors(), sectors);
        let past = [(sectors, 512), (u64::MAX, 512), (sectors.saturating_sub(1), 1024)];
        for (sector, length) in past {
            let refused = blk.submit(Operation::Read, sector, 0, length);
            assert_eq!(refused, Err(DeviceError::OutOfRange), "{sectors} {sector} {length}");
        }
        let last = sectors.checked_sub(1).map(|sector| blk.submit(Operation::Read, sector, 0, 512));
        assert!(last.is_none_or(|submitted| submitted.is_ok()));
    }
}

#[test]
fn a_request_that_is_none_is_refused() {
    let (_, mut blk) = silent((MODERN, READ_ONLY | FLUSH), 100);
    for length in [0, 1, 511, 513, 4608, u32::MAX, u32::MAX - 511] {
        assert_eq!(blk.submit(Operation::Read, 0, 0, length), Err(DeviceError::OutOfRange));
    }
    assert_eq!(blk.submit(Operation::Write, 0, 0, 512), Err(DeviceError::Unsupported));
    for buffer in [16, 32, u16::MAX] {
        assert_eq!(blk.submit(Operation::Read, 0, buffer, 512), Err(DeviceError::BadBuffer));
    }
    blk.submit(Operation::Read, 0, 0, 512).expect("nothing refused took the buffer");
    for operation in [Operation::Read, Operation::Flush] {
        assert_eq!(blk.submit(operation, 0, 0, 512), Err(DeviceError::BadBuffer));
    }
}

#[test]
fn requests_complete_in_any_order() {
    for variant in variants() {
        let (device, mut blk) = silent(variant, 100);
        for buffer in 0..16 {
            blk.submit(Operation::Read, u64::from(buffer), buffer, 512).expect("room for all");
        }
        let mut chains: Vec<_> = std::iter::from_fn(|| device.lock().pop(0)).collect();
        assert_eq!(chains.len(), 16);
        chains.reverse();
        for chain in chains {
            let sector = chain.read()[8];
            let written = chain.write(&[&[sector; 512][..], &[0]].concat());
            device.lock().push(0, chain.head, written);
        }
        for buffer in (0..16).rev() {
            assert_eq!(blk.completed(), Ok(Some((buffer, Ok(())))));
            assert_eq!(read(blk.area(), buffer, 512), [(buffer & 0xff) as u8; 512]);
        }
    }
}

#[test]
fn a_devices_errors_are_surfaced_and_it_goes_on() {
    let (device, mut blk) = silent((MODERN, FLUSH), 100);
    let outcomes = [
        (Some(0), Ok(())),
        (Some(1), Err(BlockError::Io)),
        (Some(2), Err(BlockError::Unsupported)),
        (Some(3), Err(BlockError::Unknown(3))),
        (None, Err(BlockError::Unknown(0xff))), // it wrote no status at all
        (Some(0), Ok(())),
    ];
    for (status, result) in outcomes {
        blk.submit(Operation::Write, 0, 7, 512).expect("room");
        let chain = device.lock().pop(0).expect("submitted");
        status.map(|status| chain.write(&[status]));
        device.lock().push(0, chain.head, 1);
        assert_eq!(blk.completed(), Ok(Some((7, result))));
    }
}

#[test]
fn a_flush_without_a_cache_is_done_at_once() {
    let (device, mut blk) = silent((MODERN, 0), 100);
    blk.submit(Operation::Flush, 0, 3, 0).expect("room");
    assert_eq!(blk.submit(Operation::Flush, 0, 3, 0), Err(DeviceError::BadBuffer));
    assert!(blk.arm(), "it is complete");
    assert_eq!(blk.completed(), Ok(Some((3, Ok(())))));
    assert_eq!(blk.completed(), Ok(None));
    assert!(device.lock().pop(0).is_none());
}

#[test]
fn header_and_status_are_outside_of_the_shared_buffers() {
    let (device, mut blk) = silent((MODERN, FLUSH), 100);
    let area = blk.area().span(0, 0).expect("a buffer").address().0;
    blk.submit(Operation::Write, 99, 2, 512).expect("room");
    let chain = device.lock().pop(0).expect("submitted");
    assert_eq!(chain.readable[1], (area + 2 * 4096, 512));
    assert_eq!(chain.read()[..16], [1, 0, 0, 0, 0, 0, 0, 0, 99, 0, 0, 0, 0, 0, 0, 0]);
    for (at, _) in [chain.readable[0], chain.writable[0]] {
        assert!(at < area || at >= area + 16 * 4096);
    }
}

#[test]
fn a_header_changed_after_it_was_checked_changes_nothing_for_the_driver() {
    let (device, mut blk) = silent((MODERN, FLUSH), 100);
    blk.submit(Operation::Read, 5, 2, 512).expect("room");
    let chain = device.lock().pop(0).expect("submitted");
    memory::write(chain.readable[0].0, &[0xff; 16]);
    memory::write(chain.writable[1].0, &[0]);
    device.lock().push(0, chain.head, u32::MAX); // lengths are not used
    assert_eq!(blk.completed(), Ok(Some((2, Ok(())))));
}

#[test]
fn a_disk_that_grows_is_seen_to() {
    let (device, mut blk) = silent((MODERN, 0), 100);
    device.lock().set_config(&200_u64.to_le_bytes());
    assert!(blk.interrupt_port().acknowledge().configuration());
    blk.configuration_changed().expect("it works");
    assert_eq!(blk.sectors(), 200);
}
