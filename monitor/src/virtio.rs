//! The virtio devices: which there are, and in which slot each is.
//!
//! A device is a [`Model`] behind a [`Transport`]. The transport is what the guest's driver talks to
//! (virtio 1.2, section 4.2); the model answers the requests in its queues. Nothing that a driver
//! writes is believed: addresses go through `vm-memory`, lengths through `virtio-queue`, and a
//! driver that breaks the rules is told to reset its device.

mod disk;
mod entropy;
mod network;
mod plugged;
mod queue;
#[cfg(test)]
mod tests;
mod transport;

pub use disk::Disk;
pub use entropy::Entropy;
pub use network::{HardwareAddress, Network};
pub use plugged::Plugged;
pub use queue::{Answer, Broken, Served, answer_all};
pub use transport::{Empty, Model, Transport};
