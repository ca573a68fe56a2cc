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
use crate::address::{PAGE, PhysicalRange};
use crate::mmio::Window;

/// Where things are mapped. The image is in the first GiB, at the link address.
const DEVICES: usize = 0xffff_ff80_4000_0000;
const FIRMWARE: usize = 0xffff_ff80_8000_0000;
const RAM: usize = 0xffff_ffc0_0000_0000;
/// How much of the upper half is left for RAM; without the last page, so that no end wraps.
const RAM_SPAN: u64 = (1 << 38) - PAGE as u64;
const GIB: u64 = 1 << 30;
/// Physical addresses have 48 bits: more need a larger granule or other descriptors.
const ADDRESSES: u64 = 1 << 48;

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

/// What may be done with memory, apart from running it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Read, through the caches.
    ReadOnly,
    /// Read and write, through the caches.
    ReadWrite,
    /// A device's registers, in program order (nGnRE).
    Device,
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

/// Memory that was mapped writable and has no owner yet.
#[derive(Debug)]
pub struct Unclaimed {
    pub(super) start: NonNull<u8>,
    pub(super) length: usize,
}

/// Makes mappings. There is one, as there is one [`Handoff`].
#[derive(Debug)]
pub struct Mapper {
    /// Virtual minus physical, for the image and so for all tables.
    image_offset: u64,
    next_table: usize,
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
        Self {
            image_offset: (entry::image_base() as u64).wrapping_sub(image.start().0),
            next_table: (&raw const __tables_start).addr() + TABLES_IN_USE * PAGE,
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
                self.map(seen, pages, Access::Device)?;
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
        self.map(seen, mapped, Access::ReadOnly)?;
        let first = (seen + to_usize(start - mapped.start().0)?) as *const u8;
        // SAFETY: mapped read-only just now, for good, and by no other name.
        let length = length(unsafe { core::slice::from_raw_parts(first, head) })?;

        let all = pages(length)?;
        if let Some(more) = all.length().checked_sub(mapped.length()).filter(|more| *more > 0) {
            let rest = PhysicalRange::new(mapped.end().0, more).ok_or(MapError::OutOfRange)?;
            self.map(seen + to_usize(mapped.length())?, rest, Access::ReadOnly)?;
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
    /// [`MapError::Mapped`] if there are a device's registers in it, [`MapError::OutOfTables`],
    /// [`MapError::OutOfRange`] for RAM more than 256 GiB above the first.
    pub fn ram(&mut self, range: PhysicalRange, access: Access) -> Result<Unclaimed, MapError> {
        let base = *self.ram_base.get_or_insert(range.start().0 / GIB * GIB);
        let offset = range.start().0.checked_sub(base).ok_or(MapError::OutOfRange)?;
        if offset.saturating_add(range.length()) > RAM_SPAN {
            return Err(MapError::OutOfRange);
        }
        let tables_left = ((&raw const __tables_end).addr() - self.next_table) / PAGE;
        if tables_left < TABLES_A_RANGE + TABLES_FOR_DEVICES {
            return Err(MapError::OutOfTables);
        }
        if self.devices.iter().any(|(device, _)| device.overlaps(&range)) {
            return Err(MapError::Mapped);
        }
        self.memory.push(range).map_err(|_| MapError::OutOfTables)?;
        let seen = RAM + to_usize(offset)?;
        self.map(seen, range, access)?;
        let start = NonNull::new(seen as *mut u8).ok_or(MapError::OutOfRange)?;
        let length = to_usize(range.length())?;
        Ok(Unclaimed { start, length })
    }

    /// The physical address of RAM that [`ram`](Self::ram) mapped at `seen`.
    #[must_use]
    pub fn physical(&self, seen: NonNull<u8>) -> u64 {
        (seen.addr().get() - RAM) as u64 + self.ram_base.unwrap_or_default()
    }

    fn map(&mut self, seen: usize, range: PhysicalRange, access: Access) -> Result<(), MapError> {
        let (mut seen, mut physical) = (seen as u64, range.start().0);
        let end = range.end().0;
        if end > ADDRESSES {
            return Err(MapError::OutOfRange);
        }
        while physical < end {
            let size = self.map_one(seen, physical, end - physical, access)?;
            seen += size;
            physical += size;
        }
        publish();
        Ok(())
    }

    /// Maps the largest piece that fits at `seen`: 1 GiB, 2 MiB or a page; returns its size.
    fn map_one(
        &mut self,
        seen: u64,
        physical: u64,
        left: u64,
        access: Access,
    ) -> Result<u64, MapError> {
        let mut table = (&raw const __tables_start).addr() + ROOT_TABLE * PAGE;
        for (shift, kind) in [(30, 0b01), (21, 0b01), (12, 0b11)] {
            let size = 1 << shift;
            let index = to_usize(seen >> shift)? % 512;
            let slot = (table as *mut u64).wrapping_add(index);
            // SAFETY: `table` is one of the image's page tables, mapped writable, 512 entries.
            let entry = unsafe { slot.read() };
            let fits = (seen | physical).is_multiple_of(size) && left >= size;
            if entry == 0 && fits {
                // SAFETY: as above; an empty entry becomes valid, which needs no invalidation.
                unsafe { slot.write(physical | attributes(access) | kind) };
                return Ok(size);
            }
            if entry & 0b11 != 0b11 || shift == 12 {
                if entry != 0 {
                    return Err(MapError::Mapped);
                }
                let next = self.claim_table()?;
                let descriptor = (next as u64).wrapping_sub(self.image_offset) | 0b11;
                // SAFETY: as above; the new table is empty and reaches memory before this does.
                unsafe { slot.write(descriptor) };
                table = next;
            } else {
                let address = entry & 0x0000_ffff_ffff_f000;
                table = to_usize(address.wrapping_add(self.image_offset))?;
            }
        }
        Err(MapError::Mapped)
    }

    /// An empty table from the image's own stock.
    fn claim_table(&mut self) -> Result<usize, MapError> {
        let table = self.next_table;
        if table >= (&raw const __tables_end).addr() {
            return Err(MapError::OutOfTables);
        }
        self.next_table += PAGE;
        // SAFETY: a page of the image's stock of tables, mapped writable, in nobody's use yet.
        unsafe { (table as *mut [u64; 512]).write([0; 512]) };
        publish();
        Ok(table)
    }
}

/// Addresses are 64 bits wide here; elsewhere this refuses what does not fit.
fn to_usize(value: u64) -> Result<usize, MapError> {
    usize::try_from(value).map_err(|_| MapError::OutOfRange)
}

/// The bits of a descriptor that say what may be done (Arm ARM, section D8.3.2): access flag, never
/// executable at any level, and the memory's kind, an index into `MAIR_EL1`.
const fn attributes(access: Access) -> u64 {
    const ACCESS_FLAG: u64 = 1 << 10;
    const INNER_SHAREABLE: u64 = 3 << 8;
    const READ_ONLY: u64 = 1 << 7;
    const NEVER_EXECUTED: u64 = 3 << 53;
    let kind = match access {
        Access::ReadOnly => 1 << 2 | READ_ONLY | INNER_SHAREABLE,
        Access::ReadWrite => 1 << 2 | INNER_SHAREABLE,
        Access::Device => 0,
    };
    kind | ACCESS_FLAG | NEVER_EXECUTED
}

/// Makes what was written to tables visible to the walker before anything else is done.
fn publish() {
    use aarch64_cpu::asm::barrier;
    barrier::dsb(barrier::ISHST);
    barrier::isb(barrier::SY);
}
