//! The hardware layer: all assembly, all unsafe code and all device access of Elone.
//!
//! Above it everything is safe Rust. It decides no policy: it moves registers, and hands up what it
//! found as types that can only be made here.
#![cfg_attr(target_os = "none", no_std)]

// What compiled code calls of its own accord: linked, never named.
#[cfg(target_os = "none")]
extern crate elone_memory as _;

pub mod address;
#[cfg(target_os = "none")]
pub mod arch;
pub mod attempt;
pub mod dma;
#[cfg(not(target_os = "none"))]
pub mod fake;
pub mod generation;
pub mod gicv2m;
pub mod gpio;
pub mod interrupts;
pub mod its;
pub mod mmio;
pub mod observed;
pub mod pci;
pub mod pm;
pub mod protections;
pub mod rtc;
#[cfg(target_os = "none")]
mod sealed;
pub mod seed;
pub mod stolen;
pub mod uart;
pub mod virtio;
pub mod wipe;
#[cfg(target_os = "none")]
pub mod xen;

/// Interrupt numbers and trigger modes, in the interrupt controller's own terms.
pub use arm_gic::{IntId, Trigger};
