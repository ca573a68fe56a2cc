//! The split virtqueue (virtio 1.2, section 2.7), the driver's side.
//!
//! Chains go in by [`Queue::add`], become the device's all at once by [`Queue::publish`], and come
//! back by [`Queue::take`]. What is in flight is known from the driver's own copy (`Slot`); the
//! shared rings are written, and of what the device writes there only the used ring is read, each
//! word once. A place in the descriptor table belongs to one slot for good, so nothing that a
//! device says can make two chains overlap.

mod chain;
mod completion;
mod events;

use super::layout::Rings;
pub use super::layout::Tables;
use super::{DeviceError, Features};
use crate::dma::DmaSpan;

/// The words that both rings start with: flags, index, ring.
const FLAGS: usize = 0;
const INDEX: usize = 1;
const RING: usize = 2;

/// Ends a list of slots.
const NONE: u16 = u16::MAX;

/// Whether the lengths that a device reports are checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lengths {
    /// A length over what the device could write breaks the device.
    Checked,
    /// The driver does not use them. Legacy devices and kvmtool's report what they *read* from a
    /// chain instead (section 2.7.8, on legacy); nothing of the driver's depends on it.
    Ignored,
}

/// What became of a chain that is the driver's again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Used {
    /// What [`Queue::add`] was told.
    pub token: u16,
    /// How many bytes the device wrote, at most as many as it could; 0 where lengths are ignored.
    pub written: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Free,
    /// Written down, but not yet the device's.
    Added,
    InFlight,
}

/// The driver's own copy of one chain.
#[derive(Clone, Copy, Debug)]
struct Slot {
    /// How many bytes the device may write.
    writable: u32,
    token: u16,
    /// The next slot in the list of free or of added ones.
    next: u16,
    state: State,
}

impl Slot {
    const FREE: Self = Self { writable: 0, token: 0, next: NONE, state: State::Free };
}

/// A queue of up to `CHAINS` chains of up to `PARTS` parts each.
#[derive(Debug)]
pub struct Queue<const CHAINS: usize, const PARTS: usize> {
    index: u16,
    rings: Rings,
    lengths: Lengths,
    event_index: bool,
    armed: bool,
    /// How many completions may pass without an interrupt, while armed.
    skipped: u16,
    slots: [Slot; CHAINS],
    /// The first free slot.
    free: u16,
    /// The slot that was added last and is not published.
    added: u16,
    /// The available index: with what was added, and as the device knows it.
    next: u16,
    published: u16,
    /// The used index: what was taken, and what the device had written when last looked at.
    taken: u16,
    seen: u16,
}

impl<const CHAINS: usize, const PARTS: usize> Queue<CHAINS, PARTS> {
    /// A queue in rings that are all zero.
    pub(super) fn new(index: u16, rings: Rings, features: Features, lengths: Lengths) -> Self {
        let mut queue = Self {
            index,
            rings,
            lengths,
            event_index: features.contains(Features::EVENT_INDEX),
            armed: false,
            skipped: 0,
            slots: [Slot::FREE; CHAINS],
            free: 0,
            added: NONE,
            next: 0,
            published: 0,
            taken: 0,
            seen: 0,
        };
        queue.forget();
        queue
    }

    /// Empties the queue, rings and all, in the memory that it has. Only for a queue that the
    /// device has let go of: what was in flight is forgotten.
    pub(super) fn start_over(&mut self) {
        self.rings.clear();
        self.forget();
    }

    /// The driver's own copy of a queue that was never used: all of it, so that it and rings that
    /// are all zero agree.
    fn forget(&mut self) {
        self.slots.fill(Slot::FREE);
        for (next, slot) in (1..self.rings.chains).zip(&mut self.slots) {
            slot.next = next;
        }
        (self.free, self.added) = (0, NONE);
        (self.next, self.published) = (0, 0);
        (self.taken, self.seen) = (0, 0);
        self.disarm();
    }

    pub(super) const fn rings(&self) -> &Rings {
        &self.rings
    }

    /// The queue's number, to notify the device of.
    #[must_use]
    pub const fn index(&self) -> u16 {
        self.index
    }

    /// How many chains there can be at a time.
    #[must_use]
    pub const fn chains(&self) -> u16 {
        self.rings.chains
    }

    /// How many chains the device has.
    #[must_use]
    pub const fn in_flight(&self) -> u16 {
        self.published.wrapping_sub(self.taken)
    }

    /// Whether there is room for another chain.
    #[must_use]
    pub const fn has_room(&self) -> bool {
        self.free != NONE
    }

    /// Writes a chain down: parts that the device reads, then parts that it writes. The device
    /// does not know of it until [`Self::publish`].
    ///
    /// # Errors
    /// [`DeviceError::Full`].
    #[inline]
    pub fn add<const READABLE: usize, const WRITABLE: usize>(
        &mut self,
        readable: [DmaSpan; READABLE],
        writable: [DmaSpan; WRITABLE],
        token: u16,
    ) -> Result<(), DeviceError> {
        const { assert!(READABLE + WRITABLE >= 1, "a chain has a part") };
        const { assert!(READABLE + WRITABLE <= PARTS, "a chain has at most PARTS parts") };
        let number = self.free;
        let Some(slot) = self.slots.get_mut(usize::from(number)) else {
            return Err(DeviceError::Full);
        };
        self.free = slot.next;
        let writable_bytes =
            writable.iter().fold(0, |sum: u32, part| sum.saturating_add(part.length()));
        *slot = Slot { writable: writable_bytes, token, next: self.added, state: State::Added };
        self.added = number;

        let head = self.describe(number, readable, writable);
        let place = self.next & (self.rings.size - 1);
        self.rings.available.store(RING + usize::from(place), head);
        self.next = self.next.wrapping_add(1);
        Ok(())
    }
}
