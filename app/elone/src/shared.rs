//! Which of a device's buffers are the application's.
//!
//! A [`Buffer`] is the right to touch its bytes. [`Shared::lend`] takes that right and gives the
//! number that the gate wants; [`Shared::returned`] turns a number from the gate back into the
//! right, if it was lent. So no number, however wrong, ever makes a second owner.
#![expect(
    unsafe_code,
    reason = "the one place where a buffer's number becomes the right to its bytes"
)]

use alloc::vec::Vec;
use elone_gate::{Area, Buffer, BufferId};

/// The buffers of one claimed device.
#[derive(Debug)]
pub(crate) struct Shared {
    area: Area,
    /// For each buffer, whether its number is out and no `Buffer` for it exists.
    lent: Vec<bool>,
}

impl Shared {
    /// Takes over the area of a device that was claimed just now, with all its buffers.
    ///
    /// `area` must come from the gate's `device` call that claimed the device, which happens once.
    pub(crate) fn claim(area: Area) -> (Self, Vec<Buffer>) {
        let mut shared = Self { area, lent: alloc::vec![true; usize::from(area.count())] };
        let all = (0..area.count()).filter_map(|id| shared.returned(BufferId(id), 0)).collect();
        (shared, all)
    }

    /// How many bytes each can hold.
    pub(crate) const fn size(&self) -> u16 {
        self.area.size()
    }

    /// Gives up a buffer; its number goes to the gate.
    pub(crate) fn lend(&mut self, buffer: Buffer) -> BufferId {
        let id = buffer.id();
        if let Some(lent) = self.lent.get_mut(usize::from(id.0)) {
            *lent = true;
        }
        id
    }

    /// Takes back a buffer that the gate returned, now holding `length` bytes. `None` if it was
    /// never lent, or the length is more than it can hold.
    pub(crate) fn returned(&mut self, id: BufferId, length: u16) -> Option<Buffer> {
        let lent = self.lent.get_mut(usize::from(id.0))?;
        if !*lent || length > self.area.size() {
            return None;
        }
        *lent = false;
        // SAFETY: the area comes from the gate's `device` call (`claim`). The buffer is the application's: the
        // gate has returned it, or it is the claim itself. It was marked as lent, which `lend` does only when
        // it consumes the one `Buffer` there is, and is so no more, so no other exists.
        unsafe { self.area.take(id, length) }
    }
}
