//! The application's image as it lies in the kernel's: a *package*, written by the build and read
//! by the boot of a contained image. Both sides are here, and neither trusts the other.
//!
//! Numbers are little-endian. What the application runs is mapped where it lies, so contents begin
//! at page boundaries, the first one page behind the beginning, each where the one before it ends:
//!
//! | offset | bytes | |
//! |---:|---:|---|
//! | 0 | 8 | magic |
//! | 8 | 4, 4 | version, mode |
//! | 16 | 8 | the entry's address |
//! | 24 | 4, 4 | how many segments there are; how long the build id is |
//! | 32 | 8 | the package's length |
//! | 40 | 24 | the build id, then zeros |
//! | 64 | 40 each | segments, by address: address, size in memory, offset in the package, size in the package (8 each), access, zero (4 each) |
//! | 4096 | | their contents, zeros up to the next page |
//! | length − 8 | 8 | an end mark, by which a package that was cut is noticed |
//!
//! An access is written as an ELF file's flags are (1 execute, 2 write, 4 read), of which only three
//! combinations can be read back.

mod error;
#[cfg(test)]
mod tests;
mod write;

use core::ops::Range;

pub use error::{Flaw, PackageError};
pub use write::write;

/// Where applications are linked: the first address, and the one behind the last. Below nothing is
/// mapped, so that a null pointer faults; above are the application's stack, heap and buffers.
pub const ADDRESSES: Range<u64> = 0x40_0000..0x4000_0000;
/// What contents and segments are aligned to, in bytes.
pub const PAGE: u64 = 4096;
/// The longest package, in bytes: the kernel around it has the rest of the 4 MiB that an image
/// may have.
pub const LONGEST: u64 = 3 << 20;
/// How many segments an application may have.
pub const SEGMENTS: usize = 8;
/// The longest build id, in bytes: that of SHA-1, the longest that linkers make.
pub const BUILD_ID: usize = 20;

const MAGIC: [u8; 8] = *b"ELONEAPP";
const END: [u8; 8] = *b"ELONEEND";
/// Whoever changes the layout changes this.
const VERSION: u32 = 1;
/// An application that runs at EL0. No other is packed: joined ones are linked with the kernel.
const CONTAINED: u32 = 1;
const HEADER: usize = 64;
const ENTRY: usize = 40;

/// What an application may do with a segment. There is nothing that it may both write and execute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Execute and read: mapped where it lies in the package.
    Text,
    /// Read: mapped where it lies in the package.
    Constants,
    /// Read and write: copied from the package at each start.
    Data,
}

impl Access {
    /// The access that an ELF file's flags ask for (System V ABI, program header, `PF_X` and so on).
    ///
    /// # Errors
    /// [`Flaw::WritableAndExecutable`], or [`Flaw::UnknownAccess`] for any other combination.
    pub const fn from_flags(flags: u32) -> Result<Self, Flaw> {
        match flags {
            5 => Ok(Self::Text),
            4 => Ok(Self::Constants),
            6 => Ok(Self::Data),
            3 | 7 => Err(Flaw::WritableAndExecutable),
            _ => Err(Flaw::UnknownAccess(flags)),
        }
    }

    const fn flags(self) -> u32 {
        match self {
            Self::Text => 5,
            Self::Constants => 4,
            Self::Data => 6,
        }
    }
}

/// A part of the application's memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment<'a> {
    /// Where the application was linked to find it: a page's address within [`ADDRESSES`].
    pub address: u64,
    /// Its size in memory, in bytes; what `contents` does not fill is zeros.
    pub memory: u64,
    /// What it begins with. In a package it lies at the beginning of a page, and what is left of
    /// its last page is no other segment's.
    pub contents: &'a [u8],
    /// What the application may do with it.
    pub access: Access,
}

/// An application, read from a package in which everything was found to be in order.
#[derive(Clone, Copy, Debug)]
pub struct Package<'a> {
    bytes: &'a [u8],
    entry: u64,
    count: usize,
    build_id: &'a [u8],
}

impl<'a> Package<'a> {
    /// Reads a package that fills `bytes`.
    ///
    /// # Errors
    /// The first thing found that is not as it must be; nothing of such a package is to be used.
    pub fn read(bytes: &'a [u8]) -> Result<Self, PackageError> {
        let package = Self::read_header(bytes)?;
        let (mut address, mut offset, mut text) = (ADDRESSES.start, PAGE, false);
        for index in 0..package.count {
            let raw = package.raw(index).ok_or(PackageError::Truncated)?;
            let at = |flaw| PackageError::Segment { index, flaw };
            let end = raw.check(address, offset, package.contents_end()).map_err(at)?;
            (address, offset) = end;
            text |= raw.holds_text(package.entry);
        }
        if !text {
            return Err(PackageError::Entry(package.entry));
        }
        Ok(package)
    }

    /// Reads what stands before the segments, and whether the package is all there.
    fn read_header(bytes: &'a [u8]) -> Result<Self, PackageError> {
        if bytes.is_empty() {
            return Err(PackageError::Absent);
        }
        let header = bytes.get(..HEADER).ok_or(PackageError::Truncated)?;
        let number = |at| u32_at(header, at).ok_or(PackageError::Truncated);
        let long = |at| u64_at(header, at).ok_or(PackageError::Truncated);
        if !header.starts_with(&MAGIC) {
            return Err(PackageError::NotAPackage);
        }
        match (number(8)?, number(12)?) {
            (VERSION, CONTAINED) => {}
            (VERSION, _) => return Err(PackageError::OtherMode),
            (other, _) => return Err(PackageError::OtherVersion(other)),
        }
        let length = long(32)?;
        if length > LONGEST {
            return Err(PackageError::TooLarge(length));
        }
        let there = bytes.len() as u64;
        if length < there {
            return Err(PackageError::Trailing);
        }
        if length > there || !bytes.ends_with(&END) {
            return Err(PackageError::Truncated);
        }
        let (count, id) = (number(24)?, number(28)?);
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        if !(1..=SEGMENTS).contains(&count) {
            return Err(PackageError::Segments(number(24)?));
        }
        let id = usize::try_from(id).ok().filter(|&length| length <= BUILD_ID);
        let build_id = id.and_then(|length| header.get(40..40 + length));
        let build_id = build_id.ok_or(PackageError::BuildId)?;
        Ok(Self { bytes, entry: long(16)?, count, build_id })
    }

    /// Where the application begins: within a segment of text.
    #[must_use]
    pub const fn entry(&self) -> u64 {
        self.entry
    }

    /// What ties the application to the file with its symbols; may be empty.
    #[must_use]
    pub const fn build_id(&self) -> &'a [u8] {
        self.build_id
    }

    /// Its segments, by address; no two have a page in common.
    pub fn segments(&self) -> impl Iterator<Item = Segment<'a>> + use<'a> {
        let package = *self;
        // What was read once can be read again.
        (0..package.count).filter_map(move |index| package.raw(index)?.segment(package.bytes))
    }

    /// How much memory its data takes beside the package, in bytes: whole pages.
    #[must_use]
    pub fn data(&self) -> u64 {
        let data = self.segments().filter(|segment| segment.access == Access::Data);
        // Disjoint parts of `ADDRESSES`: their sum fits.
        data.map(|segment| segment.memory.next_multiple_of(PAGE)).sum()
    }

    fn raw(&self, index: usize) -> Option<Raw> {
        let entry = self.bytes.get(HEADER + index * ENTRY..)?.get(..ENTRY)?;
        let [address, memory, offset, size] = [0, 8, 16, 24].map(|at| u64_at(entry, at));
        Some(Raw {
            address: address?,
            memory: memory?,
            offset: offset?,
            size: size?,
            flags: u32_at(entry, 32)?,
        })
    }

    const fn contents_end(&self) -> u64 {
        (self.bytes.len() - END.len()) as u64
    }
}

/// A segment as it stands in the table: an allegation.
#[derive(Clone, Copy)]
struct Raw {
    address: u64,
    memory: u64,
    offset: u64,
    size: u64,
    flags: u32,
}

impl Raw {
    /// Checks it beside those before it, which end at `address` in memory and at `offset` in the
    /// package, whose contents end at `end`. Returns where this one ends, in both.
    fn check(&self, address: u64, offset: u64, end: u64) -> Result<(u64, u64), Flaw> {
        let access = Access::from_flags(self.flags)?;
        if self.address >> 63 == 1 {
            return Err(Flaw::UpperHalf(self.address));
        }
        if !self.address.is_multiple_of(PAGE) {
            return Err(Flaw::MisalignedAddress(self.address));
        }
        let last = self.address.checked_add(self.memory).filter(|&last| last <= ADDRESSES.end);
        let (true, Some(last)) = (self.address >= ADDRESSES.start, last) else {
            return Err(Flaw::Outside { address: self.address, memory: self.memory });
        };
        if self.address < address {
            return Err(Flaw::Overlaps(self.address));
        }
        if self.memory == 0 {
            return Err(Flaw::Empty);
        }
        if self.size > self.memory {
            return Err(Flaw::LargerThanMemory);
        }
        if access != Access::Data && self.size < self.memory {
            return Err(Flaw::ZerosInPlace);
        }
        if !self.offset.is_multiple_of(PAGE) {
            return Err(Flaw::MisalignedContents(self.offset));
        }
        if self.offset != offset {
            return Err(Flaw::Misplaced(self.offset));
        }
        // No sum of these overflows: a size is at most that of `ADDRESSES`, and an offset is within
        // the package.
        let next = offset + self.size.next_multiple_of(PAGE);
        if next > end {
            return Err(Flaw::ContentsMissing);
        }
        Ok((last.next_multiple_of(PAGE), next))
    }

    /// Whether an instruction at `address` would be in it.
    fn holds_text(&self, address: u64) -> bool {
        self.flags == Access::Text.flags()
            && address.is_multiple_of(4)
            && address >= self.address
            && address - self.address < self.memory
    }

    fn segment<'a>(&self, bytes: &'a [u8]) -> Option<Segment<'a>> {
        let contents = bytes.get(usize::try_from(self.offset).ok()?..)?;
        let contents = contents.get(..usize::try_from(self.size).ok()?)?;
        let access = Access::from_flags(self.flags).ok()?;
        Some(Segment { address: self.address, memory: self.memory, contents, access })
    }
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?))
}
