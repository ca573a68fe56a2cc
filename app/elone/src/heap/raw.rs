//! The heap's memory: the one place where an address becomes something to read and write.
//!
//! What is decided about a block is decided elsewhere, by safe code, over the words that this reads
//! and writes. It rests on one condition, the allocator's contract with the application: a
//! [`Block`] is memory that talc has given out and not yet got back. Blocks are neither copied nor
//! made anywhere but here, so as long as each comes from [`Backing::obtain`], or from
//! [`Block::given_back`] under its conditions, the safe methods are.
#![expect(unsafe_code, reason = "an allocator's memory has no type")]

use core::alloc::Layout;
use core::ptr::NonNull;

use talc::base::Talc;
use talc::base::binning::DefaultBinning;
use talc::source::Manual;

use super::block::{CANARY, HEADER, POISON, Plan, poisoned};

const WORD: usize = size_of::<u64>();

/// A layout of so many bytes, at least as strictly aligned as another and to `align`, which is a power
/// of two; `None` for one that no memory could hold. The checks of the standard constructor, without
/// those that a layout has passed already: this is in the path of every allocation.
#[inline(always)]
pub(super) const fn layout(like: Layout, align: usize, bytes: usize) -> Option<Layout> {
    debug_assert!(align.is_power_of_two());
    let align = if like.align() > align { like.align() } else { align };
    if bytes > isize::MAX.unsigned_abs() - (align - 1) {
        return None;
    }
    // SAFETY: both alignments are powers of two, and `bytes` rounded up is no more than `isize::MAX`.
    Some(unsafe { Layout::from_size_align_unchecked(bytes, align) })
}

/// Memory that talc has given out.
#[derive(Debug)]
pub(super) struct Block {
    /// Where the application's part begins. Without a tag.
    user: NonNull<u8>,
    plan: Plan,
}

impl Block {
    /// The block that the application gives back.
    ///
    /// # Safety
    /// From `user - plan.offset` on, `plan.backing.size()` bytes are mapped and within the heap.
    /// They were obtained for this plan and not returned since; if that is not so, who asks must
    /// find it out (by the header, or by the tags) before the block is returned or written to.
    #[inline]
    pub(super) const unsafe fn given_back(user: NonNull<u8>, plan: Plan) -> Self {
        Self { user, plan }
    }

    /// Hands the block's memory to the application: from here on it is whoever holds the pointer.
    #[inline]
    pub(super) const fn into_user(self) -> NonNull<u8> {
        self.user
    }

    /// Where what was obtained begins.
    #[inline(always)]
    fn base(&self) -> *mut u8 {
        // SAFETY: every plan's offset lies within what it is for.
        unsafe { self.user.sub(self.plan.offset) }.as_ptr()
    }

    /// The byte so many from the start of the application's part, for who needs its address.
    pub(super) const fn place(&self, at: isize) -> *mut u8 {
        self.user.as_ptr().wrapping_offset(at)
    }

    /// Where the application's part begins.
    #[inline]
    pub(super) fn address(&self) -> usize {
        self.user.addr().get()
    }

    pub(super) const fn plan(&self) -> &Plan {
        &self.plan
    }

    /// The header, for a plan that has one.
    #[inline]
    pub(super) fn header(&self) -> [u64; 2] {
        debug_assert!(self.plan.offset >= HEADER, "a header was planned for");
        // SAFETY: within the block, whose offset is at least a header's size.
        let header = unsafe { self.user.sub(HEADER) };
        // SAFETY: as above; the offset is a multiple of 16, as is the block's start, so it is aligned.
        unsafe { header.cast::<[u64; 2]>().read() }
    }

    #[inline]
    pub(super) fn set_header(&mut self, header: [u64; 2]) {
        debug_assert!(self.plan.offset >= HEADER, "a header was planned for");
        // SAFETY: as in `header`.
        let place = unsafe { self.user.sub(HEADER) };
        // SAFETY: as in `header`.
        unsafe { place.cast::<[u64; 2]>().write(header) };
    }

    /// The canary, for a plan that has one.
    #[inline]
    pub(super) fn canary(&self) -> u64 {
        self.word(self.plan.size)
    }

    #[inline]
    pub(super) fn set_canary(&mut self, canary: u64) {
        self.set_word(self.plan.size, canary);
    }

    /// Poisons the application's part and the canary, as far as [`poisoned`] says.
    #[inline(always)]
    pub(super) fn poison(&mut self) {
        let (head, tail) = poisoned(self.plan.size);
        self.fill(0, head);
        if tail > 0 {
            self.fill(self.plan.size + CANARY - tail, tail);
        }
    }

    /// Whether all that was poisoned still is.
    #[inline(always)]
    pub(super) fn is_poisoned(&self) -> bool {
        let (head, tail) = poisoned(self.plan.size);
        self.holds(0, head) && (tail == 0 || self.holds(self.plan.size + CANARY - tail, tail))
    }

    /// Whether the plan has anything over behind the application's part.
    pub(super) const fn has_over(&self) -> bool {
        self.plan.backing.size() > self.plan.offset + self.plan.size
    }

    /// Fills what the plan has over behind the application's part with a pattern.
    pub(super) fn set_rest(&mut self) {
        let rest = self.plan.backing.size() - self.plan.offset - self.plan.size;
        self.fill(self.plan.size, rest);
    }

    /// Whether that pattern is still there.
    pub(super) fn has_rest(&self) -> bool {
        let end = self.plan.backing.size() - self.plan.offset;
        (self.plan.size..end).all(|at| self.byte(at) == POISON)
    }

    /// Poisons a part of the block.
    #[inline(always)]
    fn fill(&mut self, start: usize, length: usize) {
        debug_assert!(self.has(start, length));
        // SAFETY: within the block, by what is planned for: `poisoned` ends with the canary.
        let start = unsafe { self.user.add(start) };
        // SAFETY: as above.
        unsafe { start.write_bytes(POISON, length) };
    }

    /// Whether a part of the block, of a word at least, is poisoned: by four words, by one, and the
    /// last one even if it has been looked at in part.
    #[inline(always)]
    fn holds(&self, start: usize, length: usize) -> bool {
        const WORDS: u64 = u64::from_ne_bytes([POISON; WORD]);
        let (mut at, last) = (start, start + length - WORD);
        while at + 3 * WORD <= last {
            let (a, b) = (self.word(at), self.word(at + WORD));
            let (c, d) = (self.word(at + 2 * WORD), self.word(at + 3 * WORD));
            if (a ^ WORDS) | (b ^ WORDS) | (c ^ WORDS) | (d ^ WORDS) != 0 {
                return false;
            }
            at += 4 * WORD;
        }
        while at < last {
            if self.word(at) != WORDS {
                return false;
            }
            at += WORD;
        }
        self.word(last) == WORDS
    }

    fn byte(&self, at: usize) -> u8 {
        debug_assert!(self.has(at, 1));
        // SAFETY: within the block, by what is planned for.
        let byte = unsafe { self.user.add(at) };
        // SAFETY: as above; initialized by `set_rest` whenever the plan changed.
        unsafe { byte.read() }
    }

    /// The word at an offset within the application's part or the canary, whatever its alignment.
    #[inline(always)]
    fn word(&self, at: usize) -> u64 {
        debug_assert!(self.has(at, WORD));
        // SAFETY: within the block, by what is planned for: nobody asks for more than the canary.
        let word = unsafe { self.user.add(at) };
        // SAFETY: as above; all of it is initialized, as who frees a block has poisoned it, and the
        // canary was set when the block was made.
        unsafe { word.cast::<u64>().read_unaligned() }
    }

    #[inline(always)]
    fn set_word(&mut self, at: usize, word: u64) {
        debug_assert!(self.has(at, WORD));
        // SAFETY: as in `word`.
        let place = unsafe { self.user.add(at) };
        // SAFETY: as in `word`.
        unsafe { place.cast::<u64>().write_unaligned(word) };
    }

    /// Whether the block has these bytes behind the header.
    const fn has(&self, start: usize, length: usize) -> bool {
        self.plan.offset + start + length <= self.plan.backing.size()
    }
}

/// Where memory comes from: talc, over all that the kernel gave.
#[derive(Debug)]
pub(super) struct Backing(Talc<Manual, DefaultBinning>);

impl Backing {
    /// Without any memory yet.
    pub(super) const fn new() -> Self {
        Self(Talc::new(Manual))
    }

    /// Adds memory. Too little to be of use is left out.
    ///
    /// # Safety
    /// From `base` on, `length` bytes are mapped, writable, and nobody else's from here on.
    pub(super) unsafe fn claim(&mut self, base: *mut u8, length: usize) {
        // SAFETY: the caller's.
        let _ = unsafe { self.0.claim(base, length) };
    }

    /// How many bytes are free, in pieces whose sizes this does not tell.
    pub(super) fn available(&self) -> usize {
        self.0.counters().available_bytes
    }

    /// A block by this plan, if there is memory for it.
    #[inline(always)]
    pub(super) fn obtain(&mut self, plan: Plan) -> Option<Block> {
        // SAFETY: no plan is for nothing: a global allocator is never asked for that.
        let base = unsafe { self.0.allocate(plan.backing)? };
        // SAFETY: every plan's offset lies within what it is for.
        let user = unsafe { base.add(plan.offset) };
        Some(Block { user, plan })
    }

    /// Takes a block back.
    #[inline(always)]
    pub(super) fn restore(&mut self, block: Block) {
        let base = block.base();
        // SAFETY: a block was obtained by its plan, and is given back once as it is no `Copy`.
        unsafe { self.0.deallocate(base, block.plan.backing) };
    }

    /// Makes a block another size where it is; whether that could be done. Its offset stays.
    pub(super) fn resize(&mut self, block: &mut Block, plan: Plan) -> bool {
        debug_assert_eq!(block.plan.offset, plan.offset, "a block's start is where it was");
        let (base, old) = (block.base(), block.plan.backing);
        // SAFETY: as in `restore`; no plan is for nothing.
        let done = unsafe { self.0.try_realloc_in_place(base, old, plan.backing.size()) };
        if done {
            block.plan = plan;
        }
        done
    }
}
