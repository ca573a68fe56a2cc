//! Where the application has what: its image, its stack, its heap, the buffers of its devices, and
//! what it is told at the start.
//!
//! | from | what | may |
//! |---|---|---|
//! | `0x40_0000` | the image: text, constants, data | run; read; write |
//! | `0x1_0000_0000` | what it is told | read |
//! | up to `0x2_0000_0000` | the stack; nothing below it | write |
//! | `0x4_0000_0000` | buffers that it shares with devices | write |
//! | `0x40_0000_0000` | the heap, RAM as far apart as it is in truth | write |
//!
//! Text and constants are shown where they lie in the image, data is copied from it each time: so
//! every life begins as the first did. Everything is one address space, entered nowhere else.

use core::ops::Range;

use elone_gate::package::{Access as Segment, Package};
use elone_gate::{Area, MemoryRange, MemoryRanges};
use elone_hal::address::PAGE;
use elone_hal::arch::space::{Constant, UserSpace};
use elone_hal::arch::tables::MapError;
use elone_hal::arch::unclaimed::UserMemory;
use elone_hal::dma::DmaBuffers;
use heapless::Vec;

use crate::allegation::{Access, Regions};
use crate::memory::{BLOCKS, Rest};

use super::LoadError;

/// What the application is told, read-only ([`elone_gate::handover`]).
pub(super) const HANDOVER: u64 = 0x1_0000_0000;
const HANDOVER_LENGTH: usize = 16 << 10;
/// The stack, and how large: as large as that of a joined application.
pub(super) const STACK_TOP: u64 = 0x2_0000_0000;
const STACK_LENGTH: usize = 128 << 10;
/// What is not mapped below the stack, and is the stack's when it is hit: a page for each call that
/// is deep, and as much again for one that has large arrays.
pub(super) const STACK_GUARD: Range<u64> =
    STACK_TOP - (STACK_LENGTH as u64) - (1 << 20)..STACK_TOP - STACK_LENGTH as u64;
const BUFFERS: u64 = 0x4_0000_0000;
const HEAP: u64 = 0x40_0000_0000;

const GIB: u64 = 1 << 30;
/// Pages for tables: what an image, a stack, a heap of some pieces and sixteen devices take.
const TABLES: usize = 32 * PAGE;
/// How many of them are kept for devices: scattered memory must not cost the network.
const TABLES_FOR_DEVICES: usize = 6;
/// The most that one piece of the heap can need: of level 2 and of level 3, for either end.
const TABLES_A_PIECE: usize = 4;
/// How many segments of data an image can have.
const DATA: usize = 4;

/// The application's memory, and where it is seen.
pub(super) struct Layout {
    space: UserSpace,
    handover: UserMemory,
    stack: UserMemory,
    data: Vec<UserMemory, DATA>,
    blocks: Vec<UserMemory, BLOCKS>,
    /// Where the first GiB of the heap's RAM begins, physically.
    base: u64,
    heap: MemoryRanges,
    next_buffers: u64,
    regions: Regions,
}

impl Layout {
    /// Sets memory aside for all but the heap, which is what is left; lays it out for the first life.
    pub(super) fn new(package: &Package<'static>, rest: Rest) -> Result<Self, LoadError> {
        let Rest { mut blocks, mapper } = rest;
        let mut take = |length: usize| {
            let length = length.checked_next_multiple_of(PAGE).unwrap_or(length);
            let largest = blocks.iter_mut().max_by_key(|block| block.length());
            let free = largest.as_ref().map_or(0, |block| block.length());
            let taken = largest.and_then(|block| block.cut(length));
            taken.ok_or(LoadError::TooLarge { needed: length >> 10, free: free >> 10 })
        };
        let space = UserSpace::new(take(TABLES)?, &mapper)?;
        let (handover, stack) = (take(HANDOVER_LENGTH)?.into(), take(STACK_LENGTH)?.into());
        let mut data = Vec::new();
        for segment in package.segments().filter(|segment| segment.access == Segment::Data) {
            let memory = take(usize::try_from(segment.memory).unwrap_or(usize::MAX))?;
            data.push(memory.into()).map_err(|_| MapError::OutOfTables)?;
        }
        let base = blocks.first().map_or(0, |block| block.physical().start().0 / GIB * GIB);
        let mut layout = Self {
            space,
            handover,
            stack,
            data,
            blocks: blocks.into_iter().map(UserMemory::from).collect(),
            base,
            heap: MemoryRanges::NONE,
            next_buffers: BUFFERS,
            regions: Regions::new(),
        };
        layout.lay_out(package)?;
        Ok(layout)
    }

    /// What is the application's alone: its heap, where it sees it.
    pub(super) const fn heap(&self) -> MemoryRanges {
        self.heap
    }

    /// What is the application's, by address.
    pub(super) const fn regions(&self) -> &Regions {
        &self.regions
    }

    /// Has `write` write down what the application is told. Nothing else is left beside it.
    pub(super) fn hand_over(
        &mut self,
        write: impl FnOnce(&mut [u8]) -> Option<usize>,
    ) -> Option<usize> {
        let bytes = self.handover.bytes();
        bytes.fill(0);
        write(bytes)
    }

    /// Takes everything away and lays it out anew, data as in the image, without any buffers. What
    /// was handed over is not touched.
    pub(super) fn lay_out(&mut self, package: &Package<'static>) -> Result<(), MapError> {
        self.space.clear();
        self.regions.clear();
        self.next_buffers = BUFFERS;
        let mut data = self.data.iter_mut();
        for segment in package.segments() {
            let (seen, bytes) = (segment.address, segment.contents);
            let access = match segment.access {
                Segment::Text => {
                    self.space.map_constants(seen, bytes, Constant::Text)?;
                    Access::Read
                }
                Segment::Constants => {
                    self.space.map_constants(seen, bytes, Constant::Data)?;
                    Access::Read
                }
                Segment::Data => {
                    let Some(memory) = data.next() else { continue };
                    fill(memory, bytes);
                    self.space.map_memory(seen, memory)?;
                    Access::Write
                }
            };
            own(&mut self.regions, seen, segment.memory, access)?;
        }
        self.space.map_words(HANDOVER, &self.handover)?;
        own(&mut self.regions, HANDOVER, HANDOVER_LENGTH as u64, Access::Read)?;
        let stack = STACK_TOP - STACK_LENGTH as u64;
        self.stack.bytes().fill(0);
        self.space.map_memory(stack, &self.stack)?;
        own(&mut self.regions, stack, STACK_LENGTH as u64, Access::Write)?;
        self.lay_out_heap()
    }

    /// The heap keeps what was written to it: an application takes it for unspecified.
    fn lay_out_heap(&mut self) -> Result<(), MapError> {
        self.heap = MemoryRanges::NONE;
        for block in self.blocks.iter().filter(|block| block.length() > 0) {
            let seen = HEAP + (block.physical().start().0 - self.base);
            let room = self.space.tables_left() >= TABLES_A_PIECE + TABLES_FOR_DEVICES;
            if room && self.space.map_memory(seen, block).is_ok() {
                own(&mut self.regions, seen, block.length() as u64, Access::Write)?;
                let range = MemoryRange { start: address(seen), length: block.length() };
                self.heap.push(range).then_some(()).ok_or(MapError::OutOfRange)?;
            } else {
                log::warn!("memory {} is not used: no table is left", block.physical());
            }
        }
        Ok(())
    }

    /// Shows a device's buffers to the application; returns them as it sees them.
    pub(super) fn show(&mut self, buffers: &DmaBuffers) -> Result<Area, MapError> {
        let (seen, length) = (self.next_buffers, buffers.length().next_multiple_of(PAGE) as u64);
        // A page between the buffers of two devices stays unmapped; a place is not used twice, as
        // some of it may be mapped even if not all of it could be.
        self.next_buffers += length + PAGE as u64;
        self.space.map_buffers(seen, buffers)?;
        own(&mut self.regions, seen, buffers.length() as u64, Access::Write)?;
        let base = core::ptr::NonNull::new(core::ptr::without_provenance_mut(address(seen)));
        let base = base.ok_or(MapError::OutOfRange)?;
        Ok(Area::new(base, buffers.count(), buffers.size()))
    }
}

/// Notes what the application may name in its calls: all that is mapped for it.
fn own(regions: &mut Regions, seen: u64, length: u64, access: Access) -> Result<(), MapError> {
    regions.add(seen, length, access).then_some(()).ok_or(MapError::OutOfRange)
}

/// Data as it is in the image, and zeros behind it.
fn fill(memory: &mut UserMemory, bytes: &[u8]) {
    let all = memory.bytes();
    let (initialised, zeros) = all.split_at_mut(bytes.len().min(all.len()));
    initialised.copy_from_slice(bytes.get(..initialised.len()).unwrap_or_default());
    zeros.fill(0);
}

/// An address of the application's as a number of the machine's width.
#[expect(clippy::cast_possible_truncation, reason = "addresses have 64 bits wherever this runs")]
const fn address(seen: u64) -> usize {
    seen as usize
}
