//! memcpy and its kin, for everything that is linked for the target: the kernel, and an application
//! that is linked without it; and the instructions of memory tags, which belong to nobody else's level
//! either. A crate of its own, because it is all that the two have in common
//! below the gate: it touches no register of the system and asks nobody for anything.
#![no_std]
#![cfg_attr(target_os = "none", expect(unsafe_code, reason = "assembly is"))]

#[cfg(target_os = "none")]
pub mod tags;

#[cfg(target_os = "none")]
core::arch::global_asm!(include_str!("memory.s"));
