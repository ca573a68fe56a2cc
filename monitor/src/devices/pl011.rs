//! A PL011 serial port (Arm DDI 0183), as far as a console uses one. It sends at once, so that it is
//! never busy; it has no modem lines and no errors.

use std::io::Write;

use super::ns16550::Output;
use super::typed::Typed;
use crate::bell::Bell;
use crate::bus::Device;
use crate::line::Signal;

/// Registers (section 3.2).
const DATA: u64 = 0x00;
const FLAGS: u64 = 0x18;
const INTEGER_BAUD_RATE: u64 = 0x24;
const INTERRUPT_MASK: u64 = 0x38;
const RAW_INTERRUPTS: u64 = 0x3c;
const MASKED_INTERRUPTS: u64 = 0x40;
const INTERRUPT_CLEAR: u64 = 0x44;
const IDENTIFICATION: u64 = 0xfe0;
/// What the last eight registers say: a PL011, revision 1 (section 3.3.15 on).
const IDENTITY: [u8; 8] = [0x11, 0x10, 0x14, 0x00, 0x0d, 0xf0, 0x05, 0xb1];
/// Flags: nothing was received; there is nothing left to send.
const RECEIVE_EMPTY: u32 = 1 << 4;
const TRANSMIT_EMPTY: u32 = 1 << 7;
/// Interrupts: something was received; there is room to send.
const RECEIVED: u32 = 1 << 4;
const TRANSMITTED: u32 = 1 << 5;

/// The port.
pub struct Pl011 {
    output: Output,
    signal: Signal,
    /// What was typed and not yet read.
    typed: Typed,
    mask: u32,
    /// Whether something was sent since the interrupt for that was last cleared.
    transmitted: bool,
    /// Registers that are only kept: baud rate, line control, control, level selection.
    kept: [u32; 5],
}

impl Pl011 {
    /// A port.
    #[must_use]
    pub fn new(signal: Signal, bell: Bell, output: Box<dyn Write + Send>) -> Self {
        let typed = Typed::new(bell);
        Self { output, signal, typed, mask: 0, transmitted: false, kept: [0, 0, 0, 0x300, 0x12] }
    }

    fn raw(&self) -> u32 {
        let received = if self.typed.is_empty() { 0 } else { RECEIVED };
        received | if self.transmitted { TRANSMITTED } else { 0 }
    }

    fn settle(&self) {
        self.signal.follow(self.raw() & self.mask != 0);
    }

    /// The place of a register that is only kept.
    fn kept(&mut self, offset: u64) -> Option<&mut u32> {
        let index = offset.checked_sub(INTEGER_BAUD_RATE)? / 4;
        self.kept.get_mut(usize::try_from(index).ok()?)
    }

    fn register(&mut self, offset: u64) -> u32 {
        match offset {
            DATA => self.typed.pop().map_or(0, u32::from),
            FLAGS => TRANSMIT_EMPTY | if self.typed.is_empty() { RECEIVE_EMPTY } else { 0 },
            INTERRUPT_MASK => self.mask,
            RAW_INTERRUPTS => self.raw(),
            MASKED_INTERRUPTS => self.raw() & self.mask,
            IDENTIFICATION.. => {
                let index = usize::try_from((offset - IDENTIFICATION) / 4).unwrap_or(usize::MAX);
                IDENTITY.get(index).copied().unwrap_or(0).into()
            }
            _ => self.kept(offset).copied().unwrap_or(0),
        }
    }
}

impl std::fmt::Debug for Pl011 {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pl011").field("typed", &self.typed.len()).finish_non_exhaustive()
    }
}

impl Device for Pl011 {
    fn read(&mut self, offset: u64, data: &mut [u8]) {
        let register = self.register(offset).to_le_bytes();
        let length = data.len().min(register.len());
        data[..length].copy_from_slice(&register[..length]);
        self.settle();
    }

    fn write(&mut self, offset: u64, data: &[u8]) {
        let mut register = [0; 4];
        let length = data.len().min(register.len());
        register[..length].copy_from_slice(&data[..length]);
        let value = u32::from_le_bytes(register);
        match offset {
            DATA => {
                // What cannot be said is lost, as on a wire: the guest goes on.
                let _lost =
                    self.output.write_all(&register[..1]).and_then(|()| self.output.flush());
                self.transmitted = true;
            }
            INTERRUPT_MASK => self.mask = value,
            INTERRUPT_CLEAR => self.transmitted &= value & TRANSMITTED == 0,
            _ => {
                if let Some(kept) = self.kept(offset) {
                    *kept = value;
                }
            }
        }
        self.settle();
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

    fn read(port: &mut Pl011, offset: u64) -> u32 {
        let mut word = [0; 4];
        port.read(offset, &mut word);
        u32::from_le_bytes(word)
    }

    #[test]
    fn its_line_is_up_while_something_is_to_be_read() {
        let wire = Wire::default();
        let mut port = Pl011::new(
            wire.signal(Trigger::Level),
            Bell::new().unwrap(),
            Box::new(std::io::sink()),
        );
        port.type_in(b"a");
        assert_eq!(wire.history(), [true; 0], "masked");
        port.write(INTERRUPT_MASK, &RECEIVED.to_le_bytes());
        assert_eq!(wire.history(), [true]);
        assert_eq!(read(&mut port, FLAGS) & RECEIVE_EMPTY, 0);
        assert_eq!(read(&mut port, DATA), u32::from(b'a'));
        assert_eq!(read(&mut port, FLAGS) & RECEIVE_EMPTY, RECEIVE_EMPTY);
        assert_eq!(wire.history(), [false]);
    }

    #[test]
    fn it_says_what_it_is_and_keeps_what_it_is_told() {
        let wire = Wire::default();
        let mut port = Pl011::new(
            wire.signal(Trigger::Level),
            Bell::new().unwrap(),
            Box::new(std::io::sink()),
        );
        assert_eq!([read(&mut port, 0xfe0), read(&mut port, 0xffc)], [0x11, 0xb1]);
        port.write(0x30, &0x301_u32.to_le_bytes());
        assert_eq!([read(&mut port, 0x30), read(&mut port, 0x100)], [0x301, 0]);
        port.write(INTERRUPT_MASK, &TRANSMITTED.to_le_bytes());
        port.write(DATA, b"x");
        port.write(INTERRUPT_CLEAR, &TRANSMITTED.to_le_bytes());
        assert_eq!(wire.history(), [true, false]);
    }
}
