//! The real drivers against fake devices: each test is named after what it promises.

mod bcm;
mod blk;
mod cadence;
mod common;
mod console;
mod drain;
mod gpio;
mod hostile;
mod memory;
mod net;
mod now;
mod pci;
mod pci_doorbells;
// What firmware has left is safe code's to sort out, at more length than Miri has time for.
#[cfg(not(miri))]
mod pci_firmware;
mod pci_hostile;
mod queue;
mod random;
mod restart;
mod restart_hostile;
mod rng;
mod serial;
mod transport;
