//! Memory tags (`FEAT_MTE2`; Arm ARM, section D10): the core compares four bits of each pointer with
//! four bits of the memory, at every access, and a difference is a fault there and then.
//!
//! A block has a tag that nothing beside it has, and that its memory did not have just before, so
//! that an access which leaves the block, and one through a pointer to the block that was there
//! before, are certain to fault. When it is freed its memory gets another tag at once. One that has
//! been reused more than once has the old tag again with a probability of one in twelve or so.
//!
//! What is behind a block, the allocator's own word, has a tag that no block has, and no pointer
//! without a tag either. (Whether such a pointer is checked at all is for who sets up the core:
//! `TCR_EL1.TCMA0` and `TCMA1`.) So the allocator itself works with checks off.
//!
//! Tags are for granules of 16 bytes: what a block's last granule has over holds a pattern, which is
//! looked at when the block is given back.

use super::block::{Finding, GRANULE, Plan, Wrong};
use super::raw::{Backing, Block};

/// Where in an address the tag is.
const SHIFT: u32 = 56;
/// The bit of an address that says in which half of the address space it is, tag or no tag.
const HALF: usize = 1 << 55;
/// What pointers without a tag have there, in the lower half and in the upper. No block has these.
const RESERVED: u16 = 1 << 0 | 1 << 15;

/// The instructions, or what stands for them in tests.
pub(super) trait Instructions {
    /// A random tag that is none of these, a bit each (`IRG`).
    fn choose(&self, excluded: u16) -> u8;

    /// The tag of the granule that begins so many bytes from the block's start, which may be the one
    /// before it (`LDG`).
    fn tag(&self, block: &Block, at: isize) -> u8;

    /// Gives so many bytes of the block from `start` on a tag, or of the granule behind it (`STG`).
    fn set_tag(&self, block: &mut Block, start: usize, length: usize, tag: u8);

    /// Does something whose accesses are not checked (`PSTATE.TCO`).
    fn unchecked<R>(&self, work: impl FnOnce() -> R) -> R;
}

/// The heap's tags.
#[derive(Debug)]
pub(super) struct Tags<I> {
    instructions: I,
}

/// A pointer's address without its tag, and the tag.
#[expect(clippy::cast_possible_truncation, reason = "a field of 4 bits, masked")]
pub(super) const fn parted(address: usize) -> (usize, u8) {
    let tag = (address >> SHIFT) as u8 & 0xf;
    (address & !(0xf << SHIFT) | (natural(address) as usize) << SHIFT, tag)
}

/// An address with this tag.
pub(super) const fn tagged(address: usize, tag: u8) -> usize {
    address & !(0xf << SHIFT) | (tag as usize) << SHIFT
}

/// What an address without a tag has in its place.
const fn natural(address: usize) -> u8 {
    if address & HALF == 0 { 0 } else { 0xf }
}

impl<I: Instructions> Tags<I> {
    pub(super) const fn new(instructions: I) -> Self {
        Self { instructions }
    }

    /// Does what the allocator does with its own data.
    pub(super) fn unchecked<R>(&self, work: impl FnOnce() -> R) -> R {
        self.instructions.unchecked(work)
    }

    /// A new block and its tag; none where there is no memory for it.
    pub(super) fn allocate(&self, backing: &mut Backing, plan: Plan) -> Option<(Block, u8)> {
        let mut block = self.instructions.unchecked(|| backing.obtain(plan))?;
        // Behind the block is one that no block has; before it is the same, or what is free.
        let before = self.instructions.tag(&block, -GRANULE_STEP);
        let earlier = self.instructions.tag(&block, 0);
        let tag = self.instructions.choose(RESERVED | 1 << before | 1 << earlier);
        self.instructions.set_tag(&mut block, 0, plan.backing.size(), tag);
        self.end(&mut block);
        Some((block, tag))
    }

    /// Takes a block back that is given back by a pointer with this tag.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn free(
        &self,
        backing: &mut Backing,
        mut block: Block,
        tag: u8,
    ) -> Result<(), Finding> {
        self.verify(&block, tag)?;
        let length = block.plan().backing.size();
        let other = self.instructions.choose(RESERVED | 1 << tag);
        self.instructions.set_tag(&mut block, 0, length, other);
        self.instructions.unchecked(|| backing.restore(block));
        Ok(())
    }

    /// Makes a block another size where it is; whether that could be done.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn resize(
        &self,
        backing: &mut Backing,
        block: &mut Block,
        plan: Plan,
        tag: u8,
    ) -> Result<bool, Finding> {
        self.verify(block, tag)?;
        let (old, new) = (block.plan().backing.size(), plan.backing.size());
        if new < old {
            // While it is still the block's: what it had further on is no longer it.
            let other = self.instructions.choose(RESERVED | 1 << tag);
            self.instructions.set_tag(block, new, old - new, other);
        }
        if !self.instructions.unchecked(|| backing.resize(block, plan)) {
            return Ok(false);
        }
        if old < new {
            self.instructions.set_tag(block, old, new - old, tag);
        }
        self.end(block);
        Ok(true)
    }

    /// Makes a block end where it does.
    fn end(&self, block: &mut Block) {
        let boundary = boundary(block);
        let length = block.plan().backing.size();
        self.instructions.set_tag(block, length, GRANULE, boundary);
        if block.has_over() {
            self.instructions.unchecked(|| block.set_rest());
        }
    }

    /// Sees whether there is a block with this tag, just as long, and nothing was written behind it.
    fn verify(&self, block: &Block, tag: u8) -> Result<(), Finding> {
        let found = |wrong| Finding { wrong, address: block.address(), size: block.plan().size };
        let length = block.plan().backing.size().cast_signed();
        let at = |offset| self.instructions.tag(block, offset);
        if at(0) != tag {
            return Err(found(Wrong::Tag));
        }
        let ends = at(-GRANULE_STEP) != tag && at(length) == boundary(block);
        if !ends || at(length - GRANULE_STEP) != tag {
            return Err(found(Wrong::Mismatch));
        }
        if block.has_over() && !self.instructions.unchecked(|| block.has_rest()) {
            return Err(found(Wrong::Overrun));
        }
        Ok(())
    }
}

const GRANULE_STEP: isize = GRANULE.cast_signed();

/// The tag of what is behind a block: neither a block's nor that of a pointer without one.
fn boundary(block: &Block) -> u8 {
    natural(block.address()) ^ 0xf
}
