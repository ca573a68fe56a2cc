//! Host bridges of PCI in device trees: those that monitors were seen to hand over, against what `dtc`
//! shows in them, and those that should not be.
#![allow(missing_docs, clippy::cast_possible_truncation, reason = "a test crate")]

mod common;

use common::{GIC, Writer, fixtures, problems, range};
use elone_hal::interrupts::Line;
use elone_hal::pci::{Address, Layout, MemoryWindow};
use elone_hal::{IntId, Trigger};
use elone_kernel::machine::{Interrupt, Machine, PCI_HOSTS, Problem};

fn on(bus: u8, device: u8) -> Address {
    Address { bus, device, function: 0 }
}

fn level(spi: u32) -> Option<Interrupt> {
    Some(Interrupt { line: Line::Gic(IntId::spi(spi)), trigger: Trigger::Level })
}

fn window(bus: u64, start: u64, length: u64) -> MemoryWindow {
    MemoryWindow { memory: range(start, length), bus, is_prefetchable: false }
}

fn fixture(name: &str) -> Machine {
    let all = fixtures();
    let (_, tree) = all.iter().find(|(known, _)| known == name).expect("a tree of that name");
    Machine::read(tree).expect("a usable tree")
}

#[test]
fn firecrackers_has_messages_only_and_is_set_up() {
    let machine = fixture("firecracker-1.17.0-dev-kvm-gicv3-its-enable-pci");
    let [host] = &machine.pci[..] else { panic!("{:?}", machine.pci) };
    assert_eq!(host.bridge.configuration, range(0x7000_0000, 0x10_0000));
    assert_eq!(
        (host.bridge.layout, host.bridge.first_bus, host.bridge.last_bus),
        (Layout::Enhanced, 0, 0)
    );
    let windows = [
        window(0x4000_3000, 0x4000_3000, 0x2fff_d000),
        window(0x40_0000_0000, 0x40_0000_0000, 0x40_0000_0000),
    ];
    assert_eq!(&host.bridge.windows[..], windows);
    assert!(host.bridge.is_set_up && host.dma_coherent);
    assert_eq!(machine.pci_interrupt(0, on(0, 1), 0), None);
    assert_eq!(host.messages(on(0, 3)), Some((3, 3 << 3)));
    assert_eq!(host.messages(on(1, 0)), None);
    assert_eq!(problems(&machine), []);
}

#[test]
fn kvmtools_has_a_line_a_device_and_one_controller_for_all_messages() {
    let machine = fixture("kvmtool-3.18-kvm-gicv3-its-pci-default");
    let [host] = &machine.pci[..] else { panic!("{:?}", machine.pci) };
    assert_eq!(host.bridge.configuration, range(0x4000_0000, 0x1000_0000));
    assert_eq!((host.bridge.first_bus, host.bridge.last_bus), (0, 0));
    assert_eq!(&host.bridge.windows[..], [window(0x5000_0000, 0x5000_0000, 0x3000_0000)]);
    assert!(!host.bridge.is_set_up && host.dma_coherent);
    let lines = [0, 1, 2, 3].map(|device| machine.pci_interrupt(0, on(0, device), 0));
    assert_eq!(lines, [level(4), level(5), level(6), None]);
    assert_eq!(machine.pci_interrupt(0, on(0, 0), 1), None, "there is one pin");
    assert_eq!(host.messages(on(0, 2)), Some((2, 2 << 3)));
    assert_eq!(problems(&machine), []);
}

#[test]
fn qemus_turns_its_pins_and_has_256_buses() {
    for name in ["qemu-7.2-tcg-virt-gicv2", "qemu-7.2-tcg-virt-gicv3"] {
        let machine = fixture(name);
        let [host] = &machine.pci[..] else { panic!("{:?}", machine.pci) };
        assert_eq!(host.bridge.configuration, range(0x40_1000_0000, 0x1000_0000));
        assert_eq!((host.bridge.first_bus, host.bridge.last_bus), (0, 255));
        let windows = [
            window(0x1000_0000, 0x1000_0000, 0x2eff_0000),
            window(0x80_0000_0000, 0x80_0000_0000, 0x80_0000_0000),
        ];
        assert_eq!(&host.bridge.windows[..], windows);
        for device in 0..32 {
            for pin in 0..4 {
                let line = machine.pci_interrupt(0, on(0, device), pin);
                assert_eq!(line, level(3 + u32::from(device + pin) % 4), "{device} {pin}");
            }
        }
        assert_eq!(host.messages(on(255, 31)), Some((0x8003, 0xfff8)));
        assert_eq!(problems(&machine), []);
    }
}

/// A host bridge as trees of our own have it, still open.
fn host(writer: Writer, name: &str) -> Writer {
    writer
        .device(name, "pci-host-ecam-generic", 0x3000_0000, 0x100_0000)
        .cells(3, 2)
        .cell("#interrupt-cells", 1)
}

const MEMORY: [u32; 7] = [0x200_0000, 0, 0x1000_0000, 0, 0x5000_0000, 0, 0x100_0000];

#[test]
fn addresses_of_the_bus_may_be_others_than_the_processors() {
    let machine = host(Writer::machine(), "pci").list("ranges", &MEMORY).read();
    assert_eq!(&machine.pci[0].bridge.windows[..], [window(0x1000_0000, 0x5000_0000, 0x100_0000)]);
    assert_eq!((machine.pci[0].bridge.last_bus, machine.pci[0].dma_coherent), (15, false));
    assert_eq!(machine.pci[0].messages(on(0, 1)), None);
}

#[test]
fn memory_for_what_may_be_read_ahead_is_told_apart() {
    let mut ranges = [MEMORY, MEMORY].concat();
    ranges[0] = 0x4300_0000;
    let machine = host(Writer::machine(), "pci").list("ranges", &ranges).read();
    let windows = machine.pci[0].bridge.windows.iter();
    assert_eq!(windows.map(|window| window.is_prefetchable).collect::<Vec<_>>(), [true, false]);
}

#[test]
fn the_older_layout_and_the_buses_that_there_are_count() {
    let buses = |layout: &str, range: &[u32]| {
        let node = Writer::machine().device("pci", layout, 0x3000_0000, 0x4_0000);
        let machine = node.cells(3, 2).list("bus-range", range).read();
        let bridge = &machine.pci.first().expect("a bridge").bridge;
        (bridge.layout, bridge.first_bus, bridge.last_bus)
    };
    assert_eq!(buses("pci-host-cam-generic", &[0, 255]), (Layout::Compatible, 0, 3));
    assert_eq!(buses("pci-host-cam-generic", &[8, 9]), (Layout::Compatible, 8, 9));
    assert_eq!(buses("pci-host-cam-generic", &[254, 255]), (Layout::Compatible, 254, 255));
}

#[test]
fn what_is_malformed_is_named_and_ignored() {
    let problem = |node: Writer| {
        let machine = node.read();
        assert!(machine.pci.is_empty());
        let [(_, problem)] = problems(&machine)[..] else { panic!("{:?}", problems(&machine)) };
        problem
    };
    let node = || host(Writer::machine(), "pci");
    let bare =
        |length| Writer::machine().device("pci", "pci-host-ecam-generic", 0x3000_0000, length);
    let bad = Problem::BadProperty;
    for range in [&[1, 0][..], &[0], &[0, 256], &[]] {
        assert_eq!(problem(node().list("bus-range", range)), bad("bus-range"), "{range:?}");
    }
    assert_eq!(problem(bare(0xf_ffff).cells(3, 2)), bad("reg"));
    assert_eq!(problem(bare(0).cells(3, 2)), bad("reg"));
    assert_eq!(problem(bare(0x10_0000).cells(2, 2)), bad("#address-cells"));
    assert_eq!(problem(bare(0x10_0000).cells(3, 1)), bad("#size-cells"));
    assert_eq!(problem(bare(0x10_0000)), bad("#address-cells"));
    let cells = bare(0x10_0000).cells(3, 2).cell("#interrupt-cells", 3);
    assert_eq!(problem(cells), bad("#interrupt-cells"));
    assert_eq!(problem(node().list("interrupt-map-mask", &[0])), bad("interrupt-map-mask"));
}

#[test]
fn what_is_malformed_of_the_rest_is_named_and_the_bridge_kept() {
    let problem = |node: Writer| {
        let machine = node.read();
        assert_eq!(machine.pci.len(), 1);
        let [(_, problem)] = problems(&machine)[..] else { panic!("{:?}", problems(&machine)) };
        (problem, machine)
    };
    let node = || host(Writer::machine(), "pci");
    let bad = Problem::BadProperty;
    assert_eq!(problem(node().list("ranges", &MEMORY[..6])).0, bad("ranges"));
    let wraps = [0x300_0000, u32::MAX, u32::MAX, 0, 0x5000_0000, 0, 0x1000];
    assert_eq!(problem(node().list("ranges", &wraps)).0, bad("ranges"));
    let many: Vec<u32> = MEMORY.repeat(9);
    assert_eq!(problem(node().list("ranges", &many)).0, Problem::NoRoom);
    assert_eq!(problem(node().list("msi-map", &[0, 1, 0])).0, bad("msi-map"));
    let (no_room, machine) = problem(node().list("msi-map", &[0, 1, 0, 1].repeat(5)));
    assert_eq!((no_room, machine.pci[0].messages(on(0, 0))), (Problem::NoRoom, None));
    assert_eq!(problem(node().list("msi-parent", &[])).0, bad("msi-parent"));
    assert_eq!(problem(node().list("interrupt-map", &[0, 0, 0, 1])).0, bad("interrupt-map"));
    let foreign = [0, 0, 0, 1, GIC + 1, 0, 4, 4];
    assert_eq!(problem(node().list("interrupt-map", &foreign)).0, Problem::ForeignInterrupt);
    assert_eq!(
        problem(node().list("interrupt-map", &[0, 0, 0, 1, GIC, 9, 4, 4])).0,
        bad("interrupt-map")
    );
    // What came before is kept; there is no room for ever more.
    let route = [0, 0, 0, 1, GIC, 0, 4, 4];
    let (no_room, machine) = problem(node().list("interrupt-map", &route.repeat(200)));
    assert_eq!((no_room, machine.pci_interrupt(0, on(0, 0), 0)), (Problem::NoRoom, level(4)));
}

#[test]
fn several_host_bridges_keep_their_lines_apart() {
    let mut writer = Writer::machine();
    for number in 0..PCI_HOSTS as u32 + 1 {
        let node = host(writer, &format!("pci@{number}"));
        writer = node
            .list("interrupt-map-mask", &[0xf800, 0, 0, 7])
            .list("interrupt-map", &[0x800, 0, 0, 1, GIC, 0, number, 4])
            .list("msi-map", &[0x100, 7, 0x1000 * number, 0x100])
            .list("msi-map-mask", &[0xfff8])
            .end();
    }
    let machine = writer.read();
    assert_eq!(problems(&machine).len(), 1);
    assert_eq!(machine.pci.len(), PCI_HOSTS);
    for (number, host) in (0..).zip(&machine.pci) {
        let address = Address { bus: 0, device: 1, function: 3 };
        assert_eq!(machine.pci_interrupt(number as usize, address, 0), level(number));
        assert_eq!(machine.pci_interrupt(number as usize, address, 1), None);
        let on_bus_1 = Address { bus: 1, device: 2, function: 3 };
        assert_eq!(host.messages(on_bus_1), Some((7, 0x1000 * number + 0x10)));
        assert_eq!(host.messages(address), None);
    }
    assert_eq!(machine.pci_interrupt(PCI_HOSTS, on(0, 1), 0), None);
}

#[test]
fn what_is_set_up_is_so_by_chosen_wherever_that_stands() {
    let chosen =
        |writer: Writer, value| writer.begin("chosen").cell("linux,pci-probe-only", value).end();
    for (value, is_set_up) in [(1, true), (0, false)] {
        let after = chosen(host(Writer::machine(), "pci").end(), value).read();
        let before = host(chosen(Writer::machine(), value), "pci").end().read();
        for machine in [after, before] {
            assert_eq!(machine.pci[0].bridge.is_set_up, is_set_up);
        }
    }
}

#[test]
fn functions_that_see_memory_elsewhere_are_left_alone() {
    let node = |ranges: &[u32]| host(Writer::machine(), "pci").list("dma-ranges", ranges).read();
    // RAM is 16 MiB at 1 GiB.
    let identity = [0x300_0000, 0, 0x4000_0000, 0, 0x4000_0000, 0, 0x100_0000];
    let halves = [
        [0x300_0000, 0, 0x4080_0000, 0, 0x4080_0000, 0, 0x80_0000],
        [0x300_0000, 0, 0x4000_0000, 0, 0x4000_0000, 0, 0x80_0000],
    ];
    let all = [0x300_0000, 0, 0, 0, 0, 0x100, 0];
    for ranges in [&[][..], &identity, &halves.concat(), &all] {
        let machine = node(ranges);
        assert_eq!((machine.pci.len(), problems(&machine).len()), (1, 0), "{ranges:x?}");
    }
    let moved = [0x300_0000, 0, 0, 0, 0x4000_0000, 0, 0x100_0000];
    let short = [0x300_0000, 0, 0x4000_0000, 0, 0x4000_0000, 0, 0xff_f000];
    for ranges in [&moved[..], &short, &halves[0], &identity[..6]] {
        let machine = node(ranges);
        assert!(machine.pci.is_empty());
        let problem = ("pci", Problem::BadProperty("dma-ranges"));
        assert_eq!(problems(&machine), [problem], "{ranges:x?}");
    }
}
