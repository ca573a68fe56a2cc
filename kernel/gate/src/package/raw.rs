//! The table of segments, before anything of it is believed.

use super::{Access, Flaw, LARGEST, PAGE, Segment, u32_at, u64_at};

/// A segment as it stands in the table: an allegation.
#[derive(Clone, Copy)]
pub(super) struct Raw {
    address: u64,
    memory: u64,
    offset: u64,
    size: u64,
    flags: u32,
}

impl Raw {
    /// Reads one from its entry.
    pub(super) fn read(entry: &[u8]) -> Option<Self> {
        let [address, memory, offset, size] = [0, 8, 16, 24].map(|at| u64_at(entry, at));
        Some(Self {
            address: address?,
            memory: memory?,
            offset: offset?,
            size: size?,
            flags: u32_at(entry, 32)?,
        })
    }

    /// Checks it beside those before it, which end at `address` in memory and at `offset` in the
    /// package, whose contents end at `end`. Returns where this one ends, in both.
    pub(super) fn check(&self, address: u64, offset: u64, end: u64) -> Result<(u64, u64), Flaw> {
        let access = Access::from_flags(self.flags)?;
        if !self.address.is_multiple_of(PAGE) {
            return Err(Flaw::MisalignedAddress(self.address));
        }
        let last = self.address.checked_add(self.memory).filter(|&last| last <= LARGEST);
        let last = last.ok_or(Flaw::Outside { address: self.address, memory: self.memory })?;
        if self.address < address {
            return Err(Flaw::Overlaps(self.address));
        }
        if self.memory == 0 {
            return Err(Flaw::Empty);
        }
        if self.size > self.memory {
            return Err(Flaw::LargerThanMemory);
        }
        if !access.is_copied() && self.size < self.memory {
            return Err(Flaw::ZerosInPlace);
        }
        if !self.offset.is_multiple_of(PAGE) {
            return Err(Flaw::MisalignedContents(self.offset));
        }
        if self.offset != offset {
            return Err(Flaw::Misplaced(self.offset));
        }
        // No sum of these overflows: a size is at most `LARGEST`, and an offset is within the package.
        let next = offset + self.size.next_multiple_of(PAGE);
        if next > end {
            return Err(Flaw::ContentsMissing);
        }
        Ok((last.next_multiple_of(PAGE), next))
    }

    /// Whether an instruction at `address` would be in it.
    pub(super) fn holds_text(&self, address: u64) -> bool {
        self.flags == Access::Text.flags()
            && address.is_multiple_of(4)
            && address >= self.address
            && address - self.address < self.memory
    }

    /// The segment, of a package in `bytes` whose table was checked.
    pub(super) fn segment<'a>(&self, bytes: &'a [u8]) -> Option<Segment<'a>> {
        let contents = bytes.get(usize::try_from(self.offset).ok()?..)?;
        let contents = contents.get(..usize::try_from(self.size).ok()?)?;
        let access = Access::from_flags(self.flags).ok()?;
        Some(Segment { address: self.address, memory: self.memory, contents, access })
    }
}
