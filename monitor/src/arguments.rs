//! What the command line says.

use std::path::PathBuf;

use clap::{Parser, ValueEnum};

use crate::virtio::HardwareAddress;

/// Runs an arm64 image in a virtual machine under KVM. The machine comes from a file.
///
/// Ends with 0 when the machine is switched off, 3 when it resets (unless --on-reset again), 2 when
/// what it was given cannot be, 1 when the host or the guest does what it must not.
#[derive(Clone, Debug, Parser)]
#[command(name = "elone-monitor", version)]
pub struct Arguments {
    /// The machine: a file of boards/monitor
    #[arg(long, value_name = "FILE")]
    pub machine: PathBuf,
    /// The image to boot
    #[arg(long, value_name = "IMG")]
    pub image: Option<PathBuf>,
    /// Boot arguments
    #[arg(long, value_name = "WORDS", default_value = "")]
    pub settings: String,
    /// RAM
    #[arg(long, value_name = "MIB", default_value_t = 128)]
    pub memory: u64,
    /// Virtual cores; all but the first begin switched off
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=8))]
    pub cores: u32,
    /// The version of the interrupt controller, where the machine file has both [default: 3 if the
    /// host can make it]
    #[arg(long, value_name = "VERSION", value_parser = clap::value_parser!(u32).range(2..=3))]
    pub gic: Option<u32>,
    /// A TAP interface: its name, or the number of a descriptor that is one
    #[arg(long, value_name = "TAP")]
    pub net: Option<String>,
    /// The network interface's address [default: another one each time]
    #[arg(long, value_name = "ADDRESS")]
    pub mac: Option<HardwareAddress>,
    /// A disk: a file, as it is
    #[arg(long, value_name = "FILE")]
    pub disk: Option<PathBuf>,
    /// No source of entropy but the seeds in the device tree, even if a slot is free
    #[arg(long)]
    pub no_entropy: bool,
    /// What a reset is answered with
    #[arg(long, value_name = "WHAT", value_enum, default_value_t = OnReset::End)]
    pub on_reset: OnReset,
    /// Writes the device tree there and ends; needs no KVM
    #[arg(long, value_name = "FILE")]
    pub write_tree: Option<PathBuf>,
    /// Does what the guest's monitor must not be able to do once the guest runs, and ends
    #[arg(long, hide = true, value_enum, num_args = 0..=1, default_missing_value = "open")]
    pub break_out: Option<BreakOut>,
}

/// What a confined monitor must not be able to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum BreakOut {
    /// To open a file.
    Open,
    /// To send another process a signal.
    Signal,
}

/// What a reset is answered with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum OnReset {
    /// The monitor ends, with status 3.
    End,
    /// The machine boots again; RAM keeps what is not loaded anew.
    Again,
}
