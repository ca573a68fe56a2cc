//! Cadence's UART as it is in Xilinx' Zynq-7000 and Zynq UltraScale+, after their manuals (UG585,
//! appendix B.33; UG1087, "UART Module").
//!
//! It has FIFOs of 64 bytes, and interrupts that stay noted until they are cleared. Breaks are not
//! told from bytes: only later revisions can.

use super::Received;
use crate::attempt::Absent;
use crate::mmio::Window;

/// Registers, by the manual's names.
const CONTROL: usize = 0x00;
const MODE: usize = 0x04;
const INTERRUPT_ENABLE: usize = 0x08;
const INTERRUPT_DISABLE: usize = 0x0c;
const INTERRUPT_STATUS: usize = 0x14;
const BAUD_RATE_GENERATOR: usize = 0x18;
const RECEIVER_TRIGGER: usize = 0x20;
const STATUS: usize = 0x2c;
const FIFO: usize = 0x30;

/// Control: each direction has a bit that enables it and one that disables it, which counts more.
const RECEIVER: u32 = 1 << 2;
const RECEIVER_OFF: u32 = 1 << 3;
const TRANSMITTER: u32 = 1 << 4;
const TRANSMITTER_OFF: u32 = 1 << 5;
/// Mode: words of eight bits, one stop bit, no parity.
const EIGHT_BITS_NO_PARITY: u32 = 1 << 5;
/// Interrupts: the receiver's FIFO holds as much as its trigger says.
const TRIGGERED: u32 = 1 << 0;
const ALL: u32 = 0x1fff;
/// Status: the receiver's FIFO is empty; the transmitter's is empty, or full.
const NOTHING_RECEIVED: u32 = 1 << 1;
const IDLE: u32 = 1 << 3;
const FULL: u32 = 1 << 4;

/// How many bytes fit into either FIFO.
const DEPTH: usize = 64;

/// A Cadence UART.
#[derive(Clone, Copy, Debug)]
pub struct Cadence {
    registers: Window,
}

impl Cadence {
    /// Takes the port over as firmware left it, or enables it where nobody has.
    ///
    /// # Errors
    /// [`Absent`]: nobody answers, or with nothing but ones or zeros (no port has a baud rate of 0 and
    /// is neither idle nor busy), or with a FIFO that is empty and full.
    pub fn find(registers: Window) -> Result<Self, Absent> {
        let status = registers.attempt32(STATUS)?;
        let both = status & (IDLE | FULL) == IDLE | FULL;
        if both || status | registers.read32(BAUD_RATE_GENERATOR) == 0 {
            return Err(Absent);
        }
        let control = registers.read32(CONTROL);
        let (on, off) = (RECEIVER | TRANSMITTER, RECEIVER_OFF | TRANSMITTER_OFF);
        if control & TRANSMITTER == 0 || control & TRANSMITTER_OFF != 0 {
            registers.write32(MODE, EIGHT_BITS_NO_PARITY);
        }
        if control & (on | off) != on {
            registers.write32(CONTROL, control & !off | on);
        }
        Ok(Self { registers })
    }

    /// How many bytes can be put now.
    pub(super) fn room(self) -> usize {
        let status = self.registers.read32(STATUS);
        match (status & IDLE, status & FULL) {
            (IDLE, _) => DEPTH,
            (_, FULL) => 0,
            _ => 1,
        }
    }

    pub(super) fn put(self, byte: u8) {
        self.registers.write32(FIFO, u32::from(byte));
    }

    pub(super) fn receive(self) -> Option<Received> {
        let is_empty = self.registers.read32(STATUS) & NOTHING_RECEIVED != 0;
        (!is_empty).then(|| Received::Byte((self.registers.read32(FIFO) & 0xff) as u8))
    }

    /// What was noted before is forgotten first: it is noted again for as long as there is something
    /// to read.
    pub(super) fn enable_receive_interrupt(self) {
        self.registers.write32(RECEIVER_TRIGGER, 1);
        self.registers.write32(INTERRUPT_STATUS, TRIGGERED);
        self.registers.write32(INTERRUPT_ENABLE, TRIGGERED);
    }

    pub(super) fn disable_interrupts(self) {
        self.registers.write32(INTERRUPT_DISABLE, ALL);
    }
}
