//! What a life has where: how much of each thing there is, and the places that were drawn for them.

use core::ops::Range;

use elone_hal::address::{PAGE, PhysicalRange};
use elone_hal::arch::space::UserSpace;

use crate::places::{self, Need};

/// What the application is told, read-only ([`elone_gate::handover`]).
pub(super) const HANDOVER_LENGTH: usize = 16 << 10;
/// The stack: as large as that of a joined application.
pub(super) const STACK_LENGTH: usize = 128 << 10;
/// What is not mapped below the stack, and is the stack's when it is hit: a page for each call that
/// is deep, and as much again for one that has large arrays.
const STACK_GUARD: u64 = 1 << 20;
/// Room for the buffers of all devices.
pub(super) const BUFFERS_LENGTH: u64 = 64 << 20;

/// What an application may have. Below is nothing: a number that was cut to 32 bits is no address.
const SPACE: Range<u64> = 1 << 32..UserSpace::END;
/// What a table of level 3, 2 and 1 covers.
const MIB_2: u64 = 2 << 20;
const GIB: u64 = 1 << 30;
const GIB_512: u64 = 512 << 30;

/// Where a life has what.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Places {
    pub(super) image: u64,
    pub(super) handover: u64,
    pub(super) buffers: u64,
    pub(super) heap: u64,
    /// Where the stack pointer begins: up to a page below the stack's end.
    pub(super) stack_pointer: u64,
    stack: u64,
    /// The physical address that is seen where the heap begins.
    heap_base: u64,
}

impl Places {
    /// Draws them, by numbers of 64 random bits, for an image of so many bytes and a heap of these
    /// blocks, which are in ascending order.
    pub(super) fn draw(
        blocks: impl Iterator<Item = PhysicalRange> + Clone,
        image: u64,
        mut number: impl FnMut() -> u64,
    ) -> Option<Self> {
        let pages = |length| Need { length, alignment: PAGE as u64, block: GIB };
        let (heap_base, heap) = heap(blocks);
        let needs = [
            heap,
            pages(image),
            pages(HANDOVER_LENGTH as u64),
            pages(STACK_GUARD + STACK_LENGTH as u64),
            pages(BUFFERS_LENGTH),
        ];
        let [heap, image, handover, stack, buffers] = places::draw(&needs, &SPACE, &mut number)?;
        // What stacks are aligned to, and less than a page in all.
        let offset = number() % PAGE as u64 / 16 * 16;
        let stack_pointer = stack + STACK_GUARD + STACK_LENGTH as u64 - offset;
        Some(Self { image, handover, buffers, heap, stack_pointer, stack, heap_base })
    }

    /// What is not mapped below the stack.
    pub(super) const fn stack_guard(&self) -> Range<u64> {
        self.stack..self.stack + STACK_GUARD
    }

    /// Where RAM of the heap's is seen.
    pub(super) const fn of_heap(&self, physical: u64) -> u64 {
        self.heap + (physical - self.heap_base)
    }
}

/// The physical address that is to be seen where the heap begins, and the place that it needs. Its
/// blocks are as far apart as they are in truth, so one place is enough for all. It is such that the
/// largest entries of tables that fit the RAM fit what is seen of it too.
fn heap(mut blocks: impl Iterator<Item = PhysicalRange> + Clone) -> (u64, Need) {
    let has_whole = blocks.clone().any(|block| {
        let whole = block.start().0.checked_next_multiple_of(GIB);
        whole.and_then(|whole| block.end().0.checked_sub(whole)) >= Some(GIB)
    });
    let alignment = if has_whole { GIB } else { MIB_2 };
    let end = blocks.clone().last().map_or(0, |block| block.end().0);
    let base = blocks.next().map_or(0, |block| block.start().0 / alignment * alignment);
    (base, Need { length: end.saturating_sub(base).max(1), alignment, block: GIB_512 })
}
