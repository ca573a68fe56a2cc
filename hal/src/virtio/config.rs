//! A device's own configuration (virtio 1.2, section 2.5): read whole, never half old, half new.

use super::ProbeError;
use super::registers::{CONFIG, CONFIG_GENERATION};
use super::transport::Interface;
use crate::mmio::Window;

/// How often the configuration is read before it counts as unstable.
const READS: u32 = 16;

/// A device's configuration, as it is being read. Offsets in bytes from its start; what the device
/// does not have reads as 0.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    window: Window,
    interface: Interface,
}

impl Config {
    pub(super) const fn new(window: Window, interface: Interface) -> Self {
        Self { window, interface }
    }

    /// Reads with `read` until nothing changed meanwhile: the generation of a modern device, the
    /// values themselves of a legacy one, which has none (section 2.5.4).
    pub(super) fn read<T: PartialEq>(self, read: impl Fn(Self) -> T) -> Result<T, ProbeError> {
        for _ in 0..READS {
            let before = self.generation();
            let value = read(self);
            let stable = match self.interface {
                Interface::Legacy => read(self) == value,
                Interface::Modern => self.generation() == before,
            };
            if stable {
                return Ok(value);
            }
        }
        Err(ProbeError::ConfigUnstable)
    }

    fn generation(self) -> u32 {
        match self.interface {
            Interface::Legacy => 0,
            Interface::Modern => self.window.read32(CONFIG_GENERATION),
        }
    }

    /// The bytes from `offset` on.
    #[must_use]
    pub fn bytes<const N: usize>(self, offset: usize) -> [u8; N] {
        core::array::from_fn(|index| self.window.read8(CONFIG + offset + index))
    }

    /// The 16-bit field at `offset`.
    #[must_use]
    pub fn field16(self, offset: usize) -> u16 {
        u16::from_le(self.window.read16(CONFIG + offset))
    }

    /// The 32-bit field at `offset`.
    #[must_use]
    pub fn field32(self, offset: usize) -> u32 {
        u32::from_le(self.window.read32(CONFIG + offset))
    }

    /// The 64-bit field at `offset`, in two halves (section 4.2.2.2).
    #[must_use]
    pub fn field64(self, offset: usize) -> u64 {
        u64::from(self.field32(offset)) | u64::from(self.field32(offset + 4)) << 32
    }
}
