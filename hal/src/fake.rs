//! Fake hardware below the real drivers, on the host: registers and memory, no logic of a driver.
//!
//! A fake is placed on the [`bus`] and found there through the [`Window`](crate::mmio::Window) that
//! it got; a pool made by [`DmaPool::on_host`](crate::dma::DmaPool::on_host) is the [`memory`] that
//! fake devices reach by physical address. What a fake asserts is what the specification asks of
//! a driver; a test sees a driver that does otherwise as a panic.

pub mod bus;
pub mod cadence;
pub mod clock;
pub mod gpio;
pub mod honest;
pub mod its;
pub mod memory;
pub mod pci;
pub mod ring;
pub mod serial;
pub mod virtio;
