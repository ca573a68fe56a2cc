//! A GPIO controller: a PL061 with something at its lines.

use super::bus::{Registers, Width};

/// A PL061.
#[derive(Debug, Default)]
pub struct Pl061 {
    /// The lines' levels, a bit each.
    pub levels: u32,
    /// Which lines interrupt.
    pub enabled: u32,
    /// Which lines have an interrupt latched.
    pub latched: u32,
    /// Which lines interrupt when they rise; the others do when they fall.
    pub rising: u32,
    /// Which lines are outputs, interrupt by level, at both edges, or are a peripheral's.
    pub others: [u32; 4],
    /// Whether the lines fall as soon as somebody looks at them.
    pub lets_go: bool,
}

impl Pl061 {
    const OTHERS: [usize; 4] = [0x400, 0x404, 0x408, 0x420];

    /// Puts something at the lines: what changes may interrupt.
    pub fn drive(&mut self, levels: u32) {
        let (rose, fell) = (levels & !self.levels, self.levels & !levels);
        self.latched |= (rose & self.rising) | (fell & !self.rising);
        self.levels = levels;
    }

    /// Whether the controller's own line is up.
    #[must_use]
    pub const fn interrupts(&self) -> bool {
        self.latched & self.enabled != 0
    }
}

impl Registers for Pl061 {
    fn read(&mut self, offset: usize, _width: Width) -> u32 {
        if let Some(other) = Self::OTHERS.iter().position(|known| *known == offset) {
            return self.others[other];
        }
        match offset {
            0x000..0x400 => {
                let lines = u32::try_from(offset >> 2).unwrap_or(0);
                let levels = self.levels & lines;
                if self.lets_go {
                    self.drive(self.levels & !lines);
                }
                levels
            }
            0x40c => self.rising,
            0x410 => self.enabled,
            0x414 => self.latched,
            0x418 => self.latched & self.enabled,
            _ => panic!("read of register {offset:#x}"),
        }
    }

    fn write(&mut self, offset: usize, _width: Width, value: u32) {
        if let Some(other) = Self::OTHERS.iter().position(|known| *known == offset) {
            self.others[other] = value;
            return;
        }
        match offset {
            0x40c => self.rising = value,
            0x410 => self.enabled = value,
            0x41c => self.latched &= !value,
            _ => panic!("write of {value:#x} to register {offset:#x}"),
        }
    }
}
