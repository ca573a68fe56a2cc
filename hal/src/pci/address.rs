//! Where a function is.

use core::fmt;

/// Where a function is, as the bus knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Address {
    /// The number of its bus.
    pub bus: u8,
    /// Its device: 0 to 31.
    pub device: u8,
    /// Its number in that: 0 to 7.
    pub function: u8,
}

impl Address {
    /// Who it is where it sends something: 16 bits.
    #[must_use]
    pub const fn requester(self) -> u16 {
        (self.bus as u16) << 8 | (self.device as u16 & 31) << 3 | self.function as u16 & 7
    }
}

/// As everybody writes it: `00:02.0`.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02x}:{:02x}.{:x}", self.bus, self.device, self.function)
    }
}
