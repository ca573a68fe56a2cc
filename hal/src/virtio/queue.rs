//! The split virtqueue (virtio 1.2, section 2.7), the driver's side.
//!
//! Chains go in by [`Queue::add`], become the device's all at once by [`Queue::publish`], and come
//! back by [`Queue::take`]. What is in flight is known from the driver's own copy (`Slot`); the
//! shared rings are written, and of what the device writes there only the used ring is read, each
//! word once. A place in the descriptor table belongs to one slot for good, so nothing that a
//! device says can make two chains overlap.

use core::sync::atomic::{Ordering, fence};

pub use super::layout::Tables;
use super::layout::{DESCRIPTOR, Rings};
use super::{DeviceError, Fault, Features};
use crate::dma::DmaSpan;

/// Descriptor flags (section 2.7.5).
const NEXT: u64 = 1;
const WRITE: u64 = 2;
const INDIRECT: u64 = 4;

/// The words that both rings start with: flags, index, ring.
const FLAGS: usize = 0;
const INDEX: usize = 1;
const RING: usize = 2;

/// Available flag: do not interrupt (section 2.7.7). Used flag: do not notify (section 2.7.10).
const NO_EVENTS: u16 = 1;

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

/// A queue of up to `CHAINS` chains of up to `PARTS` parts each.
#[derive(Debug)]
pub struct Queue<const CHAINS: usize, const PARTS: usize> {
    index: u16,
    rings: Rings,
    lengths: Lengths,
    event_index: bool,
    armed: bool,
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
    pub(super) fn new(index: u16, rings: Rings, features: Features, lengths: Lengths) -> Self {
        let mut slots = [Slot { writable: 0, token: 0, next: NONE, state: State::Free }; CHAINS];
        for (next, slot) in (1..rings.chains).zip(&mut slots) {
            slot.next = next;
        }
        let event_index = features.contains(Features::EVENT_INDEX);
        let mut queue = Self {
            index,
            rings,
            lengths,
            event_index,
            armed: true,
            slots,
            free: 0,
            added: NONE,
            next: 0,
            published: 0,
            taken: 0,
            seen: 0,
        };
        queue.disarm();
        queue
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

    /// Writes the descriptors of a slot's chain; returns what the available ring says of it.
    #[inline]
    fn describe<const READABLE: usize, const WRITABLE: usize>(
        &mut self,
        slot: u16,
        readable: [DmaSpan; READABLE],
        writable: [DmaSpan; WRITABLE],
    ) -> u16 {
        let count = READABLE + WRITABLE;
        let first = usize::from(slot) * PARTS;
        // A chain's links count from the start of the table they are in (section 2.7.5.3).
        let (table, link) = match &self.rings.tables {
            None => (&self.rings.descriptors, first),
            Some((tables, _)) => (tables, 0),
        };
        let mut index = 0;
        let mut describe = |part: &DmaSpan, access| {
            let more = index + 1 < count;
            let (flags, next) = if more { (access | NEXT, link + index + 1) } else { (access, 0) };
            let word = u64::from(part.length()) | flags << 32 | (next as u64) << 48;
            table.store(2 * (first + index), part.address().0);
            table.store(2 * (first + index) + 1, word);
            index += 1;
        };
        for part in &readable {
            describe(part, 0);
        }
        for part in &writable {
            describe(part, WRITE);
        }
        if let Some((_, tables_at)) = &self.rings.tables {
            let address = tables_at.0 + (first * DESCRIPTOR) as u64;
            let place = 2 * usize::from(slot);
            self.rings.descriptors.store(place, address);
            let length = (count * DESCRIPTOR) as u64;
            self.rings.descriptors.store(place + 1, length | INDIRECT << 32);
            return slot;
        }
        slot * Self::DIRECT_STEP
    }

    /// How far the heads of two neighbouring slots are apart where descriptors are direct.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "asserted: a ring has at most 32,768 places"
    )]
    const DIRECT_STEP: u16 = {
        assert!(PARTS >= 1 && CHAINS >= 1 && CHAINS * PARTS <= 0x8000);
        PARTS as u16
    };

    /// Hands all chains that were added to the device, with one store of the index. Returns whether
    /// the device asks to be notified of it ([`Live::notify`](super::Live::notify)).
    #[must_use = "the device sleeps on unless it is notified"]
    #[inline]
    pub fn publish(&mut self) -> bool {
        let (old, new) = (self.published, self.next);
        if old == new {
            return false;
        }
        while let Some(slot) = self.slots.get_mut(usize::from(self.added)) {
            slot.state = State::InFlight;
            self.added = slot.next;
        }
        self.rings.available.store_release(INDEX, new);
        self.published = new;
        fence(Ordering::SeqCst); // the index before the look at what the device wants (2.7.13.4.1)
        if self.event_index {
            let event = self.rings.used.load(RING + 4 * usize::from(self.rings.size));
            needs_event(event, new, old)
        } else {
            self.rings.used.load(FLAGS) & NO_EVENTS == 0
        }
    }

    /// Takes the next chain that the device has completed; `None` if there is none.
    ///
    /// The first call after [`Self::arm`] disarms: who takes is awake.
    ///
    /// # Errors
    /// How the device broke its protocol. The caller resets it and uses the queue no more.
    #[inline]
    pub fn take(&mut self) -> Result<Option<Used>, Fault> {
        if self.armed {
            self.disarm();
        }
        if self.seen == self.taken {
            let index = self.rings.used.load_acquire(INDEX);
            let waiting = index.wrapping_sub(self.taken);
            if waiting > self.in_flight() {
                return Err(Fault::IndexJump(waiting));
            }
            self.seen = index;
            if waiting == 0 {
                return Ok(None);
            }
        }
        let place = 2 * usize::from(self.taken & (self.rings.size - 1));
        let id = self.rings.used_pairs.load(place);
        let length = self.rings.used_pairs.load(place + 1);
        let number = self.slot_of(id).ok_or(Fault::UnknownChain(id))?;
        let slot = self.slots.get_mut(usize::from(number)).ok_or(Fault::UnknownChain(id))?;
        if slot.state != State::InFlight {
            return Err(Fault::ChainNotInFlight(id));
        }
        let written = match self.lengths {
            Lengths::Ignored => 0,
            Lengths::Checked if length > slot.writable => return Err(Fault::TooLong(length)),
            Lengths::Checked => length,
        };
        slot.state = State::Free;
        slot.next = self.free;
        self.free = number;
        self.taken = self.taken.wrapping_add(1);
        Ok(Some(Used { token: slot.token, written }))
    }

    /// Which slot a chain's head belongs to; `None` if no chain can start there.
    #[inline]
    fn slot_of(&self, id: u32) -> Option<u16> {
        let id = u16::try_from(id).ok()?;
        let number = match self.rings.tables {
            Some(_) => id,
            None if id % Self::DIRECT_STEP == 0 => id / Self::DIRECT_STEP,
            None => return None,
        };
        (number < self.rings.chains).then_some(number)
    }

    /// Asks for an interrupt at the next completion. Returns whether there already is one: then
    /// none may come, and the caller must [`take`](Self::take) instead of sleeping.
    pub fn arm(&mut self) -> bool {
        self.arm_after(0)
    }

    /// As [`Self::arm`], but lets `skipped` completions pass first, where the device can count
    /// them. There should be more than that in flight.
    pub fn arm_after(&mut self, skipped: u16) -> bool {
        self.armed = true;
        if self.event_index {
            self.set_used_event(self.taken.wrapping_add(skipped));
        } else {
            self.rings.available.store(FLAGS, 0);
        }
        fence(Ordering::SeqCst); // the wish before the look at whether it came too late (2.7.7.1)
        let waiting = self.rings.used.load(INDEX).wrapping_sub(self.taken);
        waiting > if self.event_index { skipped } else { 0 }
    }

    /// Asks for no more interrupts. One that is under way may still come; and where the device
    /// counts, one may come each 65,536 completions.
    pub fn disarm(&mut self) {
        self.armed = false;
        if self.event_index {
            self.set_used_event(self.taken.wrapping_sub(1)); // what is past is not waited for
        } else {
            self.rings.available.store(FLAGS, NO_EVENTS);
        }
    }

    fn set_used_event(&self, event: u16) {
        self.rings.available.store(RING + usize::from(self.rings.size), event);
    }
}

/// Whether a side that wants to hear of index `event` must hear of the step from `old` to `new`
/// (`vring_need_event`, section 2.7.10). Right over the wrap, and for steps of more than one.
#[inline]
const fn needs_event(event: u16, new: u16, old: u16) -> bool {
    new.wrapping_sub(event).wrapping_sub(1) < new.wrapping_sub(old)
}
