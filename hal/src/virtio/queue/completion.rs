//! What a device says it has completed, checked against the driver's own copy.

use super::{INDEX, Lengths, Queue, State, Used};
use crate::virtio::Fault;

impl<const CHAINS: usize, const PARTS: usize> Queue<CHAINS, PARTS> {
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
}
