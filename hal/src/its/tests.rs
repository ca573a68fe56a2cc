use std::sync::{Arc, Mutex};
use std::vec::Vec;

use super::*;
use crate::fake::bus::{Nothing, lock, nobody, place};
use crate::fake::its::{Attributes, FakeIts, FakeRedistributor, Make, Manner};

const AT: PhysicalAddress = PhysicalAddress(0x808_0000);
const REDISTRIBUTOR_AT: PhysicalAddress = PhysicalAddress(0x80a_0000);
/// GICD_TYPER with LPIs of 16 bits.
const DISTRIBUTOR: u32 = 1 << 17 | 15 << 19;

/// A machine, and what a kernel keeps of it.
struct Machine {
    its: Arc<Mutex<FakeIts>>,
    redistributor: Arc<Mutex<FakeRedistributor>>,
    /// What the device tree says.
    coherence: Coherence,
    pool: Option<DmaPool>,
    claimed: Vec<usize>,
    looks: u32,
}

impl Machine {
    fn new(make: Make) -> Self {
        Self {
            its: Arc::new(Mutex::new(FakeIts::new(make))),
            redistributor: Arc::new(Mutex::new(FakeRedistributor::new(make))),
            coherence: Coherence::AsItSays,
            pool: None,
            claimed: Vec::new(),
            looks: 1000,
        }
    }

    /// Does something that needs memory and patience.
    fn with<T>(&mut self, what: impl FnOnce(&mut Room<'_>, Patience<'_>) -> T) -> T {
        let Self { pool, claimed, looks, .. } = self;
        let mut claim = |length| {
            claimed.push(length);
            Some(DmaPool::on_host(length + 0x1_0000)) // the host's begins at any page
        };
        let mut patience = || {
            *looks = looks.saturating_sub(1);
            *looks > 0
        };
        what(&mut Room { pool, claim: &mut claim }, &mut patience)
    }

    fn lpis(&mut self, kind: u32) -> Result<(Lpis, Redistributor), Error> {
        let distributor = place(&Arc::new(Mutex::new(Nothing(kind))), 0x1000);
        let window = place(&self.redistributor, 0x1_0000);
        let ours = Redistributor { window, at: REDISTRIBUTOR_AT };
        let coherence = self.coherence;
        let lpis =
            self.with(|room, patience| Lpis::start(distributor, ours, coherence, room, patience))?;
        lock(&self.its).configuration = lock(&self.redistributor).configuration;
        Ok((lpis, ours))
    }

    fn start(&mut self) -> Result<(Lpis, Its), Error> {
        self.start_for(0)
    }

    fn start_for(&mut self, first: u32) -> Result<(Lpis, Its), Error> {
        let (lpis, ours) = self.lpis(DISTRIBUTOR)?;
        let window = place(&self.its, 0x1_0000);
        let coherence = self.coherence;
        let its = self.with(|room, patience| {
            Its::start(window, AT, coherence, ours, first, room, patience)
        })?;
        Ok((lpis, its))
    }
}

#[test]
fn messages_arrive_as_interrupts_of_their_own() {
    let mut machine = Machine::new(Make::default());
    let (mut lpis, mut its) = machine.start().expect("an ITS as they should be");
    assert!(lock(&machine.redistributor).is_on());
    let mut allot = |device, count| {
        machine.with(|room, patience| its.allot(device, count, &mut lpis, room, patience))
    };
    let address = PhysicalAddress(0x809_0040);
    let block = |interrupt| Ok(Block { address, data: 0, interrupt });
    assert_eq!(allot(8, 3), block(8192));
    assert_eq!(allot(0x10, 1), block(8195));
    assert_eq!(allot(0xffff, 2), block(8196), "the last device that there can be");
    assert_eq!(allot(0x10, 1), Err(Error::Twice));
    assert_eq!(allot(0x1_0000, 1), Err(Error::OutOfReach));
    assert_eq!(allot(9, 0), Err(Error::TooMany));
    assert_eq!(allot(9, u32::MAX), Err(Error::TooMany));
    assert_eq!(allot(9, 8187), Err(Error::TooMany), "of 8192");

    let mut fake = lock(&machine.its);
    assert!(fake.synchronised);
    assert_eq!(fake.target, Some(FakeRedistributor::NUMBER << 16));
    for (device, event) in [(8, 0), (0x10, 0), (8, 2), (8, 1), (0xffff, 1)] {
        fake.message(device, event);
    }
    assert_eq!(fake.arrived, [8192, 8195, 8194, 8193, 8197]);
    drop(fake);
    assert_eq!(machine.claimed, [0x2_0000], "all of it");
}

#[test]
fn the_queue_goes_round() {
    let mut machine = Machine::new(Make { manner: Manner::Slow(2), ..Make::default() });
    machine.looks = u32::MAX;
    let (mut lpis, mut its) = machine.start().expect("a slow one");
    // Two commands a message, 128 in the queue.
    machine.with(|room, patience| its.allot(1, 150, &mut lpis, room, patience)).expect("room");
    let mut fake = lock(&machine.its);
    (0..150).for_each(|event| fake.message(1, event));
    assert_eq!(fake.arrived, (8192..8342).collect::<Vec<_>>());
}

#[test]
fn each_make_is_told_of_memory_as_it_wants() {
    let any = Make::default();
    let makes = [
        Make { coherent: false, ..any },
        Make { by_address: true, ..any },
        Make { two_levels: false, ..any },
        Make { page_size: Some(1), ..any },
        Make { page_size: Some(2), ..any },
        Make { page_size: Some(2), two_levels: false, ..any },
        Make { device_bits: 32, ..any },
        Make { device_bits: 8, two_levels: false, ..any },
    ];
    let makes = makes.into_iter().take(if cfg!(miri) { 2 } else { makes.len() });
    let told = [Coherence::AsItSays, Coherence::PastTheCaches];
    for (make, coherence) in makes.flat_map(|make| told.map(|coherence| (make, coherence))) {
        let mut machine = Machine { coherence, ..Machine::new(make) };
        let (mut lpis, mut its) = machine.start().expect("one of many");
        let is_shared = make.coherent && coherence == Coherence::AsItSays;
        let memory = if is_shared { Attributes::SHARED } else { Attributes::UNCACHED };
        // They were so when it was turned on: it would not have them changed since.
        assert_eq!(lock(&machine.its).attributes(), [memory; 3], "queue and tables of {make:?}");
        assert_eq!(lock(&machine.redistributor).attributes(), [memory; 2], "{make:?}");
        for device in [0, 0x80, 0xff] {
            machine
                .with(|room, patience| its.allot(device, 5, &mut lpis, room, patience))
                .unwrap_or_else(|error| panic!("{make:?}, device {device:#x}: {error}"));
            lock(&machine.its).message(device, 4);
        }
        let target = lock(&machine.its).target;
        assert_eq!(target, Some(if make.by_address { 0x80a_0000 } else { 3 << 16 }));
        assert!(machine.claimed.iter().sum::<usize>() <= 0x8_0000, "{make:?}");
    }
}

#[test]
fn a_device_beyond_a_table_in_one_level_has_no_messages() {
    let mut machine = Machine::new(Make { two_levels: false, ..Make::default() });
    let (mut lpis, mut its) = machine.start().expect("one of many");
    let mut allot = |device| {
        machine.with(|room, patience| its.allot(device, 1, &mut lpis, room, patience)).map(drop)
    };
    assert_eq!(allot(8191), Ok(()));
    assert_eq!(allot(8192), Err(Error::OutOfReach));
}

#[test]
fn pages_of_64_kib_have_levels_only_for_a_device_beyond_one() {
    for (first, next, expected) in [(8191, 8192, Err(Error::OutOfReach)), (8192, 3, Ok(()))] {
        let mut machine = Machine::new(Make { page_size: Some(2), ..Make::default() });
        let (mut lpis, mut its) = machine.start_for(first).expect("one like KVM's");
        let mut allot = |device| {
            machine.with(|room, patience| its.allot(device, 1, &mut lpis, room, patience)).map(drop)
        };
        assert_eq!(allot(first), Ok(()));
        assert_eq!(allot(next), expected);
    }
}

#[test]
fn what_is_not_there_or_does_not_answer_is_said_so() {
    let start = |make| Machine::new(make).start().err();
    let any = Make::default();
    assert_eq!(start(Make { manner: Manner::Silent, ..any }), Some(Error::Silent));
    assert_eq!(start(Make { manner: Manner::Stalls, ..any }), Some(Error::Refused));
    assert_eq!(start(Make { in_use: true, ..any }), Some(Error::InUse));

    let mut machine = Machine::new(any);
    for kind in [0, 1 << 17 | 12 << 19, 15 << 19] {
        assert_eq!(machine.lpis(kind).err(), Some(Error::NoLpis), "{kind:#x}");
    }
    let (_, ours) = machine.lpis(DISTRIBUTOR).expect("LPIs");
    for window in [nobody(0x1_0000), place(&Arc::new(Mutex::new(Nothing(0))), 0x1_0000)] {
        assert_eq!(Its::look(window), Err(Error::Absent));
        let its = machine.with(|room, patience| {
            Its::start(window, AT, Coherence::AsItSays, ours, 0, room, patience)
        });
        assert_eq!(its.err(), Some(Error::Absent));
    }
}

#[test]
fn no_more_lpis_are_given_out_than_there_are() {
    let mut machine = Machine::new(Make::default());
    let (mut lpis, _) = machine.lpis(DISTRIBUTOR | 1 << 11).expect("four of them");
    assert_eq!(lpis.allot(3), Ok(8192));
    assert_eq!(lpis.allot(2), Err(Error::TooMany));
    assert_eq!(lpis.allot(1), Ok(8195));
}

#[test]
fn without_memory_nothing_is_turned_on() {
    let machine = Machine::new(Make::default());
    let window = place(&machine.redistributor, 0x1_0000);
    let distributor = place(&Arc::new(Mutex::new(Nothing(DISTRIBUTOR))), 0x1000);
    let ours = Redistributor { window, at: REDISTRIBUTOR_AT };
    let mut room = Room { pool: &mut None, claim: &mut |_| None };
    let lpis = Lpis::start(distributor, ours, Coherence::AsItSays, &mut room, &mut || true);
    assert_eq!(lpis.err(), Some(Error::Memory));
    assert!(!lock(&machine.redistributor).is_on());
}
