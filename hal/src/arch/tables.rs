//! The page tables of the upper half: what is mapped where, and with which rights.
//!
//! The entry code has mapped the image itself, W^X. This maps the rest, page by page or in the
//! largest blocks that fit: read-only data, writable data, devices. None of [`Access`] is
//! executable, so no call can make memory that is both writable and executable, and a page has one
//! name only: what has one already, as memory or as a device, is refused. (Arm ARM, chapter D8; 4 KiB
//! granule, 39 bits.)

use core::ptr::NonNull;

use heapless::Vec;

use super::entry::{self, Handoff};
use super::translation::{Attributes, Tree, to_usize};
use super::unclaimed::Unclaimed;
use crate::address::{PAGE, PhysicalRange};
use crate::mmio::Window;

/// Where things are mapped. The image is in the first GiB, at the link address.
const DEVICES: usize = 0xffff_ff80_4000_0000;
const FIRMWARE: usize = 0xffff_ff80_8000_0000;
const RAM: usize = 0xffff_ffc0_0000_0000;
/// How much of the upper half is left for RAM; without the last page, so that no end wraps.
const RAM_SPAN: u64 = (1 << 38) - PAGE as u64;
const GIB: u64 = 1 << 30;

/// Tables that the entry code used: three for its own address, four for the image.
const TABLES_IN_USE: usize = 7;
const ROOT_TABLE: usize = 3;
/// The most tables that one range can need: of level 2 and of level 3, for either end.
const TABLES_A_RANGE: usize = 4;
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
    /// The image has no more page tables: the machine has more than it was built for.
    OutOfTables,
    /// The range lies outside what the layout has room for.
    OutOfRange,
    /// Registers that do not start at a multiple of eight bytes: no device has such.
    Misaligned,
}

impl core::fmt::Display for MapError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::Mapped => "mapped already",
            Self::OutOfTables => "no page table is left",
            Self::OutOfRange => "outside the address space",
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
    devices: Vec<(PhysicalRange, usize), 64>,
    /// What was mapped of memory: the image, what firmware left, RAM.
    memory: Vec<PhysicalRange, 64>,
    ram_base: Option<u64>,
}

impl Mapper {
    /// Takes over the tables that the entry code left.
    #[must_use]
    pub fn take_over(handoff: &mut Handoff) -> Self {
        let image = handoff.image();
        let image_offset = (entry::image_base() as u64).wrapping_sub(image.start().0);
        let (start, end) = ((&raw const __tables_start).addr(), (&raw const __tables_end).addr());
        let (root, next) = (start + ROOT_TABLE * PAGE, start + TABLES_IN_USE * PAGE);
        // SAFETY: the linker script keeps these pages for tables, writable and part of the image; the
        // entry code has made the root and what it leads to among the first of them. There is one
        // `Handoff`, so they are taken over once.
        let tree = unsafe { Tree::new(root, next, end, image_offset) };
        Self {
            tree,
            image_offset,
            next_device: DEVICES,
            next_firmware: FIRMWARE,
            devices: Vec::new(),
            memory: core::iter::once(image).collect(),
            ram_base: None,
        }
    }

    /// Maps the registers in `range`, at whatever offset in their pages. Registers that share their
    /// pages with others that are mapped already are seen through the same mapping.
    ///
    /// # Errors
    /// [`MapError::OutOfTables`], [`MapError::OutOfRange`], [`MapError::Misaligned`];
    /// [`MapError::Mapped`] for a range that shares only some of its pages, or lies in memory.
    pub fn device(&mut self, range: PhysicalRange) -> Result<Window, MapError> {
        if !range.start().0.is_multiple_of(8) {
            return Err(MapError::Misaligned);
        }
        let pages = range.outer_pages().ok_or(MapError::OutOfRange)?;
        if self.memory.iter().any(|memory| memory.overlaps(&pages)) {
            return Err(MapError::Mapped);
        }
        let known = self.devices.iter().find(|(mapped, _)| mapped.overlaps(&pages));
        let (mapped, seen) = match known {
            Some((mapped, seen)) if mapped.contains(&pages) => (*mapped, *seen),
            Some(_) => return Err(MapError::Mapped),
            None => {
                let seen = self.next_device;
                self.tree.map(seen, pages, Attributes::DEVICE)?;
                self.next_device += to_usize(pages.length())?;
                self.devices.push((pages, seen)).map_err(|_| MapError::OutOfTables)?;
                (pages, seen)
            }
        };
        let offset = to_usize(range.start().0 - mapped.start().0)?;
        let base = NonNull::new((seen + offset) as *mut u8).ok_or(MapError::OutOfRange)?;
        // SAFETY: the pages that hold the window were mapped as device memory above, for good; its
        // start is aligned.
        Ok(unsafe { Window::new(base, to_usize(range.length())?) })
    }

    /// Maps what was left for us to read where only its head says how long it is: `head` bytes at
    /// `start` first, then as much as `length` makes of them.
    ///
    /// # Errors
    /// [`MapError::OutOfTables`], [`MapError::OutOfRange`], and what `length` returns.
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
        let mapped = pages(head)?;
        self.tree.map(seen, mapped, Attributes::KERNEL_READ)?;
        let first = (seen + to_usize(start - mapped.start().0)?) as *const u8;
        // SAFETY: mapped read-only just now, for good, and by no other name.
        let length = length(unsafe { core::slice::from_raw_parts(first, head) })?;

        let all = pages(length)?;
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

    /// Maps free RAM, whole pages, writable. Never the image, the tree or a reservation: the
    /// machine's list of free memory leaves those out.
    ///
    /// # Errors
    /// [`MapError::Mapped`] if there is anything in it that has a name already: the image, firmware's
    /// tables, RAM or a device's registers. [`MapError::Misaligned`], [`MapError::OutOfTables`],
    /// [`MapError::OutOfRange`] for RAM more than 256 GiB above the first.
    pub fn ram(&mut self, range: PhysicalRange) -> Result<Unclaimed, MapError> {
        if !(range.start().0 | range.length()).is_multiple_of(PAGE as u64) {
            return Err(MapError::Misaligned);
        }
        if self.memory.iter().any(|memory| memory.overlaps(&range)) {
            return Err(MapError::Mapped);
        }
        let base = *self.ram_base.get_or_insert(range.start().0 / GIB * GIB);
        let offset = range.start().0.checked_sub(base).ok_or(MapError::OutOfRange)?;
        if offset.saturating_add(range.length()) > RAM_SPAN {
            return Err(MapError::OutOfRange);
        }
        if self.tree.left() < TABLES_A_RANGE + TABLES_FOR_DEVICES {
            return Err(MapError::OutOfTables);
        }
        if self.devices.iter().any(|(device, _)| device.overlaps(&range)) {
            return Err(MapError::Mapped);
        }
        self.memory.push(range).map_err(|_| MapError::OutOfTables)?;
        let seen = RAM + to_usize(offset)?;
        self.tree.map(seen, range, Attributes::KERNEL_WRITE)?;
        let start = NonNull::new(seen as *mut u8).ok_or(MapError::OutOfRange)?;
        // SAFETY: whole pages, mapped writable just now, for good, and by one name, as nothing that
        // was mapped before overlaps them.
        Ok(unsafe { Unclaimed::new(start, range) })
    }

    /// Virtual minus physical address, of the image and of RAM.
    pub(super) fn offsets(&self) -> [u64; 2] {
        [self.image_offset, (RAM as u64).wrapping_sub(self.ram_base.unwrap_or_default())]
    }
}
