//! The gate: everything an application can ask of the kernel, and nothing else.
//!
//! A dozen calls, one trait ([`Gate`]), chosen at link time. Whoever provides the symbols decides
//! the mode: the kernel itself (*joined*, direct calls at EL1), stubs that call it by `svc`
//! (*contained*, from EL0: [`abi`]), or a host build (a whole application under test on the
//! developer's machine). The application's side calls the functions of [`calls`]; it never sees
//! who answers.
//!
//! All calls come from one core, one at a time: nothing on the application's side runs
//! concurrently with anything else on that side. Only [`Gate::wait`] sleeps; every other call
//! returns at once.
//!
//! The crate knows no architecture and no device, so it is tested on the host.
#![no_std]

#[cfg(test)]
extern crate std;

pub mod abi;
pub mod area;
pub mod calls;
mod error;
mod gate;
pub mod handover;
mod hypervisor;
pub mod package;
mod start;
mod types;

pub use area::{Area, Buffer};
pub use elone_protections::{Protection, Protections};
pub use error::Error;
pub use gate::Gate;
pub use hypervisor::Hypervisor;
pub use start::{
    Level, MachineInfo, MemoryRange, MemoryRanges, Network, Past, SHUTDOWN_TIME, Start, Verbosity,
    shutdown_time,
};
pub use types::{
    BlockCompletion, BlockInfo, BlockOperation, BlockRequest, BufferId, DeviceClass, DeviceInfo,
    Events, Frame, GpioLevel, GpioLine, GpioOperation, Handle, Nanoseconds, NetInfo, Sent,
    UnixTime,
};
