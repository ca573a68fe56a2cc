//! The transport: what is in a slot or on a PCI function, before any driver has touched it.

use core::fmt;

use super::mapped::{Interface, Mapped};
use super::pci::{Pci, Vectors};
use super::port::Port;
use super::registers::{DEVICE_ID, MAGIC, MAGIC_VALUE, VERSION};
use super::{ProbeError, Setup, registers, setup};
use crate::attempt::{Absent, is_nobodys};
use crate::mmio::Window;
use crate::pci::{self, BusMaster};

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

/// A device that nobody drives yet.
#[derive(Debug)]
pub struct Transport {
    port: Port,
    id: DeviceId,
    /// What lets it reach memory, where that is not so to begin with.
    master: Option<BusMaster>,
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
        let port = Port::Mapped(Mapped { window, interface });
        Ok(Some(Self { port, id, master: None }))
    }

    /// Finds the registers of a virtio device on a PCI function, its modern interface, and has `map`
    /// map them. One of them is looked at, nothing is written; but one with more doorbells than are
    /// mapped is reset, and asked which of them are for the queues that are used: before its features
    /// are agreed on (section 3.1.1 has queues looked for after that), as they are mapped by the boot.
    /// One that says something else then is not used. It interrupts by its pin unless
    /// [`use_messages`](Self::use_messages) says otherwise.
    ///
    /// # Errors
    /// [`ProbeError::LegacyOnly`], [`ProbeError::NoCapability`], [`ProbeError::BadCapability`],
    /// [`ProbeError::Pci`]; [`ProbeError::Absent`]; [`ProbeError::ResetTimeout`].
    pub fn open_pci(device: &pci::Device, map: &mut pci::Map<'_>) -> Result<Self, ProbeError> {
        let (id, mut registers, master) = Pci::find(device, map)?;
        if !registers.has_doorbells() {
            setup::reset(&Port::Pci(registers))?;
            registers.map_doorbells(map)?;
        }
        Ok(Self { port: Port::Pci(registers), id, master: Some(master) })
    }

    /// Has a device on a PCI function interrupt by these messages of its table, which is set up. In a
    /// slot there are none.
    pub const fn use_messages(&mut self, vectors: Vectors) {
        if let Port::Pci(registers) = &mut self.port {
            registers.use_messages(vectors);
        }
    }

    /// What kind of device it is.
    #[must_use]
    pub const fn id(&self) -> DeviceId {
        self.id
    }

    /// Whether the device speaks the legacy interface only.
    #[must_use]
    pub const fn is_legacy(&self) -> bool {
        self.port.is_legacy()
    }

    /// Takes the device over: reset, ACKNOWLEDGE, DRIVER (section 3.1.1). Only then may one on a PCI
    /// function reach memory: before its reset it may still have queues of firmware's.
    ///
    /// # Errors
    /// [`ProbeError::WrongDevice`], with the device untouched; [`ProbeError::ResetTimeout`].
    pub fn begin(self, id: DeviceId) -> Result<Setup, ProbeError> {
        if self.id != id {
            return Err(ProbeError::WrongDevice(self.id));
        }
        let setup = Setup::new(self.port)?;
        if let Some(master) = self.master {
            master.allow();
        }
        Ok(setup)
    }
}
