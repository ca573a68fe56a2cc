//! Boots images on virtual machines and watches what they do.
//!
//! The same few types carry everything that starts a machine: `cargo xtask run`, the system tests
//! in [`scenarios`], and the bench. A [`Machine`] is described, starting from a [`Board`]; booted,
//! it is a [`Guest`], whose console is captured line by line; ended, it has left an [`Ending`].
//!
//! What a guest says about itself has a fixed form, the only one that this crate relies on: its
//! last line is `exit status N`, and a fault is a line that begins with `FAULT`.
//!
//! A guest never outlives its owner: it dies when the value is dropped, and when the process that
//! started it ends in whatever way.

mod black_box;
mod board;
mod client;
pub mod conformance;
mod console;
mod debugger;
mod ending;
mod firmware;
mod forward;
mod graft;
mod guest;
mod here;
mod host;
mod hosts;
mod http;
mod kernel_map;
mod machine;
mod net;
mod place;
mod qmp;
mod random;
mod scenario;
pub mod scenarios;
pub mod shim;
mod snapshot;
mod spawn;
mod stub;
mod there;
mod tree;
mod wire;
mod xen;

pub use black_box::black_box;
pub use board::{Board, Console, Devices, HandOver, TreeSource};
pub use console::Stuck;
pub use debugger::Debugger;
pub use ending::{Ending, Shutdown};
pub use forward::{Forward, Protocol};
pub use guest::Guest;
pub use host::Host;
pub use hosts::Hosts;
pub use machine::{Machine, Network, Resets};
pub use qmp::Qmp;
pub use scenario::{Context, Images, LeftOut, Mode, Modes, Pace, Scenario};
pub use spawn::spawn;
pub use wire::Wire;
