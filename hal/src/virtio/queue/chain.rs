//! Descriptors: how a slot's chain is written down, and which slot a chain belongs to.

use super::Queue;
use crate::dma::DmaSpan;
use crate::virtio::layout::DESCRIPTOR;

/// Descriptor flags (section 2.7.5).
const NEXT: u64 = 1;
const WRITE: u64 = 2;
const INDIRECT: u64 = 4;

impl<const CHAINS: usize, const PARTS: usize> Queue<CHAINS, PARTS> {
    /// Writes the descriptors of a slot's chain; returns what the available ring says of it.
    #[inline]
    pub(super) fn describe<const READABLE: usize, const WRITABLE: usize>(
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

    /// Which slot a chain's head belongs to; `None` if no chain can start there.
    #[inline]
    pub(super) fn slot_of(&self, id: u32) -> Option<u16> {
        let id = u16::try_from(id).ok()?;
        let number = match self.rings.tables {
            Some(_) => id,
            None if id % Self::DIRECT_STEP == 0 => id / Self::DIRECT_STEP,
            None => return None,
        };
        (number < self.rings.chains).then_some(number)
    }
}
