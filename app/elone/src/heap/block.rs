//! What a guarded block looks like, as numbers: nothing here touches memory.
//!
//! ```text
//! base                offset - 16      offset              offset + size
//! | what alignment     | size and state | what the           | a canary of   |
//! | leaves over        | keyed check    | application has    | eight bytes   |
//! ```
//!
//! The header lies right before what the application has and the canary right behind it, at any
//! address, so an access that runs over an end by one byte already changes what is checked. For a
//! block of 64 bytes both fit into what the allocator's own granularity would leave unused.

use core::alloc::Layout;
use core::fmt;

use super::raw;

/// The bytes of a header.
pub(super) const HEADER: usize = 16;
/// The bytes of a canary.
pub(super) const CANARY: usize = 8;

/// What freed memory is filled with. Eight of them are no address, in either half, so a pointer that
/// is read through a stale one leads nowhere.
pub(super) const POISON: u8 = 0xdf;
/// Of a larger block only so much is poisoned at its start, and so much at its end: the cost of
/// freeing one has a bound.
const HEAD: usize = 256;
const TAIL: usize = 64;

/// Where a block lies in the memory that was obtained for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Plan {
    /// What is asked of the allocator.
    pub(super) backing: Layout,
    /// Where in it the application's part begins.
    pub(super) offset: usize,
    /// How many bytes of it the application has.
    pub(super) size: usize,
}

impl Plan {
    /// A block with nothing around it.
    #[inline]
    pub(super) const fn plain(layout: Layout) -> Self {
        Self { backing: layout, offset: 0, size: layout.size() }
    }

    /// A block between a header and a canary; `None` for one that no memory could hold.
    #[inline]
    pub(super) fn guarded(layout: Layout) -> Option<Self> {
        // An alignment is a power of two, so what is the larger of two is a multiple of the other. A
        // layout's size and alignment are at most `isize::MAX`, so their sum does not wrap.
        let offset = layout.align().max(HEADER);
        let bytes = layout.size() + offset + CANARY;
        let backing = raw::layout(layout, HEADER, bytes)?;
        Some(Self { backing, offset, size: layout.size() })
    }

    /// A block of whole granules (16 bytes), of which each has a tag.
    #[inline]
    pub(super) fn tagged(layout: Layout) -> Option<Self> {
        // As above: at most `isize::MAX` and a granule.
        let bytes = layout.size().next_multiple_of(GRANULE);
        let backing = raw::layout(layout, GRANULE, bytes)?;
        Some(Self { backing, offset: 0, size: layout.size() })
    }
}

/// The memory that shares a tag (Arm ARM, section D10.1), in bytes.
pub(super) const GRANULE: usize = 16;

/// The bytes at a freed block's start, canary included, that are poisoned, and those at its end.
pub(super) const fn poisoned(size: usize) -> (usize, usize) {
    let bytes = size + CANARY;
    if bytes <= HEAD + TAIL { (bytes, 0) } else { (HEAD, TAIL) }
}

/// Whether the application has a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// It has.
    Live,
    /// It gave it back, and nobody has it now.
    Freed,
}

/// What is known of a block by its header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Facts {
    pub(super) state: State,
    pub(super) size: usize,
    pub(super) align: usize,
}

/// The key of all headers and canaries; another one each time the application starts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Key(pub(super) [u64; 2]);

impl Key {
    /// The header of the block at `address`: its size and alignment, and a check of these, of the
    /// state and of the address, so that no header is good for another place, nor after a change.
    ///
    /// The check is one multiplication, not a code for messages: who writes blindly is found, and
    /// who can read a header could in time work out the key.
    #[inline]
    pub(super) const fn seal(self, address: usize, facts: Facts) -> [u64; 2] {
        let align = facts.align.trailing_zeros() as u64;
        let word = facts.size as u64 | align << ALIGN;
        let check = self.check(address, word);
        match facts.state {
            State::Live => [word, check],
            State::Freed => [word, !check],
        }
    }

    /// What a header says, if it was sealed for this address.
    pub(super) const fn open(self, address: usize, [word, found]: [u64; 2]) -> Option<Facts> {
        let check = self.check(address, word);
        let state = match (found == check, found == !check) {
            (true, _) => State::Live,
            (_, true) => State::Freed,
            _ => return None,
        };
        let size = (word & ((1 << ALIGN) - 1)) as usize;
        Some(Facts { state, size, align: 1 << (word >> ALIGN & 0x3f) })
    }

    #[expect(clippy::cast_possible_truncation, reason = "the product's lower half is wanted")]
    #[inline]
    const fn check(self, address: usize, word: u64) -> u64 {
        let Self([a, b]) = self;
        let product = (address as u64 ^ a) as u128 * (word ^ b) as u128;
        (product >> 64) as u64 ^ product as u64
    }
}

/// The canary of a live block with this header. Not the check itself, so that a copy that begins too
/// early does not carry what fits.
#[inline]
pub(super) const fn canary([_, check]: [u64; 2]) -> u64 {
    check.rotate_left(24)
}

/// The header of the same block when it is freed.
#[inline]
pub(super) const fn freed([word, check]: [u64; 2]) -> [u64; 2] {
    [word, !check]
}

/// Where in a header's first word the alignment's exponent is, above the size.
const ALIGN: u32 = 56;

/// What is wrong with a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wrong {
    /// The header is not one for this place: written over, or there never was a block here.
    Header,
    /// The bytes behind the block were written to.
    Overrun,
    /// It was given back before.
    FreedTwice,
    /// The application gave it back with another size or alignment than it asked for.
    Mismatch,
    /// The memory has not the tag of the pointer by which it is given back: it was given back before,
    /// or there never was a block here.
    Tag,
    /// It was written to after it was given back.
    WrittenAfterFree,
}

/// A block in which something is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Finding {
    pub(super) wrong: Wrong,
    /// Where the application's part begins.
    pub(super) address: usize,
    /// How many bytes it has, by its header or, where that is gone, by whoever gives it back.
    pub(super) size: usize,
}

impl Wrong {
    /// What is wrong, in words that follow a block.
    pub(super) const fn words(self) -> &'static str {
        match self {
            Self::Header => "has no valid header: it was written over, or is no block",
            Self::Overrun => "was overrun",
            Self::FreedTwice => "was freed twice",
            Self::Mismatch => "was freed as one of another size or alignment",
            Self::Tag => "was freed by a pointer with another tag: freed twice, or never a block",
            Self::WrittenAfterFree => "was written after it was freed",
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { wrong, address, size } = self;
        write!(f, "heap: block of {size} bytes at {address:#x} {}", wrong.words())
    }
}
