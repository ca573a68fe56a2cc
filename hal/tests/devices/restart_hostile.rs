//! Restarts of devices that do not want to: none leaves a driver half alive.

use elone_hal::dma::DmaBuffers;
use elone_hal::fake::honest;
use elone_hal::fake::memory;
use elone_hal::fake::virtio::Virtio;
use elone_hal::virtio::blk::{NowError, Operation};
use elone_hal::virtio::net::Net;
use elone_hal::virtio::{DeviceError, Fault, Features, ProbeError};

use crate::common::{EVENT_INDEX, INDIRECT, LEGACY, MODERN, Shared, variants};
use crate::random::Random;
use crate::restart::all_held;
use crate::transport::FAILED;
use crate::{blk, hostile, net};

/// The driver refuses everything because of `fault`, and speaks to the device no more.
fn dead(device: &Shared, net: &mut Net, fault: Fault) {
    let error = DeviceError::Broken(fault);
    assert_eq!(device.lock().status & FAILED, FAILED);
    assert_eq!(device.lock().status & 4, 0, "never DRIVER_OK");
    let accesses = device.lock().accesses;
    assert_eq!((net.received(), net.sent()), (Err(error), Err(error)));
    assert_eq!((net.offer(100), net.send(101, 64)), (Err(error), Err(error)));
    assert_eq!((net.configuration_changed(), net.arm()), (Err(error), false));
    net.flush();
    assert_eq!(device.lock().accesses, accesses);
}

/// A network with a buffer that is to be filled and one that is being sent.
fn busy(variant: (u32, u64)) -> (Shared, Net) {
    let (device, mut net) = net::silent(variant, 256);
    net.offer(0).expect("held");
    net.send(1, 64).expect("room");
    net.flush();
    (device, net)
}

/// What a device is made to do wrong, what that is, and how it is made good again.
type Wrong = (fn(&mut Virtio), ProbeError, fn(&mut Virtio));

const WRONGS: [Wrong; 5] = [
    (
        |device| device.offered &= !EVENT_INDEX,
        ProbeError::MissingFeatures(Features::EVENT_INDEX),
        |device| device.offered |= EVENT_INDEX,
    ),
    (
        |device| device.quirks.queues_busy = true,
        ProbeError::QueueBusy(0),
        |device| device.quirks.queues_busy = false,
    ),
    (|device| device.ring(1).max = 0, ProbeError::NoQueue(1), |device| device.ring(1).max = 256),
    (
        |device| device.ring(1).max = 64,
        ProbeError::QueueTooSmall(1),
        |device| device.ring(1).max = 256,
    ),
    (
        |device| device.quirks.refuses_features = true,
        ProbeError::FeaturesRefused,
        |device| device.quirks.refuses_features = false,
    ),
];

#[test]
fn a_device_that_has_changed_is_not_restarted_until_it_is_what_it_was() {
    for (version, (spoil, error, mend)) in
        [LEGACY, MODERN].into_iter().flat_map(|version| WRONGS.map(|wrong| (version, wrong)))
    {
        if version == LEGACY && error == ProbeError::FeaturesRefused {
            continue; // a legacy device cannot (section 3.1.2)
        }
        let (device, mut net) = busy((version, EVENT_INDEX));
        device.look(spoil);
        for _ in 0..2 {
            assert_eq!(net.restart(), Err(error));
            dead(&device, &mut net, Fault::NotRestarted);
        }
        device.look(mend);
        net.restart().expect("as it was");
        assert!(all_held(&net));
        device.lock().service = Some(honest::echo(net::header(version)));
        net.offer(0).expect("held");
        net.send(1, 64).expect("held");
        net.flush();
        assert_eq!(net.received(), Ok(Some((0, 64))));
    }
}

#[test]
fn features_offered_in_addition_are_not_taken() {
    for version in [LEGACY, MODERN] {
        let (device, mut net) = busy((version, 0));
        let accepted = device.lock().accepted;
        device.lock().offered |= EVENT_INDEX | INDIRECT | 0xffff;
        net.restart().expect("it has all that it had");
        assert_eq!(device.lock().accepted, accepted);
    }
}

#[test]
#[cfg_attr(miri, ignore = "10,000 reads")]
fn a_device_that_does_not_reset_keeps_its_buffers_and_the_driver_stays_broken() {
    for variant in variants() {
        let (device, mut net) = busy(variant);
        device.lock().quirks.stuck_reset = true;
        let (receive, transmit) =
            device.look(|device| (device.ring(0).used, device.ring(1).descriptors));
        let rings = || (memory::read(receive, 64), memory::read(transmit, 64));
        let before = rings();
        assert_eq!(net.restart(), Err(ProbeError::ResetTimeout));
        assert_eq!(device.lock().status & FAILED, FAILED);
        assert!(!net.is_held(0) && !net.is_held(1) && net.is_held(2));
        assert_eq!(rings(), before, "the rings are the device's still");
        let error = DeviceError::Broken(Fault::StuckInReset);
        assert_eq!((net.offer(2), net.send(3, 64)), (Err(error), Err(error)));
        assert_eq!((net.received(), net.sent(), net.arm()), (Err(error), Err(error), false));

        device.lock().quirks.stuck_reset = false;
        net.restart().expect("it resets now");
        assert!(all_held(&net));
    }
}

#[test]
#[cfg_attr(miri, ignore = "10,000 reads")]
fn so_does_a_disk() {
    let (device, mut disk) = blk::silent((MODERN, 0), 100);
    disk.submit(Operation::Read, 0, 5, 512).expect("room");
    device.lock().quirks.stuck_reset = true;
    assert_eq!(disk.restart(), Err(ProbeError::ResetTimeout));
    let error = DeviceError::Broken(Fault::StuckInReset);
    assert_eq!((disk.is_held(5), disk.is_held(6)), (false, true));
    assert_eq!(disk.submit(Operation::Read, 0, 6, 512), Err(error));
    assert_eq!((disk.completed(), disk.drain(|| true)), (Err(error), false));
    assert_eq!(disk.write_now(0, &[0; 512], || true), Err(NowError::Device(error)));
}

#[test]
fn what_a_device_writes_before_its_reset_ends_is_not_seen() {
    for variant in variants() {
        let (device, mut net) = busy(variant);
        device.look(|device| {
            device.quirks.slow_reset = 50;
            for queue in 0..2 {
                // The whole used ring: index 1, and the chain that was in flight.
                let used = device.ring(queue).used;
                let id = device.pop(queue).expect("published").head;
                let entry = [u32::from(id).to_le_bytes(), 64_u32.to_le_bytes()].concat();
                let words = [&[0, 0, 1, 0][..], &entry].concat();
                device.last_words.push((used, words));
            }
        });
        net.restart().expect("slow, not stuck");
        assert!(device.lock().last_words.is_empty(), "it was waited for");
        assert!(all_held(&net));
        assert_eq!((net.received(), net.sent()), (Ok(None), Ok(None)));
    }
}

#[test]
fn used_entries_written_after_the_reset_break_the_device_again() {
    for variant in variants() {
        let (device, mut net) = busy(variant);
        let head = device.lock().pop(0).expect("offered").head;
        net.restart().expect("honest so far");
        device.look(|device| device.ring(0).push(u32::from(head), 64));
        assert_eq!(net.received(), Err(DeviceError::Broken(Fault::IndexJump(1))));
        assert!(all_held(&net), "nothing was offered, so nothing was lost");
        net.restart().expect("and once more");
        assert_eq!(net.received(), Ok(None));
    }
}

/// All bytes of an area.
fn bytes(area: &DmaBuffers) -> Vec<u8> {
    let start = area.span(0, 0).expect("a buffer").address().0;
    memory::read(start, usize::from(area.count()) * usize::from(area.size()))
}

#[test]
fn a_restart_writes_to_no_buffer() {
    let (_, mut net) = busy((MODERN, 0));
    crate::common::write(net.area(), 127, &[7; 2048]);
    let before = bytes(net.area());
    net.restart().expect("an honest device");
    assert!(bytes(net.area()) == before);
}

#[test]
fn whatever_a_device_did_a_restart_gives_all_buffers_back() {
    let (runs, steps) = if cfg!(miri) { (2, 30) } else { (100, 1_000) };
    let mut restarts = 0;
    for run in 1..=runs {
        let mut random = Random::new(run);
        let version = if run % 2 == 0 { LEGACY } else { MODERN };
        let (device, mut net) = net::silent((version, EVENT_INDEX), 256);
        let (mut held, mut lost) = ([true; 128], false);
        for _ in 0..steps {
            let result = hostile::use_of(&mut net, &mut held, &mut random).and_then(|()| {
                net.flush();
                device.look(|device| hostile::mischief(device, &mut random, &mut lost));
                if random.below(8) == 0 { net.configuration_changed() } else { Ok(()) }
            });
            if result.is_err() || random.below(64) == 0 {
                net.restart().expect("it comes up every time");
                assert!(all_held(&net));
                assert_eq!((net.received(), net.sent()), (Ok(None), Ok(None)));
                (held, lost) = ([true; 128], false);
                restarts += 1;
            }
        }
    }
    assert!(cfg!(miri) || restarts > 1_000, "{restarts}");
}
