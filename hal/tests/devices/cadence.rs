//! Cadence's UART.

use std::sync::{Arc, Mutex};

use elone_hal::attempt::Absent;
use elone_hal::fake::{bus, cadence};
use elone_hal::uart::Received::Byte;
use elone_hal::uart::{Cadence, Uart};

#[expect(clippy::unwrap_used, reason = "only for tests")]
fn port(port: cadence::Cadence) -> (Arc<Mutex<cadence::Cadence>>, Uart) {
    let port = Arc::new(Mutex::new(port));
    let uart = Uart::Cadence(Cadence::find(bus::place(&port, 0x1000)).unwrap());
    (port, uart)
}

#[test]
fn a_port_that_nobody_set_up_is_enabled_and_written_to() {
    let (fake, uart) = port(cadence::Cadence::default());
    let text: Vec<u8> = (0..200).collect();
    assert_eq!(uart.write(&text), 200, "the FIFO has room for 64 at a time");
    let fake = bus::lock(&fake);
    assert_eq!(fake.output, text);
    assert_eq!((fake.control & 0x3c, fake.mode), (0x14, 0x20));
}

/// The fake refuses a mode that is written to a port that is on.
#[test]
fn a_port_that_firmware_set_up_keeps_its_mode() {
    let (fake, uart) = port(cadence::Cadence { control: 0x114, ..cadence::Cadence::default() });
    assert_eq!(uart.write(b"x"), 1);
    let fake = bus::lock(&fake);
    assert_eq!((fake.control, fake.mode), (0x114, 0));
}

#[test]
#[cfg_attr(miri, ignore = "200,000 reads")]
fn a_port_that_takes_nothing_does_not_stop_the_machine() {
    let (fake, uart) = port(cadence::Cadence { stuck: true, ..cadence::Cadence::default() });
    assert_eq!(uart.write(b"lost"), 0);
    assert!(bus::lock(&fake).output.is_empty());
}

#[test]
fn one_byte_interrupts_and_is_read() {
    let (fake, uart) = port(cadence::Cadence::default());
    assert_eq!(uart.receive(), None);
    uart.enable_receive_interrupt();
    assert!(!bus::lock(&fake).interrupts());
    bus::lock(&fake).input.extend(*b"ab");
    assert!(bus::lock(&fake).interrupts());
    uart.disable_interrupts();
    assert!(!bus::lock(&fake).interrupts());
    assert_eq!(
        [uart.receive(), uart.receive(), uart.receive()],
        [Some(Byte(b'a')), Some(Byte(b'b')), None]
    );
}

/// Memory that holds nothing, and a bus that answers for nobody.
#[test]
fn what_is_no_port_is_not_taken_for_one() {
    for value in [0, u32::MAX] {
        let nothing = Arc::new(Mutex::new(Constant(value)));
        assert_eq!(Cadence::find(bus::place(&nothing, 0x1000)).err(), Some(Absent));
    }
}

struct Constant(u32);

impl bus::Registers for Constant {
    fn read(&mut self, _: usize, _: bus::Width) -> u32 {
        self.0
    }

    fn write(&mut self, offset: usize, _: bus::Width, _: u32) {
        panic!("write to register {offset:#x}")
    }
}
