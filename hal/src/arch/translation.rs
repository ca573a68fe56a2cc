//! Translation tables (Arm ARM, chapter D8): a tree of four levels for 48 bits of addresses, and
//! the stock of pages that it grows from. What may be written in it is its owners' to decide, the
//! kernel's map ([`tables`](super::tables)) and the application's ([`space`](super::space)).

use aarch64_cpu::asm::barrier;
use core::arch::asm;
use core::ptr::NonNull;

use elone_protections::Protection;

use super::tables::MapError;
use crate::address::{PAGE, PhysicalRange};
use crate::protections::wanted;

/// Physical addresses have 48 bits: more need a larger granule or other descriptors.
const ADDRESSES: u64 = 1 << 48;
/// A descriptor that names a table, or at the last level a page.
const TABLE: u64 = 0b11;
/// A descriptor that names a block of 2 MiB or 1 GiB.
const BLOCK: u64 = 0b01;
/// The levels from the root down: which bits of an address choose the entry. The root names tables
/// only, the last level pages only.
const LEVELS: [u32; 4] = [39, 30, 21, 12];

/// The bits of a descriptor that say what may be done (Arm ARM, section D8.3.2).
#[derive(Clone, Copy, Debug)]
pub(super) struct Attributes(u64);

impl Attributes {
    const ACCESS_FLAG: u64 = 1 << 10;
    const INNER_SHAREABLE: u64 = 3 << 8;
    /// Normal memory, an index into `MAIR_EL1`; a device's is 0.
    const NORMAL: u64 = 1 << 2 | Self::INNER_SHAREABLE;
    /// The bit between that index and the one of normal memory with tags.
    const TAGGED: u64 = 1 << 3;
    /// Indirect jumps land on landing pads (`GP`); without effect on a core that has none.
    const GUARDED: u64 = 1 << 50;
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
    /// What the kernel runs, and nobody else. Written by nobody.
    pub(super) const KERNEL_RUN: Self = Self::of(Self::NORMAL | Self::READ_ONLY | Self::UXN);
    /// A device's registers, in program order (nGnRE).
    pub(super) const DEVICE: Self = Self::of(Self::PXN | Self::UXN);
    /// What EL0 reads.
    pub(super) const USER_READ: Self = Self::of(Self::USER | Self::READ_ONLY | Self::UXN);
    /// What EL0 reads and writes.
    pub(super) const USER_WRITE: Self = Self::of(Self::USER | Self::UXN);
    /// What EL0 runs. Written by nobody, run by nobody else.
    pub(super) const USER_RUN: Self = Self::of(Self::USER | Self::READ_ONLY);
    const USER: u64 = Self::NORMAL | Self::EL0 | Self::NOT_GLOBAL | Self::PXN;

    /// [`KERNEL_WRITE`](Self::KERNEL_WRITE), by the rule that nothing is written and run.
    pub(super) fn kernel_write() -> Self {
        Self::KERNEL_WRITE.unless_undone(Self::PXN)
    }

    /// [`KERNEL_READ`](Self::KERNEL_READ), by the same rule.
    pub(super) fn kernel_read() -> Self {
        Self::KERNEL_READ.unless_undone(Self::PXN)
    }

    /// [`KERNEL_RUN`](Self::KERNEL_RUN), by the same rule.
    pub(super) fn kernel_run() -> Self {
        Self::KERNEL_RUN.unless_undone(Self::READ_ONLY)
    }

    /// [`USER_READ`](Self::USER_READ), by the same rule.
    pub(super) fn user_read() -> Self {
        Self::USER_READ.unless_undone(Self::UXN)
    }

    /// [`USER_WRITE`](Self::USER_WRITE), by the same rule.
    pub(super) fn user_write() -> Self {
        Self::USER_WRITE.unless_undone(Self::UXN)
    }

    /// [`USER_RUN`](Self::USER_RUN), by the same rule.
    pub(super) fn user_run() -> Self {
        Self::USER_RUN.unless_undone(Self::READ_ONLY)
    }

    /// Without `bit` in the one image, and there only when it is asked for, in which that rule is
    /// broken on purpose.
    fn unless_undone(self, bit: u64) -> Self {
        if wanted(Protection::WriteXorExecute) { self } else { Self(self.0 & !bit) }
    }

    /// The same, for text in which indirect jumps land on landing pads.
    pub(super) const fn guarded(self) -> Self {
        Self(self.0 | Self::GUARDED)
    }

    /// The same, for memory that has tags.
    pub(super) const fn tagged(self) -> Self {
        Self(self.0 | Self::TAGGED)
    }
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
        for shift in LEVELS {
            let size = 1 << shift;
            let slot = slot(table, seen, shift);
            // SAFETY: in one of the tree's pages (`new`), mapped writable.
            let entry = unsafe { slot.read() };
            let fits = (seen | physical).is_multiple_of(size) && left >= size && shift != LEVELS[0];
            if entry == 0 && fits {
                let kind = if shift == LEVELS[3] { TABLE } else { BLOCK };
                // SAFETY: as above; an empty entry becomes valid, which needs no invalidation.
                unsafe { slot.write(physical | attributes.0 | kind) };
                return Ok(size);
            }
            if entry & TABLE != TABLE || shift == LEVELS[3] {
                if entry != 0 {
                    return Err(MapError::Mapped);
                }
                let next = self.claim()?;
                // SAFETY: as above; the new table is empty and reaches memory before this does.
                unsafe { slot.write((next as u64).wrapping_sub(self.offset) | TABLE) };
                table = next;
            } else {
                table = self.below(entry)?;
            }
        }
        Err(MapError::Mapped)
    }

    /// The table that a descriptor names.
    fn below(&self, descriptor: u64) -> Result<usize, MapError> {
        to_usize((descriptor & 0x0000_ffff_ffff_f000).wrapping_add(self.offset))
    }

    /// The first of the pages that are left.
    pub(super) const fn next(&self) -> usize {
        self.next
    }

    /// Has `work` do something in the tree whose root is the page at `root`, one of this one's pages,
    /// with the same pages to grow into.
    pub(super) fn with_root<T>(
        &mut self,
        root: usize,
        work: impl FnOnce(&mut Self) -> Result<T, MapError>,
    ) -> Result<T, MapError> {
        let own = core::mem::replace(&mut self.root, root);
        let result = work(self);
        self.root = own;
        result
    }

    /// Forgets all that is mapped in the 512 GiB around `seen`, and takes the pages from `mark` on
    /// back, which must be all that this took. The lookup buffers do not know it until [`flush`].
    pub(super) fn forget(&mut self, seen: u64, mark: usize) {
        // SAFETY: the root is the tree's, mapped writable.
        unsafe { slot(self.root, seen, LEVELS[0]).write(0) };
        self.next = mark;
    }

    /// The root's entry behind which `seen` lies.
    pub(super) fn root_entry(&self, seen: u64) -> *mut u64 {
        slot(self.root, seen, LEVELS[0])
    }

    /// The entry of the page at `seen`, which is mapped; a block that it is part of is split up.
    /// Splitting leaves nothing mapped for a moment: neither the tables, nor the stack, nor what
    /// runs may lie in the block.
    #[unsafe(link_section = ".init.text")]
    pub(super) fn page(&mut self, seen: u64) -> Result<NonNull<u64>, MapError> {
        let mut table = self.root;
        for shift in LEVELS {
            let slot = slot(table, seen, shift);
            // SAFETY: in one of the tree's pages (`new`), mapped writable.
            let entry = unsafe { slot.read() };
            if entry & BLOCK == 0 {
                return Err(MapError::OutOfRange);
            }
            if shift == LEVELS[3] {
                return NonNull::new(slot).ok_or(MapError::OutOfRange);
            }
            table = match entry & TABLE {
                TABLE => self.below(entry)?,
                _ => self.split(slot, entry, shift)?,
            };
        }
        Err(MapError::OutOfRange)
    }

    /// Puts a table in place of a block that maps the same (Arm ARM, section D8.16, "Using
    /// break-before-make").
    #[unsafe(link_section = ".init.text")]
    fn split(&mut self, place: *mut u64, block: u64, shift: u32) -> Result<usize, MapError> {
        let table = self.claim()?;
        let (size, kind) = if shift == LEVELS[1] { (1 << 21, BLOCK) } else { (1 << 12, TABLE) };
        for index in 0..512 {
            let entry = ((block & !TABLE) + index * size) | kind;
            // SAFETY: a page of the stock, claimed just now.
            unsafe { slot(table, index << LEVELS[3], LEVELS[3]).write(entry) };
        }
        // SAFETY: an entry of one of the tree's pages; that nothing of the block is in use is the
        // caller's affair.
        unsafe { place.write(0) };
        flush();
        // SAFETY: as above; the table is full, and reaches memory before this does (`flush`).
        unsafe { place.write((table as u64).wrapping_sub(self.offset) | TABLE) };
        publish();
        Ok(table)
    }

    /// Takes the pages from `seen` on, `length` bytes, out of the map. The lookup buffers do not know
    /// it until [`flush`].
    #[unsafe(link_section = ".init.text")]
    pub(super) fn unmap(&mut self, seen: u64, length: u64) -> Result<(), MapError> {
        self.change(seen, length, |_| 0)
    }

    /// Makes the pages from `seen` on, `length` bytes, read-only. The lookup buffers do not know it
    /// until [`flush`].
    #[unsafe(link_section = ".init.text")]
    pub(super) fn protect(&mut self, seen: u64, length: u64) -> Result<(), MapError> {
        self.change(seen, length, |entry| entry | Attributes::READ_ONLY)
    }

    #[unsafe(link_section = ".init.text")]
    fn change(
        &mut self,
        seen: u64,
        length: u64,
        change: impl Fn(u64) -> u64,
    ) -> Result<(), MapError> {
        for seen in (seen..seen.saturating_add(length)).step_by(PAGE) {
            let slot = self.page(seen)?;
            // SAFETY: an entry of one of the tree's pages, mapped writable.
            let entry = unsafe { slot.read() };
            // SAFETY: as above; fewer rights need no break.
            unsafe { slot.write(change(entry)) };
        }
        Ok(())
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

/// The entry for `seen` in a table whose entries are chosen by the nine bits from `shift` on.
fn slot(table: usize, seen: u64, shift: u32) -> *mut u64 {
    let index = (seen >> shift & 0x1ff) as usize;
    (table as *mut u64).wrapping_add(index)
}

/// Makes what was written to tables visible to the walker before anything else is done.
fn publish() {
    barrier::dsb(barrier::ISHST);
    barrier::isb(barrier::SY);
}

/// Makes the core forget all translations, after what was written to tables is visible.
#[unsafe(link_section = ".init.text")]
#[inline(never)]
pub(super) fn flush() {
    barrier::dsb(barrier::ISHST);
    // SAFETY: forgets translations; those that are still wanted are walked for again.
    unsafe { asm!("tlbi vmalle1", options(nostack, preserves_flags)) };
    barrier::dsb(barrier::NSH);
    barrier::isb(barrier::SY);
}
