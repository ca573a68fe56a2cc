//! Facts about machines that are needed before, or beside, their device tree.
//!
//! There are few of them on purpose: past the first error message and the first instructions at
//! EL3, everything about a machine comes from its tree. The TOML files beside this crate say what
//! they are, in the table `[early]`, and how each machine is launched, which tools alone read.
#![no_std]

pub use elone_early::{Early, EarlyUart, UartModel};

/// The machine whose early facts this image carries: QEMU's `virt`, or what `ELONE_BOARD` named when
/// it was built.
pub const BOARD: Early = {
    #[allow(unused_imports, reason = "the file that is included names one of them, if that")]
    use UartModel::{Bcm2835Aux, Cadence, Ns16550, Pl011, Sbsa};
    include!(concat!(env!("OUT_DIR"), "/early.rs"))
};
