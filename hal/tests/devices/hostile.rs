//! Devices that break their protocol: an error, a reset, and no further word with them.

use std::collections::HashSet;
use std::mem::discriminant;

use elone_hal::fake::memory;
use elone_hal::fake::ring::Chain;
use elone_hal::fake::virtio::Virtio;
use elone_hal::virtio::blk::Operation;
use elone_hal::virtio::console::Console;
use elone_hal::virtio::net::Net;
use elone_hal::virtio::rng::Rng;
use elone_hal::virtio::{DeviceError, Fault};

use crate::common::{
    CONSOLE, ENTROPY, EVENT_INDEX, LEGACY, MODERN, Shared, open, pool, some, variants,
};
use crate::random::Random;
use crate::{blk, net};

/// A network with four buffers offered, of which the device has seen the chains.
fn offered(variant: (u32, u64)) -> (Shared, Net, Vec<Chain>) {
    let (device, mut net) = net::silent(variant, 256);
    for buffer in 0..4 {
        net.offer(buffer).expect("held");
    }
    net.flush();
    let chains = std::iter::from_fn(|| device.lock().pop(0)).collect();
    (device, net, chains)
}

/// The driver notices `fault`, has reset the device, and refuses everything from then on.
fn broken(device: &Shared, net: &mut Net, fault: Fault) {
    let error = DeviceError::Broken(fault);
    let resets = device.lock().resets;
    assert_eq!(net.received(), Err(error));
    assert_eq!(device.look(|device| (device.resets, device.status)), (resets + 1, 0));
    let accesses = device.lock().accesses;
    assert_eq!(net.received(), Err(error));
    assert_eq!(net.sent(), Err(error));
    assert_eq!(net.offer(100), Err(error));
    assert_eq!(net.send(101, 64), Err(error));
    net.flush();
    assert!(!net.arm());
    assert_eq!(net.configuration_changed(), Err(error));
    assert_eq!(device.lock().accesses, accesses, "not spoken to again");
}

#[test]
fn a_used_index_that_jumps_breaks_the_device() {
    for variant in variants() {
        for index in some(&[5, 0x8000, u16::MAX, 6, 255, 256, 257]) {
            let (device, mut net, _) = offered(variant);
            device.lock().ring(0).write_used_index(index);
            broken(&device, &mut net, Fault::IndexJump(index));
        }
    }
}

#[test]
fn a_used_index_that_goes_back_breaks_the_device() {
    let (device, mut net, chains) = offered((MODERN, 0));
    device.lock().push(0, chains[0].head, 12);
    device.lock().push(0, chains[1].head, 12);
    assert!(matches!(net.received(), Ok(Some(_))));
    assert!(matches!(net.received(), Ok(Some(_))));
    device.lock().ring(0).write_used_index(1);
    broken(&device, &mut net, Fault::IndexJump(u16::MAX));
}

#[test]
fn a_chain_that_does_not_exist_breaks_the_device() {
    for variant in variants() {
        for id in some(&[1, 128, 0x1_0000, 3, 300, 0xffff, u32::MAX]) {
            let (device, mut net, _) = offered(variant);
            device.lock().ring(0).push(id, 12);
            broken(&device, &mut net, Fault::UnknownChain(id));
        }
    }
}

#[test]
fn a_chain_that_is_free_or_comes_twice_breaks_the_device() {
    for variant in variants() {
        let (device, mut net, _) = offered(variant);
        device.lock().ring(0).push(100, 12);
        broken(&device, &mut net, Fault::ChainNotInFlight(100));

        let (device, mut net, chains) = offered(variant);
        device.lock().push(0, chains[2].head, 12);
        device.lock().push(0, chains[2].head, 12);
        assert!(matches!(net.received(), Ok(Some(_))));
        broken(&device, &mut net, Fault::ChainNotInFlight(u32::from(chains[2].head)));
    }
}

#[test]
fn a_chain_that_is_not_yet_published_breaks_the_device() {
    let (device, mut net) = net::silent((MODERN, 0), 256);
    net.send(1, 64).expect("held");
    net.flush();
    let first = device.lock().pop(1).expect("sent");
    net.send(2, 64).expect("held"); // not flushed: the device should not know it
    let fault = Fault::ChainNotInFlight(u32::from(first.head) + 2);
    device.lock().ring(1).push(u32::from(first.head) + 2, 0);
    assert_eq!(net.sent(), Err(DeviceError::Broken(fault)));
}

#[test]
fn a_length_over_the_buffer_breaks_the_device() {
    for (version, header) in [(LEGACY, 10), (MODERN, 12)] {
        for length in [header + 2049, u32::MAX] {
            let (device, mut net, chains) = offered((version, 0));
            device.lock().push(0, chains[0].head, length);
            broken(&device, &mut net, Fault::TooLong(length));
        }
        let (device, mut net, chains) = offered((version, 0));
        device.lock().push(0, chains[0].head, header + 2048);
        assert!(matches!(net.received(), Ok(Some((_, 2048)))), "as long as the buffer is fine");
    }
}

#[test]
fn a_length_under_the_header_breaks_the_device() {
    for (version, header) in [(LEGACY, 10), (MODERN, 12)] {
        let (device, mut net, chains) = offered((version, 0));
        device.lock().push(0, chains[0].head, header - 1);
        broken(&device, &mut net, Fault::TooShort(header - 1));
        let (device, mut net, chains) = offered((version, 0));
        device.lock().push(0, chains[0].head, header);
        assert!(matches!(net.received(), Ok(Some((_, 0)))), "an empty frame is one");
    }
}

#[test]
fn memory_changed_after_it_was_checked_is_not_read_again() {
    let (device, mut net, chains) = offered((MODERN, 0));
    device.lock().push(0, chains[0].head, 12 + 50);
    device.lock().push(0, chains[1].head, 12 + 60);
    let ring = device.lock();
    let (descriptors, available, used) = {
        let queue = &ring.queues[0];
        (queue.descriptors, queue.available, queue.used)
    };
    drop(ring);
    assert!(matches!(net.received(), Ok(Some((_, 50)))));
    // The device rewrites its past, and everything that is the driver's.
    memory::write(descriptors, &[0xff; 64 * 16]);
    memory::write(available + 4, &[0xff; 128]);
    memory::write(used + 4, &[0xff; 8]);
    assert!(matches!(net.received(), Ok(Some((_, 60)))), "known from the driver's own copy");
    assert_eq!(net.received(), Ok(None));
}

#[test]
fn a_device_that_needs_a_reset_gets_it_and_no_more() {
    for variant in variants() {
        let (device, mut net, _) = offered(variant);
        net.configuration_changed().expect("nothing is wrong");
        device.lock().need_reset();
        assert!(net.interrupt_port().acknowledge().configuration());
        let error = DeviceError::Broken(Fault::NeedsReset);
        assert_eq!(net.configuration_changed(), Err(error));
        break_stays(&mut net, error);
        assert_eq!(device.lock().status, 0);
    }
}

fn break_stays(net: &mut Net, error: DeviceError) {
    assert_eq!((net.received(), net.sent(), net.offer(9)), (Err(error), Err(error), Err(error)));
}

#[test]
fn a_hostile_disk_is_reset() {
    type Lie = fn(&Shared);
    let lies: [(Lie, Fault); 3] = [
        (|device| device.lock().ring(0).write_used_index(2), Fault::IndexJump(2)),
        (|device| device.look(|device| _ = device.ring(0).push(16, 1)), Fault::UnknownChain(16)),
        (
            |device| device.look(|device| _ = device.ring(0).push(15, 1)),
            Fault::ChainNotInFlight(15),
        ),
    ];
    for (lie, fault) in lies {
        let (device, mut disk) = blk::silent((MODERN, crate::common::INDIRECT), 10);
        disk.submit(Operation::Read, 0, 3, 512).expect("room");
        lie(&device);
        let error = DeviceError::Broken(fault);
        assert_eq!(disk.completed(), Err(error));
        assert_eq!(disk.submit(Operation::Read, 0, 4, 512), Err(error));
        assert_eq!((disk.completed(), disk.arm()), (Err(error), false));
        assert_eq!(device.lock().status, 0);
    }
}

#[test]
fn a_hostile_entropy_source_or_console_is_reset() {
    let (device, transport) = open(Virtio::new(MODERN, ENTROPY, 0, &[8], &[]));
    let mut source = Rng::probe(transport, &mut pool()).expect("a source");
    source.request().expect("asked");
    device.lock().ring(0).push(0, 65);
    let error = DeviceError::Broken(Fault::TooLong(65));
    assert_eq!(source.fill(&mut [0; 8], || true), Err(error));
    assert_eq!((source.request(), source.arm(), device.lock().status), (Err(error), false, 0));

    let (device, transport) = open(Virtio::new(MODERN, CONSOLE, 0, &[8, 8], &[]));
    let mut console = Console::probe(transport, &mut pool()).expect("a console");
    device.lock().ring(0).push(0, 257);
    let error = DeviceError::Broken(Fault::TooLong(257));
    assert_eq!(console.read(&mut [0; 8]), Err(error));
    assert_eq!(console.write(b"x", || true), Err(error));
    assert_eq!((console.arm(), device.lock().status), (false, 0));
}

/// One step of a device that does whatever comes to its mind. Once it has written over the
/// descriptors, it no longer knows what it was given.
pub(crate) fn mischief(device: &mut Virtio, random: &mut Random, lost: &mut bool) {
    let queue = (random.below(2) & 1) as u16;
    let number = (random.below(1 << 32) & 0xffff_ffff) as u32;
    let sane = !*lost && random.below(10) != 0;
    match random.below(6) {
        _ if sane => {
            if let Some(chain) = device.pop(queue) {
                let length = if chain.room() == 0 { 0 } else { 12 + number % (chain.room() - 11) };
                device.push(queue, chain.head, length);
            }
        }
        0 => device.ring(queue).write_used_index((number & 0xffff) as u16),
        1 => _ = device.ring(queue).push(number % 200, 12),
        2 => _ = device.ring(0).push(number % 8 * 2, number),
        3 => _ = device.ring(0).push(number % 8 * 2, number % 12),
        4 => device.need_reset(),
        _ => {
            let at = device.ring(queue).descriptors + u64::from(number % 256) * 8;
            memory::write(at, &number.to_le_bytes());
            *lost = true;
        }
    }
}

/// One step of a driver's user, who keeps a list of its own of what it holds.
pub(crate) fn use_of(
    net: &mut Net,
    held: &mut [bool; 128],
    random: &mut Random,
) -> Result<(), DeviceError> {
    let number = (random.below(128) & 0x7f) as u16;
    let owned = held[usize::from(number)];
    let mut passed = |number: u16, owned| {
        assert_ne!(held[usize::from(number)], owned, "buffer {number} has two owners");
        held[usize::from(number)] = owned;
    };
    let refused = match random.below(5) {
        0 | 1 => net.offer(number).map(|()| passed(number, false)),
        2 => net.send(number, 64).map(|()| passed(number, false)),
        3 => net.received()?.map_or(Ok(()), |(number, length)| {
            assert!(length <= 2048);
            passed(number, true);
            Ok(())
        }),
        _ => net.sent()?.map_or(Ok(()), |number| {
            passed(number, true);
            Ok(())
        }),
    };
    match refused {
        Err(DeviceError::BadBuffer) if !owned => Ok(()),
        Err(DeviceError::Full) if owned => Ok(()),
        result => result,
    }
}

#[test]
fn whatever_a_device_does_no_buffer_gets_two_owners() {
    let (runs, steps) = if cfg!(miri) { (4, 30) } else { (1_000, 300) };
    let mut faults = HashSet::new();
    for run in 1..=runs {
        let mut random = Random::new(run);
        let version = if run % 2 == 0 { LEGACY } else { MODERN };
        let (device, mut net) = net::silent((version, EVENT_INDEX), 256);
        let (mut held, mut lost) = ([true; 128], false);
        for _ in 0..steps {
            let result = use_of(&mut net, &mut held, &mut random).and_then(|()| {
                net.flush();
                device.look(|device| mischief(device, &mut random, &mut lost));
                if random.below(8) == 0 { net.configuration_changed() } else { Ok(()) }
            });
            if let Err(error) = result {
                let DeviceError::Broken(fault) = error else { panic!("{error}") };
                faults.insert(discriminant(&fault));
                assert_eq!(device.lock().status, 0, "it was reset");
                break_stays(&mut net, error);
                break;
            }
        }
    }
    assert!(cfg!(miri) || faults.len() == 6, "each kind of fault was met: {faults:?}");
}
