//! What must be known of a machine before its device tree is read.
//!
//! Each board file writes it in its table `[early]`. The build puts that of one board into an image,
//! as a constant ([`Early`]); tools on the host read the same table to know which boards can share an
//! image (module `file`, with the feature of that name).
#![no_std]

#[cfg(feature = "file")]
pub mod file;

/// What must be known of a machine before its device tree is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Early {
    /// A UART to complain on when there is no device tree, or none that names a console. It is
    /// written to only then: on a machine that has nothing there, it is never touched.
    pub uart: Option<EarlyUart>,
    /// Where the device tree lies when nobody says where (x0 = 0): entered without a boot loader.
    pub device_tree: Option<u64>,
    /// The interrupt controller's distributor, which must be opened to the non-secure world when
    /// the machine is entered at EL3, with no firmware to have done so. 0: there is none of Arm's.
    pub distributor: u64,
    /// The same controller's GICv2 CPU interface; 0 where it has none.
    pub cpu_interface: u64,
    /// What the counter counts in a second, for the same case: firmware is who says so
    /// (`CNTFRQ_EL0`). 0: the register is right as it is. Where it is not 0, it counts.
    pub counter_frequency: u64,
}

/// A UART that nobody has told of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EarlyUart {
    /// What it is.
    pub model: UartModel,
    /// Its registers, by physical address.
    pub address: u64,
}

/// What a UART is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UartModel {
    /// PrimeCell UART (PL011), which can say that it is one.
    Pl011,
    /// The part of a PL011 that Arm's server architecture asks for; it need not say what it is.
    Sbsa,
    /// 16550 or compatible: registers are `1 << register_shift` bytes apart, and `access_width`
    /// bytes (1 or 4) have to be accessed at a time.
    Ns16550 {
        /// The device tree's `reg-shift`.
        register_shift: u8,
        /// The device tree's `reg-io-width`, in bytes.
        access_width: u8,
    },
    /// The mini UART of Broadcom's BCM2835 and later.
    Bcm2835Aux,
    /// Cadence's, in Xilinx' Zynq devices.
    Cadence,
}
