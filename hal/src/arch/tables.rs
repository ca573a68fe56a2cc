//! The page tables of the upper half: what is mapped where, and with which rights.
//!
//! The boot's first moments have mapped the image itself, W^X (`slide.rs`). This maps the rest, page
//! by page or in the largest blocks that fit: read-only data, writable data, devices. None of it is
//! executable, so no call can make memory that is both writable and executable, and a page has one
//! name only: what has one already, as memory or as a device, is refused. (Arm ARM, chapter D8; 4 KiB
//! granule, 48 bits.)

use core::ptr::NonNull;

use heapless::Vec;

use super::attempt;
use super::entry::{self, Handoff};
use super::places::{Places, UPPER, address, places};
use super::slide::ROOT_TABLE;
use super::translation::{Attributes, Tree, flush, to_usize};
use super::unclaimed::Unclaimed;
use crate::address::{PAGE, PhysicalRange};
use crate::attempt::Absent;
use crate::mmio::Window;
use crate::observed::Observed;

const GIB: u64 = 1 << 30;
/// The most tables that the ends of a range can need: of level 1, 2 and 3, for either.
const TABLES_A_RANGE: usize = 6;
/// And those that two blocks are split up into.
const TABLES_TO_SPLIT: usize = 2;
/// How many are kept for devices: scattered memory must not cost the machine its timer.
const TABLES_FOR_DEVICES: usize = 8;

unsafe extern "C" {
    static __tables_start: u8;
    static __tables_end: u8;
}

/// Why memory could not be mapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MapError {
    /// It has a name already; a second one would be an alias.
    Mapped,
    /// It lies in memory that has a name already as something else: the image, firmware's tables, RAM.
    InMemory,
    /// The image has no more page tables: the machine has more than it was built for.
    OutOfTables,
    /// The range lies outside what the layout has room for.
    OutOfRange,
    /// It was mapped, and nothing answers there.
    Absent,
    /// Registers that do not start at a multiple of eight bytes: no device has such.
    Misaligned,
}

impl core::fmt::Display for MapError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::Mapped => "mapped already",
            Self::InMemory => "lies in memory that has a use already",
            Self::OutOfTables => "no page table is left",
            Self::OutOfRange => "outside the address space",
            Self::Absent => "nothing answers there",
            Self::Misaligned => "registers at an odd address",
        })
    }
}

/// Makes mappings. There is one, as there is one [`Handoff`].
#[derive(Debug)]
pub struct Mapper {
    tree: Tree,
    /// Virtual minus physical, for the image and so for all tables.
    image_offset: u64,
    next_device: usize,
    next_firmware: usize,
    /// What was mapped of devices, and where it is seen.
    devices: Vec<(PhysicalRange, usize), 128>,
    /// What was mapped of memory that others write, and where it is seen.
    observed: Vec<(PhysicalRange, usize), 8>,
    /// What was mapped of memory: the image, what firmware left, RAM.
    memory: Vec<PhysicalRange, 64>,
    /// Where the first GiB with RAM begins, physically, and where it is seen.
    ram: Option<(u64, u64)>,
    next_buffers: u64,
}

impl Mapper {
    /// Takes over the tables that the boot's first moments left, and takes away what only they
    /// needed: the image where it is linked.
    #[must_use]
    pub fn take_over(handoff: &mut Handoff) -> Self {
        let image = handoff.image();
        let image_offset = (entry::image_base() as u64).wrapping_sub(image.start().0);
        let places = places();
        let start = (&raw const __tables_start).addr() as u64;
        let length = (&raw const __tables_end).addr() as u64 - start;
        let offset = places.tables.wrapping_sub(start.wrapping_sub(image_offset));
        let page = |number: usize| address(places.tables) + number * PAGE;
        let (root, end) = (page(ROOT_TABLE), address(places.tables + length));
        // SAFETY: the linker script keeps these pages for tables, and part of the image; they were
        // mapped writable here, and the root and what it leads to made among the first of them. There
        // is one `Handoff`, so they are taken over once.
        let mut tree = unsafe { Tree::new(root, page(places.tables_used), end, offset) };
        tree.forget(UPPER, page(places.tables_used));
        flush();
        Self {
            tree,
            image_offset,
            next_device: address(places.devices),
            next_firmware: address(places.firmware),
            devices: Vec::new(),
            observed: Vec::new(),
            memory: core::iter::once(image).collect(),
            ram: None,
            next_buffers: places.buffers,
        }
    }

    /// Maps the registers in `range`, at whatever offset in their pages. Registers that share their
    /// pages with others that are mapped already are seen through the same mapping.
    ///
    /// # Errors
    /// [`MapError::OutOfTables`], [`MapError::OutOfRange`], [`MapError::Misaligned`];
    /// [`MapError::Mapped`] for a range that shares only some of its pages; [`MapError::InMemory`].
    pub fn device(&mut self, range: PhysicalRange) -> Result<Window, MapError> {
        if !range.start().0.is_multiple_of(8) {
            return Err(MapError::Misaligned);
        }
        let pages = range.outer_pages().ok_or(MapError::OutOfRange)?;
        if self.memory.iter().any(|memory| memory.overlaps(&pages)) {
            return Err(MapError::InMemory);
        }
        let known = self.devices.iter().find(|(mapped, _)| mapped.overlaps(&pages));
        let (mapped, seen) = match known {
            Some((mapped, seen)) if mapped.contains(&pages) => (*mapped, *seen),
            Some(_) => return Err(MapError::Mapped),
            None => {
                if self.devices.is_full() {
                    return Err(MapError::OutOfTables);
                }
                // It is mapped by the page: a table for each 2 MiB. Nothing of it is, if not all is.
                if TABLES_A_RANGE + to_usize(pages.length() >> 21)? > self.tree.left() {
                    return Err(MapError::OutOfTables);
                }
                let seen = self.next_device;
                self.tree.map(seen, pages, Attributes::DEVICE)?;
                self.next_device += to_usize(pages.length())?;
                self.devices.push((pages, seen)).map_err(|_| MapError::OutOfTables)?;
                (pages, seen)
            }
        };
        let offset = to_usize(range.start().0 - mapped.start().0)?;
        let base = NonNull::new((seen + offset) as *mut u8).ok_or(MapError::OutOfRange)?;
        // SAFETY: the pages that hold the window are mapped as device memory, above or before, for good;
        // none of them is among the memory that is used (`self.memory`); its start is aligned to eight.
        Ok(unsafe { Window::new(base, to_usize(range.length())?) })
    }

    /// Maps memory that somebody outside writes and that is only read here, at whatever offset in
    /// its pages, whole words of it. What shares its pages is seen through the same mapping.
    ///
    /// # Errors
    /// As [`device`](Self::device); [`MapError::Absent`].
    pub fn observed(&mut self, range: PhysicalRange) -> Result<Observed, MapError> {
        if !range.start().0.is_multiple_of(8) {
            return Err(MapError::Misaligned);
        }
        let pages = range.outer_pages().ok_or(MapError::OutOfRange)?;
        let known = self.observed.iter().find(|(mapped, _)| mapped.contains(&pages));
        let (mapped, seen) = match known {
            Some(known) => *known,
            None => {
                let devices = self.devices.iter().map(|(device, _)| device);
                if self.memory.iter().chain(devices).any(|other| other.overlaps(&pages)) {
                    return Err(MapError::Mapped);
                }
                // By the page, as devices are.
                let tables = TABLES_A_RANGE + to_usize(pages.length() >> 21)?;
                if self.observed.is_full() || tables > self.tree.left() {
                    return Err(MapError::OutOfTables);
                }
                // From here on it has a name, whatever it turns out to be: it must get no other.
                self.memory.push(pages).map_err(|_| MapError::OutOfTables)?;
                let seen = self.next_firmware;
                self.tree.map(seen, pages, Attributes::KERNEL_READ)?;
                self.next_firmware += to_usize(pages.length())?;
                Self::answers(seen)?;
                self.observed.push((pages, seen)).map_err(|_| MapError::OutOfTables)?;
                (pages, seen)
            }
        };
        let offset = to_usize(range.start().0 - mapped.start().0)?;
        let base = NonNull::new((seen + offset) as *mut u8).ok_or(MapError::OutOfRange)?;
        // SAFETY: mapped read-only above, for good, and by no other name; its start is aligned.
        Ok(unsafe { Observed::new(base, to_usize(range.length())?) })
    }

    /// Maps what was left for us to read where only its head says how long it is: `head` bytes at
    /// `start` first, then as much as `length` makes of them.
    ///
    /// # Errors
    /// [`MapError::OutOfTables`], [`MapError::OutOfRange`], [`MapError::InMemory`],
    /// [`MapError::Absent`], and what `length` returns.
    pub fn firmware_with<E: From<MapError>>(
        &mut self,
        start: u64,
        head: usize,
        length: impl FnOnce(&[u8]) -> Result<usize, E>,
    ) -> Result<&'static [u8], E> {
        let pages = |length: usize| {
            let range = PhysicalRange::new(start, length as u64);
            range.and_then(|range| range.outer_pages()).ok_or(MapError::OutOfRange)
        };
        let seen = self.next_firmware;
        let is_free =
            |pages: &PhysicalRange| !self.memory.iter().any(|known| known.overlaps(pages));
        let mapped = pages(head)?;
        if !is_free(&mapped) {
            return Err(MapError::InMemory.into());
        }
        self.tree.map(seen, mapped, Attributes::KERNEL_READ)?;
        Self::answers(seen)?;
        let first = (seen + to_usize(start - mapped.start().0)?) as *const u8;
        // SAFETY: mapped read-only just now, for good, and by no other name.
        let length = length(unsafe { core::slice::from_raw_parts(first, head) })?;

        let all = pages(length)?;
        if !is_free(&all) {
            return Err(MapError::InMemory.into());
        }
        if let Some(more) = all.length().checked_sub(mapped.length()).filter(|more| *more > 0) {
            let rest = PhysicalRange::new(mapped.end().0, more).ok_or(MapError::OutOfRange)?;
            let seen = seen + to_usize(mapped.length())?;
            self.tree.map(seen, rest, Attributes::KERNEL_READ)?;
        }
        self.next_firmware += to_usize(all.length().max(mapped.length()))?;
        self.memory.push(all).map_err(|_| MapError::OutOfTables)?;
        // SAFETY: as above, and the pages follow each other in both address spaces.
        Ok(unsafe { core::slice::from_raw_parts(first, length) })
    }

    /// Chooses where RAM is seen, all of which lies in `all`; before any of it is mapped.
    pub fn place_ram(&mut self, all: PhysicalRange) {
        let base = all.start().0 / GIB * GIB;
        self.ram = Some((base, places().ram((all.end().0 - base).min(Places::RAM_SPAN))));
    }

    /// Maps free RAM, whole pages, writable. Never the image, the tree or a reservation: the
    /// machine's list of free memory leaves those out.
    ///
    /// # Errors
    /// [`MapError::Mapped`] if there is anything in it that has a name already: the image, firmware's
    /// tables, RAM or a device's registers. [`MapError::Misaligned`], [`MapError::OutOfTables`],
    /// [`MapError::OutOfRange`] for RAM more than 256 GiB above the first, or that has no place;
    /// [`MapError::Absent`] for RAM of which the first or the last page is not there, as far as that can
    /// be asked.
    pub fn ram(&mut self, range: PhysicalRange) -> Result<Unclaimed, MapError> {
        if !(range.start().0 | range.length()).is_multiple_of(PAGE as u64) {
            return Err(MapError::Misaligned);
        }
        if self.memory.iter().any(|memory| memory.overlaps(&range)) {
            return Err(MapError::Mapped);
        }
        let (base, place) = self.ram.ok_or(MapError::OutOfRange)?;
        let offset = range.start().0.checked_sub(base).ok_or(MapError::OutOfRange)?;
        if offset.saturating_add(range.length()) > Places::RAM_SPAN {
            return Err(MapError::OutOfRange);
        }
        // By blocks of 2 MiB it takes a table for each GiB.
        let needed = TABLES_A_RANGE + to_usize(range.length() / GIB)?;
        if self.tree.left() < needed + TABLES_FOR_DEVICES {
            return Err(MapError::OutOfTables);
        }
        if self.devices.iter().any(|(device, _)| device.overlaps(&range)) {
            return Err(MapError::Mapped);
        }
        self.memory.push(range).map_err(|_| MapError::OutOfTables)?;
        let seen = to_usize(place + offset)?;
        self.tree.map(seen, range, places().features.heap(Attributes::kernel_write()))?;
        // Where memory has tags, those of an earlier life would be a fault of their own.
        let last = range.length().checked_sub(PAGE as u64);
        if let Some(last) = last.filter(|_| !places().features.has_tags()) {
            Self::answers(seen)?;
            Self::answers(seen + to_usize(last)?)?;
        }
        let start = NonNull::new(seen as *mut u8).ok_or(MapError::OutOfRange)?;
        // SAFETY: whole pages, mapped writable just now, and by one name, as nothing that was mapped
        // before overlaps them. Only who holds the memory can have that changed (`move_to_buffers`).
        Ok(unsafe { Unclaimed::new(start, range) })
    }

    /// Has memory seen elsewhere, among the buffers of devices, with an unmapped page behind it: who
    /// learns where those are does not learn where the heap is. Stays where it is if there are too
    /// few tables; `None`, and the memory is lost, if the map does not hold what it should.
    #[must_use]
    pub fn move_to_buffers(&mut self, memory: Unclaimed) -> Option<Unclaimed> {
        if self.tree.left() < TABLES_A_RANGE + TABLES_TO_SPLIT {
            return Some(memory);
        }
        let (physical, length) = (memory.physical(), memory.length() as u64);
        let seen = address(self.next_buffers);
        let start = NonNull::new(seen as *mut u8)?;
        self.tree.unmap(memory.start() as u64, length).ok()?;
        flush();
        self.next_buffers += length + PAGE as u64;
        self.tree.map(seen, physical, Attributes::kernel_write()).ok()?;
        // SAFETY: whole pages, mapped writable just now, by this one name: the other one is gone, and
        // with it whoever held it.
        Some(unsafe { Unclaimed::new(start, physical) })
    }

    /// The tree, for the seal.
    pub(super) const fn tree(&mut self) -> &mut Tree {
        &mut self.tree
    }

    /// Virtual minus physical address, of the image and of RAM.
    pub(super) fn offsets(&self) -> [u64; 2] {
        let (base, place) = self.ram.unwrap_or_default();
        [self.image_offset, place.wrapping_sub(base)]
    }

    /// Whether anybody answers in the page that is seen at `seen`, which was just mapped.
    fn answers(seen: usize) -> Result<(), MapError> {
        let page = NonNull::new(seen as *mut u8).ok_or(MapError::OutOfRange)?;
        // SAFETY: mapped just now, and the first of a page is aligned.
        unsafe { attempt::load32(page) }.map(drop).map_err(|Absent| MapError::Absent)
    }
}
