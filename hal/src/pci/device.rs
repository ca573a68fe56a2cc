//! A function whose memory can be reached.

use super::bars::BARS;
use super::{Address, Function, PciError};
use crate::address::PhysicalRange;

/// A function whose memory can be reached, and which may reach ours.
#[derive(Clone, Debug)]
pub struct Device {
    /// The function.
    pub function: Function,
    /// As in [`Found`](super::Found).
    pub pin: Option<(Address, u8)>,
    /// As in [`Found`](super::Found).
    pub requester: Address,
    /// Its memory, by base address register, as the processor sees it.
    pub(super) bars: [Option<PhysicalRange>; BARS],
}

impl Device {
    /// The part of its memory that the function says has some of its registers.
    ///
    /// # Errors
    /// [`PciError::NoSuchBar`], [`PciError::EmptyBar`], [`PciError::OutsideBar`].
    pub fn region(&self, bar: u8, offset: u64, length: u64) -> Result<PhysicalRange, PciError> {
        let known = self.bars.get(usize::from(bar)).ok_or(PciError::NoSuchBar(bar))?;
        let memory = known.ok_or(PciError::EmptyBar(bar))?;
        let outside = PciError::OutsideBar(bar);
        let end = offset.checked_add(length).ok_or(outside)?;
        if length == 0 || end > memory.length() {
            return Err(outside);
        }
        PhysicalRange::new(memory.start().0.saturating_add(offset), length).ok_or(outside)
    }
}
