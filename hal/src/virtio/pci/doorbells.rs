//! Doorbells: where a device is notified of its queues (virtio 1.2, section 4.1.4.4).
//!
//! Each queue names its own by a number that need have nothing to do with the queue's: a card that is
//! shared out to many machines has those of all of them in a row. So what counts is where the device
//! says that it may have doorbells, and of that only as much is mapped as somebody rings.

use super::QUEUES;
use crate::address::PhysicalRange;
use crate::mmio::Window;
use crate::pci::{Map, PciError};

/// Where one queue is notified.
#[derive(Clone, Copy, Debug)]
pub(super) struct Doorbell {
    window: Window,
    at: usize,
}

impl Doorbell {
    #[inline]
    pub(super) fn ring(self, queue: u16) {
        self.window.write16(self.at, queue);
    }
}

/// The doorbells of a device.
#[derive(Clone, Copy, Debug)]
pub(super) struct Doorbells {
    all: PhysicalRange,
    /// From one unit in which queues say where theirs is to the next, in bytes.
    multiplier: u32,
    /// What is mapped of them: all, or a page for each queue.
    mapped: [Option<(PhysicalRange, Window)>; QUEUES],
}

impl Doorbells {
    /// If all are mapped, it is by this window, as part of this range.
    pub(super) fn new(
        all: PhysicalRange,
        multiplier: u32,
        whole: Option<(PhysicalRange, Window)>,
    ) -> Self {
        let mut mapped = [None; QUEUES];
        mapped[0] = whole;
        Self { all, multiplier, mapped }
    }

    /// Whether any is mapped.
    pub(super) const fn is_mapped(&self) -> bool {
        self.mapped[0].is_some()
    }

    /// Maps the one of a queue that has it at this unit, by the page: what is mapped already, for
    /// other registers, is seen through that. One that cannot be is left alone.
    pub(super) fn map(&mut self, unit: u16, map: &mut Map<'_>) -> Result<(), PciError> {
        let Some(page) = self.place(unit).as_ref().and_then(PhysicalRange::outer_pages) else {
            return Ok(());
        };
        if let Some(free) = self.mapped.iter_mut().find(|mapped| mapped.is_none()) {
            *free = Some((page, map(page).ok_or(PciError::Unmapped)?));
        }
        Ok(())
    }

    /// The one of a queue that has it at this unit; `None` if there can be none, or it is not mapped.
    pub(super) fn of(&self, unit: u16) -> Option<Doorbell> {
        let place = self.place(unit)?;
        let mut mapped = self.mapped.iter().flatten();
        let (range, window) = mapped.find(|(range, _)| range.contains(&place))?;
        let at = usize::try_from(place.start().0 - range.start().0).ok()?;
        Some(Doorbell { window: *window, at })
    }

    /// Where that is, unless it is outside of what there is for doorbells, or at an odd place.
    fn place(&self, unit: u16) -> Option<PhysicalRange> {
        let offset = u64::from(unit) * u64::from(self.multiplier);
        let start = self.all.start().0.checked_add(offset)?;
        let place = PhysicalRange::new(start, size_of::<u16>() as u64)?;
        (start.is_multiple_of(2) && self.all.contains(&place)).then_some(place)
    }
}
