//! PrimeCell UART (PL011), after its Technical Reference Manual (Arm DDI 0183G), chapter 3; and what
//! is left of it in the SBSA's generic UART (Arm DEN 0029, appendix B).

use super::{FIFO, Received};
use crate::attempt::Absent;
use crate::mmio::Window;

/// Registers, by the manual's names (table 3-1).
const UARTDR: usize = 0x000;
const UARTFR: usize = 0x018;
const UARTLCR_H: usize = 0x02c;
const UARTCR: usize = 0x030;
const UARTIMSC: usize = 0x038;
const UARTRIS: usize = 0x03c;

/// "PrimeCell identification" (section 3.3.19): a byte of it in each of four registers from here on.
const UARTPCELLID: usize = 0xff0;
const PRIMECELL: [u32; 4] = [0x0d, 0xf0, 0x05, 0xb1];

/// Flags: the receive FIFO is empty, the transmit FIFO is full, or empty (section 3.3.3).
const RXFE: u32 = 1 << 4;
const TXFF: u32 = 1 << 5;
const TXFE: u32 = 1 << 7;

/// Data: what was received is a break (section 3.3.1).
const BE: u32 = 1 << 10;

/// Line control: FIFOs enabled, words of eight bits (section 3.3.7).
const FEN: u32 = 1 << 4;
const WLEN_8: u32 = 0b11 << 5;

/// Control: the port, its transmitter and its receiver are enabled (section 3.3.8).
const UARTEN: u32 = 1 << 0;
const TXE: u32 = 1 << 8;
const RXE: u32 = 1 << 9;

/// Interrupts: bytes are there, and few bytes are there for long (section 3.3.10).
const RECEIVE: u32 = 1 << 4 | 1 << 6;

/// A PL011.
#[derive(Clone, Copy, Debug)]
pub struct Pl011 {
    registers: Window,
    /// How many bytes fit while the transmitter is empty.
    depth: usize,
}

impl Pl011 {
    /// As [`start`](Self::start), of a port that somebody says is there.
    ///
    /// # Errors
    /// [`Absent`]: nobody answers, or with nothing but zeros or ones. No port is disabled with its
    /// transmitter neither empty nor full.
    pub fn find(registers: Window) -> Result<Self, Absent> {
        let flags = registers.attempt32(UARTFR)?;
        if flags == u32::MAX || flags | registers.read32(UARTCR) == 0 {
            return Err(Absent);
        }
        Ok(Self::start(registers))
    }

    /// As [`start`](Self::start), of a port of which it is only guessed that it is there.
    ///
    /// # Errors
    /// [`Absent`]: nobody answers, or whoever does is no PrimeCell.
    pub fn guess(registers: Window) -> Result<Self, Absent> {
        for (place, expected) in (0..).zip(PRIMECELL) {
            if registers.attempt32(UARTPCELLID + 4 * place)? & 0xff != expected {
                return Err(Absent);
            }
        }
        Ok(Self::start(registers))
    }

    /// Takes over a generic UART, which has neither line control nor control: it is on, and its FIFOs
    /// are. Xen gives its guests one.
    ///
    /// # Errors
    /// [`Absent`]: nobody answers, or with nothing but zeros or ones. A port that is busy with what was
    /// sent and has something to read has an interrupt for that.
    pub fn find_generic(registers: Window) -> Result<Self, Absent> {
        let flags = registers.attempt32(UARTFR)?;
        if flags == u32::MAX || flags | registers.read32(UARTRIS) == 0 {
            return Err(Absent);
        }
        Ok(Self { registers, depth: FIFO })
    }

    /// Takes the port over as firmware left it, or enables it where nobody has.
    #[must_use]
    pub fn start(registers: Window) -> Self {
        let control = registers.read32(UARTCR);
        if control & UARTEN == 0 {
            // Line control may only be written while the port is disabled (section 3.3.8).
            registers.write32(UARTLCR_H, WLEN_8 | FEN);
        }
        if control & (UARTEN | TXE | RXE) != UARTEN | TXE | RXE {
            registers.write32(UARTCR, control | UARTEN | TXE | RXE);
        }
        let depth = if registers.read32(UARTLCR_H) & FEN == 0 { 1 } else { FIFO };
        Self { registers, depth }
    }

    /// How many bytes can be put now.
    pub(super) fn room(self) -> usize {
        let flags = self.registers.read32(UARTFR);
        match (flags & TXFE, flags & TXFF) {
            (TXFE, _) => self.depth,
            (_, TXFF) => 0,
            _ => 1,
        }
    }

    pub(super) fn put(self, byte: u8) {
        self.registers.write32(UARTDR, u32::from(byte));
    }

    pub(super) fn receive(self) -> Option<Received> {
        if self.registers.read32(UARTFR) & RXFE != 0 {
            return None;
        }
        let data = self.registers.read32(UARTDR);
        if data & BE != 0 {
            return Some(Received::Break);
        }
        // Other bits say what was wrong with the byte; a wrong byte is better than none.
        Some(Received::Byte((data & 0xff) as u8))
    }

    pub(super) fn enable_receive_interrupt(self) {
        self.registers.write32(UARTIMSC, RECEIVE);
    }

    pub(super) fn disable_interrupts(self) {
        self.registers.write32(UARTIMSC, 0);
    }
}
