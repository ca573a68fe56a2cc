//! What of the RAM is free, and who claims what he should not.

use core::fmt;

use elone_hal::address::{PAGE, PhysicalRange};
use heapless::Vec;

use super::{BANKS, Machine, RESERVATIONS};

/// How many ranges of the kernel's own [`Machine::free_memory`] leaves out.
const OWN: usize = 3;

/// Ranges of whole pages, by ascending address, none touching another. There is room for all that
/// there can be: each reservation, the initrd, and what is the kernel's own, can cut one in two.
pub type FreeMemory = Vec<PhysicalRange, { BANKS + RESERVATIONS + 1 + OWN }>;

impl Machine {
    /// How many bytes of RAM there are. What two banks share counts once.
    #[must_use]
    pub fn memory(&self) -> u64 {
        // Banks do not overlap once merged, so the sum is at most the address space.
        self.banks().iter().map(PhysicalRange::length).sum()
    }

    /// The RAM that nobody has a claim to: all banks, without what is reserved, the initrd, and the
    /// kernel's `own` (the running image, the device tree, what it has mapped before it read that).
    #[must_use]
    pub fn free_memory(&self, own: [PhysicalRange; OWN]) -> FreeMemory {
        let mut free = FreeMemory::new();
        for bank in self.banks() {
            let pages = bank.inner_pages();
            if !pages.is_empty() {
                // There is room: banks are the first that come in.
                let _ = free.push(pages);
            }
        }
        let reserved = self.reservations.iter().map(|reservation| reservation.range);
        for taken in reserved.chain(own).chain(self.initrd) {
            if !taken.is_empty() {
                subtract(&mut free, taken);
            }
        }
        free
    }

    /// Whether any of `range` is RAM.
    #[must_use]
    pub fn is_ram(&self, range: &PhysicalRange) -> bool {
        self.ram.iter().any(|bank| bank.overlaps(range))
    }

    /// What the tree says that cannot be, as there is an `image` that runs, and a `tree` that was read.
    pub fn conflicts(
        &self,
        image: PhysicalRange,
        tree: PhysicalRange,
    ) -> impl Iterator<Item = Conflict> + use<'_> {
        let is_outside = !self.banks().iter().any(|bank| bank.contains(&image));
        let reserved = self.reservations.iter().map(|reservation| reservation.range);
        let reserved = reserved.filter(move |range| range.overlaps(&image));
        let initrd = self.initrd;
        let over = move |what: &PhysicalRange| initrd.filter(|initrd| initrd.overlaps(what));
        is_outside
            .then_some(Conflict::ImageOutside(image))
            .into_iter()
            .chain(reserved.map(Conflict::ReservedOverImage))
            .chain(over(&image).map(Conflict::InitrdOverImage))
            .chain(over(&tree).map(Conflict::InitrdOverTree))
    }

    /// The banks by ascending address; those that overlap or touch are one.
    fn banks(&self) -> Vec<PhysicalRange, BANKS> {
        let mut sorted: Vec<PhysicalRange, BANKS> = Vec::new();
        for bank in &self.ram {
            let place = sorted.iter().take_while(|other| other.start() <= bank.start()).count();
            let _ = sorted.insert(place, *bank); // there is room for all of them
        }
        let mut merged: Vec<PhysicalRange, BANKS> = Vec::new();
        for bank in sorted {
            match merged.last_mut() {
                Some(last) if bank.start() <= last.end() => {
                    let end = last.end().max(bank.end());
                    *last = between(last.start().0, end.0);
                }
                // There is room: no more come out than went in.
                _ => drop(merged.push(bank)),
            }
        }
        merged
    }
}

/// What cannot be, and is lived with: what runs, or was read, is left where it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Conflict {
    /// No bank of RAM holds all of the image, which is here.
    ImageOutside(PhysicalRange),
    /// This is reserved, and some of the image is in it.
    ReservedOverImage(PhysicalRange),
    /// The initrd is here, and some of the image too.
    InitrdOverImage(PhysicalRange),
    /// The initrd is here, and some of the device tree too.
    InitrdOverTree(PhysicalRange),
}

impl fmt::Display for Conflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ImageOutside(image) => {
                write!(f, "memory: no bank of it holds the image, {image}")
            }
            Self::ReservedOverImage(range) => {
                write!(f, "reserved memory {range}: the image lies in it")
            }
            Self::InitrdOverImage(range) => write!(f, "initrd {range}: the image lies in it"),
            Self::InitrdOverTree(range) => write!(f, "initrd {range}: the device tree lies in it"),
        }
    }
}

/// Takes the pages that `taken` touches out of `free`.
fn subtract(free: &mut FreeMemory, taken: PhysicalRange) {
    let page = PAGE as u64;
    let start = taken.start().0 / page * page;
    // At the very end of the address space, up to the last page: `free` has nothing beyond it.
    let end = taken.end().0.checked_next_multiple_of(page).unwrap_or(u64::MAX / page * page);

    let mut index = 0;
    while let Some(range) = free.get_mut(index) {
        let (first, last) = (range.start().0, range.end().0);
        if end <= first || last <= start {
            index += 1;
            continue;
        }
        match (first < start, end < last) {
            (false, false) => {
                free.remove(index);
                continue;
            }
            (true, false) => *range = between(first, start),
            (false, true) => *range = between(end, last),
            (true, true) => {
                *range = between(first, start);
                // There is room: see `FreeMemory`.
                let _ = free.insert(index + 1, between(end, last));
            }
        }
        index += 1;
    }
}

/// The range from `start` to before `end`, which is not below it.
fn between(start: u64, end: u64) -> PhysicalRange {
    PhysicalRange::new(start, end.saturating_sub(start)).unwrap_or_default()
}
