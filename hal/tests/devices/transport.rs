//! Finding a device and taking it over.

use elone_hal::attempt::Absent;
use elone_hal::dma::DmaError;
use elone_hal::fake::bus;
use elone_hal::fake::virtio::Virtio;
use elone_hal::mmio::Window;
use elone_hal::virtio::blk::Blk;
use elone_hal::virtio::net::Net;
use elone_hal::virtio::queue::{Lengths, Queue, Tables};
use elone_hal::virtio::rng::Rng;
use elone_hal::virtio::{DeviceId, Features, ProbeError, Transport};

use crate::common::{BLOCK, ENTROPY, LEGACY, MODERN, NET, open, pool};

pub(crate) const FAILED: u32 = 128;

fn source(version: u32) -> Virtio {
    Virtio::new(version, ENTROPY, 0, &[8], &[])
}

#[test]
fn an_empty_slot_is_no_device_and_no_error() {
    let (_, window) = Virtio::new(MODERN, 0, 0, &[], &[]).place();
    assert!(Transport::open(window).expect("a slot").is_none());
}

#[test]
fn what_is_no_virtio_device_is_named_and_not_written_to() {
    for (magic, version, error) in [
        (0x1234, MODERN, ProbeError::NotVirtio(0x1234)),
        (0, MODERN, ProbeError::Absent(Absent)),
        (u32::MAX, MODERN, ProbeError::Absent(Absent)),
        (0x7472_6976, 3, ProbeError::UnknownVersion(3)),
    ] {
        let mut device = source(version);
        device.magic = magic;
        let (device, window) = device.place();
        assert_eq!(Transport::open(window).expect_err("no device"), error);
        assert!(device.lock().expect("alive").accesses <= 3);
    }
}

#[test]
fn a_slot_where_nobody_answers_is_told() {
    let absent = Transport::open(bus::nobody(0x200)).expect_err("nobody");
    assert_eq!(absent, ProbeError::Absent(Absent));
    assert_eq!(absent.to_string(), "nothing answers there");
}

#[test]
fn a_window_too_small_is_refused_before_it_is_read() {
    let (device, window) = source(MODERN).place();
    let window = window.part(0, 0xfc).expect("within");
    assert_eq!(Transport::open(window).expect_err("small"), ProbeError::WindowTooSmall);
    assert_eq!(device.lock().expect("alive").accesses, 0);
}

#[test]
fn slots_that_share_a_page_are_told_apart() {
    let (_, page) = Virtio::new(MODERN, NET, 0, &[], &[]).place();
    assert!(page.part(0x100, 0x100).is_some());
    assert!(page.part(0x100, 0x101).is_none());
    assert!(page.part(usize::MAX, 2).is_none());
    assert!(page.part(2, 4).is_none());
}

#[test]
fn a_register_outside_of_the_window_reads_as_zero() {
    let (device, window) = source(MODERN).place();
    let window: Window = window.part(0, 8).expect("within");
    assert_eq!(window.read32(0), 0x7472_6976);
    assert_eq!((window.read32(8), window.read32(5), window.read32(usize::MAX)), (0, 0, 0));
    window.write32(8, 1);
    assert_eq!(device.lock().expect("alive").accesses, 1);
}

#[test]
fn a_device_of_another_kind_is_left_alone() {
    let (device, transport) = open(source(MODERN));
    let error = transport.begin(DeviceId::NET).expect_err("another kind");
    assert_eq!(error, ProbeError::WrongDevice(DeviceId::ENTROPY));
    assert_eq!(device.look(|device| (device.resets, device.status)), (0, 0));
}

#[test]
#[cfg_attr(miri, ignore = "10,000 reads")]
fn a_reset_that_never_ends_is_given_up() {
    let mut device = source(MODERN);
    device.quirks.stuck_reset = true;
    let (device, transport) = open(device);
    assert_eq!(Rng::probe(transport, &mut pool()).expect_err("stuck"), ProbeError::ResetTimeout);
    assert_eq!(device.lock().status & FAILED, FAILED);
}

#[test]
fn a_slow_reset_is_waited_for() {
    for version in [LEGACY, MODERN] {
        let mut device = source(version);
        device.quirks.slow_reset = 100;
        let (device, transport) = open(device);
        Rng::probe(transport, &mut pool()).expect("slow, not stuck");
        assert_eq!(device.lock().resets, 1);
    }
}

#[test]
fn missing_features_are_named_and_the_device_marked_failed() {
    for version in [LEGACY, MODERN] {
        let (device, transport) = open(source(version));
        let wanted = Features::bit(7) | Features::bit(9);
        let setup = transport.begin(DeviceId::ENTROPY).expect("a device");
        let error = setup.negotiate(wanted, Features::NONE).expect_err("lacks them");
        assert_eq!(error, ProbeError::MissingFeatures(wanted));
        assert_eq!(error.to_string(), "device lacks features: 7, 9");
        assert_eq!(device.lock().status & FAILED, FAILED);
    }
}

#[test]
fn a_modern_device_without_version_1_is_refused() {
    let mut device = source(MODERN);
    device.offered = 0;
    let (device, transport) = open(device);
    let error = Rng::probe(transport, &mut pool()).expect_err("not modern");
    assert_eq!(error, ProbeError::MissingFeatures(Features::VERSION_1));
    assert_eq!(device.lock().status & FAILED, FAILED);
}

#[test]
fn refused_features_are_noticed() {
    let mut device = source(MODERN);
    device.quirks.refuses_features = true;
    let (device, transport) = open(device);
    assert_eq!(
        Rng::probe(transport, &mut pool()).expect_err("refused"),
        ProbeError::FeaturesRefused
    );
    assert_eq!(device.lock().status & FAILED, FAILED);
}

#[test]
fn no_feature_is_taken_that_was_not_asked_for() {
    for version in [LEGACY, MODERN] {
        let mut device = source(version);
        device.offered |= 0x00ff_ffff; // of the device's own, none of which an entropy source has
        let (device, transport) = open(device);
        Rng::probe(transport, &mut pool()).expect("a device");
        assert_eq!(device.lock().accepted & 0x00ff_ffff, 0);
    }
}

/// Hardware may refuse to work without it; a legacy device has no such bit to offer.
#[test]
fn the_platforms_order_is_taken_where_it_is_offered_and_kept() {
    const PLATFORM: u64 = 1 << 33 | 1 << 36;
    for (version, offered, accepted) in
        [(MODERN, PLATFORM, PLATFORM), (MODERN, 0, 0), (LEGACY, PLATFORM, 0)]
    {
        let (device, transport) = open(Virtio::new(version, NET, offered, &[8, 8], &[]));
        let mut net = Net::probe(transport, &mut pool()).expect("a device");
        assert_eq!(device.lock().accepted & PLATFORM, accepted);
        net.restart().expect("again");
        assert_eq!(device.lock().accepted & PLATFORM, accepted);
    }
}

#[test]
fn a_missing_busy_or_short_queue_is_named() {
    for version in [LEGACY, MODERN] {
        let (_, transport) = open(Virtio::new(version, NET, 0, &[8, 0], &[]));
        assert_eq!(
            Net::probe(transport, &mut pool()).expect_err("no queue"),
            ProbeError::NoQueue(1)
        );

        let (_, transport) = open(Virtio::new(version, NET, 0, &[8, 1], &[]));
        let error = Net::probe(transport, &mut pool()).expect_err("a chain has two parts");
        assert_eq!(error, ProbeError::QueueTooSmall(1));

        let mut device = source(version);
        device.quirks.queues_busy = true;
        let (device, transport) = open(device);
        let error = Rng::probe(transport, &mut pool()).expect_err("busy");
        assert_eq!(error, ProbeError::QueueBusy(0));
        assert_eq!(device.lock().status & FAILED, FAILED);
    }
}

#[test]
fn a_queue_is_a_power_of_two_no_longer_than_the_devices() {
    for (version, longest, size) in [(LEGACY, 100, 64), (MODERN, 5, 4), (MODERN, 4096, 128)] {
        let (device, transport) = open(Virtio::new(version, NET, 0, &[longest, longest], &[]));
        let net = Net::probe(transport, &mut pool()).expect("a device");
        assert_eq!(device.lock().ring(0).size, size);
        assert_eq!(u32::from(net.area().count()), ((size / 2) * 4).min(128));
    }
}

#[test]
fn a_probe_without_memory_fails_and_says_so() {
    let (device, transport) = open(Virtio::new(MODERN, NET, 0, &[256, 256], &[]));
    let mut small = elone_hal::dma::DmaPool::on_host(8192);
    let error = Net::probe(transport, &mut small).expect_err("a small pool");
    assert_eq!(error, ProbeError::Memory(DmaError::Exhausted));
    assert_eq!(device.lock().status & FAILED, FAILED);
}

#[test]
fn a_configuration_is_never_read_half_old_half_new() {
    for version in [LEGACY, MODERN] {
        let mut device = Virtio::new(version, BLOCK, 0, &[16], &[0; 8]);
        device.quirks.config_changes = 3;
        let (_, transport) = open(device);
        let blk = Blk::probe(transport, &mut pool()).expect("it becomes stable");
        assert_eq!(blk.sectors(), u64::from_le_bytes([3; 8]));
    }
}

#[test]
fn a_configuration_that_never_rests_is_given_up() {
    for version in [LEGACY, MODERN] {
        let mut device = Virtio::new(version, BLOCK, 0, &[16], &[0; 8]);
        device.quirks.config_changes = u32::MAX;
        let (device, transport) = open(device);
        let error = Blk::probe(transport, &mut pool()).expect_err("it never rests");
        assert_eq!(error, ProbeError::ConfigUnstable);
        assert_eq!(device.lock().status & FAILED, FAILED);
    }
}

#[test]
fn an_interrupt_costs_two_accesses_and_names_its_cause() {
    let (device, transport) = open(source(MODERN));
    let source = Rng::probe(transport, &mut pool()).expect("a device");
    let port = source.interrupt_port();
    device.lock().interrupt(1);
    device.lock().interrupt(2);
    device.lock().accesses = 0;
    let causes = port.acknowledge();
    assert!(causes.used_buffers() && causes.configuration());
    assert_eq!(device.look(|device| (device.accesses, device.interrupt_status)), (2, 0));
    let causes = port.acknowledge();
    assert!(!causes.used_buffers() && !causes.configuration());
}

#[test]
fn a_setup_abandoned_midway_is_marked_failed() {
    let (device, transport) = open(source(MODERN));
    let setup = transport.begin(DeviceId::ENTROPY).expect("a device");
    let mut agreed = setup.negotiate(Features::NONE, Features::NONE).expect("agreed");
    let queue: Queue<4, 1> =
        agreed.queue(0, Tables::Never, Lengths::Checked, &mut pool()).expect("a queue");
    assert_eq!(queue.chains(), 4);
    assert_eq!(device.lock().status, 1 | 2 | 8);
    drop(agreed);
    assert_eq!(device.lock().status, 1 | 2 | 8 | FAILED);
}
