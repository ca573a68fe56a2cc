//! The disk used by polling, as the kernel does for its fault report.

use elone_hal::fake::honest;
use elone_hal::fake::virtio::Virtio;
use elone_hal::virtio::blk::{Blk, BlockError, NowError, Operation};
use elone_hal::virtio::{DeviceError, Fault};

use crate::blk::silent;
use crate::common::{BLOCK, EVENT_INDEX, MODERN, open_serving, pool, read, variants, write};
use crate::drain::complete;

const READ_ONLY: u64 = 1 << 5;
const FLUSH: u64 = 1 << 9;

/// For devices that answer at once.
fn never() -> bool {
    panic!("an honest device has answered by now")
}

fn device_error<T>(error: DeviceError) -> Result<T, NowError> {
    Err(NowError::Device(error))
}

#[test]
fn what_is_written_now_is_read_back_now() {
    for (version, features) in variants() {
        let device = Virtio::new(version, BLOCK, features | FLUSH, &[64], &40_u64.to_le_bytes());
        let (device, transport) = open_serving(device, honest::disk(vec![0xee; 40 * 512]));
        let mut blk = Blk::probe(transport, &mut pool()).expect("a disk");
        for (sector, length) in [(0, 512), (3, 4096), (20, 2 * 4096 + 512), (39, 512)] {
            let text: Vec<u8> = (0..=250).cycle().skip(length % 97).take(length).collect();
            blk.write_now(sector, &text, never).expect("an honest disk");
            let mut back = vec![0; length];
            blk.read_now(sector, &mut back, never).expect("an honest disk");
            assert!(back == text);
            // The same through a buffer of the area: it is on the disk, not in the driver.
            blk.submit(Operation::Read, sector, 9, 512).expect("held");
            assert_eq!(blk.completed(), Ok(Some((9, Ok(())))));
            assert_eq!(read(blk.area(), 9, 512), text[..512]);
        }
        let mut between = [0; 512];
        blk.read_now(37, &mut between, never).expect("an honest disk");
        assert_eq!(between, [0xee; 512], "what was not written is as it was");
        blk.flush_now(never).expect("an honest disk");
        assert_eq!(device.lock().interrupts, 0, "nobody asked for one");
    }
}

#[test]
fn what_cannot_be_done_is_refused_before_the_device_hears_of_it() {
    let (device, mut blk) = silent((MODERN, 0), 10);
    let refused = device_error(DeviceError::OutOfRange);
    for (sector, length) in [(0, 0), (0, 511), (0, 513), (10, 512), (2, 4608), (u64::MAX, 512)] {
        assert_eq!(blk.write_now(sector, &vec![0; length], never), refused);
        assert_eq!(blk.read_now(sector, &mut vec![0; length], never), refused);
    }
    assert!(device.lock().pop(0).is_none());

    let (device, mut blk) = silent((MODERN, READ_ONLY), 10);
    assert_eq!(blk.write_now(0, &[0; 512], never), device_error(DeviceError::Unsupported));
    assert!(device.lock().pop(0).is_none());

    let (_, mut blk) = silent((MODERN, 0), u64::MAX);
    let last = blk.read_now(u64::MAX - 1, &mut [0; 512], || false);
    assert_eq!(last, device_error(DeviceError::Silent), "the last sector is one");
}

#[test]
fn a_flush_is_asked_for_only_where_there_is_a_cache() {
    let (device, mut blk) = silent((MODERN, 0), 10);
    blk.flush_now(never).expect("nothing to do");
    assert!(device.lock().pop(0).is_none());

    let (device, mut blk) = silent((MODERN, FLUSH), 10);
    let mut kinds = vec![];
    let flushed = blk.flush_now(|| {
        let mut device = device.lock();
        let chain = device.pop(0).expect("asked");
        kinds.push((chain.read(), chain.room()));
        chain.write(&[0]);
        device.push(0, chain.head, 1);
        true
    });
    assert_eq!(flushed, Ok(()));
    assert_eq!(kinds, [([&[4][..], &[0; 15]].concat(), 1)]);
}

#[test]
fn a_devices_errors_are_told() {
    for (status, error) in
        [(1, BlockError::Io), (2, BlockError::Unsupported), (9, BlockError::Unknown(9))]
    {
        let (device, mut blk) = silent((MODERN, FLUSH), 10);
        let failed = Err(NowError::Request(error));
        let mut answer = || {
            complete(&device, status);
            true
        };
        assert_eq!(blk.write_now(0, &[0; 1024], &mut answer), failed);
        assert_eq!(blk.read_now(0, &mut [0; 1024], &mut answer), failed);
        assert_eq!(blk.flush_now(&mut answer), failed);
        let good = blk.write_now(0, &[0; 512], || {
            complete(&device, 0);
            true
        });
        assert_eq!(good, Ok(()), "the disk as a whole still works");
    }
}

#[test]
fn a_silent_device_ends_patience_and_is_waited_for_the_next_time() {
    for variant in variants() {
        let (device, mut blk) = silent(variant, 10);
        let mut patience = 0..20;
        let silent = device_error(DeviceError::Silent);
        assert_eq!(blk.write_now(1, &[b'1'; 512], || patience.next().is_some()), silent);
        assert_eq!(patience.len(), 0);
        // The device has the buffer: nothing else may be put there.
        assert_eq!(blk.write_now(2, &[b'2'; 512], || false), silent);
        let chain = device.lock().pop(0).expect("asked once");
        assert_eq!(
            (&chain.read()[8..16], &chain.read()[16..]),
            (&[1, 0, 0, 0, 0, 0, 0, 0][..], &[b'1'; 512][..])
        );
        assert!(device.lock().pop(0).is_none());
        chain.write(&[0]);
        device.lock().push(0, chain.head, 1);

        let mut seen = vec![];
        let written = blk.write_now(3, &[b'3'; 512], || {
            let mut device = device.lock();
            let chain = device.pop(0).expect("asked");
            seen.push((chain.read()[8], chain.read()[16]));
            chain.write(&[0]);
            device.push(0, chain.head, 1);
            true
        });
        assert_eq!((written, seen), (Ok(()), vec![(3, b'3')]));
        assert_eq!(blk.completed(), Ok(None), "none of this is an application's");
    }
}

#[test]
fn a_restart_ends_what_a_silent_device_was_asked() {
    let (device, mut blk) = silent((MODERN, EVENT_INDEX), 10);
    assert_eq!(blk.write_now(1, &[0; 512], || false), device_error(DeviceError::Silent));
    blk.restart().expect("it comes up");
    let mut answered = 0;
    let written = blk.write_now(2, &[0; 512], || {
        complete(&device, 0);
        answered += 1;
        true
    });
    assert_eq!((written, answered), (Ok(()), 1));
}

#[test]
fn an_applications_requests_go_on_beside_it() {
    for variant in variants() {
        let (device, mut blk) = silent(variant, 100);
        for buffer in 0..16 {
            blk.submit(Operation::Read, 0, buffer, 512).expect("room for all");
        }
        write(blk.area(), 0, &[b'a'; 4]);
        let mut answers = 0;
        let written = blk.write_now(7, &[b'k'; 512], || {
            complete(&device, if answers == 0 { 1 } else { 0 });
            answers += 1;
            true
        });
        assert_eq!((written, answers), (Ok(()), 17), "it came last, and found a place");
        assert_eq!(blk.completed(), Ok(Some((0, Err(BlockError::Io)))));
        for buffer in 1..16 {
            assert!(!blk.is_held(buffer));
            assert_eq!(blk.completed(), Ok(Some((buffer, Ok(())))));
            assert_eq!(read(blk.area(), buffer, 512), [0xaa; 512]);
        }
        assert_eq!(blk.completed(), Ok(None));
    }
}

#[test]
fn a_device_that_breaks_is_not_waited_for() {
    let (device, mut blk) = silent((MODERN, 0), 10);
    let mut polls = 0;
    let broken = blk.write_now(0, &[0; 512], || {
        device.lock().need_reset();
        polls += 1;
        polls < 10
    });
    let error = DeviceError::Broken(Fault::NeedsReset);
    assert_eq!((broken, polls), (device_error(error), 1));
    assert_eq!(blk.read_now(0, &mut [0; 512], never), device_error(error));
    assert_eq!(blk.flush_now(never), device_error(error));

    blk.restart().expect("it comes up");
    let broken = blk.write_now(0, &[0; 512], || {
        device.look(|device| device.ring(0).write_used_index(5));
        true
    });
    assert_eq!(broken, device_error(DeviceError::Broken(Fault::IndexJump(5))));
}
