//! Why a machine cannot be brought up.

use core::fmt;

use elone_hal::address::PhysicalAddress;
use elone_hal::arch::tables::MapError;
use elone_hal::interrupts::Line;

use crate::console;
use crate::machine::MachineError;
use crate::mode::LoadError;

/// Why the boot ended. All are reported on the console that there is; none can be lived with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BootError {
    /// Nobody said where the device tree is, or it cannot be read. Its address, and why.
    DeviceTree(u64, MachineError),
    /// Nobody said where the device tree is, and the board has no place for it.
    NoDeviceTree,
    /// Something that must be mapped could not be.
    Map(&'static str, MapError),
    /// The tree names no interrupt controller of a known kind; what it has instead, if anything.
    NoInterruptController(&'static str),
    /// Nothing answers where this part of the interrupt controller should be.
    NobodyAt(&'static str, PhysicalAddress),
    /// The alarm went off, and the timer's interrupt, this one by the tree, never came.
    SilentTimer(Line),
    /// The tree gives the interrupt controller fewer registers than its kind has.
    ShortInterruptController,
    /// The tree names a GICv3 that has no redistributor for this core.
    NoRedistributor,
    /// The tree names no timer.
    NoTimer,
    /// The counter has no frequency: firmware has not set `CNTFRQ_EL0`.
    NoFrequency,
    /// Too little RAM is free: how much there is, in KiB.
    TooLittleMemory(usize),
    /// The image's application cannot be run.
    Application(LoadError),
    /// The setting `require-entropy` is given, and the machine has no source.
    NoEntropy,
}

impl BootError {
    /// What the machine ends with when it cannot be brought up.
    pub(crate) const STATUS: u8 = 100;

    /// Says why the boot ended; returns the exit status.
    pub(crate) fn report(self) -> u8 {
        console::fall_back();
        // Not a record of the log, which may be set to show none.
        console::print(format_args!("cannot boot: {self}\n"));
        Self::STATUS
    }
}

impl fmt::Display for BootError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::DeviceTree(address, error) => write!(f, "{error} (looked at {address:#x})"),
            Self::NoDeviceTree => f.write_str("nobody handed a device tree over (x0 = 0)"),
            Self::Map(what, error) => write!(f, "{what}: {error}"),
            Self::NoInterruptController(found) => {
                f.write_str(
                    "the device tree names no interrupt controller that is known (GICv2, ",
                )?;
                f.write_str("GICv3, BCM2836)")?;
                if found.is_empty() { Ok(()) } else { write!(f, ": it has `{found}`") }
            }
            Self::NobodyAt(what, address) => write!(f, "{what} {address}: nothing answers there"),
            Self::SilentTimer(line) => write!(f, "timer: its interrupt ({line:?}) never comes"),
            Self::ShortInterruptController => {
                f.write_str("the device tree gives the interrupt controller too few registers")
            }
            Self::NoRedistributor => f.write_str("the GICv3 has no redistributor for this core"),
            Self::NoTimer => f.write_str("the device tree names no timer (arm,armv8-timer)"),
            Self::NoFrequency => f.write_str("the counter has no frequency (CNTFRQ_EL0 is 0)"),
            Self::TooLittleMemory(kib) => write!(f, "only {kib} KiB of memory are free"),
            Self::Application(error) => write!(f, "the application: {error}"),
            Self::NoEntropy => f.write_str("no source of entropy, and `require-entropy` is set"),
        }
    }
}
