//! Doorbells on PCI, wherever a device has them: those of hardware are far apart, and have numbers of
//! their own.

use std::sync::{Arc, Mutex};

use elone_hal::address::PhysicalRange;
use elone_hal::fake::bus::{self, Registers, Width};
use elone_hal::fake::pci::{Function, Memory, Placed};
use elone_hal::fake::virtio::Virtio;
use elone_hal::pci::{Device, PciError};
use elone_hal::virtio::blk::Blk;
use elone_hal::virtio::net::Net;
use elone_hal::virtio::{ProbeError, Transport};

use crate::common::{BLOCK, MODERN, NET, pool, some};
use crate::pci::found;

/// The fake's capability for doorbells, and the memory that they have to themselves here.
const CAPABILITY: usize = 0x7c;
const BAR: u8 = 2;

/// What was rung: where in that memory, and for which queue.
type Rung = Arc<Mutex<Vec<(u64, u32)>>>;

/// The unit of doorbells' places, the first doorbell in units, and in how many bytes all of them are.
type Places = (u32, u16, u32);

/// Thousands, of which ours are somewhere in the middle.
const FAR: Places = (0x1000, 0x100, 0x40_0000);

/// Some of that memory, as it is mapped.
struct Bells {
    start: u64,
    rung: Rung,
}

impl Registers for Bells {
    fn read(&mut self, offset: usize, _: Width) -> u32 {
        panic!("read of doorbell {offset:#x}")
    }

    fn write(&mut self, offset: usize, width: Width, value: u32) {
        assert_eq!(width, Width::Bits16, "queues are notified by 16 bits");
        bus::lock(&self.rung).push((self.start + offset as u64, value));
    }
}

/// A device whose doorbells are in memory of their own.
struct Card {
    device: Arc<Mutex<Virtio>>,
    placed: Placed,
    card: Device,
    rung: Rung,
    /// Where that memory is.
    bells: PhysicalRange,
    /// How much of it was mapped, each time; from `end` on none can be.
    mapped: Vec<u64>,
    end: u64,
}

impl Card {
    /// Queue 0 has its doorbell at `first` units, the next one a unit behind it, all in `length`.
    fn new(id: u32, (unit, first, length): Places) -> Self {
        let queues = if id == NET { &[64, 64][..] } else { &[64] };
        let (device, mut function) =
            Function::virtio(Virtio::new(MODERN, id, 0, queues, &[0; 8]), 0);
        function.memory[usize::from(BAR)] =
            Memory { size: 2 * u64::from(length).next_power_of_two(), kind: 0xc };
        function.set(CAPABILITY + 4, &[BAR]);
        function.set(CAPABILITY + 8, &[[0; 4], length.to_le_bytes(), unit.to_le_bytes()].concat());
        function.card.as_mut().expect("a card").first = first;
        let (placed, _, mut devices) = found(vec![(1, 0, function)]);
        let card = devices.remove(0);
        let bells = card.region(BAR, 0, length.into()).expect("memory");
        Self { device, placed, card, rung: Rung::default(), mapped: vec![], bells, end: u64::MAX }
    }

    fn open(&mut self) -> Result<Transport, ProbeError> {
        let Self { card, placed, rung, mapped, bells, end, .. } = self;
        Transport::open_pci(card, &mut |range| {
            let (start, length) = (range.start().0, range.length());
            if !bells.contains(&range) {
                return placed.map(range);
            }
            let start = start - bells.start().0;
            if start >= *end {
                return None;
            }
            mapped.push(length);
            let bells = Bells { start, rung: rung.clone() };
            Some(bus::place(&Arc::new(Mutex::new(bells)), usize::try_from(length).expect("fits")))
        })
    }

    fn rung(&self) -> Vec<(u64, u32)> {
        std::mem::take(&mut bus::lock(&self.rung))
    }
}

/// A network interface notified of both its queues, before a restart and after it.
#[test]
fn queues_are_notified_wherever_their_doorbells_are() {
    const PAGE: u64 = 0x1000;
    for (places, mapped, receive, transmit) in some(&[
        ((0x1000, 8, 0x1_0000), &[0x1_0000][..], 0x8000, 0x9000),
        (FAR, &[PAGE, PAGE], 0x10_0000, 0x10_1000),
        ((4, 0, 0x1_0000), &[0x1_0000], 0, 4),
        ((0x1000, 0x3fe, 0x40_0000), &[PAGE, PAGE], 0x3f_e000, 0x3f_f000),
        ((0x10_0000, 1, 0x100_0000), &[PAGE, PAGE], 0x10_0000, 0x20_0000),
        ((2, 0x8010, 0x2_0000), &[PAGE, PAGE], 0x1_0020, 0x1_0022),
        ((0, 8, 0x2_0000), &[PAGE, PAGE], 0, 0),
    ]) {
        let mut card = Card::new(NET, places);
        let transport = card.open().expect("virtio");
        let mut net = Net::probe(transport, &mut pool()).expect("a device");
        assert_eq!(card.mapped, mapped, "{places:x?}");
        for _ in 0..2 {
            net.offer(0).expect("held");
            net.send(1, 60).expect("held");
            net.flush();
            assert_eq!(card.rung(), [(receive, 0), (transmit, 1)], "{places:x?}");
            net.restart().expect("again");
        }
    }
}

/// Others are left as they are until a driver takes them over.
#[test]
fn only_a_device_with_many_doorbells_is_reset_to_be_asked_for_them() {
    for (places, resets) in [((0x1000, 0, 0x1_0000), 0), ((0x1000, 0, 0x1_0004), 1), (FAR, 1)] {
        let mut card = Card::new(NET, places);
        card.open().expect("virtio");
        let device = bus::lock(&card.device);
        assert_eq!((device.resets, device.status), (resets, 0), "{places:x?}");
    }
    let mut card = Card::new(NET, FAR);
    bus::lock(&card.device).quirks.stuck_reset = true;
    assert_eq!(card.open().expect_err("stuck"), ProbeError::ResetTimeout);
}

#[test]
fn queues_that_are_not_there_have_no_doorbells() {
    let mut card = Card::new(BLOCK, FAR);
    let transport = card.open().expect("virtio");
    assert_eq!(card.mapped, [0x1000]);
    Blk::probe(transport, &mut pool()).expect("a disk");
}

#[test]
fn doorbells_among_many_that_cannot_be_are_named() {
    for (places, mapped) in some(&[
        ((0x1000, 0x400, 0x40_0000), &[][..]),
        ((0x1000, u16::MAX - 1, 0x40_0000), &[]),
        ((u32::MAX, 2, 0x40_0000), &[]),
        ((1, 1, 0x40_0000), &[0x1000]), // of the second queue, whose place is an even one
    ]) {
        let mut card = Card::new(NET, places);
        let transport = card.open().expect("virtio");
        let error = Net::probe(transport, &mut pool()).expect_err("no doorbell");
        assert_eq!((error, &card.mapped[..]), (ProbeError::BadDoorbell(0), mapped), "{places:x?}");
    }
    // The last one of all is the first queue's.
    let mut card = Card::new(NET, (0x1000, 0x3ff, 0x40_0000));
    let transport = card.open().expect("virtio");
    let error = Net::probe(transport, &mut pool()).expect_err("no doorbell");
    assert_eq!((error, &card.mapped[..]), (ProbeError::BadDoorbell(1), &[0x1000][..]));
}

/// What it says later is not what it was mapped by.
#[test]
fn doorbells_that_move_are_named() {
    let mut card = Card::new(NET, FAR);
    let transport = card.open().expect("virtio");
    card.placed.with(|pci| {
        let function = pci.at(0, 1, 0).expect("there");
        function.card.as_mut().expect("a card").first = 0x200;
    });
    let error = Net::probe(transport, &mut pool()).expect_err("elsewhere");
    assert_eq!(error, ProbeError::BadDoorbell(0));
}

#[test]
fn doorbells_that_cannot_be_mapped_are_told() {
    for (places, end) in [((0x1000, 8, 0x1_0000), 0), (FAR, 0), (FAR, 0x10_1000)] {
        let mut card = Card::new(NET, places);
        card.end = end;
        assert_eq!(card.open().expect_err("unmapped"), ProbeError::Pci(PciError::Unmapped));
    }
}
