//! Virtio devices, memory-mapped or on PCI, after virtio 1.2, and where they are memory-mapped its
//! legacy interface.
//!
//! ```text
//! Transport::open…(…) → begin(id) → Setup → negotiate() → Agreed → queue()… → finish() → Live
//!                                        Live::restart() → Agreed → queue_again()… → finish() → Live
//! ```
//!
//! A device is not trusted. Every number that comes from one is checked against the driver's own
//! copy of what the device was given; one that breaks its protocol is reset and not spoken to again
//! ([`DeviceError::Broken`]) until it is restarted. No driver waits without bound, allocates, locks or panics.

mod agreed;
pub mod blk;
mod config;
pub mod console;
mod error;
mod features;
mod interrupt;
mod layout;
mod live;
mod mapped;
pub mod net;
mod order;
mod pci;
mod port;
pub mod queue;
mod registers;
pub mod rng;
mod setup;
mod transport;

pub use agreed::Agreed;
pub use config::Config;
pub use error::{DeviceError, Fault, ProbeError};
pub use features::Features;
pub use interrupt::{Causes, InterruptPort};
pub use live::Live;
pub use pci::Vectors;
pub(crate) use pci::is_virtio;
pub use setup::Setup;
pub use transport::{DeviceId, Transport};
