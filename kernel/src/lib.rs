//! The kernel: trusted, safe code between the hardware layer below and the gate above.
//!
//! `boot` is the list to start reading at. What reads only plain data compiles everywhere and is
//! tested on the host; what touches the machine exists on the machine alone.
#![cfg_attr(target_os = "none", no_std)]

pub mod allegation;
pub mod attention;
pub mod blackbox;
pub mod calendar;
pub mod entropy;
pub mod hearing;
pub mod integrity;
pub mod machine;
pub mod places;
pub mod policy;
pub mod report;
pub mod scale;
pub mod seed;
pub mod settings;
pub mod silence;
pub mod tail;
mod text;
pub mod trap;
pub mod watchdog;

/// Declares modules that exist on the machine alone.
macro_rules! on_the_machine {
    ($($name:ident)*) => { $(#[cfg(target_os = "none")] mod $name;)* };
}

on_the_machine! {
    absence boot clock console dates devices entry error fault gpio hypervisor identity input interrupts
    log memory messages platform power sources transfers
}

// How the application runs: the one choice that the build makes for the kernel.
#[cfg(all(target_os = "none", elone_contained))]
#[path = "contained/mod.rs"]
mod mode;
#[cfg(all(target_os = "none", not(elone_contained)))]
#[path = "joined.rs"]
mod mode;
