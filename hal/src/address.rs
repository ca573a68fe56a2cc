//! Addresses, told apart by what they are addresses of.

use core::fmt;

/// The size of a page: the 4 KiB translation granule (Arm ARM, section D8.2.1).
pub const PAGE: usize = 4096;

/// An address on the machine's bus: what page tables, devices and the device tree speak of.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
#[repr(transparent)]
pub struct PhysicalAddress(pub u64);

impl fmt::Debug for PhysicalAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.0)
    }
}

impl fmt::Display for PhysicalAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// A range of physical addresses. It never wraps: [`PhysicalRange::new`] refuses that.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct PhysicalRange {
    start: PhysicalAddress,
    length: u64,
}

impl PhysicalRange {
    /// From `start`, `length` bytes; `None` if it would reach past the end of the address space.
    #[must_use]
    pub const fn new(start: u64, length: u64) -> Option<Self> {
        match start.checked_add(length) {
            Some(_) => Some(Self { start: PhysicalAddress(start), length }),
            None => None,
        }
    }

    /// The first byte's address.
    #[must_use]
    pub const fn start(&self) -> PhysicalAddress {
        self.start
    }

    /// The address after the last byte.
    #[must_use]
    pub const fn end(&self) -> PhysicalAddress {
        PhysicalAddress(self.start.0 + self.length)
    }

    /// How many bytes.
    #[must_use]
    pub const fn length(&self) -> u64 {
        self.length
    }

    /// Whether there is nothing in it.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Whether the two share a byte.
    #[must_use]
    pub const fn overlaps(&self, other: &Self) -> bool {
        self.start.0 < other.end().0 && other.start.0 < self.end().0
    }

    /// Whether all of `other` lies in this.
    #[must_use]
    pub const fn contains(&self, other: &Self) -> bool {
        self.start.0 <= other.start.0 && other.end().0 <= self.end().0
    }

    /// The whole pages that the range touches; `None` at the very end of the address space.
    #[must_use]
    pub const fn outer_pages(&self) -> Option<Self> {
        let page = PAGE as u64;
        let start = self.start.0 / page * page;
        match self.end().0.checked_next_multiple_of(page) {
            Some(end) => Self::new(start, end - start),
            None => None,
        }
    }

    /// The whole pages that lie in the range; none of them gives an empty range.
    #[must_use]
    pub const fn inner_pages(&self) -> Self {
        let page = PAGE as u64;
        let end = self.end().0 / page * page;
        match self.start.0.checked_next_multiple_of(page) {
            Some(start) if start < end => {
                Self { start: PhysicalAddress(start), length: end - start }
            }
            _ => Self { start: self.start, length: 0 },
        }
    }
}

impl fmt::Debug for PhysicalRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}..{:#x}", self.start.0, self.end().0)
    }
}

impl fmt::Display for PhysicalRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// Where the call is that returns to `address`: the instruction before it. A call that never returns
/// may be the last instruction of its text, and `address` the first byte after that.
#[must_use]
pub const fn call_before(address: u64) -> u64 {
    address.wrapping_sub(4)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A call that is the last instruction of its text returns beyond it.
    #[test]
    fn a_call_lies_before_where_it_returns() {
        let text = 0x1000..0x2000;
        assert!(text.contains(&call_before(0x2000)));
        assert!(!text.contains(&call_before(0x1000)));
        assert!(!text.contains(&call_before(0)));
    }

    #[test]
    fn a_range_that_wraps_is_refused() {
        assert!(PhysicalRange::new(u64::MAX, 2).is_none());
        assert!(PhysicalRange::new(u64::MAX, 0).is_some());
    }

    #[test]
    fn inner_pages_of_less_than_a_page_are_none() {
        let range = PhysicalRange::new(0x1001, 0x1ffe).expect("no wrap");
        assert!(range.inner_pages().is_empty());
        assert_eq!(range.outer_pages(), PhysicalRange::new(0x1000, 0x2000));
    }

    #[test]
    fn ranges_that_touch_do_not_overlap() {
        let (a, b) = (PhysicalRange::new(0, 0x1000), PhysicalRange::new(0x1000, 0x1000));
        assert!(!a.expect("no wrap").overlaps(&b.expect("no wrap")));
    }
}
