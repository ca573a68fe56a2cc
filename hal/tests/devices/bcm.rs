//! Broadcom's devices: two interrupt controllers, a mini UART, a block of power management.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use elone_hal::IntId;
use elone_hal::attempt::Absent;
use elone_hal::fake::bus::{self, Nothing, Registers, Width};
use elone_hal::gpio::line::{Level, Line as Pin, Model};
use elone_hal::interrupts::Line;
use elone_hal::interrupts::bcm2836::{Bcm2836, PERIPHERAL_LINES};
use elone_hal::pm::PowerManagement;
use elone_hal::uart::{Bcm2835Aux, Received, Uart};

/// Registers that keep what is written to them, bar those that a device makes up.
#[derive(Debug, Default)]
struct Words {
    words: BTreeMap<usize, u32>,
    /// What was written, in order.
    written: Vec<(usize, u32)>,
    /// Of these a write goes nowhere.
    fixed: Vec<usize>,
}

impl Registers for Words {
    fn read(&mut self, offset: usize, width: Width) -> u32 {
        assert_eq!(width, Width::Bits32);
        self.words.get(&offset).copied().unwrap_or(0)
    }

    fn write(&mut self, offset: usize, width: Width, value: u32) {
        assert_eq!(width, Width::Bits32);
        self.written.push((offset, value));
        if !self.fixed.contains(&offset) {
            self.words.insert(offset, value);
        }
    }
}

fn words(values: &[(usize, u32)]) -> Arc<Mutex<Words>> {
    let words = values.iter().copied().collect();
    Arc::new(Mutex::new(Words { words, ..Words::default() }))
}

/// The controllers of core 2, and the registers of both.
fn controllers() -> (Bcm2836, Arc<Mutex<Words>>, Arc<Mutex<Words>>) {
    let (local, peripherals) = (words(&[]), words(&[]));
    let windows = (bus::place(&local, 0x100), bus::place(&peripherals, 0x200));
    let taken = Bcm2836::take_over(windows.0, Some(windows.1), 2).expect("they are there");
    (taken, local, peripherals)
}

const SOURCE: usize = 0x60 + 8;
const TIMERS: usize = 0x40 + 8;

fn set(device: &Arc<Mutex<Words>>, register: usize, value: u32) {
    bus::lock(device).words.insert(register, value);
}

fn get(device: &Arc<Mutex<Words>>, register: usize) -> u32 {
    bus::lock(device).words.get(&register).copied().unwrap_or(0)
}

#[test]
fn taken_over_all_lines_are_masked_and_the_counter_runs() {
    let (mut controllers, local, peripherals) = controllers();
    assert_eq!(get(&local, 0x08), 0x8000_0000, "the prescaler");
    assert_eq!(get(&local, 0x0c), 2, "the peripherals' line comes to this core");
    for register in [0x1c, 0x20, 0x24] {
        assert_eq!(get(&peripherals, register), u32::MAX);
    }
    let masked = [(0x50 + 8, 0), (0x18, u32::MAX), (0x30, 0), (0x34, 0)];
    for (register, value) in masked {
        assert!(bus::lock(&local).written.contains(&(register, value)), "{register:#x}");
    }
    set(&local, SOURCE, u32::MAX);
    [0x00, 0x04, 0x08].into_iter().for_each(|register| set(&peripherals, register, u32::MAX));
    assert_eq!(controllers.pending(), None, "nobody has asked for any");
    assert!(controllers.enable(Line::Local(3)));
    assert_eq!((controllers.pending(), get(&local, TIMERS)), (Some(Line::Local(3)), 1 << 3));
}

/// Nobody here could quiet the peripherals: their line goes to a core that does not listen.
#[test]
fn peripherals_that_nobody_drives_interrupt_another_core() {
    let local = words(&[]);
    let _taken = Bcm2836::take_over(bus::place(&local, 0x100), None, 3).expect("it is there");
    assert_eq!(get(&local, 0x0c), 0);
}

/// Firmware has: its choice is left alone.
#[test]
fn a_counter_that_runs_is_left_alone() {
    let local = words(&[(0x00, 1 << 8), (0x08, 0x1234)]);
    Bcm2836::take_over(bus::place(&local, 0x100), None, 0).expect("it is there");
    assert_eq!((get(&local, 0x00), get(&local, 0x08)), (1 << 8, 0x1234));
}

#[test]
fn a_peripheral_is_heard_through_both_and_once_it_is_quiet_no_more() {
    for (number, pending, enable, bit) in
        [(29, 0x04, 0x10, 29), (57, 0x08, 0x14, 25), (64, 0x00, 0x18, 0), (71, 0x00, 0x18, 7)]
    {
        let (mut controllers, local, peripherals) = controllers();
        let line = Line::Peripheral(number);
        assert!(controllers.enable(line));
        assert_eq!(get(&peripherals, enable), 1 << bit, "{line:?}");
        set(&peripherals, pending, 1 << bit);
        assert_eq!(controllers.pending(), None, "the local one says that there is nothing");
        set(&local, SOURCE, 1 << 8);
        assert_eq!(controllers.pending(), Some(line));
        set(&peripherals, pending, 0);
        assert_eq!(controllers.pending(), None);
    }
}

#[test]
fn lines_that_are_none_or_not_listened_to_are_refused() {
    let (mut controllers, local, _) = controllers();
    let strangers = [Line::Local(4), Line::Local(8), Line::Local(40), Line::Gic(IntId::ppi(11))];
    for line in strangers.into_iter().chain([Line::Peripheral(PERIPHERAL_LINES)]) {
        assert!(!controllers.enable(line), "{line:?}");
    }
    // Something else is there, that does not keep what it is told.
    bus::lock(&local).fixed.push(TIMERS);
    assert!(!controllers.enable(Line::Local(3)));
    let local = words(&[]);
    let alone = Bcm2836::take_over(bus::place(&local, 0x100), None, 0);
    assert!(
        !alone.expect("it is there").enable(Line::Peripheral(0)),
        "there is no such controller"
    );
}

#[test]
fn controllers_that_are_not_there_are_told() {
    let ones = Arc::new(Mutex::new(Nothing(u32::MAX)));
    let local = words(&[]);
    let (short, whole) = (bus::place(&local, 0x60), bus::place(&local, 0x100));
    for (window, peripherals, core) in [
        (bus::nobody(0x100), None, 0),
        (bus::place(&ones, 0x100), None, 0),
        (short, None, 0),
        (whole, Some(bus::nobody(0x200)), 0),
        (whole, Some(short.part(0, 0x20).expect("a part")), 0),
        (whole, None, 4),
    ] {
        assert_eq!(Bcm2836::take_over(window, peripherals, core).err(), Some(Absent));
    }
}

/// Bits of the line status: something to read, room for one, all sent.
const READY: u32 = 1 << 0;
const ROOM: u32 = 1 << 5;
const IDLE: u32 = 1 << 6;

#[test]
fn a_mini_uart_takes_eight_bytes_when_idle_and_one_when_there_is_room() {
    let port = words(&[(0x14, ROOM | IDLE)]);
    let uart = Uart::Bcm2835Aux(Bcm2835Aux::find(bus::place(&port, 0x40)).expect("it is there"));
    assert_eq!(get(&port, 0x20), 0b11, "both directions are enabled");
    assert!(!uart.has_breaks());
    bus::lock(&port).written.clear();
    assert_eq!(uart.write(b"0123456789"), 10);
    let expected: Vec<_> = b"0123456789".iter().map(|byte| (0x00, u32::from(*byte))).collect();
    assert_eq!(bus::lock(&port).written, expected);
}

#[test]
#[cfg_attr(miri, ignore = "200,000 reads")]
fn a_mini_uart_that_takes_nothing_is_not_waited_for_long() {
    let port = words(&[(0x14, ROOM | IDLE)]);
    let uart = Uart::Bcm2835Aux(Bcm2835Aux::find(bus::place(&port, 0x40)).expect("it is there"));
    set(&port, 0x14, 0);
    assert_eq!(uart.write(b"x"), 0, "nobody takes it: it is dropped");
}

#[test]
fn a_mini_uart_is_read_and_interrupts_when_asked() {
    let port = words(&[(0x14, ROOM | IDLE)]);
    let uart = Uart::Bcm2835Aux(Bcm2835Aux::find(bus::place(&port, 0x40)).expect("it is there"));
    assert_eq!(uart.receive(), None);
    set(&port, 0x00, u32::from(b'k'));
    set(&port, 0x14, READY | ROOM | IDLE);
    assert_eq!(uart.receive(), Some(Received::Byte(b'k')));
    uart.enable_receive_interrupt();
    assert_eq!(get(&port, 0x04), 0b101);
    uart.disable_interrupts();
    assert_eq!(get(&port, 0x04), 0);
}

#[test]
fn a_mini_uart_is_enabled_in_its_block_beside_its_neighbours() {
    let block = words(&[(0x04, 0b100)]);
    assert_eq!(Bcm2835Aux::power_up(bus::place(&block, 0x8)), Ok(()));
    assert_eq!(get(&block, 0x04), 0b101);
    assert_eq!(Bcm2835Aux::power_up(bus::nobody(0x8)), Err(Absent));
    for nothing in [0, u32::MAX] {
        let port = Arc::new(Mutex::new(Nothing(nothing)));
        assert_eq!(Bcm2835Aux::find(bus::place(&port, 0x40)).err(), Some(Absent));
    }
}

#[test]
fn the_machine_ends_by_its_watchdog() {
    const PASSWORD: u32 = 0x5a00_0000;
    // What is read has no password; other bits are kept.
    let start = [(0x1c, 0x0000_0112), (0x20, 0x0000_1001)];
    let block = words(&start);
    let power = PowerManagement::find(bus::place(&block, 0x114)).expect("it is there");
    power.restart();
    let written = [(0x20, PASSWORD | 0x1000), (0x24, PASSWORD | 10), (0x1c, PASSWORD | 0x122)];
    assert_eq!(bus::lock(&block).written, written);
    let block = words(&start);
    PowerManagement::find(bus::place(&block, 0x114)).expect("it is there").off();
    assert_eq!(bus::lock(&block).written[0], (0x20, PASSWORD | 0x1555));
    assert_eq!(bus::lock(&block).written[1..], written[1..]);
    assert_eq!(PowerManagement::find(bus::nobody(0x114)).err(), Some(Absent));
    assert_eq!(PowerManagement::find(bus::place(&block, 0x20)).err(), Some(Absent));
}

/// Lines 17 and 53: one of the first word, and the last of the second. Their neighbours are left
/// alone. From a peripheral's, a line is an input first, and from an input an output at once.
#[test]
fn a_gpio_line_has_its_level_before_it_is_an_output() {
    for (line, select, shift, word) in [(17, 0x04, 21, 0), (53, 0x14, 9, 4)] {
        let gpio = words(&[(select, u32::MAX)]);
        let pin = Pin::find(bus::place(&gpio, 0xb4), Model::Bcm2835, line).expect("a line");
        let bit = 1 << (line % 32);
        let (input, output) = ((select, !(0b111 << shift)), (select, !(0b110 << shift)));
        pin.drive(Level::High);
        assert_eq!(bus::lock(&gpio).written, [(0x1c + word, bit), input, output], "{line}");
        pin.listen();
        bus::lock(&gpio).written.clear();
        pin.drive(Level::Low);
        assert_eq!(bus::lock(&gpio).written, [(0x28 + word, bit), output], "{line}");
        pin.listen();
        assert_eq!(get(&gpio, select), input.1);
        assert_eq!(pin.level(), Level::Low);
        set(&gpio, 0x34 + word, bit);
        assert_eq!(pin.level(), Level::High);
    }
}

/// It would float for a moment, if it became an input in between.
#[test]
fn a_gpio_line_that_is_an_output_stays_one_whatever_it_is_driven_to() {
    let gpio = words(&[(0x04, 0b001 << 21)]);
    let pin = Pin::find(bus::place(&gpio, 0xb4), Model::Bcm2835, 17).expect("a line");
    [Level::High, Level::High, Level::Low].into_iter().for_each(|level| pin.drive(level));
    assert_eq!(bus::lock(&gpio).written, [(0x1c, 1 << 17), (0x1c, 1 << 17), (0x28, 1 << 17)]);
}

#[test]
fn gpio_lines_that_are_not_there_are_told() {
    let gpio = words(&[]);
    let (whole, short) = (bus::place(&gpio, 0x1000), bus::place(&gpio, 0x34));
    for (window, model, line) in [
        (whole, Model::Bcm2835, 54),
        (whole, Model::Pl061, 8),
        (short, Model::Bcm2835, 0),
        (short, Model::Pl061, 0),
        (bus::nobody(0x1000), Model::Bcm2835, 0),
    ] {
        assert_eq!(Pin::find(window, model, line).err(), Some(Absent));
    }
}

/// The other lines' direction, and whose they are, stay as they were.
#[test]
fn a_line_of_a_pl061_is_driven_alone() {
    let gpio = words(&[(0x400, 0b1000_0001), (0x420, 0b0110_0000)]);
    let pin = Pin::find(bus::place(&gpio, 0x1000), Model::Pl061, 5).expect("a line");
    pin.drive(Level::High);
    assert_eq!(bus::lock(&gpio).written[0], (1 << 7, 0xff), "the level comes first");
    assert_eq!((get(&gpio, 0x400), get(&gpio, 0x420)), (0b1010_0001, 0b0100_0000));
    assert_eq!(pin.level(), Level::High);
    bus::lock(&gpio).written.clear();
    pin.drive(Level::High);
    pin.drive(Level::Low);
    for (register, value) in bus::lock(&gpio).written.drain(..) {
        let expected = BTreeMap::from([(0x400, 0b1010_0001), (0x420, 0b0100_0000)]);
        let kept = expected.get(&register).is_none_or(|kept| *kept == value);
        assert!(kept, "{register:#x} became {value:#x} meanwhile");
    }
    assert_eq!(pin.level(), Level::Low);
    pin.listen();
    assert_eq!(get(&gpio, 0x400), 0b1000_0001);
}
