//! The device trees that Xen 4.17 makes for its domains, as they were in its domains' memory.
#![allow(missing_docs, clippy::cast_possible_truncation, reason = "a test crate")]

mod common;

use common::{Writer, problems, range};
use elone_hal::interrupts::Line;
use elone_hal::{IntId, Trigger};
use elone_kernel::machine::{Conduit, InterruptController, Machine, UartModel};

fn fixture(name: &str) -> Machine {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../boards/fixtures/xen");
    let tree = std::fs::read(format!("{folder}/xen-4.17-{name}.dtb")).expect(name);
    Machine::read(&tree).expect(name)
}

/// A guest has a UART of servers, and no node of Xen's unless it was asked for.
#[test]
fn a_guest_is_read_as_it_is() {
    for (name, line) in [
        ("guest-gicv3", "unknown machine: 64 MiB, GICv3, SBSA UART, 1 core"),
        ("guest-gicv2", "unknown machine: 64 MiB, GICv2, SBSA UART, 1 core"),
    ] {
        let machine = fixture(name);
        assert_eq!(problems(&machine), [], "{name}");
        assert_eq!(machine.to_string(), line);
        assert_eq!(machine.ram, [range(0x4000_0000, 64 << 20)], "{name}");
        assert_eq!((machine.psci, machine.initrd), (Some(Conduit::Hvc), None), "{name}");
        assert!(!machine.is_xen && machine.virtio.is_empty(), "{name}");
        let uart = machine.console.expect(name);
        assert_eq!((uart.model, uart.registers), (UartModel::Sbsa, range(0x2200_0000, 0x1000)));
        let interrupt = uart.interrupt.expect(name);
        assert_eq!(interrupt.line, Line::Gic(IntId::spi(0)), "{name}");
        assert_eq!(interrupt.trigger, Trigger::Level, "{name}");
    }
    let Some(InterruptController::GicV2 { distributor, cpu_interface }) =
        fixture("guest-gicv2").interrupt_controller
    else {
        panic!("no GICv2");
    };
    let places = [range(0x0300_1000, 0x1000), range(0x0300_2000, 0x2000)];
    assert_eq!([distributor, cpu_interface], places);
}

/// The hardware domain has all but the UART, the core's counters, and what Xen has for itself.
#[test]
fn the_hardware_domain_is_read_as_it_is() {
    let machine = fixture("hardware-domain-gicv3");
    assert_eq!(problems(&machine), []);
    assert_eq!(machine.to_string(), "linux,dummy-virt: 128 MiB, GICv3, no UART, 1 core");
    assert_eq!(machine.ram, [range(0x4200_0000, 96 << 20), range(0x4c00_0000, 32 << 20)]);
    assert!(machine.is_xen && machine.console.is_none() && !machine.names_hypervisor_console);
    assert_eq!((machine.virtio.len(), machine.psci), (32, Some(Conduit::Hvc)));
    assert!(machine.virtio.iter().all(|slot| slot.dma_coherent));
    assert!(machine.power_button.is_some() && machine.rtc.is_some());
}

/// `console=` names UARTs of servers as Linux does, and the last word counts.
#[test]
fn a_hypervisors_console_is_asked_for_by_name() {
    for (bootargs, expected) in [
        ("console=hvc0", true),
        ("console=ttyAMA0 console=hvc0 quiet", true),
        ("console=hvc0 console=ttyAMA0", false),
        ("console=tty0", false),
        ("app.console=hvc0", false),
        ("", false),
    ] {
        let machine = Writer::machine()
            .device("uart@22000000", "arm,sbsa-uart", 0x2200_0000, 0x1000)
            .end()
            .begin("chosen")
            .text("bootargs", &[bootargs])
            .read();
        assert_eq!(machine.names_hypervisor_console, expected, "{bootargs}");
        assert_eq!(machine.console.map(|uart| uart.model), Some(UartModel::Sbsa), "{bootargs}");
        assert_eq!(problems(&machine), [], "{bootargs}");
    }
}
