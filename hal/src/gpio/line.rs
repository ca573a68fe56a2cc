//! A line of a GPIO controller that is driven, or looked at: of a PrimeCell GPIO (PL061; Arm DDI
//! 0190B, chapter 3), or of the BCM2835's block (BCM2835 ARM Peripherals, chapter 6).
//!
//! A line that becomes an output has its level before it is one, as far as its controller lets it:
//! nothing at the other end sees a pulse that nobody asked for.

use super::{GPIOAFSEL, GPIODATA, GPIODIR, LINES};
use crate::attempt::Absent;
use crate::mmio::Window;

/// The BCM2835's registers: three bits a line, ten lines a word; then a bit a line.
const GPFSEL: usize = 0x00;
const GPSET: usize = 0x1c;
const GPCLR: usize = 0x28;
const GPLEV: usize = 0x34;
const BCM2835_LENGTH: usize = 0x3c;
/// What three bits say.
const FUNCTION: u32 = 0b111;
const INPUT: u32 = 0b000;
const OUTPUT: u32 = 0b001;

/// How many lines the BCM2835 has.
pub const BCM2835_LINES: u8 = 54;

/// What a line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// Near ground.
    Low,
    /// Near the supply.
    High,
}

/// Whose line it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Model {
    /// Arm PrimeCell GPIO (PL061): eight lines.
    Pl061,
    /// The BCM2835's: [`BCM2835_LINES`].
    Bcm2835,
}

/// A line. A handle to registers: there must be one for each line, or two may fight over it.
#[derive(Clone, Copy, Debug)]
pub struct Line {
    registers: Window,
    model: Model,
    number: u8,
}

impl Line {
    /// The line called `number` of the controller behind `registers`; left as it is.
    ///
    /// # Errors
    /// [`Absent`]: nobody answers, or the controller has no such line, or too few registers.
    pub fn find(registers: Window, model: Model, number: u8) -> Result<Self, Absent> {
        let (lines, length, first) = match model {
            Model::Pl061 => (LINES, GPIOAFSEL + 4, GPIODIR),
            Model::Bcm2835 => (BCM2835_LINES, BCM2835_LENGTH, GPLEV),
        };
        if number >= lines || registers.length() < length {
            return Err(Absent);
        }
        registers.attempt32(first)?;
        Ok(Self { registers, model, number })
    }

    /// Drives the line from now on.
    pub fn drive(self, level: Level) {
        match self.model {
            Model::Pl061 => {
                // One that only outputs can be told what they are to be is told twice.
                self.put(level);
                self.change(GPIOAFSEL, 0, self.bit());
                self.change(GPIODIR, self.bit(), 0);
                self.put(level);
            }
            Model::Bcm2835 => {
                self.put(level);
                self.choose(OUTPUT);
            }
        }
    }

    /// Leaves the line to whoever is at the other end.
    pub fn listen(self) {
        match self.model {
            Model::Pl061 => {
                self.change(GPIOAFSEL, 0, self.bit());
                self.change(GPIODIR, 0, self.bit());
            }
            Model::Bcm2835 => self.choose(INPUT),
        }
    }

    /// What the line is now, whoever drives it.
    #[must_use]
    pub fn level(self) -> Level {
        let bits = match self.model {
            Model::Pl061 => self.registers.read32(self.data()) & 0xff,
            Model::Bcm2835 => self.registers.read32(GPLEV + self.word()) & self.bit(),
        };
        if bits == 0 { Level::Low } else { Level::High }
    }

    fn put(self, level: Level) {
        match (self.model, level) {
            (Model::Pl061, Level::Low) => self.registers.write32(self.data(), 0),
            (Model::Pl061, Level::High) => self.registers.write32(self.data(), 0xff),
            (Model::Bcm2835, Level::Low) => {
                self.registers.write32(GPCLR + self.word(), self.bit());
            }
            (Model::Bcm2835, Level::High) => {
                self.registers.write32(GPSET + self.word(), self.bit());
            }
        }
    }

    /// The line's bit in its word.
    const fn bit(self) -> u32 {
        1 << (self.number % 32)
    }

    /// The line's word among those that have a bit a line, in bytes.
    const fn word(self) -> usize {
        4 * (self.number / 32) as usize
    }

    /// A PL061's data register that is about this line alone.
    const fn data(self) -> usize {
        GPIODATA + ((self.bit() as usize) << 2)
    }

    fn change(self, register: usize, set: u32, clear: u32) {
        let value = self.registers.read32(register);
        self.registers.write32(register, (value | set) & !clear);
    }

    /// Chooses what a line of the BCM2835 is for: [`INPUT`] or [`OUTPUT`]. A line that has
    /// that function already is not touched: an output would float meanwhile. One that is a
    /// peripheral's becomes an input before it becomes an output.
    fn choose(self, function: u32) {
        let (register, shift) = (GPFSEL + 4 * (self.number / 10) as usize, self.number % 10 * 3);
        let held = self.registers.read32(register) >> shift & FUNCTION;
        if held == function {
            return;
        }
        if held != INPUT {
            self.change(register, 0, FUNCTION << shift);
        }
        if function != INPUT {
            self.change(register, function << shift, 0);
        }
    }
}
