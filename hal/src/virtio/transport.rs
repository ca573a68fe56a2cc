//! The transport: what is in a slot, before any driver has touched it.

use core::fmt;

use super::registers::{DEVICE_ID, MAGIC, MAGIC_VALUE, VERSION};
use super::{ProbeError, Setup, registers};
use crate::attempt::{Absent, is_nobodys};
use crate::mmio::Window;

/// What kind of device it is (virtio 1.2, section 5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeviceId(pub u32);

impl DeviceId {
    /// A network interface.
    pub const NET: Self = Self(1);
    /// A disk.
    pub const BLOCK: Self = Self(2);
    /// A console.
    pub const CONSOLE: Self = Self(3);
    /// A source of entropy.
    pub const ENTROPY: Self = Self(4);
}

impl fmt::Display for DeviceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::NET => f.write_str("network interface"),
            Self::BLOCK => f.write_str("disk"),
            Self::CONSOLE => f.write_str("console"),
            Self::ENTROPY => f.write_str("entropy source"),
            Self(raw) => write!(f, "device {raw}"),
        }
    }
}

/// Which of the two interfaces a device speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Interface {
    /// Version 1: before virtio 1.0 (section 4.2.4).
    Legacy,
    /// Version 2: virtio 1.0 and later.
    Modern,
}

/// A slot with a device in it that nobody drives yet.
#[derive(Debug)]
pub struct Transport {
    window: Window,
    interface: Interface,
    id: DeviceId,
}

impl Transport {
    /// Looks into a slot; `None` if it is empty. Only reads, so it may be any device's slot.
    ///
    /// # Errors
    /// [`ProbeError::WindowTooSmall`], [`ProbeError::Absent`], [`ProbeError::NotVirtio`],
    /// [`ProbeError::UnknownVersion`].
    pub fn open(window: Window) -> Result<Option<Self>, ProbeError> {
        if window.length() < registers::CONFIG {
            return Err(ProbeError::WindowTooSmall);
        }
        let magic = window.attempt32(MAGIC_VALUE)?;
        if is_nobodys(magic) {
            return Err(Absent.into());
        }
        if magic != MAGIC {
            return Err(ProbeError::NotVirtio(magic));
        }
        let version = window.read32(VERSION);
        let id = DeviceId(window.read32(DEVICE_ID));
        if id == DeviceId(0) {
            return Ok(None); // whatever its version: nothing else of it may be read (4.2.2.2)
        }
        let interface = match version {
            1 => Interface::Legacy,
            2 => Interface::Modern,
            _ => return Err(ProbeError::UnknownVersion(version)),
        };
        Ok(Some(Self { window, interface, id }))
    }

    /// What kind of device is in the slot.
    #[must_use]
    pub const fn id(&self) -> DeviceId {
        self.id
    }

    /// Whether the device speaks the legacy interface only.
    #[must_use]
    pub const fn is_legacy(&self) -> bool {
        matches!(self.interface, Interface::Legacy)
    }

    /// Takes the device over: reset, ACKNOWLEDGE, DRIVER (section 3.1.1).
    ///
    /// # Errors
    /// [`ProbeError::WrongDevice`], with the device untouched; [`ProbeError::ResetTimeout`].
    pub fn begin(self, id: DeviceId) -> Result<Setup, ProbeError> {
        if self.id != id {
            return Err(ProbeError::WrongDevice(self.id));
        }
        Setup::new(self.window, self.interface)
    }
}
