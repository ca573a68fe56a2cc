//! Why a call was refused.

use core::fmt;

/// Why the kernel refused a call. Each variant says what the caller can do about it; no call that
/// is refused has had any effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Error {
    /// There is no such device on this machine. Do without it, or tell the operator.
    NoSuchDevice = 1,
    /// The device was claimed before. A device has one owner for the life of the application.
    Claimed = 2,
    /// The handle was never given out, or names a device of another class.
    BadHandle = 3,
    /// The buffer is not the application's at this time (a device holds it, or it does not exist).
    BadBuffer = 4,
    /// A length, sector or range lies outside what the device has. Ask for less.
    OutOfRange = 5,
    /// Nothing can be taken now; an event will say when to try again.
    Full = 6,
    /// The device broke its protocol or reported a failure and was reset; it stays unusable.
    Broken = 7,
    /// The device has this, but not in this form (a write to a read-only disk); or the machine does
    /// not have it at all. It never will.
    Unsupported = 8,
    /// The machine has no clock that knows the date.
    NoClock = 9,
    /// The machine has given no entropy yet.
    NoEntropy = 10,
    /// The memory that the call names is not the caller's, not all of it, or not for this use. No
    /// safe code makes such a call.
    BadPointer = 11,
    /// There is no call of this number: kernel and application were not made for each other.
    NoSuchCall = 12,
}

impl Error {
    /// Every error there is.
    pub const ALL: [Self; 12] = [
        Self::NoSuchDevice,
        Self::Claimed,
        Self::BadHandle,
        Self::BadBuffer,
        Self::OutOfRange,
        Self::Full,
        Self::Broken,
        Self::Unsupported,
        Self::NoClock,
        Self::NoEntropy,
        Self::BadPointer,
        Self::NoSuchCall,
    ];

    /// The error with this code; `None` for 0, which is success, and for what is unknown.
    #[must_use]
    pub fn from_code(code: u64) -> Option<Self> {
        Self::ALL.into_iter().find(|error| *error as u64 == code)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoSuchDevice => "no such device on this machine",
            Self::Claimed => "the device has an owner already",
            Self::BadHandle => "not a handle of this kind of device",
            Self::BadBuffer => "the buffer is not the application's now",
            Self::OutOfRange => "outside what the device has",
            Self::Full => "the device can take no more now",
            Self::Broken => "the device broke its protocol and was reset",
            Self::Unsupported => "the device does not support this",
            Self::NoClock => "the machine has no clock that knows the date",
            Self::NoEntropy => "the machine has given no entropy",
            Self::BadPointer => "memory that is not the caller's",
            Self::NoSuchCall => "there is no such call",
        })
    }
}

impl core::error::Error for Error {}
