//! Free RAM, handed out in frames. A thin, safe owner of the buddy allocator: what goes in is
//! [`Unclaimed`] memory, which has one name and no owner, so what comes out has one owner.

use core::alloc::Layout;
use core::ptr::NonNull;

use buddy_system_allocator::Heap;

use super::tables::Mapper;
use super::unclaimed::Unclaimed;
use crate::address::{PAGE, PhysicalRange};
use crate::dma::DmaPool;

/// Blocks of up to 2^38 bytes: all that the layout has room for.
const ORDERS: usize = 39;

/// The machine's free RAM, by frame.
pub struct Frames {
    heap: Heap<ORDERS>,
}

// SAFETY: the free lists lie in memory that only this owns.
unsafe impl Send for Frames {}

impl core::fmt::Debug for Frames {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Frames({} bytes free)", self.free())
    }
}

impl Default for Frames {
    fn default() -> Self {
        Self::new()
    }
}

impl Frames {
    /// None yet.
    #[must_use]
    pub const fn new() -> Self {
        Self { heap: Heap::new() }
    }

    /// Becomes the owner of `memory`.
    pub fn add(&mut self, memory: Unclaimed) {
        let (start, length) = (memory.start(), memory.length());
        // SAFETY: mapped writable for good, and ours alone: `Unclaimed` says both.
        unsafe { self.heap.add_to_heap(start, start + length) };
    }

    /// How many bytes are free.
    #[must_use]
    pub fn free(&self) -> usize {
        self.heap.stats_total_bytes() - self.heap.stats_alloc_actual()
    }

    /// Takes `length` bytes, physically contiguous, for devices. They are never given back.
    pub fn dma_pool(&mut self, length: usize, mapper: &mut Mapper) -> Option<DmaPool> {
        let memory = self.take(length.next_power_of_two().max(PAGE), mapper)?;
        let memory = mapper.move_to_buffers(memory)?;
        let start = NonNull::new(memory.start() as *mut u8)?;
        // SAFETY: mapped writable for good, contiguous, and taken for good.
        Some(unsafe { DmaPool::new(start, memory.physical().start(), memory.length()) })
    }

    /// Takes the largest free block.
    pub fn take_largest(&mut self, mapper: &Mapper) -> Option<Unclaimed> {
        let page_order = PAGE.trailing_zeros() as usize;
        (page_order..ORDERS).rev().find_map(|order| self.take(1 << order, mapper))
    }

    /// Takes a block of `length` bytes, a power of two, aligned to its length.
    fn take(&mut self, length: usize, mapper: &Mapper) -> Option<Unclaimed> {
        let start = self.heap.alloc(Layout::from_size_align(length, length).ok()?).ok()?;
        let [_, offset] = mapper.offsets();
        let physical = (start.addr().get() as u64).wrapping_sub(offset);
        let physical = PhysicalRange::new(physical, length as u64)?;
        // SAFETY: a block of what `add` was given, mapped writable for good, `offset` above where it
        // lies; the allocator gives it to nobody else. Its length is a page's or a multiple.
        let mut memory = unsafe { Unclaimed::new(start, physical) };
        // The allocator's list of free blocks lay in it. Whoever gets it may be shown to EL0, which
        // is not to be told where the kernel sees memory.
        if let Some(link) = memory.bytes().get_mut(..size_of::<usize>()) {
            link.fill(0);
        }
        Some(memory)
    }
}
