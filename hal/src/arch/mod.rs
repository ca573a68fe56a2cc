//! The core itself: what exists only where Elone runs, on AArch64 at EL1.

pub(crate) mod attempt;
pub mod backtrace;
pub(crate) mod caches;
pub mod core;
pub mod entry;
pub mod exception;
mod features;
pub mod frames;
pub mod hypervisor;
pub mod measured;
mod places;
pub mod power;
pub mod retained;
pub mod seal;
mod slide;
pub mod space;
pub mod stacks;
pub mod tables;
pub mod timer;
mod translation;
pub mod unclaimed;
mod undone;
pub mod user;
