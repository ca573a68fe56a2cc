//! Facts about machines that are needed before, or beside, their device tree.
//!
//! There are few of them on purpose: past the first error message and the first instructions at
//! EL3, everything about a machine comes from its tree. The TOML files beside this crate say how
//! each machine is launched, and are read by the tools alone.
#![no_std]

/// What must be known of a machine before its device tree is read.
#[derive(Debug)]
pub struct Early {
    /// A PL011 to complain on when there is no device tree, by physical address. It is written to
    /// only then: on a machine that has nothing there, it is never touched.
    pub uart: u64,
    /// Where the device tree lies when nobody says where (x0 = 0): entered without a boot loader.
    pub device_tree: u64,
    /// The interrupt controller's distributor, which must be opened to the non-secure world when
    /// the machine is entered at EL3, with no firmware to have done so.
    pub distributor: u64,
    /// The same controller's GICv2 CPU interface.
    pub cpu_interface: u64,
}

/// QEMU's `virt` machine (hw/arm/virt.c: the memory map has been the same since 2.6).
pub const QEMU_VIRT: Early = Early {
    uart: 0x0900_0000,
    device_tree: 0x4000_0000,
    distributor: 0x0800_0000,
    cpu_interface: 0x0801_0000,
};

/// The machine whose early facts this image carries.
pub const BOARD: Early = QEMU_VIRT;
