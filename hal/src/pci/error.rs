//! What can be wrong with a function.

use core::fmt;

/// Why a function cannot be used. The others can.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PciError {
    /// It says that it has registers in a base address register of this number: there are six.
    NoSuchBar(u8),
    /// It says that it has registers in memory of this number, of which it has none.
    EmptyBar(u8),
    /// It says that it has registers beyond the end of its memory of this number.
    OutsideBar(u8),
    /// There is no room for its memory of this number and size (bytes): the windows that the tree
    /// gives are too small, or full.
    NoRoom(u8, u64),
    /// Its registers could not be mapped.
    Unmapped,
    /// A bridge that does not keep the numbers of its buses: what is behind it is not looked for.
    NumbersLost,
    /// No bus number is left for what is behind a bridge.
    NoBus,
    /// One function or bridge too many: the list is full.
    TooMany,
    /// It may not be set up, as the tree says, and nobody else has.
    NotSetUp,
}

impl fmt::Display for PciError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoSuchBar(bar) => write!(f, "it has registers in BAR {bar}, which no device has"),
            Self::EmptyBar(bar) => write!(f, "it has registers in BAR {bar}, which is no memory"),
            Self::OutsideBar(bar) => write!(f, "it has registers beyond the end of BAR {bar}"),
            Self::NoRoom(bar, size) => write!(f, "no room for BAR {bar} ({size:#x} bytes)"),
            Self::Unmapped => f.write_str("its registers cannot be mapped"),
            Self::NumbersLost => f.write_str("a bridge that does not keep its bus numbers"),
            Self::NoBus => f.write_str("no bus number is left for what is behind this bridge"),
            Self::TooMany => f.write_str("one too many"),
            Self::NotSetUp => f.write_str("nobody has set it up, and nobody is to"),
        }
    }
}

impl core::error::Error for PciError {}
