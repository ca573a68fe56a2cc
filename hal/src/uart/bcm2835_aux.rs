//! The mini UART of Broadcom's BCM2835 and later (BCM2835 ARM Peripherals, section 2.2): the
//! registers of a 16550, some of them, with other things in them. Among the differences: a FIFO of
//! eight, one bit that says there is room and another that there is nothing left, and no breaks.
//!
//! It is part of a block of three, in which it has to be enabled before it answers.

use super::Received;
use crate::attempt::Absent;
use crate::mmio::Window;

/// Registers, by the manual's names, without the `AUX_MU_` that all of them begin with, and from the
/// mini UART's first one on, as device trees have it (0x40 in the manual's table).
const IO: usize = 0x00;
const IER: usize = 0x04;
const LSR: usize = 0x14;
const CNTL: usize = 0x20;

/// The block's own register (`AUX_ENABLES`): the mini UART's bit.
const ENABLES: usize = 0x4;
const MINI_UART: u32 = 1 << 0;

/// Interrupt enable: as in a 16550, bit 0 is the receiver's, against the manual (which has it the
/// other way round), and without bit 2, of which the manual says nothing, it does not interrupt.
const RECEIVE: u32 = 1 << 0 | 1 << 2;
/// Line status: there is something to read; there is room for one byte more; all has been sent.
const DATA_READY: u32 = 1 << 0;
const ROOM: u32 = 1 << 5;
const IDLE: u32 = 1 << 6;
/// Extra control: both directions are enabled.
const RECEIVER: u32 = 1 << 0;
const TRANSMITTER: u32 = 1 << 1;

/// How many bytes fit into either FIFO.
const DEPTH: usize = 8;

/// A mini UART.
#[derive(Clone, Copy, Debug)]
pub struct Bcm2835Aux {
    registers: Window,
}

impl Bcm2835Aux {
    /// Enables the mini UART in its block, whose registers are behind `block`: without that it has
    /// none of its own. Its two neighbours there are left as they are.
    ///
    /// # Errors
    /// [`Absent`]: nobody answers.
    pub fn power_up(block: Window) -> Result<(), Absent> {
        let enabled = block.attempt32(ENABLES)?;
        if enabled & MINI_UART == 0 {
            block.write32(ENABLES, enabled | MINI_UART);
        }
        Ok(())
    }

    /// Takes the port over as firmware left it, with both directions enabled.
    ///
    /// # Errors
    /// [`Absent`]: nobody answers, or with nothing but ones; or there is neither room nor anything to
    /// send, and nothing is enabled either.
    pub fn find(registers: Window) -> Result<Self, Absent> {
        let status = registers.attempt32(LSR)?;
        let control = registers.read32(CNTL);
        if status == u32::MAX || status | control == 0 {
            return Err(Absent);
        }
        if control & (RECEIVER | TRANSMITTER) != RECEIVER | TRANSMITTER {
            registers.write32(CNTL, control | RECEIVER | TRANSMITTER);
        }
        Ok(Self { registers })
    }

    /// How many bytes can be put now.
    pub(super) fn room(self) -> usize {
        let status = self.registers.read32(LSR);
        match (status & IDLE, status & ROOM) {
            (IDLE, _) => DEPTH,
            (_, ROOM) => 1,
            _ => 0,
        }
    }

    pub(super) fn put(self, byte: u8) {
        self.registers.write32(IO, u32::from(byte));
    }

    pub(super) fn receive(self) -> Option<Received> {
        let is_ready = self.registers.read32(LSR) & DATA_READY != 0;
        is_ready.then(|| Received::Byte((self.registers.read32(IO) & 0xff) as u8))
    }

    pub(super) fn enable_receive_interrupt(self) {
        self.registers.write32(IER, RECEIVE);
    }

    pub(super) fn disable_interrupts(self) {
        self.registers.write32(IER, 0);
    }
}
