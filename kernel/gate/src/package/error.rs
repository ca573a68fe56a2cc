//! Why a package is refused.

use core::fmt;

use super::{BUILD_ID, LARGEST, LONGEST, SEGMENTS};

/// Why an application's package is refused. None can be mended: the image has to be built again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PackageError {
    /// There is none: the image was built without an application.
    Absent,
    /// It does not begin as packages do.
    NotAPackage,
    /// It has a layout of this number, which this kernel does not know.
    OtherVersion(u32),
    /// It holds an application for a mode other than contained.
    OtherMode,
    /// It is shorter than it says, or its end mark is not there.
    Truncated,
    /// Something follows its end.
    Trailing,
    /// It claims this many bytes, more than [`LONGEST`].
    TooLarge(u64),
    /// It claims this many segments: none, or more than [`SEGMENTS`].
    Segments(u32),
    /// Its build id is longer than [`BUILD_ID`].
    BuildId,
    /// One of its segments is not as it must be.
    Segment {
        /// Which one, counted from 0.
        index: usize,
        /// What is wrong with it.
        flaw: Flaw,
    },
    /// It begins at this address, where no segment has text.
    Entry(u64),
    /// It claims this many words of relocations, more than it has.
    Relocations(u64),
    /// One of its relocations is not as it must be.
    Relocation {
        /// Which word of their table, counted from 0.
        index: usize,
        /// What is wrong with it.
        flaw: Flaw,
    },
}

/// What is wrong with a segment, or with a relocation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// It could be written and executed.
    WritableAndExecutable,
    /// An access with these flags is neither that of text, nor of constants, nor of data.
    UnknownAccess(u32),
    /// This address is not a page's.
    MisalignedAddress(u64),
    /// It is not within the [`LARGEST`] image that there may be.
    Outside {
        /// Where it begins.
        address: u64,
        /// How many bytes it has.
        memory: u64,
    },
    /// It begins at this address, on a page of the segment before it, or before that segment.
    Overlaps(u64),
    /// It has no byte.
    Empty,
    /// It has more contents than memory.
    LargerThanMemory,
    /// It is used where it lies, so its zeros would have to be in the package.
    ZerosInPlace,
    /// Its contents lie at this offset, which is not a page's.
    MisalignedContents(u64),
    /// Its contents lie at this offset, which is not behind those of the segment before it.
    Misplaced(u64),
    /// Its contents reach beyond the package's end.
    ContentsMissing,
    /// A bitmap of relocations stands where no address is before it.
    Unplaced,
    /// A relocation is for a word at this address, which is not a multiple of eight.
    MisalignedWord(u64),
    /// A relocation is for this address, which is not behind those of the relocations before it.
    NotAscending(u64),
    /// A relocation is for a word at this address, which is not all in contents that are copied.
    NotCopied(u64),
    /// A relocation is for a word that leads out of the image.
    Astray {
        /// The word's address.
        address: u64,
        /// Where it leads.
        value: u64,
    },
}

impl fmt::Display for PackageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Absent => f.write_str("there is none in this image"),
            Self::NotAPackage => f.write_str("not a package"),
            Self::OtherVersion(version) => write!(f, "packed in an unknown form ({version})"),
            Self::OtherMode => f.write_str("built for another mode"),
            Self::Truncated => f.write_str("truncated"),
            Self::Trailing => f.write_str("something follows its end"),
            Self::TooLarge(length) => {
                write!(f, "too large: {length} bytes, and {LONGEST} are the limit")
            }
            Self::Segments(0) => f.write_str("it has no segments"),
            Self::Segments(count) => write!(f, "{count} segments, and {SEGMENTS} are the limit"),
            Self::BuildId => write!(f, "its build id has more than {BUILD_ID} bytes"),
            Self::Segment { index, flaw } => write!(f, "segment {index}: {flaw}"),
            Self::Entry(address) => write!(f, "its entry, {address:#x}, is not in its text"),
            Self::Relocations(words) => write!(f, "{words} words of relocations are not all there"),
            Self::Relocation { index, flaw } => write!(f, "relocation {index}: {flaw}"),
        }
    }
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::WritableAndExecutable => f.write_str("writable and executable"),
            Self::UnknownAccess(flags) => write!(f, "unknown access {flags:#x}"),
            Self::MisalignedAddress(address) => write!(f, "misaligned address {address:#x}"),
            Self::Outside { address, memory } => {
                write!(f, "{memory:#x} bytes at {address:#x} are not within {LARGEST:#x}")
            }
            Self::Overlaps(address) => {
                write!(f, "at {address:#x} it overlaps the segment before it")
            }
            Self::Empty => f.write_str("empty"),
            Self::LargerThanMemory => f.write_str("more contents than memory"),
            Self::ZerosInPlace => f.write_str("text or constants with more memory than contents"),
            Self::MisalignedContents(offset) => write!(f, "misaligned contents at {offset:#x}"),
            Self::Misplaced(offset) => {
                write!(f, "contents at {offset:#x}, not behind those before them")
            }
            Self::ContentsMissing => f.write_str("its contents reach beyond the package"),
            Self::Unplaced => f.write_str("a bitmap without an address before it"),
            Self::MisalignedWord(address) => write!(f, "misaligned word at {address:#x}"),
            Self::NotAscending(address) => write!(f, "{address:#x} is not behind those before it"),
            Self::NotCopied(address) => write!(f, "no word that is copied is at {address:#x}"),
            Self::Astray { address, value } => {
                write!(f, "the word at {address:#x} leads out of the image, to {value:#x}")
            }
        }
    }
}

impl core::error::Error for PackageError {}
