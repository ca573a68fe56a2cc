//! What the application at EL0 sees: the lower half, by tables of its own.
//!
//! Only three kinds of memory can be mapped here, and each has given up being anything else:
//! constants of the image's package, [`UserMemory`], and buffers that drivers never look into.
//! So whatever EL0 does to its memory, no value that the kernel relies on changes under it. Nothing
//! writable is executable, and nothing executable here is so for the kernel.

use aarch64_cpu::asm::barrier;
use aarch64_cpu::registers::TTBR0_EL1;
use core::arch::asm;

use super::entry;
use super::places::places;
use super::tables::{MapError, Mapper};
use super::translation::{Attributes, Tree};
use super::unclaimed::{Unclaimed, UserMemory};
use super::user;
use crate::address::{PAGE, PhysicalRange};
use crate::dma::DmaBuffers;

/// What an application may do with a part of the image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Constant {
    /// Run it, and read it.
    Text,
    /// Read it.
    Data,
}

/// The application's address space: 48 bits, from 0 on.
#[derive(Debug)]
pub struct UserSpace {
    tree: Tree,
    stock: Unclaimed,
    /// Virtual minus physical address, of the image.
    image_offset: u64,
}

impl UserSpace {
    /// Where it ends.
    pub const END: u64 = 1 << 48;

    /// An empty one, whose tables lie in `stock`; lets EL0 have it from now on.
    ///
    /// # Errors
    /// [`MapError::OutOfTables`] for an empty stock.
    #[unsafe(link_section = ".init.text.space")] // of its own: in a joined image it is left out
    #[inline(never)]
    pub fn new(stock: Unclaimed, mapper: &Mapper) -> Result<Self, MapError> {
        if stock.length() == 0 {
            return Err(MapError::OutOfTables);
        }
        let [image_offset, _] = mapper.offsets();
        let mut space = Self { tree: tree_in(&stock), stock, image_offset };
        space.clear();
        TTBR0_EL1.set_baddr(space.tree.root());
        barrier::isb(barrier::SY); // before walks are let through: no walk finds the old root
        user::open();
        Ok(space)
    }

    /// Takes everything away. EL0 must not run until what it needs is mapped again; if it does, it
    /// faults at its first instruction.
    ///
    /// A function of its own in every image: the build allows the `tlbi` here, once, and no other.
    #[inline(never)]
    pub fn clear(&mut self) {
        if let Some(root) = self.stock.bytes().get_mut(..PAGE) {
            root.fill(0);
        }
        self.tree = tree_in(&self.stock);
        barrier::dsb(barrier::ISHST);
        // SAFETY: forgets translations; those that are still wanted are walked for again.
        unsafe { asm!("tlbi vmalle1", options(nostack)) };
        barrier::dsb(barrier::NSH);
        barrier::isb(barrier::SY);
        user::forget();
    }

    /// How many tables there are left for what is still to be mapped.
    #[must_use]
    pub const fn tables_left(&self) -> usize {
        self.tree.left()
    }

    /// Shows `part` of the application in the image ([`entry::application`]), whole pages of it, at
    /// `seen`.
    ///
    /// # Errors
    /// [`MapError::Misaligned`] if it does not start at a page, [`MapError::OutOfRange`] if its pages
    /// are not all the application's, and what [`MapError`] says.
    pub fn map_constants(
        &mut self,
        seen: u64,
        part: &'static [u8],
        kind: Constant,
    ) -> Result<(), MapError> {
        let start = part.as_ptr().addr();
        if !start.is_multiple_of(PAGE) {
            return Err(MapError::Misaligned);
        }
        let whole = entry::application().as_ptr_range();
        let end = start.saturating_add(part.len().next_multiple_of(PAGE));
        if start < whole.start.addr() || end > whole.end.addr() {
            return Err(MapError::OutOfRange);
        }
        let physical = (start as u64).wrapping_sub(self.image_offset);
        let attributes = match kind {
            Constant::Text => places().features.user_text(),
            Constant::Data => Attributes::user_read(),
        };
        self.map(seen, physical, part.len(), attributes)
    }

    /// Shows `memory` at `seen`, to be written to.
    ///
    /// # Errors
    /// What [`MapError`] says.
    pub fn map_memory(&mut self, seen: u64, memory: &UserMemory) -> Result<(), MapError> {
        let physical = memory.physical().start().0;
        self.map(seen, physical, memory.length(), Attributes::user_write())
    }

    /// Shows `memory` at `seen`, to be a heap: where the core has tags, it has them.
    ///
    /// # Errors
    /// What [`MapError`] says.
    pub fn map_heap(&mut self, seen: u64, memory: &UserMemory) -> Result<(), MapError> {
        let physical = memory.physical().start().0;
        let attributes = places().features.heap(Attributes::user_write());
        self.map(seen, physical, memory.length(), attributes)
    }

    /// Shows `memory` at `seen`, to be read.
    ///
    /// # Errors
    /// What [`MapError`] says.
    pub fn map_words(&mut self, seen: u64, memory: &UserMemory) -> Result<(), MapError> {
        let physical = memory.physical().start().0;
        self.map(seen, physical, memory.length(), Attributes::user_read())
    }

    /// Shows a device's buffers at `seen`, to be written to.
    ///
    /// # Errors
    /// What [`MapError`] says.
    pub fn map_buffers(&mut self, seen: u64, buffers: &DmaBuffers) -> Result<(), MapError> {
        let physical = buffers.physical().0;
        self.map(seen, physical, buffers.length(), Attributes::user_write())
    }

    fn map(
        &mut self,
        seen: u64,
        physical: u64,
        length: usize,
        attributes: Attributes,
    ) -> Result<(), MapError> {
        if !(seen | physical).is_multiple_of(PAGE as u64) {
            return Err(MapError::Misaligned);
        }
        let seen = usize::try_from(seen).map_err(|_| MapError::OutOfRange)?;
        let pages = PhysicalRange::new(physical, length.next_multiple_of(PAGE) as u64);
        let pages = pages.ok_or(MapError::OutOfRange)?;
        if (seen as u64).saturating_add(pages.length()) > Self::END {
            return Err(MapError::OutOfRange);
        }
        self.tree.map(seen, pages, attributes)
    }
}

/// A tree whose root is the stock's first page, all of the others free.
fn tree_in(stock: &Unclaimed) -> Tree {
    let (start, end) = (stock.start(), stock.start() + stock.length());
    let offset = (start as u64).wrapping_sub(stock.physical().start().0);
    // SAFETY: `Unclaimed` memory is whole pages, mapped writable for good, physically contiguous, and
    // its holder's alone, which is the space that keeps both; there is at least one page (`new`), and
    // `clear` empties it before it is walked.
    unsafe { Tree::new(start, start + PAGE, end, offset) }
}
