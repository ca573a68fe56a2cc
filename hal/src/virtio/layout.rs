//! Where the parts of a queue lie (virtio 1.2, sections 2.7.2, 2.7.6, 2.7.8 and, for legacy, 2.7.2
//! and 4.2.4), and the chains' own tables where descriptors are indirect.

use core::sync::atomic::{AtomicU16, AtomicU32, AtomicU64};

use crate::address::{PAGE, PhysicalAddress};
use crate::dma::{DmaError, DmaPool, Shared};

/// When a chain's descriptors lie in a table of its own, so that it takes one place of the ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tables {
    /// Never.
    Never,
    /// Where the device's ring is too short for all chains: the table costs the device one more
    /// look-up a chain, so it is only worth it for the room.
    WhenShort,
    /// Always: for devices that need long to complete, where room counts more than the look-up.
    Always,
}

/// How the parts of a queue lie to each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// One after the other, the used ring on a page of its own.
    Legacy,
    /// Anywhere.
    Modern,
}

/// A descriptor's size in bytes (section 2.7.5).
pub(super) const DESCRIPTOR: usize = 16;

/// The memory of one queue.
#[derive(Debug)]
pub(super) struct Rings {
    /// How many places the ring has: a power of two.
    pub(super) size: u16,
    /// How many chains can be in flight.
    pub(super) chains: u16,
    /// Two words a descriptor.
    pub(super) descriptors: Shared<AtomicU64>,
    pub(super) descriptors_at: PhysicalAddress,
    /// Flags, index, the ring, the used event.
    pub(super) available: Shared<AtomicU16>,
    pub(super) available_at: PhysicalAddress,
    /// Flags, index, the ring (four words each), the available event.
    pub(super) used: Shared<AtomicU16>,
    /// The used ring proper: identifier and length, from the second word of the pair on.
    pub(super) used_pairs: Shared<AtomicU32>,
    pub(super) used_at: PhysicalAddress,
    /// Each chain's own table and where the first is; `None` where descriptors are direct.
    pub(super) tables: Option<(Shared<AtomicU64>, PhysicalAddress)>,
}

impl Rings {
    /// Takes the memory of a queue for up to `chains` chains of `parts` parts, in a ring of at most
    /// `longest` places. `None` if that is too short for a single chain.
    pub(super) fn new(
        place: Place,
        chains: usize,
        parts: usize,
        longest: u16,
        tables: Tables,
        dma: &mut DmaPool,
    ) -> Result<Option<Self>, DmaError> {
        let longest = 1_usize << longest.max(1).ilog2(); // a size is a power of two (section 2.7)
        let direct = (chains * parts).next_power_of_two();
        let indirect = match tables {
            Tables::Never => false,
            Tables::WhenShort => longest < direct,
            Tables::Always => true,
        };
        let (places, wanted) =
            if indirect { (1, chains.next_power_of_two()) } else { (parts, direct) };
        let size = wanted.min(longest);
        let chains = chains.min(size / places);
        if chains == 0 {
            return Ok(None);
        }

        let available_offset = size * DESCRIPTOR;
        let available_words = size + 3;
        let available_end = available_offset + available_words * size_of::<u16>();
        let (used_align, align) = match place {
            Place::Legacy => (PAGE, PAGE),
            Place::Modern => (size_of::<u32>(), DESCRIPTOR),
        };
        let used_offset = available_end.next_multiple_of(used_align);
        let used_words = 4 * size + 3;
        let region = dma.take(used_offset + used_words * size_of::<u16>(), align)?;
        let at = |offset| region.physical_of(offset).ok_or(DmaError::OutsideRegion);

        let tables = if indirect {
            let length = chains * parts * DESCRIPTOR;
            let region = dma.take(length, DESCRIPTOR)?;
            Some((region.words64(0, length / size_of::<u64>())?, region.physical()))
        } else {
            None
        };
        let short = |value| u16::try_from(value).map_err(|_| DmaError::OutsideRegion);
        Ok(Some(Self {
            size: short(size)?,
            chains: short(chains)?,
            descriptors: region.words64(0, 2 * size)?,
            descriptors_at: region.physical(),
            available: region.words16(available_offset, available_words)?,
            available_at: at(available_offset)?,
            used: region.words16(used_offset, used_words)?,
            used_pairs: region.words32(used_offset + 4, 2 * size)?,
            used_at: at(used_offset)?,
            tables,
        }))
    }

    /// Makes all of it zero again, as it was at first.
    pub(super) fn clear(&self) {
        self.descriptors.clear();
        self.available.clear();
        self.used.clear(); // the pairs are the same bytes
        if let Some((tables, _)) = &self.tables {
            tables.clear();
        }
    }
}
