//! A driver against the real transports: negotiation, requests, and what a driver must not do.

use std::fs::File;
use std::io::Write as _;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixDatagram;

use virtio_bindings::virtio_mmio::*;
use virtio_queue::Queue;
use vm_memory::{Bytes as _, GuestAddress};

use super::transport::QUEUE_SIZE;
use super::*;
use crate::bell::Bell;
use crate::bus::Device;
use crate::line::fake::Wire;
use crate::map::Trigger;
use crate::memory::Ram;

const ACKNOWLEDGED: u32 = 1 | 2;
const FEATURES_OK: u32 = 8;
const DRIVER_OK: u32 = 4;
const NEEDS_RESET: u32 = 64;
const MODERN: u64 = 1 << 32;
/// Where the driver has the queue's three parts, and its buffers.
const TABLE: u64 = 0x1000;
const AVAILABLE: u64 = 0x3000;
const USED: u64 = 0x4000;
const BUFFERS: u64 = 0x8000;
/// A descriptor's flags.
const NEXT: u16 = 1;
const WRITE: u16 = 2;

/// An address that has no more than 32 bits.
fn low(address: u64) -> u32 {
    u32::try_from(address).unwrap()
}

/// A driver of one queue.
struct Driver {
    device: Transport,
    ram: Ram,
    wire: Wire,
    bell: Bell,
    offered: u16,
}

impl Driver {
    /// Has not said anything to `model` yet.
    fn before(model: impl Model + 'static) -> Self {
        let ram = Ram::from_ranges(&[(GuestAddress(0), 1 << 20)]).unwrap();
        let wire = Wire::default();
        let (signal, bell) = (wire.signal(Trigger::Edge), Bell::new().unwrap());
        let device = Transport::new(Box::new(model), ram.clone(), signal, bell.clone());
        Self { device, ram, wire, bell, offered: 0 }
    }

    /// Has gone all the way, with the queue called `queue`.
    fn ready(model: impl Model + 'static, queue: u32) -> Self {
        let mut driver = Self::before(model);
        driver.negotiate(MODERN);
        assert_eq!(driver.get(VIRTIO_MMIO_STATUS), ACKNOWLEDGED | FEATURES_OK);
        driver.set_up(queue);
        driver.set(VIRTIO_MMIO_STATUS, ACKNOWLEDGED | FEATURES_OK | DRIVER_OK);
        driver
    }

    fn get(&mut self, register: u32) -> u32 {
        let mut word = [0; 4];
        self.device.read(register.into(), &mut word);
        u32::from_le_bytes(word)
    }

    fn set(&mut self, register: u32, value: u32) {
        self.device.write(register.into(), &value.to_le_bytes());
    }

    fn negotiate(&mut self, features: u64) {
        self.set(VIRTIO_MMIO_STATUS, ACKNOWLEDGED);
        for half in [0, 1] {
            self.set(VIRTIO_MMIO_DRIVER_FEATURES_SEL, half);
            let bits = u32::try_from(features >> (32 * half) & 0xffff_ffff).unwrap();
            self.set(VIRTIO_MMIO_DRIVER_FEATURES, bits);
        }
        self.set(VIRTIO_MMIO_STATUS, ACKNOWLEDGED | FEATURES_OK);
    }

    fn set_up(&mut self, queue: u32) {
        for (register, value) in [
            (VIRTIO_MMIO_QUEUE_SEL, queue),
            (VIRTIO_MMIO_QUEUE_NUM, QUEUE_SIZE.into()),
            (VIRTIO_MMIO_QUEUE_DESC_LOW, low(TABLE)),
            (VIRTIO_MMIO_QUEUE_AVAIL_LOW, low(AVAILABLE)),
            (VIRTIO_MMIO_QUEUE_USED_LOW, low(USED)),
            (VIRTIO_MMIO_QUEUE_READY, 1),
        ] {
            self.set(register, value);
        }
    }

    /// Offers a chain of these buffers from descriptor 0 on: where, how long, whether the device
    /// writes it.
    fn offer(&mut self, buffers: &[(u64, u32, u16)]) {
        for (index, (address, length, flags)) in (0_u16..).zip(buffers) {
            let at = TABLE + 16 * u64::from(index);
            let last = usize::from(index) + 1 == buffers.len();
            let flags = flags | if last { 0 } else { NEXT };
            self.ram.write_obj(*address, GuestAddress(at)).unwrap();
            self.ram.write_obj(*length, GuestAddress(at + 8)).unwrap();
            self.ram.write_obj(flags, GuestAddress(at + 12)).unwrap();
            self.ram.write_obj(index + 1, GuestAddress(at + 14)).unwrap();
        }
        let entry = AVAILABLE + 4 + 2 * u64::from(self.offered % QUEUE_SIZE);
        self.ram.write_obj(0_u16, GuestAddress(entry)).unwrap();
        self.offered += 1;
        self.ram.write_obj(self.offered, GuestAddress(AVAILABLE + 2)).unwrap();
    }

    /// How many chains have come back, and how much was written into the last.
    fn used(&self) -> (u16, u32) {
        let count: u16 = self.ram.read_obj(GuestAddress(USED + 2)).unwrap();
        let last = USED + 4 + 8 * u64::from(count.wrapping_sub(1) % QUEUE_SIZE);
        (count, self.ram.read_obj(GuestAddress(last + 4)).unwrap())
    }

    fn bytes(&self, address: u64, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        self.ram.read_slice(&mut bytes, GuestAddress(address)).unwrap();
        bytes
    }

    /// Has the disk do a request; returns its status.
    fn request(&mut self, kind: u32, sector: u64, data: (u64, u32, u16)) -> u8 {
        self.ram.write_obj(kind, GuestAddress(BUFFERS)).unwrap();
        self.ram.write_obj(sector, GuestAddress(BUFFERS + 8)).unwrap();
        self.offer(&[(BUFFERS, 16, 0), data, (BUFFERS + 16, 1, WRITE)]);
        self.set(VIRTIO_MMIO_QUEUE_NOTIFY, 0);
        assert_eq!(self.used().0, self.offered);
        self.bytes(BUFFERS + 16, 1)[0]
    }
}

/// A file of these bytes that has no name.
fn file(name: &str, bytes: &[u8]) -> File {
    let path = std::env::temp_dir().join(format!("elone-monitor-{name}-{}", std::process::id()));
    let mut file =
        File::options().read(true).write(true).create(true).truncate(true).open(&path).unwrap();
    std::fs::remove_file(path).unwrap();
    file.write_all(bytes).unwrap();
    file
}

#[test]
fn what_cannot_be_agreed_on_is_not() {
    let mut driver = Driver::before(Empty);
    assert_eq!(driver.get(VIRTIO_MMIO_MAGIC_VALUE), 0x7472_6976);
    assert_eq!([VIRTIO_MMIO_VERSION, VIRTIO_MMIO_DEVICE_ID].map(|at| driver.get(at)), [2, 0]);
    for features in [0, MODERN | 1 << 63, MODERN | 1 << 5] {
        driver.set(VIRTIO_MMIO_STATUS, 0);
        driver.negotiate(features);
        assert_eq!(driver.get(VIRTIO_MMIO_STATUS), ACKNOWLEDGED, "{features:#x}");
    }
    driver.set(VIRTIO_MMIO_STATUS, ACKNOWLEDGED | DRIVER_OK);
    assert_eq!(driver.get(VIRTIO_MMIO_STATUS), ACKNOWLEDGED);
}

#[test]
fn a_disk_reads_writes_and_says_where_it_ends() {
    let mut driver = Driver::ready(Disk::new(file("disk", &[0x5a; 1500])).unwrap(), 0);
    assert_eq!(driver.get(VIRTIO_MMIO_CONFIG), 2, "whole sectors");
    driver.ram.write_slice(&[7; 512], GuestAddress(0x9000)).unwrap();
    assert_eq!(driver.request(1, 1, (0x9000, 512, 0)), 0);
    assert_eq!(driver.request(0, 0, (0xa000, 1024, WRITE)), 0);
    assert_eq!(driver.used(), (2, 1025));
    assert_eq!(driver.bytes(0xa000, 1024), [[0x5a; 512], [7; 512]].concat());
    assert_eq!(driver.request(4, 0, (0xa000, 0, WRITE)), 0, "flushed");
    for (kind, sector, length) in [(0, 2, 512), (0, 1, 1024), (1, u64::MAX / 512, 512), (0, 0, 100)]
    {
        let flags = if kind == 0 { WRITE } else { 0 };
        assert_eq!(driver.request(kind, sector, (0xa000, length, flags)), 1, "{sector}, {length}");
    }
    assert_eq!(driver.request(99, 0, (0xa000, 512, WRITE)), 2, "unknown");
    assert_eq!(driver.wire.history().len(), 2 * 8);
}

#[test]
fn entropy_comes_from_its_source() {
    let mut driver = Driver::ready(Entropy::new(file("random", &[0xc3; 8192])), 0);
    // `file` leaves its place at the end; a device that cannot read breaks, it does not make zeros up.
    driver.offer(&[(BUFFERS, 64, WRITE)]);
    driver.set(VIRTIO_MMIO_QUEUE_NOTIFY, 0);
    assert_ne!(driver.get(VIRTIO_MMIO_STATUS) & NEEDS_RESET, 0);

    let mut driver = Driver::ready(Entropy::new(File::open("/dev/urandom").unwrap()), 0);
    driver.offer(&[(BUFFERS, 8192, WRITE)]);
    driver.set(VIRTIO_MMIO_QUEUE_NOTIFY, 0);
    assert_eq!(driver.used(), (1, 4096));
    let zeros = driver.bytes(BUFFERS, 4096).iter().filter(|byte| **byte == 0).count();
    assert!(zeros < 100, "{zeros} zeros of 4096");
    assert_eq!(driver.bytes(BUFFERS + 4096, 4096), [0; 4096]);
}

fn network() -> (Network, UnixDatagram) {
    let (ours, theirs) = UnixDatagram::pair().unwrap();
    ours.set_nonblocking(true).unwrap();
    let tap = File::from(OwnedFd::from(ours));
    (Network::new(tap, "02:00:00:00:00:07".parse().unwrap()), theirs)
}

#[test]
fn frames_come_in_when_there_is_room() {
    let (network, wire) = network();
    let mut driver = Driver::ready(network, 0);
    assert_eq!(driver.get(VIRTIO_MMIO_CONFIG), 2);
    wire.send(b"first").unwrap();
    driver.device.attend();
    assert_eq!((driver.used().0, driver.wire.history().len()), (0, 0), "it waits");
    driver.offer(&[(BUFFERS, 12, WRITE), (BUFFERS + 100, 100, WRITE)]);
    driver.set(VIRTIO_MMIO_QUEUE_NOTIFY, 0);
    assert_eq!(driver.used(), (1, 12 + 5));
    assert_eq!(driver.bytes(BUFFERS, 12), [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0]);
    assert_eq!(driver.bytes(BUFFERS + 100, 6), b"first\0");
    driver.offer(&[(BUFFERS, 112, WRITE)]);
    driver.set(VIRTIO_MMIO_QUEUE_NOTIFY, 0);
    assert_eq!(driver.used().0, 1, "nothing has come in");
    wire.send(&[1; 101]).unwrap();
    driver.device.attend();
    assert_eq!(driver.used().0, 1, "longer than there is room");
    wire.send(&[1; 102]).unwrap();
    wire.send(b"second").unwrap();
    driver.device.attend();
    assert_eq!(driver.used(), (2, 12 + 6), "what fits is not kept waiting by what does not");
    assert_eq!(driver.wire.history().len(), 2 * 2);
}

/// However much comes, other accesses have their turn; what is left is not forgotten.
#[test]
fn a_queue_is_served_no_longer_than_it_is_long() {
    let mut driver = Driver::ready(Flood, 0);
    driver.offer(&[(BUFFERS, 112, WRITE)]);
    driver.set(VIRTIO_MMIO_QUEUE_NOTIFY, 0);
    for _ in 0..3 {
        assert!(driver.bell.was_rung());
        assert!(!driver.bell.was_rung());
        driver.device.carry_on();
    }
    driver.set(VIRTIO_MMIO_STATUS, 0);
    assert!(driver.bell.was_rung());
    driver.device.carry_on();
    assert!(!driver.bell.was_rung(), "it was reset");
}

/// Always has to be asked again.
struct Flood;

impl Model for Flood {
    fn id(&self) -> u32 {
        1
    }

    fn queues(&self) -> usize {
        1
    }

    fn serve(&mut self, _: usize, queue: &mut Queue, ram: &Ram) -> Result<Served, Broken> {
        answer_all(queue, ram, |_| Ok(Answer::Again))
    }
}

#[test]
fn frames_go_out_without_their_header() {
    let (network, wire) = network();
    let mut driver = Driver::ready(network, 1);
    driver.ram.write_slice(b"the frame", GuestAddress(BUFFERS + 12)).unwrap();
    driver.offer(&[(BUFFERS, 12 + 9, 0)]);
    driver.set(VIRTIO_MMIO_QUEUE_NOTIFY, 1);
    let mut frame = [0; 64];
    let length = wire.recv(&mut frame).unwrap();
    assert_eq!((&frame[..length], driver.used()), (&b"the frame"[..], (1, 0)));
}

/// Each of them stops the device, which says so; nothing is answered, and it can be reset.
#[test]
fn a_driver_that_breaks_the_rules_has_to_reset() {
    type Break = fn(&mut Driver);
    let breaks: [(&str, Break); 5] = [
        ("a buffer that is not in memory", |driver| driver.offer(&[(1 << 40, 64, 0)])),
        ("a buffer that ends beyond memory", |driver| driver.offer(&[(0xf_fff0, 64, 0)])),
        ("a frame without a header", |driver| driver.offer(&[(BUFFERS, 5, 0)])),
        ("a frame that is longer than any", |driver| {
            driver.offer(&[(BUFFERS, 0xf000, 0), (BUFFERS, 0xf000, 0)]);
        }),
        ("more chains than the queue has", |driver| {
            driver.ram.write_obj(1000_u16, GuestAddress(AVAILABLE + 2)).unwrap();
        }),
    ];
    for (what, break_rule) in breaks {
        let (network, _wire) = network();
        let mut driver = Driver::ready(network, 1);
        break_rule(&mut driver);
        driver.set(VIRTIO_MMIO_QUEUE_NOTIFY, 1);
        assert_ne!(driver.get(VIRTIO_MMIO_STATUS) & NEEDS_RESET, 0, "{what}");
        assert_eq!(driver.get(VIRTIO_MMIO_INTERRUPT_STATUS), VIRTIO_MMIO_INT_CONFIG, "{what}");
        assert_eq!(driver.used().0, 0, "{what}");
        driver.set(VIRTIO_MMIO_STATUS, 0);
        assert_eq!(driver.get(VIRTIO_MMIO_STATUS) | driver.get(VIRTIO_MMIO_INTERRUPT_STATUS), 0);
    }
}

/// A chain that leads back into itself is followed as far as the queue is long, and no further.
#[test]
fn a_chain_without_an_end_ends() {
    let (network, wire) = network();
    let mut driver = Driver::ready(network, 1);
    driver.offer(&[(BUFFERS, 16, 0), (BUFFERS, 16, 0)]);
    driver.ram.write_obj(NEXT, GuestAddress(TABLE + 16 + 12)).unwrap();
    driver.ram.write_obj(0_u16, GuestAddress(TABLE + 16 + 14)).unwrap();
    driver.set(VIRTIO_MMIO_QUEUE_NOTIFY, 1);
    let mut frame = [0; 8192];
    assert_eq!(wire.recv(&mut frame).unwrap(), 16 * usize::from(QUEUE_SIZE) - 12);
    assert_eq!(driver.used(), (1, 0));
}
