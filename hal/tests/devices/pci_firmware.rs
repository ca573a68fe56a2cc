//! PCI after firmware: what it had functions do ends, what it gave them stays if it can, and nothing of
//! it is given to anybody else.

use elone_hal::attempt::Absent;
use elone_hal::fake::bus::{self, Nothing};
use elone_hal::fake::pci::{Bus, Function, Memory, Pci, Placed};
use elone_hal::pci::{Address, Device, Layout, PciError, Walked, walk};
use elone_hal::virtio::rng::Rng;
use elone_hal::virtio::{ProbeError, Transport};
use std::sync::{Arc, Mutex};

use crate::common::pool;
use crate::pci::{card, found, open};

const MEMORY: u8 = 2;
const BUS_MASTER: u8 = 4;
/// Where the fake's windows begin on the bus.
const LOW: u32 = 0x1000_0000;
const LOW_END: u32 = LOW + (64 << 20);

/// What of the command register is on: memory and bus mastering, and whether the pin is off.
fn commanded(placed: &Placed, (bus, device): (u8, u8)) -> (u8, bool) {
    placed.with(|pci| {
        let bytes = pci.at(bus, device, 0).expect("there").bytes;
        (bytes[4] & (MEMORY | BUS_MASTER), bytes[5] & 4 != 0)
    })
}

/// As firmware leaves what it has used: everything on, by pin and by message.
fn used(mut function: Function, bar: u32) -> Function {
    function.set(4, &[MEMORY | BUS_MASTER, 0]);
    function.set(0x10 + 4, &bar.to_le_bytes());
    function.set(0x20, &((bar + 0x1_0000) | 0xc).to_le_bytes());
    function
}

fn numbered(mut port: Function, secondary: u8, subordinate: u8) -> Function {
    port.set(0x18, &[0, secondary, subordinate]);
    port.set(4, &[MEMORY | BUS_MASTER, 0]);
    port
}

/// A bridge passes these megabytes on.
fn passing(mut port: Function, first: u32, last: u32) -> Function {
    port.set(0x20, &((first >> 16) as u16).to_le_bytes());
    port.set(0x22, &((last >> 16) as u16).to_le_bytes());
    port.set(0x24, &[0xf0, 0xff, 0, 0]);
    port
}

fn look(placed: &Placed) -> (Walked, Vec<Device>) {
    let mut walked = walk(&placed.bridge, &mut |range| placed.map(range));
    let devices = walked.place(&placed.bridge).into_iter().collect();
    (walked, devices)
}

fn addresses(devices: &[Device]) -> Vec<String> {
    devices.iter().map(|device| device.function.address().to_string()).collect()
}

/// Each is alone where it is, and does what it is for.
fn all_serve(placed: &Placed, devices: &[Device]) {
    for device in devices {
        for bar in [1, 4] {
            let region = device.region(bar, 0, 0x1000).expect("memory");
            let mut windows = placed.bridge.windows.iter();
            let window = windows.find(|w| w.memory.contains(&region)).expect("in a window");
            let address = region.start().0 - window.memory.start().0 + window.bus;
            let at = device.function.address();
            assert_eq!(placed.with(|pci| pci.answering(address)), 1, "{at}: {address:#x}");
        }
        let transport = Transport::open_pci(device, &mut |range| placed.map(range));
        let mut source = Rng::probe(transport.expect("virtio"), &mut pool()).expect("a source");
        source.fill(&mut [0; 16], || false).expect("it answers at once");
    }
}

#[test]
fn nothing_reaches_memory_or_interrupts_before_its_driver_has_reset_it() {
    let mut other = used(Function::new(0x8086, 0x100e), LOW);
    other.memory[1] = Memory { size: 0x1000, kind: 0 };
    // Both kinds of messages are on.
    other.set(0x06, &[0x10]);
    other.set(0x34, &[0x50]);
    other.set(0x50, &[0x05, 0x60, 1, 0]);
    other.set(0x60, &[0x11, 0, 1, 0x80]);
    let mut ours = used(card(), LOW + 0x10_0000);
    ours.set(0x9a, &[1, 0x80]);
    let all = found(vec![(1, 0, other), (2, 0, ours)]);
    assert_eq!(commanded(&all.0, (0, 1)), (0, true), "nobody drives it");
    assert_eq!(commanded(&all.0, (0, 2)), (MEMORY, true), "not yet");
    all.0.with(|pci| {
        let other = pci.at(0, 1, 0).expect("there").bytes;
        assert_eq!((other[0x52] & 1, other[0x63] & 0x80), (0, 0));
        assert_eq!(pci.at(0, 2, 0).expect("there").bytes[0x9b] & 0x80, 0);
    });
    let transport = open(&all).expect("virtio");
    assert_eq!(commanded(&all.0, (0, 2)), (MEMORY, true), "it was only looked at");
    Rng::probe(transport, &mut pool()).expect("a source");
    assert_eq!(commanded(&all.0, (0, 2)), (MEMORY | BUS_MASTER, true));
    all.2[0].function.turn_off();
    assert_eq!(commanded(&all.0, (0, 2)), (0, true));
}

#[test]
fn one_too_many_is_turned_off() {
    let mut root = Bus::new();
    for number in 0..40_u8 {
        let mut function = used(card(), LOW + u32::from(number) * 0x2_0000);
        function.bytes[0x0e] = 0x80;
        root.push((number / 8, number % 8, function));
    }
    let (placed, walked, devices) = found(root);
    assert_eq!(devices.len(), 32);
    assert_eq!(walked.complaints.len(), 8);
    assert!(walked.complaints.iter().all(|(_, error)| *error == PciError::TooMany));
    for function in 0..8 {
        let command = placed.with(|pci| pci.at(0, 4, function).expect("there").bytes[4]);
        assert_eq!(command & (MEMORY | BUS_MASTER), 0);
    }
}

#[test]
fn a_device_where_nobody_answers_is_refused() {
    let (_, _, devices) = found(vec![(1, 0, card())]);
    let absent = ProbeError::Absent(Absent);
    let silent = &mut |range: elone_hal::address::PhysicalRange| {
        Some(bus::nobody(usize::try_from(range.length()).expect("small")))
    };
    assert_eq!(Transport::open_pci(&devices[0], silent).expect_err("an abort"), absent);
    let ones = bus::place(&Arc::new(Mutex::new(Nothing(u32::MAX))), 0x4000);
    let error = Transport::open_pci(&devices[0], &mut |_| Some(ones)).expect_err("all ones");
    assert_eq!(error, absent);
}

#[test]
fn what_says_0_is_nowhere_even_where_the_bus_begins_there() {
    let mut placed = Pci::new(Layout::Enhanced, vec![(1, 0, card()), (2, 0, card())]).place();
    // As if the bus saw the low window from 0 on, whose first granule nobody is given.
    placed.bridge.windows[0].bus = 0;
    let (_, devices) = look(&placed);
    let starts: Vec<_> = [0, 1].map(|d: usize| devices[d].region(4, 0, 1).expect("there")).into();
    assert_ne!(starts[0], starts[1]);
    let bars = placed
        .with(|pci| [1, 2].map(|d| pci.at(0, d, 0).expect("there").bytes[0x10..0x24].to_vec()));
    assert_ne!(bars[0], bars[1]);
    // Where nobody here is to know better, 0 is a place.
    let mut first = card();
    first.memory[1].size = 0;
    first.bytes[0x98 + 4] = 0;
    let mut placed = Pci::new(Layout::Enhanced, vec![(1, 0, first)]).place();
    placed.bridge.windows[0].bus = 0;
    placed.bridge.is_set_up = true;
    assert_eq!(look(&placed).1.len(), 1);
}

#[test]
fn bridges_numbered_in_any_order_keep_their_numbers() {
    let port = |bar: u32| Function::root_port(vec![(0, 0, used(card(), bar))]);
    let (a, b) = (LOW + 0x10_0000, LOW + 0x20_0000);
    let root = vec![
        (1, 0, passing(numbered(port(a), 2, 2), a, a)),
        (2, 0, passing(numbered(port(b), 1, 1), b, b)),
        (3, 0, Function::root_port(vec![(0, 0, card())])),
        (4, 0, card()),
    ];
    let (placed, walked, devices) = found(root);
    assert!(walked.complaints.is_empty(), "{:?}", walked.complaints);
    assert_eq!(addresses(&devices), ["00:04.0", "02:00.0", "01:00.0", "03:00.0"]);
    assert_eq!(devices[1].region(1, 0, 1).expect("there").start().0, 0x5010_0000);
    all_serve(&placed, &devices);
}

#[test]
fn what_a_bridge_passes_on_no_more_is_put_again() {
    // Both claim the same bus, so one of them is numbered here, and the functions behind it have places
    // that it no longer passes on.
    let port = |bar: u32| Function::root_port(vec![(0, 0, used(card(), bar))]);
    let (a, b) = (LOW + 0x10_0000, LOW + 0x20_0000);
    let root = vec![
        (1, 0, passing(numbered(port(a), 1, 1), a, a)),
        (2, 0, passing(numbered(port(b), 1, 1), b, b)),
    ];
    let (placed, walked, devices) = found(root);
    assert!(walked.complaints.is_empty(), "{:?}", walked.complaints);
    assert_eq!(addresses(&devices), ["01:00.0", "02:00.0"]);
    all_serve(&placed, &devices);
}

#[test]
fn a_bridge_behind_a_renumbered_one_is_renumbered() {
    let a = LOW + 0x10_0000;
    let mut inner = Function::root_port(vec![(0, 0, used(card(), a))]);
    inner.set(0x18, &[9, 10, 10]);
    let outer = numbered(Function::root_port(vec![(0, 0, inner)]), 9, 10); // there are 8
    let (placed, walked, devices) = found(vec![(1, 0, outer)]);
    assert!(walked.complaints.is_empty(), "{:?}", walked.complaints);
    assert_eq!(addresses(&devices), ["02:00.0"]);
    all_serve(&placed, &devices);
}

#[test]
fn what_others_and_bridges_have_is_not_given_out_again() {
    let mut other = used(Function::new(0x8086, 0x100e), LOW + 0x10_0000);
    other.memory[1] = Memory { size: 0x1_0000, kind: 0 };
    let with_memory = |bar: u32| {
        let mut port = Function::root_port(vec![(0, 0, card())]);
        port.memory[0] = Memory { size: 0x1000, kind: 0 };
        port.set(0x10, &bar.to_le_bytes());
        port
    };
    // One is where the first newcomer would be, one nowhere.
    let root = vec![
        (1, 0, other),
        (2, 0, with_memory(LOW)),
        (3, 0, with_memory(0)),
        (4, 0, card()),
        (5, 0, with_memory(LOW + 0x10_0000)),
    ];
    let (placed, walked, devices) = found(root);
    assert!(walked.complaints.is_empty(), "{:?}", walked.complaints);
    assert_eq!(devices.len(), 4);
    all_serve(&placed, &devices);
    let mut places = placed.with(|pci| {
        [2, 3, 5].map(|d| {
            let bytes = &pci.at(0, d, 0).expect("there").bytes[0x10..0x14];
            u32::from_le_bytes(bytes.try_into().expect("four"))
        })
    });
    assert!(places.iter().all(|place| placed.with(|pci| pci.answering((*place).into())) == 1));
    places.sort_unstable();
    assert!(places[0] >= LOW && places.windows(2).all(|pair| pair[0] != pair[1]), "{places:x?}");
}

#[test]
fn memory_behind_a_bridge_comes_from_one_window_a_side() {
    // The low window in two halves: one of the first function's memories fits into the second one only,
    // and between that and the others is what is behind the second bridge.
    let mut large = card();
    large.memory[2] = Memory { size: 32 << 20, kind: 0 };
    let behind = |function| Function::root_port(vec![(0, 0, function)]);
    let root = vec![(1, 0, behind(large)), (2, 0, behind(card()))];
    let mut placed = Pci::new(Layout::Enhanced, root).place();
    let half = 32 << 20;
    let low = placed.bridge.windows[0];
    let halves = [0, half].map(|offset| {
        let start = low.memory.start().0 + offset;
        let memory = elone_hal::address::PhysicalRange::new(start, half).expect("in range");
        elone_hal::pci::MemoryWindow { memory, bus: low.bus + offset, is_prefetchable: false }
    });
    let high = placed.bridge.windows[1];
    placed.bridge.windows = halves.into_iter().chain([high]).collect();
    let (walked, devices) = look(&placed);
    let refused: Vec<_> = walked.complaints.iter().map(|(at, error)| (at.bus, *error)).collect();
    assert_eq!(refused, [(1, PciError::NoRoom(2, 32 << 20))]);
    assert_eq!(addresses(&devices), ["02:00.0"]);
    all_serve(&placed, &devices);
}

#[test]
fn one_that_is_at_the_end_leaves_room_below_it() {
    let last = used(card(), LOW_END - 0x2_0000);
    let root = vec![(1, 0, last), (2, 0, card()), (3, 0, card())];
    let mut placed = Pci::new(Layout::Enhanced, root).place();
    placed.bridge.windows.truncate(1);
    let (walked, devices) = look(&placed);
    assert!(walked.complaints.is_empty(), "{:?}", walked.complaints);
    let at = devices[0].region(1, 0, 1).expect("there").start().0;
    assert_eq!(at, 0x5000_0000 + (64 << 20) - 0x2_0000, "it stays");
    all_serve(&placed, &devices);
}

#[test]
fn bridges_beyond_the_list_are_closed_before_they_get_numbers() {
    let mut root: Bus = Vec::new();
    for number in 0..18_u8 {
        let mut port = Function::root_port(vec![]);
        port.bytes[0x0e] = 0x81;
        root.push((1 + number / 8, number % 8, port));
    }
    let mut placed = Pci::new(Layout::Enhanced, root).place();
    placed.bridge.last_bus = 40;
    let (walked, _) = look(&placed);
    let too_many = |address| (address, PciError::TooMany);
    let address = |function| Address { bus: 0, device: 3, function };
    for function in [0, 1] {
        assert!(
            walked.complaints.contains(&too_many(address(function))),
            "{:?}",
            walked.complaints
        );
        let buses =
            placed.with(|pci| pci.at(0, 3, function).expect("there").bytes[0x19..=0x1a].to_vec());
        assert_eq!(buses, [0, 0]);
    }
}

/// Where nobody can look, a function goes on as firmware had it: nothing of that reaches memory.
#[test]
fn a_bridge_behind_which_nobody_can_look_passes_nothing_on() {
    let port = |numbers: (u8, u8)| {
        numbered(Function::root_port(vec![(0, 0, used(card(), LOW))]), numbers.0, numbers.1)
    };
    for is_set_up in [false, true] {
        let mut placed = Pci::new(Layout::Enhanced, vec![(1, 0, port((1, 1)))]).place();
        placed.bridge.is_set_up = is_set_up;
        let root = placed.bridge.configuration.start();
        let map = &mut |range: elone_hal::address::PhysicalRange| {
            (range.start() == root).then(|| placed.map(range))?
        };
        let walked = &mut walk(&placed.bridge, map);
        let devices = walked.place(&placed.bridge);
        let at = Address { bus: 0, device: 1, function: 0 };
        assert_eq!((&walked.complaints[..], devices.len()), (&[(at, PciError::Unmapped)][..], 0));
        assert_eq!(commanded(&placed, (0, 1)).0 & BUS_MASTER, 0, "{is_set_up}");
    }
}

/// Nobody is to number it, so nobody can look behind it.
#[test]
fn a_bridge_that_is_not_taken_as_it_is_passes_nothing_on() {
    let mut port = numbered(Function::root_port(vec![(0, 0, used(card(), LOW))]), 1, 1);
    port.set(0x18, &[9]);
    let mut placed = Pci::new(Layout::Enhanced, vec![(1, 0, port)]).place();
    placed.bridge.is_set_up = true;
    let (walked, devices) = look(&placed);
    let complaints: Vec<_> = walked.complaints.iter().map(|(_, error)| *error).collect();
    assert_eq!((&complaints[..], devices.len()), (&[PciError::NotSetUp][..], 0));
    assert_eq!(commanded(&placed, (0, 1)).0, MEMORY, "all else stays");
}
