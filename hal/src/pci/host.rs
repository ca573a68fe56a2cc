//! A host bridge: how a machine's configuration space is laid out, and which of its memory is PCI's.

use super::{Address, PciError};
use crate::address::PhysicalRange;
use heapless::Vec;

/// How many windows a host bridge can have.
pub const WINDOWS: usize = 8;

/// How configuration space is laid out in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// 4 KiB a function (Enhanced Configuration Access Mechanism).
    Enhanced,
    /// 256 bytes a function.
    Compatible,
}

impl Layout {
    /// The bytes of a function's configuration space, as a power of two.
    const fn shift(self) -> u32 {
        match self {
            Self::Enhanced => 12,
            Self::Compatible => 8,
        }
    }

    /// How many bytes a function has.
    #[must_use]
    pub const fn function(self) -> u64 {
        1 << self.shift()
    }

    /// How many bytes a bus has: 32 devices of 8 functions.
    #[must_use]
    pub const fn bus(self) -> u64 {
        self.function() << 8
    }
}

/// Memory that a host bridge passes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryWindow {
    /// Where it is for the processor.
    pub memory: PhysicalRange,
    /// Where it begins for the bus.
    pub bus: u64,
    /// Whether reading there may fetch more than was asked for, so that only memory which does not mind
    /// can be put there.
    pub is_prefetchable: bool,
}

impl MemoryWindow {
    /// Where the processor sees `size` bytes at the bus address `start`; `None` where they are not
    /// all in the window.
    #[must_use]
    pub fn seen(&self, start: u64, size: u64) -> Option<PhysicalRange> {
        let offset = start.checked_sub(self.bus)?;
        let end = offset.checked_add(size)?;
        (size > 0 && end <= self.memory.length()).then_some(())?;
        PhysicalRange::new(self.memory.start().0.checked_add(offset)?, size)
    }

    /// The bus address behind it.
    pub(super) const fn end(&self) -> u64 {
        self.bus.saturating_add(self.memory.length())
    }
}

/// A host bridge, as the tree describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostBridge {
    /// Configuration space, from the first bus on.
    pub configuration: PhysicalRange,
    /// How it is laid out.
    pub layout: Layout,
    /// The number of its root bus.
    pub first_bus: u8,
    /// The last bus number that it has.
    pub last_bus: u8,
    /// Memory for the registers of functions.
    pub windows: Vec<MemoryWindow, WINDOWS>,
    /// Whether everything is to stay as it was found (`linux,pci-probe-only`).
    pub is_set_up: bool,
}

impl HostBridge {
    /// Where the configuration space of a bus's first devices is, so many of them.
    pub(super) fn bus(&self, bus: u8, devices: u8) -> Result<PhysicalRange, PciError> {
        let index = bus.checked_sub(self.first_bus).ok_or(PciError::NoBus)?;
        let offset = u64::from(index) * self.layout.bus();
        let length = u64::from(devices) * 8 * self.layout.function();
        if bus > self.last_bus || offset + length > self.configuration.length() {
            return Err(PciError::NoBus);
        }
        let start = self.configuration.start().0.saturating_add(offset);
        PhysicalRange::new(start, length).ok_or(PciError::NoBus)
    }

    /// Where in its bus's configuration space a function's is.
    pub(super) const fn offset(&self, address: Address) -> usize {
        ((address.requester() & 0xff) as usize) << self.layout.shift()
    }

    /// Where the processor sees memory of the bus.
    pub(super) fn seen(&self, start: u64, size: u64) -> Option<PhysicalRange> {
        self.windows.iter().find_map(|window| window.seen(start, size))
    }
}
