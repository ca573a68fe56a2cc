//! Why the image's application cannot be run.

use core::fmt;

use elone_gate::package::PackageError;
use elone_hal::arch::tables::MapError;

/// Why an application cannot be laid out. All are found at the boot, before it is entered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LoadError {
    /// There is none, or it is not one that was built for this.
    Package(PackageError),
    /// It needs more memory in one piece than there is: how much, and how much there is, in KiB.
    TooLarge {
        /// For one of its parts.
        needed: usize,
        /// The largest free piece.
        free: usize,
    },
    /// A part of it cannot be mapped.
    Map(MapError),
    /// What it has to be told does not fit into the place for that: the settings are too long.
    Handover,
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Package(error) => error.fmt(f),
            Self::TooLarge { needed, free } => {
                write!(f, "it needs {needed} KiB in one piece, {free} KiB are free")
            }
            Self::Map(error) => write!(f, "it cannot be mapped: {error}"),
            Self::Handover => f.write_str("the settings are too long for it"),
        }
    }
}

impl From<PackageError> for LoadError {
    fn from(error: PackageError) -> Self {
        Self::Package(error)
    }
}

impl From<MapError> for LoadError {
    fn from(error: MapError) -> Self {
        Self::Map(error)
    }
}
