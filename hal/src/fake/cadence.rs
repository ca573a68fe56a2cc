//! Cadence's UART, with what was written to it and what is there to read.

use std::collections::VecDeque;

use super::bus::{Registers, Width};

/// A Cadence UART, as it comes out of reset: with both directions off.
#[derive(Debug)]
pub struct Cadence {
    /// What the driver wrote.
    pub output: Vec<u8>,
    /// What is there to read.
    pub input: VecDeque<u8>,
    /// Whether the transmit FIFO is full for ever.
    pub stuck: bool,
    /// The control register.
    pub control: u32,
    /// The mode register.
    pub mode: u32,
    /// The interrupt mask.
    pub mask: u32,
    /// From how many bytes on the receiver interrupts.
    pub trigger: u32,
    /// What the FIFO had room for at the last look at it.
    pub room: usize,
}

impl Default for Cadence {
    fn default() -> Self {
        let (output, input) = (Vec::new(), VecDeque::new());
        Self { output, input, stuck: false, control: 0x128, mode: 0, mask: 0, trigger: 32, room: 0 }
    }
}

impl Cadence {
    /// Whether it interrupts.
    #[must_use]
    pub fn interrupts(&self) -> bool {
        self.mask & 1 != 0 && self.input.len() >= self.trigger as usize
    }
}

impl Registers for Cadence {
    fn read(&mut self, offset: usize, width: Width) -> u32 {
        assert_eq!(width, Width::Bits32, "registers have 32 bits");
        match offset {
            0x00 => self.control,
            0x04 => self.mode,
            0x18 => 0x28b,
            0x2c => {
                self.room = if self.stuck { 0 } else { 64 };
                let empty = if self.input.is_empty() { 1 << 1 } else { 0 };
                empty | if self.stuck { 1 << 4 } else { 1 << 3 }
            }
            0x30 => self.input.pop_front().map_or(0, u32::from),
            _ => panic!("read of register {offset:#x}"),
        }
    }

    fn write(&mut self, offset: usize, _width: Width, value: u32) {
        match offset {
            0x00 => self.control = value,
            0x04 => {
                assert_ne!(self.control & 0x20, 0, "the mode of a port that is on");
                self.mode = value;
            }
            0x08 => self.mask |= value,
            0x0c => self.mask &= !value,
            0x14 => {}
            0x20 => self.trigger = value,
            0x30 => {
                assert_eq!(self.control & 0x30, 0x10, "the transmitter is off");
                self.room = self.room.checked_sub(1).expect("more than there was room for");
                self.output.push((value & 0xff) as u8);
            }
            _ => panic!("write of {value:#x} to register {offset:#x}"),
        }
    }
}
