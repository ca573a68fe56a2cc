//! The core itself: what exists only where Elone runs, on AArch64 at EL1.

pub mod backtrace;
pub mod core;
pub mod entry;
pub mod exception;
pub mod frames;
pub mod interrupts;
pub mod power;
pub mod retained;
pub mod space;
pub mod tables;
pub mod timer;
mod translation;
pub mod unclaimed;
pub mod user;
