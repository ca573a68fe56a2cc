//! Who wants to hear of what: notifications to the device, interrupts from it, both only where they
//! are asked for (virtio 1.2, sections 2.7.7 and 2.7.10).

use super::{FLAGS, INDEX, Queue, RING, State};
use crate::virtio::order;

/// Available flag: do not interrupt (section 2.7.7). Used flag: do not notify (section 2.7.10).
const NO_EVENTS: u16 = 1;

impl<const CHAINS: usize, const PARTS: usize> Queue<CHAINS, PARTS> {
    /// Hands all chains that were added to the device, with one store of the index. Returns whether
    /// the device asks to be notified of it ([`Live::notify`](crate::virtio::Live::notify)).
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
        order::full(); // the index before the look at what the device wants (2.7.13.4.1)
        if self.event_index {
            let event = self.rings.used.load(RING + 4 * usize::from(self.rings.size));
            needs_event(event, new, old)
        } else {
            self.rings.used.load(FLAGS) & NO_EVENTS == 0
        }
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
        self.skipped = if self.event_index { skipped } else { 0 };
        if self.event_index {
            self.set_used_event(self.taken.wrapping_add(skipped));
        } else {
            self.rings.available.store(FLAGS, 0);
        }
        order::full(); // the wish before the look at whether it came too late (2.7.7.1)
        self.is_overdue()
    }

    /// Whether there is what an interrupt was asked for, by [`arm`](Self::arm): one has come, is about
    /// to, or never will.
    #[must_use]
    pub fn is_overdue(&self) -> bool {
        self.armed && self.rings.used.load(INDEX).wrapping_sub(self.taken) > self.skipped
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
