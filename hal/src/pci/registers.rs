//! The registers of configuration space, by their names in the specification (section 6.1). Offsets
//! in bytes.

pub(super) const VENDOR_ID: usize = 0x00;
pub(super) const DEVICE_ID: usize = 0x02;
pub(super) const COMMAND: usize = 0x04;
pub(super) const STATUS: usize = 0x06;
pub(super) const CLASS: usize = 0x08;
pub(super) const HEADER_TYPE: usize = 0x0e;
pub(super) const BAR: usize = 0x10;
pub(super) const SUBSYSTEM_ID: usize = 0x2e;
pub(super) const CAPABILITIES: usize = 0x34;
pub(super) const INTERRUPT_PIN: usize = 0x3d;

// Of a bridge (PCI-to-PCI Bridge Architecture, section 3.2).
pub(super) const PRIMARY_BUS: usize = 0x18;
pub(super) const SECONDARY_BUS: usize = 0x19;
pub(super) const SUBORDINATE_BUS: usize = 0x1a;
pub(super) const IO_BASE: usize = 0x1c;
pub(super) const IO_LIMIT: usize = 0x1d;
pub(super) const MEMORY_BASE: usize = 0x20;
pub(super) const MEMORY_LIMIT: usize = 0x22;
pub(super) const PREFETCHABLE_BASE: usize = 0x24;
pub(super) const PREFETCHABLE_LIMIT: usize = 0x26;

/// The bits of `COMMAND` (section 6.2.2).
pub(super) mod command {
    pub(in crate::pci) const MEMORY: u16 = 1 << 1;
    pub(in crate::pci) const BUS_MASTER: u16 = 1 << 2;
    pub(in crate::pci) const INTERRUPT_DISABLE: u16 = 1 << 10;
    /// What is off while base address registers are looked at: input and output, and memory.
    pub(in crate::pci) const DECODE: u16 = 1 | MEMORY;
}

/// In `STATUS`: there are capabilities.
pub(super) const HAS_CAPABILITIES: u16 = 1 << 4;
/// In `HEADER_TYPE`: there are more functions than one.
pub(super) const MANY_FUNCTIONS: u8 = 1 << 7;

/// The kinds of capabilities (section 6.7, appendix H) that are looked for.
pub(super) mod capability {
    pub(in crate::pci) const FEW_MESSAGES: u8 = 0x05;
    pub(in crate::pci) const EXPRESS: u8 = 0x10;
    pub(in crate::pci) const MESSAGES: u8 = 0x11;
}
