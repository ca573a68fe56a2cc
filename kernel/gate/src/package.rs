//! The application's image as it lies in the kernel's: a *package*, written by the build and read
//! by the boot of a contained image. Both sides are here, and neither trusts the other.
//!
//! Nothing in it is at home at an address: all addresses count from the image's *base*, which each
//! life of the application has somewhere else. Where a word has to hold a real address, it holds the
//! distance from the base, and a table of *relocations* names the word.
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
//! | 64 | 8 | how many words the relocations take |
//! | 72 | 40 each | segments, by address: address, size in memory, offset in the package, size in the package (8 each), access, zero (4 each) |
//! | 4096 | | their contents, zeros up to the next page |
//! | behind them | 8 each | the relocations, in the encoding of [`Relocations`] |
//! | length − 8 | 8 | an end mark, by which a package that was cut is noticed |
//!
//! An access is written as an ELF file's flags are (1 execute, 2 write, 4 read), with 8 for what is
//! relocated before it is shown; only four combinations can be read back.

mod error;
mod raw;
mod relocations;
#[cfg(test)]
mod tests;
mod write;

use raw::Raw;

pub use error::{Flaw, PackageError};
pub use relocations::Relocations;
pub use write::{Content, write};

/// The largest image, in bytes of memory from its base on.
pub const LARGEST: u64 = 1 << 30;
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
const VERSION: u32 = 2;
/// An application that runs at EL0. No other is packed: joined ones are linked with the kernel.
const CONTAINED: u32 = 1;
const HEADER: usize = 72;
const ENTRY: usize = 40;

/// What an application may do with a segment. There is nothing that it may both write and execute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Execute and read: mapped where it lies in the package.
    Text,
    /// Read: mapped where it lies in the package.
    Constants,
    /// Read: copied from the package at each start, and relocated before it is shown.
    Relocated,
    /// Read and write: copied from the package at each start, and relocated.
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
            12 => Ok(Self::Relocated),
            6 => Ok(Self::Data),
            3 | 7 => Err(Flaw::WritableAndExecutable),
            _ => Err(Flaw::UnknownAccess(flags)),
        }
    }

    const fn flags(self) -> u32 {
        match self {
            Self::Text => 5,
            Self::Constants => 4,
            Self::Relocated => 12,
            Self::Data => 6,
        }
    }

    /// Whether each life has a copy of its own; what has not is used where it lies.
    #[must_use]
    pub const fn is_copied(self) -> bool {
        matches!(self, Self::Relocated | Self::Data)
    }
}

/// A part of the application's memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment<'a> {
    /// Where it begins, from the base on: a page's address, of an image of at most [`LARGEST`] bytes.
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
    relocations: Relocations<'a>,
}

impl<'a> Package<'a> {
    /// Reads a package that fills `bytes`.
    ///
    /// # Errors
    /// The first thing found that is not as it must be; nothing of such a package is to be used.
    pub fn read(bytes: &'a [u8]) -> Result<Self, PackageError> {
        let package = Self::read_header(bytes)?;
        let (mut address, mut offset, mut text) = (0, PAGE, false);
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
        package.check_relocations(address)?;
        Ok(package)
    }

    /// Checks that each relocation names a word that is copied, and that holds an address of the
    /// image, which ends at `end`.
    fn check_relocations(&self, end: u64) -> Result<(), PackageError> {
        let mut copied = [None; SEGMENTS];
        let found = self.segments().filter(|segment| segment.access.is_copied());
        copied.iter_mut().zip(found).for_each(|(place, segment)| *place = Some(segment));
        for found in self.relocations.checked() {
            let (index, address) =
                found.map_err(|(index, flaw)| PackageError::Relocation { index, flaw })?;
            let value = copied.iter().flatten().find_map(|segment| segment.word(address));
            let flaw = match value {
                None => Flaw::NotCopied(address),
                // The address behind the last byte is one that pointers have.
                Some(value) if value > end => Flaw::Astray { address, value },
                Some(_) => continue,
            };
            return Err(PackageError::Relocation { index, flaw });
        }
        Ok(())
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
        let words = long(64)?;
        let behind = bytes.get(..bytes.len() - END.len()).and_then(|all| all.get(HEADER..));
        let relocations = behind.and_then(|behind| Relocations::at_the_end(behind, words));
        let relocations = relocations.ok_or(PackageError::Relocations(words))?;
        Ok(Self { bytes, entry: long(16)?, count, build_id, relocations })
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

    /// How much memory it takes from its base on, in bytes: whole pages.
    #[must_use]
    pub fn memory(&self) -> u64 {
        let last = self.segments().last();
        // At most `LARGEST`.
        last.map_or(0, |last| (last.address + last.memory).next_multiple_of(PAGE))
    }

    /// What has to be added to when the base is known.
    #[must_use]
    pub const fn relocations(&self) -> Relocations<'a> {
        self.relocations
    }

    /// Makes of `memory` what a life whose image begins at `base` finds in `segment`: its contents,
    /// relocated, and zeros behind them.
    pub fn copy(&self, segment: &Segment<'_>, base: u64, memory: &mut [u8]) {
        let (contents, zeros) = memory.split_at_mut(segment.contents.len().min(memory.len()));
        contents.copy_from_slice(segment.contents.get(..contents.len()).unwrap_or_default());
        zeros.fill(0);
        for address in self.relocations.addresses() {
            let at = address.checked_sub(segment.address).and_then(|at| usize::try_from(at).ok());
            let word = at.and_then(|at| contents.get_mut(at..)?.first_chunk_mut::<8>());
            if let Some(word) = word {
                *word = u64::from_le_bytes(*word).wrapping_add(base).to_le_bytes();
            }
        }
    }

    fn raw(&self, index: usize) -> Option<Raw> {
        Raw::read(self.bytes.get(HEADER + index * ENTRY..)?.get(..ENTRY)?)
    }

    const fn contents_end(&self) -> u64 {
        (self.bytes.len() - END.len() - self.relocations.bytes()) as u64
    }
}

impl Segment<'_> {
    /// The word at `address` of the image, if it lies in its contents.
    fn word(&self, address: u64) -> Option<u64> {
        u64_at(self.contents, usize::try_from(address.checked_sub(self.address)?).ok()?)
    }
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}
