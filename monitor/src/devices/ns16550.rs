//! A 16550A serial port: `vm-superio`'s, with an interrupt line that may be a level.

use std::io::Write;

use vm_superio::Serial;
use vm_superio::serial::NoEvents;

use super::typed::Typed;
use crate::bell::Bell;
use crate::bus::Device;
use crate::line::Signal;

/// Where what is sent goes.
pub(super) type Output = Box<dyn Write + Send>;

/// A received byte, and room to send, may be asked for by interrupt (interrupt enable register); a byte
/// is there (line status register); the transmitter wants more (interrupt identification register).
const ENABLE_RECEIVED: u8 = 1;
const ENABLE_SENT: u8 = 0b10;
const DATA_READY: u8 = 1;
const TRANSMITTER_EMPTY: u8 = 0b10;

/// The port.
pub struct Ns16550 {
    port: Serial<Signal, NoEvents, Output>,
    signal: Signal,
    register_shift: u32,
    /// What was typed and has not found room in the port's buffer.
    typed: Typed,
}

impl Ns16550 {
    /// A port whose register `n` is at offset `n << register_shift`.
    #[must_use]
    pub fn new(
        signal: Signal,
        bell: Bell,
        register_shift: u32,
        output: Box<dyn Write + Send>,
    ) -> Self {
        let port = Serial::new(signal.clone(), output);
        Self { port, signal, register_shift, typed: Typed::new(bell) }
    }

    /// The register at `offset`, if one is there.
    fn register(&self, offset: u64) -> Option<u8> {
        let register = offset >> self.register_shift;
        let begins = register << self.register_shift == offset;
        u8::try_from(register).ok().filter(|register| begins && *register < 8)
    }

    /// Moves what was typed into the port, then has the line show what the port wants.
    fn settle(&mut self) {
        while !self.typed.is_empty() && self.port.fifo_capacity() > 0 {
            // It fails where the port is looped back on itself: then nothing can be typed.
            let Ok(taken @ 1..) = self.port.enqueue_raw_bytes(self.typed.first()) else { break };
            self.typed.take(taken);
        }
        let state = self.port.state();
        let received =
            state.interrupt_enable & ENABLE_RECEIVED != 0 && state.line_status & DATA_READY != 0;
        // The identification keeps what was pending when the driver stopped asking for it.
        let sent = state.interrupt_enable & ENABLE_SENT != 0
            && state.interrupt_identification & TRANSMITTER_EMPTY != 0;
        self.signal.settle(received || sent);
    }
}

impl std::fmt::Debug for Ns16550 {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ns16550").field("typed", &self.typed.len()).finish_non_exhaustive()
    }
}

impl Device for Ns16550 {
    fn read(&mut self, offset: u64, data: &mut [u8]) {
        if let (Some(register), [first, ..]) = (self.register(offset), data) {
            *first = self.port.read(register);
            self.settle();
        }
    }

    fn write(&mut self, offset: u64, data: &[u8]) {
        if let (Some(register), [first, ..]) = (self.register(offset), data) {
            // What cannot be said is lost, as on a wire: the guest goes on.
            let _lost = self.port.write(register, *first);
            self.settle();
        }
    }

    fn type_in(&mut self, typed: &[u8]) {
        self.typed.extend(typed);
        self.settle();
    }

    fn takes_more(&self) -> bool {
        !self.typed.is_enough()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::line::fake::Wire;
    use crate::map::Trigger;

    const DATA: u64 = 0;
    const ENABLE: u64 = 1;
    const IDENTIFICATION: u64 = 2;
    const STATUS: u64 = 5;

    fn port(shift: u32, trigger: Trigger) -> (Ns16550, Wire) {
        let wire = Wire::default();
        (
            Ns16550::new(
                wire.signal(trigger),
                Bell::new().unwrap(),
                shift,
                Box::new(std::io::sink()),
            ),
            wire,
        )
    }

    fn read(port: &mut Ns16550, offset: u64) -> u8 {
        let mut byte = [0];
        port.read(offset, &mut byte);
        byte[0]
    }

    #[test]
    fn a_level_stays_up_until_all_is_read() {
        let (mut port, wire) = port(0, Trigger::Level);
        port.write(ENABLE, &[ENABLE_RECEIVED]);
        port.type_in(b"ab");
        assert_eq!(wire.history(), [true]);
        let _identified = read(&mut port, IDENTIFICATION);
        assert_eq!(read(&mut port, DATA), b'a');
        assert_eq!(wire.history(), [false; 0]);
        assert_eq!(read(&mut port, DATA), b'b');
        assert_eq!(wire.history(), [false]);
    }

    #[test]
    fn room_to_send_is_told_only_as_long_as_it_is_asked_for() {
        let (mut port, wire) = port(0, Trigger::Level);
        port.write(ENABLE, &[ENABLE_SENT]);
        port.write(DATA, b"x");
        assert_eq!(wire.history(), [true]);
        port.write(ENABLE, &[0]);
        assert_eq!(wire.history(), [false]);
    }

    #[test]
    fn what_does_not_fit_waits_and_raises_another_edge() {
        let (mut port, wire) = port(0, Trigger::Edge);
        port.write(ENABLE, &[ENABLE_RECEIVED]);
        let typed: Vec<u8> = (0..100).collect();
        port.type_in(&typed);
        let mut edges = wire.history().len();
        let mut read_back = Vec::new();
        while read(&mut port, STATUS) & DATA_READY != 0 {
            read_back.push(read(&mut port, DATA));
            edges += wire.history().len();
        }
        assert_eq!(read_back, typed);
        assert!(edges >= 4, "{edges}");
    }

    #[test]
    fn registers_may_lie_apart() {
        let (mut port, _) = port(2, Trigger::Level);
        port.type_in(b"x");
        assert_eq!(read(&mut port, STATUS << 2) & DATA_READY, DATA_READY);
        assert_eq!([read(&mut port, 1), read(&mut port, 0)], [0, b'x']);
    }
}
