//! PCI: configuration space, what is plugged into it, and where in memory each function has its
//! registers (PCI Local Bus Specification 3.0, chapter 6; PCI-to-PCI Bridge Architecture 1.2; PCI
//! Express Base Specification 5.0, section 7.2.2).
//!
//! ```text
//! walk(host, map) → Walked → place(host) → Device → virtio::Transport::open_pci(device, map)
//!                                                 → message_table(map) → MessageTable
//! ```
//!
//! What firmware or the monitor has set up stays as it is; what nobody has is set up here: the
//! numbers of buses, the places of registers, the windows of bridges. What firmware had functions do
//! ends: none reaches memory or interrupts until a driver has reset it. No function is trusted: what
//! one says of itself may be anything, and costs at most that function. All of this is the boot's.

mod address;
mod bars;
mod bridge;
mod device;
mod dma;
mod error;
mod function;
mod host;
mod messages;
mod place;
mod registers;
mod room;
mod walk;

pub use address::Address;
pub use device::Device;
pub(crate) use dma::BusMaster;
pub use error::PciError;
pub use function::Function;
pub use host::{HostBridge, Layout, MemoryWindow, WINDOWS};
pub use messages::MessageTable;
pub use walk::{Found, Walked, walk};

use crate::address::PhysicalRange;
use crate::mmio::Window;

/// Maps registers: `None` if that cannot be done, which whoever does it has said why.
pub type Map<'m> = dyn FnMut(PhysicalRange) -> Option<Window> + 'm;

/// How many functions that there may be a driver for are noted.
pub const FUNCTIONS: usize = 32;
/// How many bridges are gone through.
pub const BRIDGES: usize = 16;
