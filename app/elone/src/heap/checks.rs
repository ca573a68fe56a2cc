//! The heap's checks, for cores without memory tags: what software can find by itself.
//!
//! - A block lies between a header and a canary, looked at when it is given back or resized: an
//!   overrun is found then, not when it happens.
//! - A freed block is poisoned and waits in a quarantine. Who reads it through a stale pointer reads
//!   no pointer; who writes to it is found when it leaves; who frees it again is found at once.
//!
//! What is found ends the application. A block of more than a quarter of the quarantine is poisoned
//! but does not wait. Unmapped pages around large blocks would find an overrun when it happens, but
//! they are made by changing page tables, which nobody can once the machine is sealed.

use super::block::{Facts, Finding, Key, Plan, State, Wrong, canary, freed};
use super::quarantine::Quarantine;
use super::raw::{Backing, Block};

/// How many blocks wait, and how many bytes they take. With a smaller heap than that in mind: when
/// memory runs out, they do not wait.
const WAITING: usize = 32;
const WAITING_BYTES: usize = 64 << 10;

/// The checks, and the blocks that wait.
#[derive(Debug)]
pub(super) struct Checks {
    key: Key,
    waiting: Waiting,
}

type Waiting = Quarantine<Block, WAITING, WAITING_BYTES>;

impl Checks {
    pub(super) const fn new(key: Key) -> Self {
        Self { key, waiting: Waiting::new() }
    }

    /// Bytes that are free to the application, though they wait.
    pub(super) const fn waiting(&self) -> usize {
        self.waiting.bytes()
    }

    /// A new block; none where there is no memory for it.
    ///
    /// # Errors
    /// What is wrong with one that had to leave the quarantine for it.
    #[inline(always)]
    pub(super) fn allocate(
        &mut self,
        backing: &mut Backing,
        plan: Plan,
    ) -> Result<Option<Block>, Finding> {
        let mut found = backing.obtain(plan);
        if found.is_none() {
            self.release_all(backing)?;
            found = backing.obtain(plan);
        }
        if let Some(block) = &mut found {
            self.guard(block);
        }
        Ok(found)
    }

    /// Takes a block back.
    ///
    /// # Errors
    /// What is wrong with it, or with one that leaves the quarantine for it.
    #[inline(always)]
    pub(super) fn free(&mut self, backing: &mut Backing, mut block: Block) -> Result<(), Finding> {
        let header = self.verify(&block)?;
        block.set_header(freed(header));
        block.poison();
        let bytes = block.plan().backing.size();
        if !Waiting::admits(bytes) {
            backing.restore(block);
            return Ok(());
        }
        while let Some(oldest) = self.waiting.make_room(bytes) {
            self.release(backing, oldest)?;
        }
        self.waiting.push(block, bytes);
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
    ) -> Result<bool, Finding> {
        self.verify(block)?;
        let done = backing.resize(block, plan);
        if done {
            self.guard(block);
        }
        Ok(done)
    }

    /// Nothing waits any longer.
    #[cold]
    fn release_all(&mut self, backing: &mut Backing) -> Result<(), Finding> {
        while let Some(oldest) = self.waiting.pop() {
            self.release(backing, oldest)?;
        }
        Ok(())
    }

    /// The memory of a block that has waited is free for others, if nobody has touched it.
    #[inline(always)]
    fn release(&self, backing: &mut Backing, block: Block) -> Result<(), Finding> {
        if !same(block.header(), freed(self.header(&block))) || !block.is_poisoned() {
            return Err(finding(Wrong::WrittenAfterFree, &block));
        }
        backing.restore(block);
        Ok(())
    }

    /// Puts header and canary around a block that is to be the application's.
    #[inline(always)]
    fn guard(&self, block: &mut Block) {
        let header = self.header(block);
        block.set_header(header);
        block.set_canary(canary(header));
    }

    /// Sees whether a block that the application gives back is what it was given; returns the header
    /// that it has then.
    #[inline(always)]
    fn verify(&self, block: &Block) -> Result<[u64; 2], Finding> {
        let expected = self.header(block);
        if !same(block.header(), expected) {
            return Err(self.diagnose(block));
        }
        if block.canary() != canary(expected) {
            return Err(finding(Wrong::Overrun, block));
        }
        Ok(expected)
    }

    /// Why a header is not what it should be.
    #[cold]
    fn diagnose(&self, block: &Block) -> Finding {
        let facts = self.key.open(block.address(), block.header());
        let wrong = match facts {
            None => Wrong::Header,
            Some(Facts { state: State::Freed, .. }) => Wrong::FreedTwice,
            Some(_) => Wrong::Mismatch,
        };
        let size = facts.map_or(block.plan().size, |facts| facts.size);
        Finding { wrong, address: block.address(), size }
    }

    /// The header that a live block has.
    #[inline(always)]
    fn header(&self, block: &Block) -> [u64; 2] {
        let Plan { backing, size, .. } = *block.plan();
        let facts = Facts { state: State::Live, size, align: backing.align() };
        self.key.seal(block.address(), facts)
    }
}

/// Whether two headers are. Written out, as the comparison of arrays is a call where code is small.
#[inline(always)]
const fn same([a, b]: [u64; 2], [c, d]: [u64; 2]) -> bool {
    (a ^ c) | (b ^ d) == 0
}

#[cold]
fn finding(wrong: Wrong, block: &Block) -> Finding {
    Finding { wrong, address: block.address(), size: block.plan().size }
}
