//! A device's own configuration (virtio 1.2, section 2.5): read whole, never half old, half new.

use super::ProbeError;
use crate::mmio::Window;

/// How often the configuration is read before it counts as unstable.
const READS: u32 = 16;

/// Where a device says that its configuration has changed: a number that is another one then.
#[derive(Clone, Copy, Debug)]
pub(super) enum Generation {
    /// Nowhere.
    None,
    /// In a register of 32 bits at this offset.
    Word(Window, usize),
    /// In one of 8 bits.
    Byte(Window, usize),
}

impl Generation {
    fn read(self) -> u32 {
        match self {
            Self::None => 0,
            Self::Word(window, offset) => window.read32(offset),
            Self::Byte(window, offset) => window.read8(offset).into(),
        }
    }
}

/// A device's configuration, as it is being read. Offsets in bytes from its start; what the device
/// does not have reads as 0.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    window: Window,
    /// Where in the window it starts.
    start: usize,
    generation: Generation,
}

impl Config {
    pub(super) const fn new(window: Window, start: usize, generation: Generation) -> Self {
        Self { window, start, generation }
    }

    /// Reads with `read` until nothing changed meanwhile: the generation of a modern device, the
    /// values themselves of a legacy one, which has none (section 2.5.4).
    pub(super) fn read<T: PartialEq>(self, read: impl Fn(Self) -> T) -> Result<T, ProbeError> {
        for _ in 0..READS {
            let before = self.generation.read();
            let value = read(self);
            let stable = match self.generation {
                Generation::None => read(self) == value,
                generation => generation.read() == before,
            };
            if stable {
                return Ok(value);
            }
        }
        Err(ProbeError::ConfigUnstable)
    }

    /// The bytes from `offset` on.
    #[must_use]
    pub fn bytes<const N: usize>(self, offset: usize) -> [u8; N] {
        core::array::from_fn(|index| self.window.read8(self.start + offset + index))
    }

    /// The 16-bit field at `offset`.
    #[must_use]
    pub fn field16(self, offset: usize) -> u16 {
        u16::from_le(self.window.read16(self.start + offset))
    }

    /// The 32-bit field at `offset`.
    #[must_use]
    pub fn field32(self, offset: usize) -> u32 {
        u32::from_le(self.window.read32(self.start + offset))
    }

    /// The 64-bit field at `offset`, in two halves (section 4.2.2.2).
    #[must_use]
    pub fn field64(self, offset: usize) -> u64 {
        u64::from(self.field32(offset)) | u64::from(self.field32(offset + 4)) << 32
    }
}
