//! Clocks that know the date, and why one's word is not taken.
//!
//! A monitor that has none to offer may still name one in the device tree, and a board's may have
//! stood still in a drawer for years: what a clock says is checked, and what cannot be is a
//! [`Doubt`].

mod civil;
mod mc146818;
mod pl031;
mod vmclock;

use core::fmt;

pub use mc146818::Mc146818;
pub use pl031::Pl031;
pub use vmclock::{Marks, VmClock};

/// A second, in nanoseconds.
const SECOND: u64 = 1_000_000_000;
/// No clock that goes right says less, in seconds since 1970: 2020-01-01 is before this was written.
const EARLIEST: u64 = 1_577_836_800;
/// Nor as much: 2200-01-01.
const LATEST: u64 = 7_258_118_400;

/// How long a vmclock's structure is at least, in bytes.
pub const VMCLOCK: u64 = vmclock::LENGTH as u64;

/// Why a clock's word is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Doubt {
    /// It says this, in seconds since 1970: a time that is long past, or far in the future.
    Implausible(u64),
    /// What it says is no date: digits that are none, a month 13.
    NotADate,
    /// It was written to for as long as anybody looked.
    NeverStill,
    /// It says itself that it is not to be relied on, or that it has no date.
    Unreliable,
    /// It is not the kind of clock that it is said to be.
    Malformed,
}

impl fmt::Display for Doubt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Implausible(seconds) => {
                write!(f, "it says {seconds} s since 1970, which cannot be")
            }
            Self::NotADate => f.write_str("what it says is no date"),
            Self::NeverStill => f.write_str("it does not keep still to be read"),
            Self::Unreliable => f.write_str("it says that it does not know the date"),
            Self::Malformed => f.write_str("it is not what it is said to be"),
        }
    }
}

/// A date in nanoseconds since 1970-01-01 00:00:00 UTC, if it can be one of these years.
///
/// # Errors
/// [`Doubt::Implausible`].
pub const fn plausible(seconds: u64, nanoseconds: u64) -> Result<u64, Doubt> {
    match seconds {
        EARLIEST..LATEST => Ok(seconds * SECOND + nanoseconds % SECOND),
        _ => Err(Doubt::Implausible(seconds)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_these_years_are_taken() {
        assert_eq!(plausible(EARLIEST, 5), Ok(EARLIEST * SECOND + 5));
        assert_eq!(plausible(LATEST - 1, 0), Ok((LATEST - 1) * SECOND));
        for wrong in [0, EARLIEST - 1, LATEST, u64::MAX] {
            assert_eq!(plausible(wrong, 0), Err(Doubt::Implausible(wrong)));
        }
    }
}
