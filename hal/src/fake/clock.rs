//! Real-time clocks: a PL031, and the PC's.

use std::vec::Vec;

use super::bus::{Registers, Width};

/// A PL031.
#[derive(Debug, Default)]
pub struct Pl031 {
    /// The date in seconds since 1970.
    pub seconds: u32,
    /// Whether it runs.
    pub running: bool,
}

impl Registers for Pl031 {
    fn read(&mut self, offset: usize, width: Width) -> u32 {
        assert_eq!(width, Width::Bits32, "registers have 32 bits");
        match offset {
            0x00 => self.seconds,
            0x0c => u32::from(self.running),
            _ => panic!("read of register {offset:#x}"),
        }
    }

    fn write(&mut self, offset: usize, _width: Width, value: u32) {
        match offset {
            0x0c => self.running = value & 1 == 1,
            _ => panic!("write of {value:#x} to register {offset:#x}"),
        }
    }
}

/// An MC146818.
#[derive(Debug)]
pub struct Mc146818 {
    /// Which byte is read next.
    index: u8,
    /// Its bytes by number.
    pub bytes: [u8; 128],
    /// What some are after the next update, by number.
    pub next: Vec<(u8, u8)>,
    /// After how many reads that is.
    pub reads_until_next: u32,
}

impl Default for Mc146818 {
    fn default() -> Self {
        Self { index: 0, bytes: [0; 128], next: Vec::new(), reads_until_next: 0 }
    }
}

impl Registers for Mc146818 {
    fn read(&mut self, offset: usize, width: Width) -> u32 {
        assert_eq!((offset, width), (1, Width::Bits8), "the index is written, the data are read");
        let byte = self.bytes[usize::from(self.index)];
        self.reads_until_next = self.reads_until_next.saturating_sub(1);
        if self.reads_until_next == 0 {
            for (number, byte) in self.next.drain(..) {
                self.bytes[usize::from(number)] = byte;
            }
        }
        byte.into()
    }

    fn write(&mut self, offset: usize, width: Width, value: u32) {
        assert_eq!((offset, width), (0, Width::Bits8), "nothing but the index is written");
        self.index = u8::try_from(value).unwrap_or(u8::MAX);
        assert!(self.index < 128, "there is no byte {value}");
    }
}
