//! Translation tables (Arm ARM, chapter D8): a tree of three levels for 39 bits of addresses, and
//! the stock of pages that it grows from. What may be written in it is its owners' to decide, the
//! kernel's map ([`tables`](super::tables)) and the application's ([`space`](super::space)).

use super::tables::MapError;
use crate::address::{PAGE, PhysicalRange};

/// Physical addresses have 48 bits: more need a larger granule or other descriptors.
const ADDRESSES: u64 = 1 << 48;
/// A descriptor that names a table, or at the last level a page.
const TABLE: u64 = 0b11;

/// The bits of a descriptor that say what may be done (Arm ARM, section D8.3.2).
#[derive(Clone, Copy, Debug)]
pub(super) struct Attributes(u64);

impl Attributes {
    const ACCESS_FLAG: u64 = 1 << 10;
    const INNER_SHAREABLE: u64 = 3 << 8;
    /// Normal memory, an index into `MAIR_EL1`; a device's is 0.
    const NORMAL: u64 = 1 << 2 | Self::INNER_SHAREABLE;
    const READ_ONLY: u64 = 1 << 7;
    const EL0: u64 = 1 << 6;
    /// Not in the lookup buffers of another address space.
    const NOT_GLOBAL: u64 = 1 << 11;
    const PXN: u64 = 1 << 53;
    const UXN: u64 = 1 << 54;

    const fn of(bits: u64) -> Self {
        Self(bits | Self::ACCESS_FLAG)
    }

    /// What the kernel reads, through the caches.
    pub(super) const KERNEL_READ: Self =
        Self::of(Self::NORMAL | Self::READ_ONLY | Self::PXN | Self::UXN);
    /// What the kernel reads and writes, through the caches.
    pub(super) const KERNEL_WRITE: Self = Self::of(Self::NORMAL | Self::PXN | Self::UXN);
    /// A device's registers, in program order (nGnRE).
    pub(super) const DEVICE: Self = Self::of(Self::PXN | Self::UXN);
    /// What EL0 reads.
    pub(super) const USER_READ: Self = Self::of(Self::USER | Self::READ_ONLY | Self::UXN);
    /// What EL0 reads and writes.
    pub(super) const USER_WRITE: Self = Self::of(Self::USER | Self::UXN);
    /// What EL0 runs. Written by nobody, run by nobody else.
    pub(super) const USER_RUN: Self = Self::of(Self::USER | Self::READ_ONLY);
    const USER: u64 = Self::NORMAL | Self::EL0 | Self::NOT_GLOBAL | Self::PXN;
}

/// A tree of tables. Its pages are all that it ever writes to.
#[derive(Debug)]
pub(super) struct Tree {
    root: usize,
    next: usize,
    end: usize,
    /// Virtual minus physical address, of the tables.
    offset: u64,
}

impl Tree {
    /// A tree whose root is the page at `root`, with the pages from `next` to `end` to grow into.
    ///
    /// # Safety
    /// The root and the pages are mapped writable for good, physically `offset` below, and nothing
    /// else's; the root is a valid table whose entries lead to such pages.
    pub(super) const unsafe fn new(root: usize, next: usize, end: usize, offset: u64) -> Self {
        Self { root, next, end, offset }
    }

    /// How many pages are left to grow into.
    pub(super) const fn left(&self) -> usize {
        (self.end - self.next) / PAGE
    }

    /// The root's physical address, for a `TTBR`.
    pub(super) const fn root(&self) -> u64 {
        (self.root as u64).wrapping_sub(self.offset)
    }

    /// Has `range` seen at `seen`, both page-aligned, in the largest blocks that fit. On an error
    /// some of it may be.
    pub(super) fn map(
        &mut self,
        seen: usize,
        range: PhysicalRange,
        attributes: Attributes,
    ) -> Result<(), MapError> {
        let (mut seen, mut physical) = (seen as u64, range.start().0);
        let end = range.end().0;
        if end > ADDRESSES {
            return Err(MapError::OutOfRange);
        }
        while physical < end {
            let size = self.map_one(seen, physical, end - physical, attributes)?;
            seen += size;
            physical += size;
        }
        publish();
        Ok(())
    }

    /// Maps the largest piece that fits at `seen`: 1 GiB, 2 MiB or a page; returns its size.
    fn map_one(
        &mut self,
        seen: u64,
        physical: u64,
        left: u64,
        attributes: Attributes,
    ) -> Result<u64, MapError> {
        let mut table = self.root;
        for (shift, kind) in [(30, 0b01), (21, 0b01), (12, TABLE)] {
            let size = 1 << shift;
            let index = to_usize(seen >> shift)? % 512;
            let slot = (table as *mut u64).wrapping_add(index);
            // SAFETY: `table` is one of the tree's pages (`new`), 512 entries, mapped writable.
            let entry = unsafe { slot.read() };
            let fits = (seen | physical).is_multiple_of(size) && left >= size;
            if entry == 0 && fits {
                // SAFETY: as above; an empty entry becomes valid, which needs no invalidation.
                unsafe { slot.write(physical | attributes.0 | kind) };
                return Ok(size);
            }
            if entry & TABLE != TABLE || shift == 12 {
                if entry != 0 {
                    return Err(MapError::Mapped);
                }
                let next = self.claim()?;
                let descriptor = (next as u64).wrapping_sub(self.offset) | TABLE;
                // SAFETY: as above; the new table is empty and reaches memory before this does.
                unsafe { slot.write(descriptor) };
                table = next;
            } else {
                let address = entry & 0x0000_ffff_ffff_f000;
                table = to_usize(address.wrapping_add(self.offset))?;
            }
        }
        Err(MapError::Mapped)
    }

    /// An empty table from the stock.
    fn claim(&mut self) -> Result<usize, MapError> {
        let table = self.next;
        if table >= self.end {
            return Err(MapError::OutOfTables);
        }
        self.next += PAGE;
        // SAFETY: a page of the stock (`new`), in no use yet.
        unsafe { (table as *mut [u64; 512]).write([0; 512]) };
        publish();
        Ok(table)
    }
}

/// Addresses are 64 bits wide here; elsewhere this refuses what does not fit.
pub(super) fn to_usize(value: u64) -> Result<usize, MapError> {
    usize::try_from(value).map_err(|_| MapError::OutOfRange)
}

/// Makes what was written to tables visible to the walker before anything else is done.
fn publish() {
    use aarch64_cpu::asm::barrier;
    barrier::dsb(barrier::ISHST);
    barrier::isb(barrier::SY);
}
