//! 16550 and compatible, after the PC16550D data sheet (National Semiconductor, 1995), section 8.

use super::{FIFO, Received};
use crate::attempt::Absent;
use crate::mmio::Window;

/// Registers, by the data sheet's names, counted as it counts them (table I).
const DATA: usize = 0; // RBR when read, THR when written
const IER: usize = 1;
const IIR: usize = 2; // FCR when written
const LCR: usize = 3;
const MCR: usize = 4;
const LSR: usize = 5;

/// Interrupt enable: received data (section 8.7).
const RECEIVED_DATA: u8 = 1 << 0;
/// FIFO control: enable both; interrupt identification: both are enabled (sections 8.4 and 8.6).
const FIFO_ENABLE: u8 = 1 << 0;
const FIFOS_ENABLED: u8 = 0b11 << 6;
/// Line control: registers 0 and 1 hold the baud rate's divisor (section 8.1).
const DLAB: u8 = 1 << 7;
/// Modem control: on PCs, and what takes after them, lets the interrupt out (section 8.8).
const OUT_2: u8 = 1 << 3;
/// Line status: there is something to read; it is a break; there is room to write (section 8.3).
const DATA_READY: u8 = 1 << 0;
const BREAK: u8 = 1 << 4;
const HOLDING_EMPTY: u8 = 1 << 5;

/// How wide an access to a register must be: the device tree's `reg-io-width`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RegisterWidth {
    /// One byte.
    Bits8,
    /// Four bytes, of which the lowest counts.
    Bits32,
}

/// A 16550.
#[derive(Clone, Copy, Debug)]
pub struct Ns16550 {
    registers: Window,
    /// Registers are `1 << shift` bytes apart.
    shift: u32,
    width: RegisterWidth,
    /// How many bytes fit while the transmitter is empty.
    depth: usize,
}

impl Ns16550 {
    /// As [`start`](Self::start), of a port that somebody says is there.
    ///
    /// # Errors
    /// [`Absent`]: nobody answers, or with nothing but zeros or ones. No port is at once without room
    /// and without anything to send, and set up for words of five bits besides.
    pub fn find(registers: Window, shift: u32, width: RegisterWidth) -> Result<Self, Absent> {
        let offset = LSR << shift;
        let status = match width {
            RegisterWidth::Bits8 => registers.attempt8(offset)?,
            RegisterWidth::Bits32 => (registers.attempt32(offset)? & 0xff) as u8,
        };
        let port = Self { registers, shift, width, depth: 1 };
        if status == u8::MAX || status | port.read(IIR) | port.read(LCR) == 0 {
            return Err(Absent);
        }
        Ok(Self::start(registers, shift, width))
    }

    /// Takes the port over as firmware left it, and enables its FIFOs where it has any. `shift` is
    /// the device tree's `reg-shift`: registers are `1 << shift` bytes apart.
    #[must_use]
    pub fn start(registers: Window, shift: u32, width: RegisterWidth) -> Self {
        let mut port = Self { registers, shift, width, depth: 1 };
        let line = port.read(LCR);
        if line & DLAB != 0 {
            port.write(LCR, line & !DLAB);
        }
        port.write(IIR, FIFO_ENABLE);
        if port.read(IIR) & FIFOS_ENABLED == FIFOS_ENABLED {
            port.depth = FIFO;
        }
        port
    }

    fn read(self, register: usize) -> u8 {
        let offset = register << self.shift;
        match self.width {
            RegisterWidth::Bits8 => self.registers.read8(offset),
            RegisterWidth::Bits32 => (self.registers.read32(offset) & 0xff) as u8,
        }
    }

    fn write(self, register: usize, value: u8) {
        let offset = register << self.shift;
        match self.width {
            RegisterWidth::Bits8 => self.registers.write8(offset, value),
            RegisterWidth::Bits32 => self.registers.write32(offset, u32::from(value)),
        }
    }

    /// How many bytes can be put now. With FIFOs the bit says that the whole one is empty.
    pub(super) fn room(self) -> usize {
        if self.read(LSR) & HOLDING_EMPTY == 0 { 0 } else { self.depth }
    }

    pub(super) fn put(self, byte: u8) {
        self.write(DATA, byte);
    }

    /// A break takes a place of its own in the FIFO, with a byte of zero. That it was one is told
    /// once, to whoever looks at the line next: somebody who writes just then may look first, and
    /// whoever sent it has to send it again.
    pub(super) fn receive(self) -> Option<Received> {
        let line = self.read(LSR);
        let data = (line & DATA_READY != 0).then(|| self.read(DATA))?;
        Some(if line & BREAK == 0 { Received::Byte(data) } else { Received::Break })
    }

    pub(super) fn enable_receive_interrupt(self) {
        self.write(MCR, self.read(MCR) | OUT_2);
        self.write(IER, RECEIVED_DATA);
    }

    pub(super) fn disable_interrupts(self) {
        self.write(IER, 0);
    }
}
