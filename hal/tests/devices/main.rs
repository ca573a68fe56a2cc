//! The real drivers against fake devices: each test is named after what it promises.

mod blk;
mod common;
mod console;
mod hostile;
mod memory;
mod net;
mod queue;
mod random;
mod rng;
mod serial;
mod transport;
