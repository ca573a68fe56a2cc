//! The heap: talc, and what guards its blocks.

#![expect(unsafe_code, reason = "the application gives blocks back by their address")]

use core::alloc::Layout;
use core::ptr::{NonNull, null_mut};

use super::Usage;
use super::block::{Finding, Key, Plan};
use super::checks::Checks;
use super::raw::{Backing, Block};
use super::tags::{Instructions, Tags, parted, tagged};

/// A heap, over memory that it is given.
#[derive(Debug)]
pub(super) struct Heap<I> {
    backing: Backing,
    guard: Guard<I>,
    /// Bytes that live blocks were asked for with.
    allocated: usize,
}

/// What guards blocks. It is the same for all of a heap's blocks.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "there is one, in the program's data")]
enum Guard<I> {
    /// Nothing does.
    Nothing,
    /// Headers, canaries, poison and a quarantine.
    Checks(Checks),
    /// Memory tags.
    Tags(Tags<I>),
}

impl<I: Instructions> Heap<I> {
    /// Without memory, and unguarded.
    pub(super) const fn new() -> Self {
        Self { backing: Backing::new(), guard: Guard::Nothing, allocated: 0 }
    }

    /// Guards the blocks by checks; to be decided before there is any.
    pub(super) fn check_by(&mut self, key: Key) {
        debug_assert_eq!(self.allocated, 0, "blocks are guarded all or none");
        self.guard = Guard::Checks(Checks::new(key));
    }

    /// Guards the blocks by tags; to be decided before there is any.
    pub(super) fn tag_by(&mut self, instructions: I) {
        debug_assert_eq!(self.allocated, 0, "blocks are guarded all or none");
        self.guard = Guard::Tags(Tags::new(instructions));
    }

    /// Adds memory. Too little to be of use is left out.
    ///
    /// # Safety
    /// From `base` on, `length` bytes are mapped, writable, and nobody else's from here on.
    pub(super) unsafe fn claim(&mut self, base: *mut u8, length: usize) {
        // SAFETY: the caller's.
        let mut claim = || unsafe { self.backing.claim(base, length) };
        match &self.guard {
            Guard::Tags(tags) => tags.unchecked(claim),
            _ => claim(),
        }
    }

    /// What is in use. What waits in a quarantine is free: it does not wait when memory runs out.
    pub(super) fn usage(&self) -> Usage {
        let waiting = match &self.guard {
            Guard::Checks(checks) => checks.waiting(),
            _ => 0,
        };
        Usage { allocated: self.allocated, free: self.backing.available() + waiting }
    }

    /// A new block; null where there is no memory for it.
    ///
    /// # Errors
    /// What is wrong with an earlier one.
    pub(super) fn allocate(&mut self, layout: Layout) -> Result<*mut u8, Finding> {
        let Some(plan) = self.plan(layout) else { return Ok(null_mut()) };
        let found = match &mut self.guard {
            Guard::Nothing => self.backing.obtain(plan).map(Block::into_user),
            Guard::Checks(checks) => {
                checks.allocate(&mut self.backing, plan)?.map(Block::into_user)
            }
            Guard::Tags(tags) => tags.allocate(&mut self.backing, plan).map(|(block, tag)| {
                let user = block.into_user().as_ptr();
                // A tag never makes an address null.
                NonNull::new(user.map_addr(|address| tagged(address, tag)))
                    .unwrap_or(NonNull::dangling())
            }),
        };
        let Some(user) = found else { return Ok(null_mut()) };
        self.allocated += layout.size();
        Ok(user.as_ptr())
    }

    /// Takes a block back.
    ///
    /// # Errors
    /// What is wrong with it, or with an earlier one.
    ///
    /// # Safety
    /// As for a global allocator, `user` is what [`allocate`](Self::allocate) gave for this layout,
    /// and is not used again. Guarded, what breaks this is found as far as the guard's docs say.
    pub(super) unsafe fn free(&mut self, user: *mut u8, layout: Layout) -> Result<(), Finding> {
        let Some((user, tag, plan)) = self.given(user, layout) else { return Ok(()) };
        // SAFETY: the caller's, and the guard finds out.
        let block = unsafe { Block::given_back(user, plan) };
        match &mut self.guard {
            Guard::Nothing => self.backing.restore(block),
            Guard::Checks(checks) => checks.free(&mut self.backing, block)?,
            Guard::Tags(tags) => tags.free(&mut self.backing, block, tag)?,
        }
        self.allocated = self.allocated.wrapping_sub(layout.size());
        Ok(())
    }

    /// Makes a block another size where it is; whether that could be done.
    ///
    /// # Errors
    /// What is wrong with it.
    ///
    /// # Safety
    /// As for [`free`](Self::free), but that `user` can be used on, for as many bytes as it then has.
    pub(super) unsafe fn resize(
        &mut self,
        user: *mut u8,
        layout: Layout,
        new: Layout,
    ) -> Result<bool, Finding> {
        let Some((user, tag, plan)) = self.given(user, layout) else { return Ok(false) };
        let Some(new_plan) = self.plan(new) else { return Ok(false) };
        // SAFETY: the caller's, and the guard finds out.
        let mut block = unsafe { Block::given_back(user, plan) };
        let done = match &mut self.guard {
            Guard::Nothing => self.backing.resize(&mut block, new_plan),
            Guard::Checks(checks) => checks.resize(&mut self.backing, &mut block, new_plan)?,
            Guard::Tags(tags) => tags.resize(&mut self.backing, &mut block, new_plan, tag)?,
        };
        if done {
            self.allocated = self.allocated.wrapping_sub(layout.size()).wrapping_add(new.size());
        }
        Ok(done)
    }

    /// Makes a block another size, where it is or elsewhere with what it holds; null where there is no
    /// memory, and then it stays as it was.
    ///
    /// # Errors
    /// What is wrong with it, or with an earlier one.
    ///
    /// # Safety
    /// As for [`free`](Self::free).
    pub(super) unsafe fn reallocate(
        &mut self,
        user: *mut u8,
        layout: Layout,
        size: usize,
    ) -> Result<*mut u8, Finding> {
        let Ok(new) = Layout::from_size_align(size, layout.align()) else { return Ok(null_mut()) };
        // SAFETY: the caller's.
        if unsafe { self.resize(user, layout, new)? } {
            return Ok(user);
        }
        let moved = self.allocate(new)?;
        if moved.is_null() {
            return Ok(moved);
        }
        // SAFETY: both blocks are live and have so many bytes; they are two.
        unsafe { moved.copy_from_nonoverlapping(user, layout.size().min(size)) };
        // SAFETY: the caller's.
        unsafe { self.free(user, layout)? };
        Ok(moved)
    }

    /// How a block for this layout is laid out; `None` for one that no memory could hold.
    #[inline(always)]
    fn plan(&self, layout: Layout) -> Option<Plan> {
        match self.guard {
            Guard::Nothing => Some(Plan::plain(layout)),
            Guard::Checks(_) => Plan::guarded(layout),
            Guard::Tags(_) => Plan::tagged(layout),
        }
    }

    /// What the application names when it gives back: the address, the tag that its pointer has, and
    /// how such a block is laid out.
    #[inline(always)]
    fn given(&self, user: *mut u8, layout: Layout) -> Option<(NonNull<u8>, u8, Plan)> {
        let plan = self.plan(layout)?;
        let (mut user, mut tag) = (user, 0);
        if let Guard::Tags(_) = self.guard {
            user = user.map_addr(|address| {
                let (address, parted) = parted(address);
                tag = parted;
                address
            });
        }
        Some((NonNull::new(user)?, tag, plan))
    }
}
