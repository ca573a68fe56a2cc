//! A pointer from the application is an allegation until it has been looked up here: the one place
//! where [`Alleged`] memory becomes memory that the kernel reads or writes for its caller.
//!
//! Pure, so that it is fuzzed on the host: it knows which addresses are the caller's, and touches
//! none of them.

use elone_gate::Error;
use elone_gate::abi::Alleged;
use heapless::Vec;

/// How many regions a caller can have: a heap of as many ranges as there can be, and the rest.
pub const REGIONS: usize = elone_gate::MemoryRanges::CAPACITY + 32;

/// What the kernel is asked to do with a caller's memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Access {
    /// Read it.
    Read,
    /// Write to it.
    Write,
}

/// Memory of a caller, contiguous in its address space and mapped whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Region {
    start: u64,
    end: u64,
    /// The most that the caller itself may do.
    access: Access,
}

/// All memory of one caller.
#[derive(Clone, Debug, Default)]
pub struct Regions {
    list: Vec<Region, REGIONS>,
    /// The bits of an address that the core does not look at.
    ignored: u64,
}

/// The byte of an address in which a tag may be (Arm ARM, section D8.8, "Address tagging").
const TAG: u64 = 0xff << 56;

/// Memory that was found to be the caller's, for the access that was asked for. It can be made
/// nowhere else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    address: u64,
    length: usize,
}

impl Found {
    /// Where it starts, in the caller's address space.
    #[must_use]
    pub const fn address(&self) -> u64 {
        self.address
    }

    /// How many bytes.
    #[must_use]
    pub const fn length(&self) -> usize {
        self.length
    }
}

impl Regions {
    /// None.
    #[must_use]
    pub const fn new() -> Self {
        Self { list: Vec::new(), ignored: 0 }
    }

    /// None, of a caller whose addresses may carry tags: the core ignores their top byte, and so does
    /// this. What is found has none.
    #[must_use]
    pub const fn tagged() -> Self {
        Self { list: Vec::new(), ignored: TAG }
    }

    /// Forgets all.
    pub fn clear(&mut self) {
        self.list.clear();
    }

    /// Adds `length` bytes from `start` on; whether there was room, and no end wrapped.
    #[must_use = "what is not added is refused to its owner"]
    pub fn add(&mut self, start: u64, length: u64, access: Access) -> bool {
        let Some(end) = start.checked_add(length) else { return false };
        self.list.push(Region { start, end, access }).is_ok()
    }

    /// Looks up memory that a caller says is its own, in items of `size` bytes. Nothing at all is
    /// anybody's: an empty list may be anywhere.
    ///
    /// # Errors
    /// [`Error::BadPointer`] if not all of it lies in one region that allows `access`.
    pub fn find(&self, alleged: Alleged, size: u64, access: Access) -> Result<Found, Error> {
        let Alleged { address, count } = alleged;
        let length = count.checked_mul(size).ok_or(Error::BadPointer)?;
        if length == 0 {
            return Ok(Found { address: 0, length: 0 });
        }
        let address = address & !self.ignored;
        let end = address.checked_add(length).ok_or(Error::BadPointer)?;
        let holds = |region: &Region| {
            region.start <= address && end <= region.end && access <= region.access
        };
        if !self.list.iter().any(holds) {
            return Err(Error::BadPointer);
        }
        let length = usize::try_from(length).map_err(|_| Error::BadPointer)?;
        Ok(Found { address, length })
    }

    /// The two words of a frame record (AAPCS64, section 6.4.6) at `address`, as a range to read.
    ///
    /// # Errors
    /// [`Error::BadPointer`], also for a record that is not aligned as stacks are.
    pub fn record(&self, address: u64) -> Result<Found, Error> {
        if !address.is_multiple_of(16) {
            return Err(Error::BadPointer);
        }
        self.find(Alleged { address, count: 2 }, 8, Access::Read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn regions() -> Regions {
        let mut regions = Regions::new();
        assert!(regions.add(0x1000, 0x1000, Access::Read));
        assert!(regions.add(0x2000, 0x1000, Access::Write));
        assert!(regions.add(u64::MAX - 0xfff, 0xfff, Access::Write));
        regions
    }

    fn find(address: u64, count: u64, size: u64, access: Access) -> Result<Found, Error> {
        regions().find(Alleged { address, count }, size, access)
    }

    #[test]
    fn what_lies_in_a_region_is_found() {
        let found = find(0x1ff8, 2, 4, Access::Read).expect("the region's last bytes");
        assert_eq!((found.address(), found.length()), (0x1ff8, 8));
        assert!(find(0x2000, 0x1000, 1, Access::Write).is_ok());
        assert!(find(0x2000, 1, 1, Access::Read).is_ok(), "what may be written may be read");
    }

    #[test]
    fn what_does_not_is_refused() {
        for (address, count, size) in [
            (0, 1, 1),
            (0xfff, 1, 1),
            (0xfff, 2, 1),
            (0x2fff, 2, 1),
            (0x3000, 1, 1),
            (u64::MAX, 1, 1),
            (u64::MAX - 7, 2, 4),
            (0x2000, u64::MAX, 1),
            (0x2000, u64::MAX / 4 + 1, 4),
            (0x2000, 1 << 62, 8),
        ] {
            assert_eq!(find(address, count, size, Access::Read), Err(Error::BadPointer));
        }
    }

    #[test]
    fn constants_are_not_written_to_and_regions_are_not_crossed() {
        assert_eq!(find(0x1000, 1, 1, Access::Write), Err(Error::BadPointer));
        assert_eq!(find(0x1fff, 2, 1, Access::Read), Err(Error::BadPointer));
    }

    #[test]
    fn nothing_is_anywhere() {
        assert!(find(0xdead_beef, 0, 8, Access::Write).is_ok());
    }

    #[test]
    fn a_region_that_wraps_is_not_added() {
        assert!(!Regions::new().add(u64::MAX, 2, Access::Read));
    }

    #[test]
    fn a_tag_is_ignored_where_there_are_tags_and_nowhere_else() {
        let mut regions = Regions::tagged();
        assert!(regions.add(0x1000, 0x1000, Access::Write));
        let plain = Alleged { address: 0x1ff0, count: 16 };
        for tag in [0, 1, 0xf, 0x5a, 0xff] {
            let alleged = Alleged { address: plain.address | tag << 56, ..plain };
            let found = regions.find(alleged, 1, Access::Write).expect("it is the caller's");
            assert_eq!((found.address(), found.length()), (0x1ff0, 16));
            let longer = Alleged { count: 17, ..alleged };
            assert_eq!(regions.find(longer, 1, Access::Write), Err(Error::BadPointer));
            // The bit below is no tag's: it chooses the half.
            let other = Alleged { address: alleged.address | 1 << 55, ..plain };
            assert_eq!(regions.find(other, 1, Access::Write), Err(Error::BadPointer));
            assert!(tag == 0 || find(alleged.address, 16, 1, Access::Read).is_err(), "{tag:#x}");
        }
        // Nothing of it is kept from one life to the next but this.
        regions.clear();
        assert!(regions.find(plain, 1, Access::Read).is_err());
        assert!(regions.add(0x1000, 0x1000, Access::Read));
        let tagged = Alleged { address: plain.address | 3 << 56, ..plain };
        assert!(regions.find(tagged, 1, Access::Read).is_ok());
    }

    #[test]
    fn a_frame_record_is_aligned() {
        assert!(regions().record(0x1010).is_ok());
        assert!(regions().record(0x1008).is_err());
        assert!(regions().record(0x1ff8).is_err());
    }
}
