//! Serial ports and the clock.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use elone_hal::attempt::Absent;
use elone_hal::fake::bus::{self, Width};
use elone_hal::fake::{clock, serial};
use elone_hal::mmio::Window;
use elone_hal::rtc::Pl031;
use elone_hal::uart::Received::{self, Byte};
use elone_hal::uart::{Ns16550, Pl011, RegisterWidth, Uart};

type Shared<T> = Arc<Mutex<T>>;

fn pl011(port: serial::Pl011) -> (Shared<serial::Pl011>, Uart) {
    let port = Arc::new(Mutex::new(port));
    let uart = Uart::Pl011(Pl011::start(bus::place(&port, 0x1000)));
    (port, uart)
}

fn ns16550(port: serial::Ns16550) -> (Shared<serial::Ns16550>, Uart) {
    let (shift, width) = (port.shift, port.width);
    let width = if width == Width::Bits8 { RegisterWidth::Bits8 } else { RegisterWidth::Bits32 };
    let port = Arc::new(Mutex::new(port));
    let uart = Uart::Ns16550(Ns16550::start(bus::place(&port, 0x100), shift, width));
    (port, uart)
}

const TEXT: &[u8] = b"a line that is longer than any FIFO of sixteen bytes";

#[test]
fn all_bytes_are_written_in_order() {
    let (port, uart) = pl011(serial::Pl011::default());
    assert_eq!(uart.write(TEXT), TEXT.len());
    uart.write_byte(b'!');
    assert_eq!(bus::lock(&port).output, [TEXT, b"!"].concat());

    for (shift, width, has_fifos) in [(0, Width::Bits8, true), (2, Width::Bits32, false)] {
        let (port, uart) =
            ns16550(serial::Ns16550 { has_fifos, ..serial::Ns16550::new(shift, width) });
        assert_eq!(uart.write(TEXT), TEXT.len());
        assert_eq!(bus::lock(&port).output, TEXT);
    }
}

#[test]
#[cfg_attr(miri, ignore = "200,000 reads")]
fn a_port_that_takes_nothing_does_not_stop_the_machine() {
    let (port, uart) = pl011(serial::Pl011 { stuck: true, ..serial::Pl011::default() });
    assert_eq!(uart.write(b"lost"), 0);
    assert!(bus::lock(&port).output.is_empty());

    let stuck = serial::Ns16550 { stuck: true, ..serial::Ns16550::new(0, Width::Bits8) };
    let (port, uart) = ns16550(stuck);
    assert_eq!(uart.write(b"lost"), 0);
    assert!(bus::lock(&port).output.is_empty());
}

#[test]
fn bytes_are_read_until_there_are_none() {
    let input = VecDeque::from(*b"ab");
    let (_, uart) = pl011(serial::Pl011 { input: input.clone(), ..serial::Pl011::default() });
    let read = [uart.receive(), uart.receive(), uart.receive()];
    assert_eq!(read, [Some(Byte(b'a')), Some(Byte(b'b')), None]);

    let (_, uart) = ns16550(serial::Ns16550 { input, ..serial::Ns16550::new(0, Width::Bits8) });
    let read = [uart.receive(), uart.receive(), uart.receive()];
    assert_eq!(read, [Some(Byte(b'a')), Some(Byte(b'b')), None]);
}

#[test]
fn a_break_is_told_from_a_byte_of_zero() {
    let expected = [Byte(0), Received::Break, Byte(b'o')].map(Some);
    let read = |uart: Uart| [uart.receive(), uart.receive(), uart.receive()];

    let input = VecDeque::from([0, 0, b'o']);
    let port = serial::Pl011 { input: input.clone(), breaks: vec![1], ..serial::Pl011::default() };
    assert_eq!(read(pl011(port).1), expected);

    let port = serial::Ns16550::new(0, Width::Bits8);
    assert_eq!(read(ns16550(serial::Ns16550 { input, breaks: vec![1], ..port }).1), expected);
}

#[test]
fn receive_interrupts_are_enabled_and_only_held_back() {
    let (port, uart) = pl011(serial::Pl011::default());
    uart.enable_receive_interrupt();
    assert_eq!(bus::lock(&port).mask, 0b101_0000);
    uart.disable_interrupts();
    assert_eq!(bus::lock(&port).mask, 0);
    assert_eq!(bus::lock(&port).cleared, 0, "what is pending is not lost");

    let (port, uart) = ns16550(serial::Ns16550::new(2, Width::Bits32));
    uart.enable_receive_interrupt();
    assert_eq!(bus::lock(&port).enabled, 1);
    uart.disable_interrupts();
    assert_eq!(bus::lock(&port).enabled, 0);
}

/// Control and line control.
fn registers(port: &Shared<serial::Pl011>) -> (u32, u32) {
    let port = bus::lock(port);
    (port.control, port.line)
}

#[test]
fn a_port_that_firmware_enabled_keeps_its_line_control() {
    let (port, _) = pl011(serial::Pl011 { control: 1, line: 0x60, ..serial::Pl011::default() });
    assert_eq!(registers(&port), (0x301, 0x60));
    let (port, _) = pl011(serial::Pl011::default());
    assert_eq!(registers(&port), (0x301, 0x70));
}

#[test]
fn a_generic_port_is_used_by_the_registers_that_it_has() {
    let mut port = serial::Generic::default();
    port.0.input = VecDeque::from(*b"ab");
    let port = Arc::new(Mutex::new(port));
    let window = bus::place(&port, 0x1000);
    let uart = Uart::Pl011(Pl011::find_generic(window).expect("it is there"));
    assert_eq!(uart.write(TEXT), TEXT.len());
    assert_eq!(bus::lock(&port).0.output, TEXT);
    uart.enable_receive_interrupt();
    assert_eq!(bus::lock(&port).0.mask, 0b101_0000);
    // It is there as well while it sends, and has something to read: no flag is set then.
    assert!(Pl011::find_generic(window).is_ok());
    let read = [uart.receive(), uart.receive(), uart.receive()];
    assert_eq!(read, [Some(Byte(b'a')), Some(Byte(b'b')), None]);
}

#[test]
fn the_clock_runs_and_tells_the_date() {
    let clock = Arc::new(Mutex::new(clock::Pl031 { seconds: 1_795_000_000, running: false }));
    let driver = Pl031::start(bus::place(&clock, 0x1000));
    assert!(bus::lock(&clock).running);
    assert_eq!(driver.date(), Ok(1_795_000_000_000_000_000));
}

/// Where no device is: nobody answers, or everything reads as zeros or ones.
fn nowhere() -> [Window; 3] {
    let all = |value| bus::place(&Arc::new(Mutex::new(bus::Nothing(value))), 0x1000);
    [bus::nobody(0x1000), all(0), all(u32::MAX)]
}

#[test]
fn a_port_that_is_not_there_is_told_and_not_written_to() {
    for window in nowhere() {
        assert_eq!(Pl011::find(window).err(), Some(Absent));
        assert_eq!(Pl011::find_generic(window).err(), Some(Absent));
        assert_eq!(Pl011::guess(window).err(), Some(Absent));
        for width in [RegisterWidth::Bits8, RegisterWidth::Bits32] {
            assert_eq!(Ns16550::find(window, 2, width).err(), Some(Absent));
        }
    }
    let too_short = bus::nobody(0x10);
    assert_eq!(Pl011::find(too_short).err(), Some(Absent), "there is no such register");
}

#[test]
fn a_port_that_is_there_is_found_whatever_firmware_has_left() {
    for (control, stuck) in [(0, false), (1, false), (0x301, true)] {
        let port = serial::Pl011 { control, stuck, ..serial::Pl011::default() };
        let port = Arc::new(Mutex::new(port));
        let window = bus::place(&port, 0x1000);
        assert!(Pl011::find(window).is_ok() && Pl011::guess(window).is_ok());
        assert_eq!(bus::lock(&port).control & 0x301, 0x301, "it is enabled");
    }
    for (shift, width, stuck) in [(0, Width::Bits8, false), (2, Width::Bits32, true)] {
        let port = serial::Ns16550 { stuck, ..serial::Ns16550::new(shift, width) };
        let by = if shift == 0 { RegisterWidth::Bits8 } else { RegisterWidth::Bits32 };
        assert!(Ns16550::find(bus::place(&Arc::new(Mutex::new(port)), 0x100), shift, by).is_ok());
    }
}

#[test]
fn a_guess_is_not_taken_for_a_port_that_is_something_else() {
    let memory = bus::place(&Arc::new(Mutex::new(bus::Nothing(0x90))), 0x1000);
    assert_eq!(Pl011::guess(memory).err(), Some(Absent));
}

#[test]
fn the_first_look_gives_what_there_is() {
    let clock = Arc::new(Mutex::new(clock::Pl031 { seconds: 5, running: true }));
    let window = bus::place(&clock, 0x1000);
    assert_eq!(window.attempt32(0), Ok(5));
    assert_eq!(window.attempt32(2), Err(Absent), "no register is there");
    assert_eq!(window.attempt32(0x1000), Err(Absent));
    assert_eq!(bus::nobody(0x10).attempt8(0), Err(Absent));
}
