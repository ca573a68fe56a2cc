//! Serial ports: a PL011 and a 16550, with what was written to them and what is there to read.

use std::collections::VecDeque;
use std::ops::RangeInclusive;

use super::bus::{Registers, Width};

/// A PL011.
#[derive(Debug, Default)]
pub struct Pl011 {
    /// What the driver wrote.
    pub output: Vec<u8>,
    /// What is there to read.
    pub input: VecDeque<u8>,
    /// Which of what is read are breaks, counted from 0, in order.
    pub breaks: Vec<usize>,
    /// How much was read.
    pub taken: usize,
    /// Whether the transmit FIFO is full for ever.
    pub stuck: bool,
    /// The control register.
    pub control: u32,
    /// The line control register.
    pub line: u32,
    /// The interrupt mask.
    pub mask: u32,
    /// Which interrupts were cleared.
    pub cleared: u32,
}

impl Pl011 {
    /// Registers that a driver on a hypervisor has no business with: baud rate and DMA.
    const BAUD: RangeInclusive<usize> = 0x24..=0x28;
}

impl Registers for Pl011 {
    fn read(&mut self, offset: usize, width: Width) -> u32 {
        assert_ne!(width, Width::Bits8, "registers have 16 or 32 bits");
        let empty = if self.input.is_empty() { 1 << 4 } else { 0 };
        match offset {
            0x00 => {
                let is_break = self.breaks.contains(&self.taken);
                self.taken += usize::from(!self.input.is_empty());
                let broken = if is_break { 0x500 } else { 0 };
                self.input.pop_front().map_or(0, u32::from) | broken
            }
            0x18 => empty | if self.stuck { 1 << 5 } else { 1 << 7 },
            0x2c => self.line,
            0x30 => self.control,
            0xff0..=0xffc => [0x0d, 0xf0, 0x05, 0xb1][(offset - 0xff0) / 4],
            _ => panic!("read of register {offset:#x}"),
        }
    }

    fn write(&mut self, offset: usize, _width: Width, value: u32) {
        assert!(!Self::BAUD.contains(&offset), "the baud rate is not the driver's");
        match offset {
            0x00 => self.output.push((value & 0xff) as u8),
            0x2c => {
                assert_eq!(self.control & 1, 0, "line control of a port that is enabled");
                self.line = value;
            }
            0x30 => self.control = value,
            0x38 => self.mask = value,
            0x44 => self.cleared |= value,
            _ => panic!("write of {value:#x} to register {offset:#x}"),
        }
    }
}

/// What Xen gives its guests for one: registers for data, flags and interrupts, and no others.
#[derive(Debug, Default)]
pub struct Generic(pub Pl011);

impl Registers for Generic {
    fn read(&mut self, offset: usize, width: Width) -> u32 {
        match offset {
            // The transmitter is never said to be empty again once it was not.
            0x18 => self.0.read(offset, width) & if self.0.output.is_empty() { !0 } else { !0x80 },
            0x3c => u32::from(!self.0.input.is_empty()) << 4,
            0x00 => self.0.read(offset, width),
            _ => panic!("read of register {offset:#x}, which there is none of"),
        }
    }

    fn write(&mut self, offset: usize, width: Width, value: u32) {
        assert!(matches!(offset, 0x00 | 0x38), "write of {value:#x} to register {offset:#x}");
        self.0.write(offset, width, value);
    }
}

/// A 16550.
#[derive(Debug)]
pub struct Ns16550 {
    /// What the driver wrote.
    pub output: Vec<u8>,
    /// What is there to read.
    pub input: VecDeque<u8>,
    /// Which of what is read are breaks, counted from 0, in order.
    pub breaks: Vec<usize>,
    /// How much was read.
    pub taken: usize,
    /// Whether the transmitter has no room, for ever.
    pub stuck: bool,
    /// Whether there are FIFOs.
    pub has_fifos: bool,
    /// Which interrupts are enabled.
    pub enabled: u32,
    /// Registers are `1 << shift` bytes apart.
    pub shift: u32,
    /// How wide accesses have to be.
    pub width: Width,
}

impl Ns16550 {
    /// A port whose registers are `1 << shift` bytes apart and accessed by `width`.
    #[must_use]
    pub fn new(shift: u32, width: Width) -> Self {
        let (output, input) = (vec![], VecDeque::new());
        let (breaks, taken, stuck) = (vec![], 0, false);
        Self { output, input, breaks, taken, stuck, has_fifos: true, enabled: 0, shift, width }
    }

    fn register(&self, offset: usize, width: Width) -> usize {
        assert_eq!(width, self.width, "the wrong reg-io-width");
        assert_eq!(offset % (1 << self.shift), 0, "the wrong reg-shift");
        offset >> self.shift
    }
}

impl Registers for Ns16550 {
    fn read(&mut self, offset: usize, width: Width) -> u32 {
        match self.register(offset, width) {
            0 => {
                self.taken += usize::from(!self.input.is_empty());
                self.input.pop_front().map_or(0, u32::from)
            }
            1 => self.enabled,
            2 => {
                if self.has_fifos {
                    0xc1
                } else {
                    0x01
                }
            }
            3 | 4 => 0,
            5 => {
                let is_break = !self.input.is_empty() && self.breaks.contains(&self.taken);
                let line = u32::from(!self.input.is_empty()) | if is_break { 0x10 } else { 0 };
                line | if self.stuck { 0 } else { 0x60 }
            }
            register => panic!("read of register {register}"),
        }
    }

    fn write(&mut self, offset: usize, width: Width, value: u32) {
        match self.register(offset, width) {
            0 => self.output.push((value & 0xff) as u8),
            1 => self.enabled = value,
            2 => assert_eq!(value & 1, 1, "FIFOs are to be enabled"),
            4 => assert_eq!(value & 8, 8, "the interrupt is to be let out"),
            register => panic!("write of {value:#x} to register {register}"),
        }
    }
}
