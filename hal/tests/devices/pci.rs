//! Functions of PCI: found, numbered, given memory; virtio devices on them.

use elone_hal::address::PhysicalRange;
use elone_hal::fake::honest;
use elone_hal::fake::pci::{Bus, Function, Memory, Pci, Placed};
use elone_hal::fake::virtio::Virtio;
use elone_hal::pci::{Address, Device, Layout, MemoryWindow, PciError, Walked, walk};
use elone_hal::virtio::blk::Blk;
use elone_hal::virtio::net::Net;
use elone_hal::virtio::rng::Rng;
use elone_hal::virtio::{DeviceId, ProbeError, Transport, Vectors};

use crate::common::{BLOCK, ENTROPY, EVENT_INDEX, MODERN, NET, pool, some};

fn source() -> Virtio {
    let mut device = Virtio::new(MODERN, ENTROPY, EVENT_INDEX, &[8], &[]);
    device.service = Some(honest::entropy(64));
    device
}

/// A source with two messages.
pub(crate) fn card() -> Function {
    Function::virtio(source(), 2).1
}

/// A host bridge with these on its root bus, gone through.
pub(crate) fn found(root: Bus) -> (Placed, Walked, Vec<Device>) {
    let placed = Pci::new(Layout::Enhanced, root).place();
    let (walked, devices) = look(&placed);
    (placed, walked, devices)
}

fn look(placed: &Placed) -> (Walked, Vec<Device>) {
    let mut walked = walk(&placed.bridge, &mut |range| placed.map(range));
    let devices = walked.place(&placed.bridge).into_iter().collect();
    (walked, devices)
}

/// Opens the only device.
pub(crate) fn open(
    (placed, _, devices): &(Placed, Walked, Vec<Device>),
) -> Result<Transport, ProbeError> {
    let [device] = &devices[..] else { panic!("{devices:?}") };
    Transport::open_pci(device, &mut |range| placed.map(range))
}

fn addresses(devices: &[Device]) -> Vec<String> {
    devices.iter().map(|device| device.function.address().to_string()).collect()
}

fn serves(placed: &Placed, device: &Device) {
    let transport = Transport::open_pci(device, &mut |range| placed.map(range)).expect("virtio");
    assert_eq!((transport.id(), transport.is_legacy()), (DeviceId::ENTROPY, false));
    let mut source = Rng::probe(transport, &mut pool()).expect("a source");
    let mut bytes = [0xff; 16];
    source.fill(&mut bytes, || false).expect("it answers at once");
    // Its numbers follow each other.
    assert!(bytes.windows(2).all(|pair| pair[1] == pair[0].wrapping_add(1)), "{bytes:?}");
}

#[test]
fn a_device_serves_on_either_layout() {
    for layout in [Layout::Enhanced, Layout::Compatible] {
        let placed = Pci::new(layout, vec![(2, 0, card())]).place();
        let (walked, devices) = look(&placed);
        assert_eq!((addresses(&devices), walked.complaints.len()), (vec!["00:02.0".to_owned()], 0));
        serves(&placed, &devices[0]);
    }
}

#[test]
fn an_empty_bus_costs_one_look_a_device() {
    let (placed, walked, _) = found(vec![]);
    assert_eq!(placed.with(|pci| pci.accesses), 32);
    assert!(walked.found.is_empty() && walked.complaints.is_empty());
}

#[test]
fn what_nobody_drives_is_turned_off_and_named_unless_it_is_a_bridge() {
    let used = |class: [u8; 2]| {
        let mut function = Function::new(0x1b36, 8);
        function.set(4, &[6]);
        function.set(0x0a, &class);
        function
    };
    let (host, isa, other) = (used([0, 6]), used([1, 6]), used([0x80, 6]));
    let elsewhere = Function::root_port(vec![(0, 0, used([0, 6]))]);
    let root =
        vec![(0, 0, host), (1, 0, isa), (2, 0, other), (3, 0, used([0, 2])), (4, 0, elsewhere)];
    let (placed, walked, devices) = found(root);
    let at = Address { bus: 0, device: 3, function: 0 };
    assert_eq!(&walked.others[..], [(at, 0x1b36, 8)]);
    assert!(devices.is_empty());
    // The host bridge is the way of all others, and the console may be behind the next one; none of
    // the rest reaches memory, or answers where others are to be.
    let commands =
        [0, 1, 2, 3].map(|at| placed.with(|pci| pci.at(0, at, 0).expect("there").bytes[4]));
    assert_eq!(commands, [6, 2, 0, 0]);
    let behind = placed.with(|pci| pci.at(1, 0, 0).expect("there").bytes[4]);
    assert_eq!(behind, 0, "what says that it is a host bridge, and is none");
}

#[test]
fn further_functions_are_found_where_the_first_says_so() {
    let mut first = card();
    first.bytes[0x0e] = 0x80;
    let (placed, _, devices) =
        found(vec![(1, 0, first), (1, 5, card()), (2, 0, card()), (2, 1, card())]);
    assert_eq!(addresses(&devices), ["00:01.0", "00:01.5", "00:02.0"]);
    devices.iter().for_each(|device| serves(&placed, device));
}

#[test]
fn what_is_behind_bridges_is_numbered_and_reached() {
    let inner = Function::root_port(vec![(0, 0, card())]);
    let mut upper = Function::root_port(vec![(0, 0, inner), (1, 0, card())]);
    upper.bytes[0x34] = 0; // no port of PCI Express: there may be more than one device behind it
    let other = Function::root_port(vec![(0, 0, card())]);
    let root = vec![(1, 0, upper), (2, 0, card()), (4, 0, other), (5, 0, card())];
    let (placed, walked, devices) = found(root);
    assert!(walked.complaints.is_empty(), "{:?}", walked.complaints);
    let all = ["00:02.0", "00:05.0", "01:01.0", "02:00.0", "03:00.0"];
    assert_eq!(addresses(&devices), all);
    devices.iter().for_each(|device| serves(&placed, device));
    let pins: Vec<_> = devices.iter().map(|device| device.pin.expect("a pin")).collect();
    let pins: Vec<_> = pins.iter().map(|(address, pin)| (address.to_string(), *pin)).collect();
    // Pin A of device 1 is pin B above; the root port's own number is what counts on the root bus.
    let expected = [("00:02.0", 0), ("00:05.0", 0), ("00:01.0", 1), ("00:01.0", 0), ("00:04.0", 0)];
    assert_eq!(pins, expected.map(|(address, pin)| (address.to_owned(), pin)));
}

/// Gone through twice, as after firmware: everything stays where it is.
#[test]
fn what_is_set_up_stays_as_it_is() {
    let port = Function::root_port(vec![(0, 0, card())]);
    let (mut placed, _, _) = found(vec![(1, 0, port), (2, 0, card())]);
    let bytes = |placed: &Placed| {
        placed.with(|pci| {
            [(1, 0), (0, 2), (0, 1)].map(|(b, d)| pci.at(b, d, 0).expect("there").bytes)
        })
    };
    let before = bytes(&placed);
    for is_set_up in [false, true] {
        // Drivers had turned that on.
        placed.with(|pci| {
            [(1, 0), (0, 2)].map(|(b, d)| pci.at(b, d, 0).expect("there").bytes[4] &= !4)
        });
        placed.bridge.is_set_up = is_set_up;
        let (walked, devices) = look(&placed);
        assert!(walked.complaints.is_empty(), "{:?}", walked.complaints);
        assert_eq!(addresses(&devices), ["00:02.0", "01:00.0"]);
        assert_eq!(bytes(&placed), before);
        devices.iter().for_each(|device| serves(&placed, device));
    }
    // A newcomer's memory is not where any other's is.
    placed.bridge.is_set_up = false;
    placed.with(|pci| pci.root.push((3, 0, card())));
    let (_, devices) = look(&placed);
    assert_eq!(bytes(&placed), before);
    devices.iter().for_each(|device| serves(&placed, device));
}

#[test]
fn what_may_not_be_set_up_is_refused_if_nobody_has() {
    let root = vec![(1, 0, Function::root_port(vec![(0, 0, card())])), (2, 0, card())];
    let mut placed = Pci::new(Layout::Enhanced, root).place();
    placed.bridge.is_set_up = true;
    let (walked, devices) = look(&placed);
    assert!(devices.is_empty());
    let complaints: Vec<_> = walked.complaints.iter().map(|(_, error)| *error).collect();
    assert_eq!(complaints, [PciError::NotSetUp, PciError::NotSetUp]);
}

#[test]
fn memory_without_room_is_named() {
    for (kind, size) in [(0, 128 << 20), (0xc, 2 << 30), (4, 1 << 63)] {
        let mut large = card();
        large.memory[2] = Memory { size, kind };
        let (placed, walked, devices) = found(vec![(1, 0, large), (2, 0, card())]);
        let at = Address { bus: 0, device: 1, function: 0 };
        assert_eq!(&walked.complaints[..], [(at, PciError::NoRoom(2, size))]);
        assert_eq!(placed.with(|pci| pci.at(0, 1, 0).expect("there").bytes[4]) & 2, 0);
        serves(&placed, &devices[0]);
    }
}

#[test]
fn large_memory_goes_above_4_gib_where_it_can() {
    for (behind, for_prefetchable, kind, fits) in some(&[
        (false, false, 4, true),
        (true, false, 0xc, true),
        (true, false, 4, false),
        (false, true, 4, false),
        (false, true, 0xc, true),
    ]) {
        let mut large = card();
        large.memory[2] = Memory { size: 512 << 20, kind };
        let root = match behind {
            true => vec![(1, 0, Function::root_port(vec![(0, 0, large)]))],
            false => vec![(1, 0, large)],
        };
        let mut placed = Pci::new(Layout::Enhanced, root).place();
        placed.bridge.windows[1].is_prefetchable = for_prefetchable;
        let (walked, devices) = look(&placed);
        let complaints = &walked.complaints;
        assert_eq!(devices.len(), usize::from(fits), "{behind} {kind:#x}: {complaints:?}");
        devices.iter().for_each(|device| serves(&placed, device));
    }
}

#[test]
fn what_is_behind_a_bridge_low_down_is_not_put_where_it_may_be_read_ahead() {
    let mut both = card();
    both.memory[0] = Memory { size: 0x1000, kind: 8 };
    let root = vec![(1, 0, Function::root_port(vec![(0, 0, both)]))];
    let mut placed = Pci::new(Layout::Enhanced, root).place();
    let low = placed.bridge.windows[0];
    let half = low.memory.length() / 2;
    let part = |offset, is_prefetchable| {
        let memory = PhysicalRange::new(low.memory.start().0 + offset, half).expect("in range");
        MemoryWindow { memory, bus: low.bus + offset, is_prefetchable }
    };
    let windows = [part(0, true), part(half, false)];
    placed.bridge.windows = windows.into_iter().collect();
    let (walked, devices) = look(&placed);
    assert!(walked.complaints.is_empty(), "{:?}", walked.complaints);
    serves(&placed, &devices[0]);
}

#[test]
fn bridges_of_the_older_pci_send_messages_in_a_name_of_their_own() {
    const NONE: u8 = 0;
    const TO_PCI: u8 = 0x72;
    const FROM_PCI: u8 = 0x82;
    const UPSTREAM: u8 = 0x52;
    let bridge = |kind: u8, behind| {
        let mut bridge = Function::root_port(behind);
        match kind {
            NONE => bridge.bytes[0x34] = 0,
            kind => bridge.bytes[0x56] = kind,
        }
        bridge
    };
    // From the root bus on; the device is on the last one.
    for (bridges, requester) in some(&[
        (&[][..], "00:03.0"),
        (&[UPSTREAM], "01:03.0"),
        (&[TO_PCI], "01:00.0"),
        (&[NONE], "00:03.0"),
        (&[FROM_PCI], "00:03.0"),
        (&[TO_PCI, NONE], "01:00.0"),
        (&[NONE, NONE], "00:03.0"),
        (&[UPSTREAM, TO_PCI], "02:00.0"),
        (&[UPSTREAM, NONE], "01:03.0"),
    ]) {
        let mut bus = vec![(3, 0, card())];
        for kind in bridges.iter().rev() {
            bus = vec![(3, 0, bridge(*kind, bus))];
        }
        let (placed, walked, devices) = found(bus);
        assert!(walked.complaints.is_empty(), "{bridges:x?}: {:?}", walked.complaints);
        assert_eq!(devices[0].requester.to_string(), requester, "{bridges:x?}");
        serves(&placed, &devices[0]);
    }
}

#[test]
fn bridges_that_lie_about_their_buses_end_nothing_else() {
    let mut forgetful = Function::root_port(vec![(0, 0, card())]);
    forgetful.forgets = true;
    let mut circular = Function::root_port(vec![(0, 0, card())]);
    circular.set(0x18, &[0, 0, 7]); // leads to its own bus
    let (placed, walked, devices) =
        found(vec![(1, 0, forgetful), (2, 0, circular), (3, 0, card())]);
    assert_eq!(walked.complaints.iter().map(|c| c.1).collect::<Vec<_>>(), [PciError::NumbersLost]);
    assert_eq!(addresses(&devices), ["00:03.0", "01:00.0"]);
    devices.iter().for_each(|device| serves(&placed, device));
}

#[test]
fn more_buses_than_there_are_numbers_are_told() {
    let root = (1..12).map(|n| (n, 0, Function::root_port(vec![(0, 0, card())]))).collect();
    let (placed, walked, devices) = found(root);
    assert_eq!(devices.len(), 7);
    assert_eq!(walked.complaints.iter().filter(|c| c.1 == PciError::NoBus).count(), 4);
    devices.iter().for_each(|device| serves(&placed, device));
}

#[test]
fn registers_that_cannot_be_mapped_are_told() {
    let (placed, _, devices) = found(vec![(1, 0, card())]);
    let error = Transport::open_pci(&devices[0], &mut |_| None).expect_err("unmapped");
    assert_eq!(error, ProbeError::Pci(PciError::Unmapped));
    let walked = walk(&placed.bridge, &mut |_| None);
    assert_eq!(walked.complaints.len(), 1);
}

#[test]
fn a_pin_is_off_until_somebody_asks_and_one_read_takes_it_back() {
    let (device, function) = Function::virtio(source(), 0);
    let all = found(vec![(1, 0, function)]);
    let command = || all.0.with(|pci| pci.at(0, 1, 0).expect("there").bytes[5]);
    let rng = Rng::probe(open(&all).expect("virtio"), &mut pool()).expect("a source");
    assert_eq!(command() & 4, 4);
    all.2[0].function.use_pin();
    assert_eq!(command() & 4, 0);
    device.lock().expect("alive").interrupt(1);
    device.lock().expect("alive").accesses = 0;
    let causes = rng.interrupt_port().acknowledge();
    assert!(causes.used_buffers() && !causes.configuration());
    let device = device.lock().expect("alive");
    assert_eq!((device.accesses, device.interrupt_status), (1, 0));
}

#[test]
fn messages_need_no_look_at_the_device_and_outlive_its_reset() {
    let device = Virtio::new(MODERN, NET, 0, &[64, 64], &[]);
    let (device, function) = Function::virtio(device, 3);
    let all = found(vec![(1, 0, function)]);
    let mut transport = open(&all).expect("virtio");
    let table = all.2[0].message_table(&mut |range| all.0.map(range)).expect("a table");
    let table = table.expect("messages");
    assert_eq!(table.entries(), 3);
    table.send([(0x1_0808_0040, 7), (0x1_0808_0040, 8)].into_iter());
    transport.use_messages(Vectors { configuration: 1, queues: 0 });
    let mut net = Net::probe(transport, &mut pool()).expect("a device");
    let check = || {
        all.0.with(|pci| {
            let function = pci.at(0, 1, 0).expect("there");
            assert_eq!(function.bytes[5] & 4, 4, "no pin as well");
            let card = function.card.as_ref().expect("a card");
            assert_eq!(card.table[..12], [0x0808_0040, 1, 7, 0, 0x0808_0040, 1, 8, 0, 0, 0, 0, 1]);
            assert_eq!((card.control >> 14, card.configuration_vector), (2, 1));
            assert_eq!(card.vectors[..2], [0, 0]);
        });
    };
    check();
    device.lock().expect("alive").accesses = 0;
    let causes = net.interrupt_port().acknowledge();
    assert!(causes.used_buffers() && !causes.configuration());
    assert_eq!(device.lock().expect("alive").accesses, 0);
    net.restart().expect("again");
    check();
}

#[test]
fn a_device_that_refuses_its_message_is_refused() {
    let mut function = card();
    function.card.as_mut().expect("a card").refuses_messages = true;
    let all = found(vec![(1, 0, function)]);
    let mut transport = open(&all).expect("virtio");
    transport.use_messages(Vectors { configuration: 0, queues: 0 });
    assert_eq!(Rng::probe(transport, &mut pool()).expect_err("no vector"), ProbeError::NoVector);
}

#[test]
fn the_configuration_is_read_by_its_generation() {
    let mut device = Virtio::new(MODERN, BLOCK, 0, &[16], &[0; 8]);
    device.quirks.config_changes = 3;
    let all = found(vec![(1, 0, Function::virtio(device, 0).1)]);
    let blk = Blk::probe(open(&all).expect("virtio"), &mut pool()).expect("it becomes stable");
    assert_eq!(blk.sectors(), u64::from_le_bytes([3; 8]));
}

#[test]
fn no_more_than_is_used_is_mapped() {
    let (placed, _, devices) = found(vec![(1, 0, card())]);
    let mut mapped = Vec::new();
    let _ = Transport::open_pci(&devices[0], &mut |range: PhysicalRange| {
        mapped.push(range.length());
        placed.map(range)
    });
    assert_eq!(mapped, [0x4000]);
}
