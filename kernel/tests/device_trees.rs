//! Every device tree that a monitor was seen to hand over, against what `dtc` shows in it.
#![allow(missing_docs, clippy::cast_possible_truncation, reason = "a test crate")]

mod common;

use common::{fixtures, problems, range};
use elone_hal::gpio::Pressed;
use elone_hal::interrupts::Line;
use elone_hal::{IntId, Trigger};
use elone_kernel::machine::{
    Conduit, Interrupt, InterruptController, Machine, PowerButton, Rtc, Timer, Tree, Uart,
    UartModel, VirtioSlot,
};

/// What one tree says.
struct Expected {
    name: &'static str,
    line: &'static str,
    ram: (u64, u64),
    controller: Controller,
    console: (UartModel, u64, u64, IntId, Trigger),
    uarts: usize,
    virtio: &'static [VirtioSlot],
    timer: Trigger,
    psci: Conduit,
    rtc: Rtc,
    bootargs: &'static str,
}

/// Distributor, and cpu interface or redistributors: start and length of each.
enum Controller {
    V2([u64; 4]),
    V3([u64; 4]),
}
use Controller::{V2, V3};

const BYTES: UartModel = UartModel::Ns16550 { register_shift: 0, access_width: 1 };

/// `count` slots of `size` bytes from `start` on, with the shared interrupts from `first` on.
const fn slots<const N: usize>(start: u64, size: u64, first: u32) -> [VirtioSlot; N] {
    let registers = range(start, size);
    let interrupt = Interrupt { line: Line::Gic(IntId::spi(first)), trigger: Trigger::Edge };
    let mut slots = [VirtioSlot { registers, interrupt, dma_coherent: true }; N];
    let mut n = 0;
    while n < N {
        slots[n].registers = range(start + size * n as u64, size);
        slots[n].interrupt.line = Line::Gic(IntId::spi(first + n as u32));
        n += 1;
    }
    slots
}

const QEMU_SLOTS: [VirtioSlot; 32] = slots(0x0a00_0000, 0x200, 16);
const KVMTOOL_SLOTS: [VirtioSlot; 3] = slots(0x0300_0000, 0x200, 4);
const FIRECRACKER_SLOTS: [VirtioSlot; 2] = slots(0x4000_3000, 0x1000, 0);

const QEMU_GIC_V3: Controller = V3([0x0800_0000, 0x1_0000, 0x080a_0000, 0xf6_0000]);
const GIC_V3: Controller = V3([0x3fff_0000, 0x1_0000, 0x3ffd_0000, 0x2_0000]);
const KVMTOOL_ARGS: &str = " console=ttyS0 rw rootflags=trans=virtio,version=9p2000.L,cache=loose \
    rootfstype=9p init=/virt/init  ip=dhcp dumpdtb";
const FIRECRACKER_ARGS: &str = "console=ttyS0 dumpdtb pci=off earlycon=uart,mmio,0x40002000";

const TREES: &[Expected] = &[
    Expected {
        name: "firecracker-1.17.0-dev-kvm-gicv2-no-device",
        line: "linux,dummy-virt: 126 MiB, GICv2, 16550, 1 core",
        ram: (0x8020_0000, 0x7e0_0000),
        controller: V2([0x3fff_f000, 0x1000, 0x3fff_d000, 0x2000]),
        console: (BYTES, 0x4000_2000, 0x1000, IntId::spi(0), Trigger::Edge),
        uarts: 1,
        virtio: &[],
        timer: Trigger::Level,
        psci: Conduit::Hvc,
        rtc: Rtc::Pl031(range(0x4000_1000, 0x1000)),
        bootargs: FIRECRACKER_ARGS,
    },
    Expected {
        name: "firecracker-1.17.0-dev-kvm-gicv3-its-enable-pci",
        line: "linux,dummy-virt: 126 MiB, GICv3, 16550, 1 core",
        ram: (0x8020_0000, 0x7e0_0000),
        controller: GIC_V3,
        console: (BYTES, 0x4000_2000, 0x1000, IntId::spi(0), Trigger::Edge),
        uarts: 1,
        virtio: &[],
        timer: Trigger::Level,
        psci: Conduit::Hvc,
        rtc: Rtc::Pl031(range(0x4000_1000, 0x1000)),
        bootargs: "console=ttyS0 dumpdtb earlycon=uart,mmio,0x40002000",
    },
    Expected {
        name: "firecracker-1.17.0-dev-kvm-gicv3-its-mmio-blk-net",
        line: "linux,dummy-virt: 126 MiB, GICv3, 16550, 1 core",
        ram: (0x8020_0000, 0x7e0_0000),
        controller: GIC_V3,
        console: (BYTES, 0x4000_2000, 0x1000, IntId::spi(2), Trigger::Edge),
        uarts: 1,
        virtio: &FIRECRACKER_SLOTS,
        timer: Trigger::Level,
        psci: Conduit::Hvc,
        rtc: Rtc::Pl031(range(0x4000_1000, 0x1000)),
        bootargs: FIRECRACKER_ARGS,
    },
    Expected {
        name: "firecracker-1.17.0-dev-kvm-gicv3-its-no-device",
        line: "linux,dummy-virt: 126 MiB, GICv3, 16550, 1 core",
        ram: (0x8020_0000, 0x7e0_0000),
        controller: GIC_V3,
        console: (BYTES, 0x4000_2000, 0x1000, IntId::spi(0), Trigger::Edge),
        uarts: 1,
        virtio: &[],
        timer: Trigger::Level,
        psci: Conduit::Hvc,
        rtc: Rtc::Pl031(range(0x4000_1000, 0x1000)),
        bootargs: FIRECRACKER_ARGS,
    },
    Expected {
        name: "kvmtool-3.18-kvm-gicv2-mmio-no-device",
        line: "linux,dummy-virt: 128 MiB, GICv2, 16550, 1 core",
        ram: (0x8000_0000, 0x800_0000),
        controller: V2([0x3fff_0000, 0x1_0000, 0x3ffd_0000, 0x2_0000]),
        console: (BYTES, 0x0100_0000, 8, IntId::spi(0), Trigger::Level),
        uarts: 4,
        virtio: &KVMTOOL_SLOTS,
        timer: Trigger::Level,
        psci: Conduit::Hvc,
        rtc: Rtc::Mc146818(range(0x0101_0000, 2)),
        bootargs: KVMTOOL_ARGS,
    },
    Expected {
        name: "kvmtool-3.18-kvm-gicv3-its-mmio-blk-net",
        line: "linux,dummy-virt: 128 MiB, GICv3, 16550, 1 core",
        ram: (0x8000_0000, 0x800_0000),
        controller: GIC_V3,
        console: (BYTES, 0x0100_0000, 8, IntId::spi(0), Trigger::Level),
        uarts: 4,
        virtio: KVMTOOL_SLOTS.first_chunk::<2>().unwrap(),
        timer: Trigger::Level,
        psci: Conduit::Hvc,
        rtc: Rtc::Mc146818(range(0x0101_0000, 2)),
        bootargs: " console=ttyS0 root=/dev/vda rw  dumpdtb",
    },
    Expected {
        name: "kvmtool-3.18-kvm-gicv3-its-pci-default",
        line: "linux,dummy-virt: 128 MiB, GICv3, 16550, 1 core",
        ram: (0x8000_0000, 0x800_0000),
        controller: GIC_V3,
        console: (BYTES, 0x0100_0000, 8, IntId::spi(0), Trigger::Level),
        uarts: 4,
        virtio: &[],
        timer: Trigger::Level,
        psci: Conduit::Hvc,
        rtc: Rtc::Mc146818(range(0x0101_0000, 2)),
        bootargs: KVMTOOL_ARGS,
    },
    Expected {
        name: "kvmtool-3.18-kvm-gicv3-no-its-mmio-net",
        line: "linux,dummy-virt: 128 MiB, GICv3, 16550, 1 core",
        ram: (0x8000_0000, 0x800_0000),
        controller: GIC_V3,
        console: (BYTES, 0x0100_0000, 8, IntId::spi(0), Trigger::Level),
        uarts: 4,
        virtio: &KVMTOOL_SLOTS,
        timer: Trigger::Level,
        psci: Conduit::Hvc,
        rtc: Rtc::Mc146818(range(0x0101_0000, 2)),
        bootargs: KVMTOOL_ARGS,
    },
    Expected {
        name: "qemu-7.2-kvm-virt-gicv2",
        line: "linux,dummy-virt: 128 MiB, GICv2, PL011, 1 core",
        ram: (0x4000_0000, 0x800_0000),
        controller: V2([0x0800_0000, 0x1_0000, 0x0801_0000, 0x1_0000]),
        console: (UartModel::Pl011, 0x0900_0000, 0x1000, IntId::spi(1), Trigger::Level),
        uarts: 1,
        virtio: &QEMU_SLOTS,
        timer: Trigger::Level,
        psci: Conduit::Hvc,
        rtc: Rtc::Pl031(range(0x0901_0000, 0x1000)),
        bootargs: "dumpdtb",
    },
    Expected {
        name: "qemu-7.2-kvm-virt-gicv3",
        line: "linux,dummy-virt: 128 MiB, GICv3, PL011, 1 core",
        ram: (0x4000_0000, 0x800_0000),
        controller: QEMU_GIC_V3,
        console: (UartModel::Pl011, 0x0900_0000, 0x1000, IntId::spi(1), Trigger::Level),
        uarts: 1,
        virtio: &QEMU_SLOTS,
        timer: Trigger::Level,
        psci: Conduit::Hvc,
        rtc: Rtc::Pl031(range(0x0901_0000, 0x1000)),
        bootargs: "dumpdtb",
    },
    Expected {
        name: "qemu-7.2-kvm-virt-gicv3-smp2",
        line: "linux,dummy-virt: 128 MiB, GICv3, PL011, 2 cores",
        ram: (0x4000_0000, 0x800_0000),
        controller: QEMU_GIC_V3,
        console: (UartModel::Pl011, 0x0900_0000, 0x1000, IntId::spi(1), Trigger::Level),
        uarts: 1,
        virtio: &QEMU_SLOTS,
        timer: Trigger::Level,
        psci: Conduit::Hvc,
        rtc: Rtc::Pl031(range(0x0901_0000, 0x1000)),
        bootargs: "dumpdtb",
    },
    Expected {
        name: "qemu-7.2-tcg-virt-gicv2",
        line: "linux,dummy-virt: 256 MiB, GICv2, PL011, 1 core",
        ram: (0x4000_0000, 0x1000_0000),
        controller: V2([0x0800_0000, 0x1_0000, 0x0801_0000, 0x1_0000]),
        console: (UartModel::Pl011, 0x0900_0000, 0x1000, IntId::spi(1), Trigger::Level),
        uarts: 1,
        virtio: &QEMU_SLOTS,
        timer: Trigger::Level,
        psci: Conduit::Hvc,
        rtc: Rtc::Pl031(range(0x0901_0000, 0x1000)),
        bootargs: "",
    },
    Expected {
        name: "qemu-7.2-tcg-virt-gicv3",
        line: "linux,dummy-virt: 256 MiB, GICv3, PL011, 1 core",
        ram: (0x4000_0000, 0x1000_0000),
        controller: QEMU_GIC_V3,
        console: (UartModel::Pl011, 0x0900_0000, 0x1000, IntId::spi(1), Trigger::Level),
        uarts: 1,
        virtio: &QEMU_SLOTS,
        timer: Trigger::Level,
        psci: Conduit::Hvc,
        rtc: Rtc::Pl031(range(0x0901_0000, 0x1000)),
        bootargs: "",
    },
    Expected {
        name: "qemu-7.2-tcg-virt-gicv3-smp4",
        line: "linux,dummy-virt: 256 MiB, GICv3, PL011, 4 cores",
        ram: (0x4000_0000, 0x1000_0000),
        controller: QEMU_GIC_V3,
        console: (UartModel::Pl011, 0x0900_0000, 0x1000, IntId::spi(1), Trigger::Level),
        uarts: 1,
        virtio: &QEMU_SLOTS,
        timer: Trigger::Level,
        psci: Conduit::Hvc,
        rtc: Rtc::Pl031(range(0x0901_0000, 0x1000)),
        bootargs: "",
    },
    Expected {
        name: "qemu-7.2-tcg-virt-gicv3-virtualization-on-el2",
        line: "linux,dummy-virt: 256 MiB, GICv3, PL011, 1 core",
        ram: (0x4000_0000, 0x1000_0000),
        controller: QEMU_GIC_V3,
        console: (UartModel::Pl011, 0x0900_0000, 0x1000, IntId::spi(1), Trigger::Level),
        uarts: 1,
        virtio: &QEMU_SLOTS,
        timer: Trigger::Level,
        psci: Conduit::Smc,
        rtc: Rtc::Pl031(range(0x0901_0000, 0x1000)),
        bootargs: "",
    },
];

#[test]
fn every_tree_is_read_as_it_is() {
    let fixtures = fixtures();
    let names: Vec<_> = fixtures.iter().map(|(name, _)| name.as_str()).collect();
    let expected: Vec<_> = TREES.iter().map(|expected| expected.name).collect();
    assert_eq!(names, expected, "a tree without expectations, or the other way round");

    for (expected, (name, bytes)) in TREES.iter().zip(&fixtures) {
        let machine = Machine::read(bytes).expect(name);
        assert_eq!(problems(&machine), [], "{name}");
        assert_eq!(machine.to_string(), expected.line, "{name}");
        assert_eq!(machine.ram, [range(expected.ram.0, expected.ram.1)], "{name}");
        assert_eq!(machine.memory(), expected.ram.1, "{name}");
        // Of all these only Firecracker tells of itself in memory. That is no RAM of ours.
        let boards: Vec<_> = [machine.generation, machine.vmclock].into_iter().flatten().collect();
        let noted: Vec<_> = boards.iter().map(|board| board.memory).collect();
        let places = [range(0x801f_fff0, 16), range(0x801f_e000, 0x1000)];
        assert_eq!(noted, if name.starts_with("fire") { &places[..] } else { &[] }, "{name}");
        for (board, n) in boards.iter().zip(0..) {
            let interrupt = board.interrupt.expect(name);
            assert_eq!(interrupt.trigger, Trigger::Edge, "{name}");
            let first = boards[0].interrupt.map(|first| number(first.line));
            assert_eq!(Some(number(interrupt.line) - n), first, "{name}");
        }
        let reserved: Vec<_> = machine.reservations.iter().map(|other| other.range).collect();
        assert_eq!(reserved, noted, "{name}");
        assert!(!machine.is_xen, "{name}");
        assert_eq!(machine.initrd, None, "{name}");
        assert_eq!(machine.interrupt_controller, Some(controller(&expected.controller)), "{name}");
        assert_eq!(machine.console, Some(uart(expected.console)), "{name}");
        assert_eq!(machine.uarts.len(), expected.uarts, "{name}");
        assert_eq!(machine.virtio, expected.virtio, "{name}");
        let private = |n| Interrupt { line: Line::Gic(IntId::ppi(n)), trigger: expected.timer };
        let timer = Timer { virtual_timer: private(11), physical_timer: Some(private(14)) };
        assert_eq!(machine.timer, Some(timer), "{name}");
        assert_eq!(timer.virtual_timer.line, Line::Gic(IntId::ppi(27 - 16)), "{name}");
        assert_eq!(machine.psci, Some(expected.psci), "{name}");
        assert_eq!(machine.rtc, Some(expected.rtc), "{name}");
        assert_eq!(machine.bootargs(), expected.bootargs, "{name}");
        // Of all these only QEMU has a button.
        let interrupt = Interrupt { line: Line::Gic(IntId::spi(7)), trigger: Trigger::Level };
        let registers = range(0x0903_0000, 0x1000);
        let button = PowerButton { registers, interrupt, line: 3, pressed: Pressed::High };
        let button = name.starts_with("qemu").then_some(button);
        assert_eq!(machine.power_button, button, "{name}");
    }
}

fn controller(expected: &Controller) -> InterruptController {
    match *expected {
        V2([start, length, interface, interface_length]) => InterruptController::GicV2 {
            distributor: range(start, length),
            cpu_interface: range(interface, interface_length),
        },
        V3([start, length, frames, frames_length]) => InterruptController::GicV3 {
            distributor: range(start, length),
            redistributors: [range(frames, frames_length)].into_iter().collect(),
            redistributor_stride: None,
        },
    }
}

/// A line's number.
fn number(line: Line) -> u32 {
    match line {
        Line::Gic(id) => u32::from(id),
        Line::Local(_) | Line::Peripheral(_) => panic!("{line:?}: not a GIC's"),
    }
}

fn uart((model, start, length, id, trigger): (UartModel, u64, u64, IntId, Trigger)) -> Uart {
    let interrupt = Some(Interrupt { line: Line::Gic(id), trigger });
    Uart { model, registers: range(start, length), interrupt }
}

#[test]
fn the_header_alone_tells_the_size() {
    for (name, bytes) in fixtures() {
        assert_eq!(Tree::check(&bytes[..Tree::HEADER]), Ok(bytes.len()), "{name}");
    }
}
