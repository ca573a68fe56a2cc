//! Functions of PCI that lie: each lie is named, and costs that function only.

use elone_hal::fake::bus;
use elone_hal::fake::pci::{Function, Memory};
use elone_hal::fake::virtio::Virtio;
use elone_hal::pci::PciError;
use elone_hal::virtio::net::Net;
use elone_hal::virtio::rng::Rng;
use elone_hal::virtio::{DeviceId, ProbeError, Transport};

use crate::common::{MODERN, NET, pool, some};
use crate::pci::{card, found, open};

/// Where the fake has its capabilities: common, interrupt status, configuration, doorbells, messages.
const COMMON: usize = 0x40;
const ISR: usize = 0x54;
const CONFIG: usize = 0x68;
const DOORBELLS: usize = 0x7c;
const MESSAGES: usize = 0x98;
/// Those without which there is no device.
const NEEDED: [usize; 4] = [DOORBELLS, COMMON, ISR, CONFIG];

fn lies(lie: impl FnOnce(&mut Function)) -> ProbeError {
    let mut function = card();
    lie(&mut function);
    open(&found(vec![(1, 0, function)])).expect_err("a lie")
}

#[test]
fn registers_in_memory_that_cannot_be_are_named() {
    let bar = |capability: usize, bar: u8| lies(|f| f.set(capability + 4, &[bar]));
    for capability in some(&NEEDED) {
        assert_eq!(bar(capability, 6), ProbeError::Pci(PciError::NoSuchBar(6)));
        assert_eq!(bar(capability, 255), ProbeError::Pci(PciError::NoSuchBar(255)));
        assert_eq!(bar(capability, 0), ProbeError::Pci(PciError::EmptyBar(0)));
        assert_eq!(bar(capability, 5), ProbeError::Pci(PciError::EmptyBar(5)), "an upper half");
    }
    let empty = lies(|f| f.memory[4].size = 0);
    assert_eq!(empty, ProbeError::Pci(PciError::EmptyBar(4)));
    let ports = lies(|f| f.memory[4] = Memory { size: 0x40, kind: 1 });
    assert_eq!(ports, ProbeError::Pci(PciError::EmptyBar(4)));
}

#[test]
fn registers_beyond_the_end_are_named() {
    for capability in some(&NEEDED) {
        for (offset, length) in [(0x4000_u32, 1_u32), (0x3fff, 2), (u32::MAX, u32::MAX), (0, 0)] {
            let place = [offset.to_le_bytes(), length.to_le_bytes()].concat();
            let error = lies(|f| f.set(capability + 8, &place));
            assert_eq!(error, ProbeError::Pci(PciError::OutsideBar(4)), "{offset:#x} {length:#x}");
        }
    }
}

#[test]
fn registers_too_few_or_at_odd_places_are_named() {
    let place = |capability: usize, offset: u32, length: u32| {
        lies(|f| f.set(capability + 8, &[offset.to_le_bytes(), length.to_le_bytes()].concat()))
    };
    assert_eq!(place(COMMON, 0, 0x37), ProbeError::BadCapability("common registers"));
    assert_eq!(place(COMMON, 2, 0x40), ProbeError::BadCapability("common registers"));
    assert_eq!(place(DOORBELLS, 0x3000, 1), ProbeError::BadCapability("doorbells"));
    assert_eq!(place(DOORBELLS, 0x3001, 16), ProbeError::BadCapability("doorbells"));
    assert_eq!(place(CONFIG, 0x2002, 16), ProbeError::BadCapability("configuration"));
}

#[test]
fn capabilities_that_are_missing_are_named() {
    assert_eq!(lies(|f| f.bytes[COMMON + 3] = 9), ProbeError::NoCapability("common registers"));
    assert_eq!(lies(|f| f.bytes[DOORBELLS + 3] = 0), ProbeError::NoCapability("doorbells"));
    assert_eq!(lies(|f| f.bytes[ISR + 3] = 255), ProbeError::NoCapability("interrupt status"));
}

#[test]
fn capabilities_that_go_in_circles_or_nowhere_end() {
    // The rest is out of reach, whichever way the list goes wrong.
    for next in [0x40_u8, 0, 0x3c, 0x01, 0x43] {
        let error = lies(|f| f.bytes[COMMON + 1] = next);
        assert_eq!(error, ProbeError::NoCapability("doorbells"), "{next:#x}");
    }
    // At the very end of them: what would follow is not there.
    let error = lies(|f| f.set(COMMON + 1, &[0xfc]));
    assert_eq!(error, ProbeError::NoCapability("doorbells"));
}

#[test]
fn a_device_of_the_legacy_interface_only_is_named() {
    for none in [0x34, 0x06] {
        let error = lies(|f| {
            f.bytes[none] = 0;
            f.set(2, &0x1000_u16.to_le_bytes());
            f.set(0x2e, &1_u16.to_le_bytes());
        });
        assert_eq!(error, ProbeError::LegacyOnly(DeviceId::NET));
        assert_eq!(error.to_string(), "network interface: it speaks the legacy interface only");
    }
}

#[test]
fn a_transitional_device_is_used_by_its_modern_interface() {
    let mut function = card();
    function.set(2, &0x1005_u16.to_le_bytes());
    function.set(0x2e, &4_u16.to_le_bytes());
    function.memory[0] = Memory { size: 0x20, kind: 1 };
    let transport = open(&found(vec![(1, 0, function)])).expect("virtio");
    assert_eq!(transport.id(), DeviceId::ENTROPY);
    Rng::probe(transport, &mut pool()).expect("a source");
}

/// Of several of a kind the first one that can be used counts.
#[test]
fn a_capability_that_cannot_be_used_is_passed_over_for_one_that_can() {
    let mut function = card();
    function.memory[0] = Memory { size: 0x20, kind: 1 };
    // Doorbells that are ports come first, as QEMU can have them.
    function.bytes[0x34] = 0xc0;
    function.set(0xc0, &[0x09, 0x40, 0x14, 2, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0]);
    let transport = open(&found(vec![(1, 0, function)])).expect("virtio");
    Rng::probe(transport, &mut pool()).expect("a source");
}

#[test]
fn doorbells_out_of_reach_are_named() {
    for (multiplier, first, length) in [
        (4_u32, 0x400_u16, 0x1000_u32),
        (u32::MAX, 2, 0x1000),
        (0x1000, 1, 0x1000),
        (4, 1, 4),
        (1, 1, 8),
    ] {
        let device = Virtio::new(MODERN, NET, 0, &[64, 64], &[]);
        let (_, mut function) = Function::virtio(device, 0);
        function.set(DOORBELLS + 12, &length.to_le_bytes());
        function.set(DOORBELLS + 16, &multiplier.to_le_bytes());
        let card = function.card.as_mut().expect("a card");
        (card.unit, card.first) = (multiplier.into(), first);
        let transport = open(&found(vec![(1, 0, function)])).expect("virtio");
        let error = Net::probe(transport, &mut pool()).expect_err("no doorbell");
        assert_eq!(error, ProbeError::BadDoorbell(0), "{multiplier:#x} {first:#x}");
    }
}

#[test]
fn one_doorbell_for_all_queues_will_do() {
    let (_, mut function) = Function::virtio(Virtio::new(MODERN, NET, 0, &[64, 64], &[]), 0);
    function.set(DOORBELLS + 12, &4_u32.to_le_bytes());
    function.set(DOORBELLS + 16, &0_u32.to_le_bytes());
    function.card.as_mut().expect("a card").unit = 0;
    let transport = open(&found(vec![(1, 0, function)])).expect("virtio");
    Net::probe(transport, &mut pool()).expect("a device");
}

#[test]
fn a_table_of_messages_that_cannot_be_is_named() {
    for (place, error) in [
        (7_u32, PciError::NoSuchBar(7)),
        (0, PciError::EmptyBar(0)),
        (0x1000 | 1, PciError::OutsideBar(1)),
        (0xff8 | 1, PciError::OutsideBar(1)),
        (0xffff_fff8 | 4, PciError::OutsideBar(4)),
    ] {
        let mut function = card();
        function.set(MESSAGES + 4, &place.to_le_bytes());
        let (placed, _, devices) = found(vec![(1, 0, function)]);
        let table = devices[0].message_table(&mut |range| placed.map(range));
        assert_eq!(table.expect_err("no table"), error, "{place:#x}");
    }
    let mut function = card();
    function.bytes[DOORBELLS + 1] = 0;
    let (placed, _, devices) = found(vec![(1, 0, function)]);
    assert!(devices[0].message_table(&mut |range| placed.map(range)).expect("none").is_none());
}

/// Whatever is in configuration space, looking at it ends, and panics nowhere.
#[test]
#[cfg_attr(miri, ignore = "thousands of devices")]
fn random_configuration_space_does_no_harm() {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    for round in 0..400 {
        let mut root = Vec::new();
        for device in 0..4 {
            let mut function = card();
            if device == 3 {
                function = Function::root_port(vec![(0, 0, card())]);
            }
            for _ in 0..random() % 12 {
                let at = 4 + (random() % 252) as usize;
                function.bytes[at] = (random() & 0xff) as u8;
            }
            for memory in &mut function.memory {
                if random() % 8 == 0 {
                    *memory = Memory { size: 1 << (random() % 64), kind: (random() & 0xf) as u32 };
                }
            }
            function.card = None; // whoever is sent there finds zeros
            root.push((device, 0, function));
        }
        let (placed, _, devices) = found(root);
        for device in &devices {
            let _ = device.message_table(&mut |range| placed.map(range));
            let transport = Transport::open_pci(device, &mut |range| match round % 2 {
                0 => placed.map(range),
                _ => Some(bus::nobody(usize::try_from(range.length()).expect("small"))),
            });
            if let Ok(transport) = transport {
                assert_eq!(round % 2, 0, "nobody is there");
                let _ = Rng::probe(transport, &mut pool());
            }
        }
    }
}
