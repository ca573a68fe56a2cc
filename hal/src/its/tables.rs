//! The tables that an ITS keeps its knowledge in: of devices and of collections (Arm IHI 0069,
//! sections 5.2 and 12.19.1). What is in them is the hardware's own affair, but for the first level of a table
//! in two levels: the second is given to it a page at a time, for the devices that there are.

use core::sync::atomic::AtomicU64;

use super::registers::{Base, placed};
use super::{Coherence, Error, Room};
use crate::dma::{DmaRegion, Shared};
use crate::mmio::Window;

const GITS_BASER: usize = 0x100;
/// How many of them there are, and how many bytes each has.
const TABLES: usize = 8;
const STEP: usize = size_of::<u64>();
/// In `GITS_BASER`, and in the entries of a table's first level.
const VALID: u64 = 1 << 63;
const TWO_LEVELS: u64 = 1 << 62;
/// What each table is of.
const OF_DEVICES: u64 = 1;
const OF_COLLECTIONS: u64 = 4;
/// The page's size: 4, 16 or 64 KiB.
const PAGE_SIZE: u64 = 0b11 << 8;
/// How many pages there are but one, at most 256.
const PAGES: usize = 256;
/// What must be held as it was written: all but how the memory is reached.
const HELD: u64 = VALID | TWO_LEVELS | 0x0000_ffff_ffff_f000 | PAGE_SIZE | 0xff;

/// The longest table in one level, in bytes. It has room for 8192 devices, where entries are of eight:
/// the first 32 buses of a PCI host bridge. Where it is but a page (KVM has only such pages), another
/// level would double it for nothing, unless the first device lies beyond.
const FLAT: usize = 0x1_0000;

/// What there is of the table of devices.
#[derive(Debug)]
pub(super) struct DeviceTable {
    /// How many devices a page has room for, all of the table, and a page's size in bytes.
    a_page: usize,
    all: usize,
    page: usize,
    /// The first level: an entry a page of the second. `None` where there is but one level.
    first: Option<(DmaRegion, Shared<AtomicU64>)>,
}

impl DeviceTable {
    /// Sees to it that the ITS has memory to remember a device in.
    pub(super) fn make_room_for(&mut self, device: u32, room: &mut Room<'_>) -> Result<(), Error> {
        let number = device as usize;
        if number >= self.all {
            return Err(Error::OutOfReach);
        }
        if let Some((memory, entries)) = &self.first
            && entries.load(number / self.a_page) & VALID == 0
        {
            let page = room.take(self.page, self.page)?;
            entries.store(number / self.a_page, VALID | placed(page.physical()));
            memory.clean();
        }
        Ok(())
    }
}

/// Gives an ITS that is off its tables; `first` is the first device that there will be. Returns the one of devices, unless it keeps that elsewhere.
pub(super) fn give(
    window: Window,
    device_bits: u32,
    first: u32,
    coherence: Coherence,
    room: &mut Room<'_>,
) -> Result<Option<DeviceTable>, Error> {
    let mut devices = None;
    for table in (0..TABLES).map(|number| Table::look(window, number)) {
        match table.of {
            OF_DEVICES => devices = Some(table.of_devices(device_bits, first, coherence, room)?),
            OF_COLLECTIONS => {
                let _for_good = table.flat(table.page, coherence, room)?;
            }
            _ => window.write64(table.base.register, 0), // nothing of what is done here needs it
        }
    }
    Ok(devices)
}

/// One of the registers that say where a table is.
#[derive(Clone, Copy, Debug)]
struct Table {
    window: Window,
    base: Base,
    of: u64,
    /// How long an entry is, and a page, in bytes.
    entry: usize,
    page: usize,
    page_size: u64,
    has_levels: bool,
}

impl Table {
    /// Looks what a table is of and how it can be made; what can be chosen is chosen small.
    fn look(window: Window, number: usize) -> Self {
        let register = GITS_BASER + number * STEP;
        let fixed = window.read64(register);
        window.write64(register, TWO_LEVELS); // pages of 4 KiB
        let held = window.read64(register);
        let page_size = held & PAGE_SIZE;
        Self {
            window,
            base: Base { register, cached: 59 },
            of: fixed >> 56 & 0b111,
            entry: (fixed >> 48 & 0x1f) as usize + 1,
            page: match page_size >> 8 {
                0 => 0x1000,
                1 => 0x4000,
                _ => 0x1_0000,
            },
            page_size,
            has_levels: held & TWO_LEVELS != 0,
        }
    }

    /// A table of as many devices as have numbers of `bits`, or as can be, for `first` at least.
    fn of_devices(
        self,
        bits: u32,
        first: u32,
        coherence: Coherence,
        room: &mut Room<'_>,
    ) -> Result<DeviceTable, Error> {
        let a_page = self.page / self.entry;
        if self.has_levels && (self.page < FLAT || first as usize >= a_page) {
            let entries = self.page / STEP;
            let memory = self.give(self.page, TWO_LEVELS, coherence, room)?;
            let words = memory.words64(0, entries).map_err(|_| Error::Memory)?;
            let first = Some((memory, words));
            return Ok(DeviceTable { a_page, all: entries * a_page, page: self.page, first });
        }
        let wanted = 1_usize.checked_shl(bits).unwrap_or(usize::MAX).saturating_mul(self.entry);
        let length = wanted.min(FLAT).next_multiple_of(self.page);
        let memory = self.flat(length, coherence, room)?;
        Ok(DeviceTable { a_page, all: memory.length() / self.entry, page: self.page, first: None })
    }

    fn flat(
        self,
        length: usize,
        coherence: Coherence,
        room: &mut Room<'_>,
    ) -> Result<DmaRegion, Error> {
        self.give(length, 0, coherence, room)
    }

    /// Gives it `length` bytes: whole pages.
    fn give(
        self,
        length: usize,
        levels: u64,
        coherence: Coherence,
        room: &mut Room<'_>,
    ) -> Result<DmaRegion, Error> {
        let pages = (length / self.page).clamp(1, PAGES);
        let memory = room.take(pages * self.page, self.page)?;
        let value = VALID
            | levels
            | self.address(placed(memory.physical()))
            | self.page_size
            | (pages as u64 - 1);
        let held = self.base.tell(self.window, value, coherence);
        if held & HELD == value & HELD { Ok(memory) } else { Err(Error::Refused) }
    }

    /// An address as the register has it. Of pages of 64 KiB, bits 51:48 are where else 15:12 are.
    const fn address(self, at: u64) -> u64 {
        const UPPER: u32 = 48;
        const PUT: u32 = 12;
        if self.page == 0x1_0000 { at & ((1 << UPPER) - 1) | at >> UPPER << PUT } else { at }
    }
}
