//! The real drivers against fake devices: each test is named after what it promises.

mod blk;
mod common;
mod console;
mod drain;
mod gpio;
mod hostile;
mod memory;
mod net;
mod now;
mod queue;
mod random;
mod restart;
mod restart_hostile;
mod rng;
mod serial;
mod transport;
