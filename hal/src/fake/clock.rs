//! A real-time clock: a PL031.

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
