//! The devices that are not virtio devices.

mod empty_bus;
mod mc146818;
mod ns16550;
mod pl011;
mod pl031;
mod pl061;
mod typed;

pub use empty_bus::EmptyBus;
pub use mc146818::Mc146818;
pub use ns16550::Ns16550;
pub use pl011::Pl011;
pub use pl031::Pl031;
pub use pl061::Pl061;
