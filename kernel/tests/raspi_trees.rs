//! The Raspberry Pi 3's tree, as far as it is of use, made up after that of Linux: two interrupt
//! controllers, one behind the other, and what is wired to them.
#![allow(missing_docs, clippy::cast_possible_truncation, reason = "a test crate")]

mod common;

use common::{Writer, problems, range};
use elone_hal::Trigger;
use elone_hal::interrupts::Line;
use elone_kernel::machine::{Interrupt, InterruptController, Machine, Problem, Uart, UartModel};

const PERIPHERALS: u32 = 1;
const LOCAL: u32 = 0x18;

fn at(line: Line) -> Interrupt {
    Interrupt { line, trigger: Trigger::Level }
}

/// The root: RAM, and the bus on which devices are seen elsewhere than by the core; still open.
fn bus() -> Writer {
    Writer::with_reservations(&[(0, 0x1000)])
        .cells(1, 1)
        .cell("interrupt-parent", PERIPHERALS)
        .begin("memory@0")
        .text("device_type", &["memory"])
        .list("reg", &[0, 0x3c00_0000])
        .end()
        .begin("soc")
        .cells(1, 1)
        .list("ranges", &[0x7e00_0000, 0x3f00_0000, 0x100_0000, 0x4000_0000, 0x4000_0000, 0x1000])
}

trait Pi: Sized {
    fn part(self, name: &str, compatible: &[&str], reg: &[u32]) -> Self;
    fn local(self) -> Self;
    fn peripherals(self, parent: u32, line: u32) -> Self;
    fn wired(self, name: &str, compatible: &[&str], reg: &[u32], interrupts: &[u32]) -> Self;
    fn timer(self, wiring: &[u32]) -> Self;
}

impl Pi for Writer {
    fn part(self, name: &str, compatible: &[&str], reg: &[u32]) -> Self {
        self.begin(name).text("compatible", compatible).list("reg", reg)
    }

    fn local(self) -> Self {
        self.part("local_intc", &["brcm,bcm2836-l1-intc"], &[0x4000_0000, 0x100])
            .cell("#interrupt-cells", 2)
            .cell("interrupt-parent", LOCAL)
            .cell("phandle", LOCAL)
            .end()
    }

    fn peripherals(self, parent: u32, line: u32) -> Self {
        self.part("interrupt-controller", &["brcm,bcm2836-armctrl-ic"], &[0x7e00_b200, 0x200])
            .cell("#interrupt-cells", 2)
            .cell("interrupt-parent", parent)
            .list("interrupts", &[line, 4])
            .cell("phandle", PERIPHERALS)
            .end()
    }

    fn wired(self, name: &str, compatible: &[&str], reg: &[u32], interrupts: &[u32]) -> Self {
        self.part(name, compatible, reg).list("interrupts", interrupts).end()
    }

    /// Closes the bus.
    fn timer(self, wiring: &[u32]) -> Self {
        self.end()
            .begin("timer")
            .text("compatible", &["arm,armv7-timer"])
            .cell("interrupt-parent", LOCAL)
            .list("interrupts", wiring)
            .end()
    }
}

const TIMERS: [u32; 8] = [0, 4, 1, 4, 3, 4, 2, 4];

/// The one behind comes before the one that it is behind, as in the real tree.
fn whole() -> Writer {
    bus()
        .wired("serial@7e201000", &["arm,pl011", "arm,primecell"], &[0x7e20_1000, 0x200], &[2, 25])
        .part("aux@7e215000", &["brcm,bcm2835-aux"], &[0x7e21_5000, 8])
        .end()
        .wired("serial@7e215040", &["brcm,bcm2835-aux-uart"], &[0x7e21_5040, 0x40], &[1, 29])
        .peripherals(LOCAL, 8)
        .part("watchdog", &["brcm,bcm2835-pm", "brcm,bcm2835-pm-wdt"], &[0x7e10_0000, 0x114])
        .end()
        .local()
        .timer(&TIMERS)
}

#[test]
fn everything_is_found_where_the_core_sees_it() {
    let machine = whole().read();
    assert_eq!(problems(&machine), []);
    let controller = InterruptController::Bcm2836 {
        local: range(0x4000_0000, 0x100),
        peripherals: Some(range(0x3f00_b200, 0x200)),
    };
    assert_eq!(machine.interrupt_controller, Some(controller));
    let timer = machine.timer.expect("a timer");
    assert_eq!(timer.virtual_timer, at(Line::Local(3)));
    assert_eq!(timer.physical_timer, Some(at(Line::Local(1))));
    let uart = |model, start, length, line| Uart {
        model,
        registers: range(start, length),
        interrupt: Some(at(Line::Peripheral(line))),
    };
    let uarts = [
        uart(UartModel::Pl011, 0x3f20_1000, 0x200, 57),
        uart(UartModel::Bcm2835Aux, 0x3f21_5040, 0x40, 29),
    ];
    assert_eq!(machine.uarts, uarts);
    assert_eq!(machine.aux, Some(range(0x3f21_5000, 8)));
    assert_eq!(machine.power_management, Some(range(0x3f10_0000, 0x114)));
    assert_eq!(machine.psci, None);
}

#[test]
fn either_uart_can_be_the_console() {
    for (path, start) in
        [("/soc/serial@7e215040", 0x3f21_5040), ("/soc/serial@7e201000", 0x3f20_1000)]
    {
        let machine = whole().begin("chosen").text("stdout-path", &[path]).end().read();
        assert_eq!(machine.console.expect("a console").registers.start().0, start, "{path}");
    }
    for (bootargs, start) in [("console=ttyS0", 0x3f21_5040), ("console=ttyAMA0", 0x3f20_1000)] {
        let machine = whole().begin("chosen").text("bootargs", &[bootargs]).end().read();
        assert_eq!(machine.console.expect("a console").registers.start().0, start, "{bootargs}");
    }
}

/// A line of the one behind, and of the other: each as its own controller writes it.
#[test]
fn an_interrupt_may_name_either_controller() {
    let line = |extended: &[u32]| {
        let uart = bus().part("serial", &["arm,pl011"], &[0x7e20_1000, 0x200]);
        let uart = uart.list("interrupts-extended", extended).end();
        let machine = uart.local().peripherals(LOCAL, 8).timer(&TIMERS).read();
        machine.uarts[0].interrupt.map(|interrupt| interrupt.line)
    };
    assert_eq!(line(&[PERIPHERALS, 0, 7]), Some(Line::Peripheral(71)));
    assert_eq!(line(&[PERIPHERALS, 1, 31]), Some(Line::Peripheral(31)));
    assert_eq!(line(&[LOCAL, 11, 4]), Some(Line::Local(11)));
    for none in [[PERIPHERALS, 0, 8], [PERIPHERALS, 2, 32], [PERIPHERALS, 3, 0], [LOCAL, 12, 4]] {
        assert_eq!(line(&none), None, "{none:?}");
    }
    assert_eq!(line(&[PERIPHERALS, u32::MAX, u32::MAX]), None);
    assert_eq!(line(&[5, 0, 7]), None, "there is no such controller");
}

#[test]
fn what_is_wrong_between_the_two_is_told() {
    let read =
        |parent, line| -> Machine { bus().local().peripherals(parent, line).timer(&TIMERS).read() };
    for (parent, line, problem) in [
        (LOCAL, 3, Problem::BadProperty("interrupts")),
        (LOCAL, 99, Problem::BadProperty("interrupts")),
        (PERIPHERALS, 8, Problem::ForeignInterrupt),
    ] {
        let machine = read(parent, line);
        assert_eq!(problems(&machine), [("interrupt-controller", problem)]);
        let controller = machine.interrupt_controller;
        let is_alone =
            |facts| matches!(facts, InterruptController::Bcm2836 { peripherals: None, .. });
        assert!(controller.is_some_and(is_alone));
    }
    // Without the one that the core is wired to, the other is none.
    let machine = bus().peripherals(LOCAL, 8).timer(&TIMERS).read();
    assert_eq!((machine.interrupt_controller, machine.timer), (None, None));
    let machine = bus().local().timer(&[0, 4, 1, 4, 12, 4, 2, 4]).read();
    assert_eq!(machine.timer, None);
    assert_eq!(problems(&machine), [("timer", Problem::BadProperty("interrupts"))]);
}
