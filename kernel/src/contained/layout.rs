//! Where the application has what: its image, its stack, its heap, the buffers of its devices, and
//! what it is told at the start.
//!
//! Text and constants are shown where they lie in the kernel's image; what is relocated, and data, is
//! copied from there each time: so every life begins as the first did. Only where it begins is another
//! place each time, for each of these on its own ([`crate::places`]): what one life knew of addresses, or
//! whoever attacked it, is of no use in the next. Everything is one address space, entered nowhere
//! else; what lies where is in `docs/memory-map.md`.

use core::fmt;
use core::ops::Range;

use elone_gate::package::{Access as Segment, Package, SEGMENTS};
use elone_gate::{Area, MemoryRange, MemoryRanges, Protection};
use elone_hal::address::PAGE;
use elone_hal::arch::space::{Constant, UserSpace};
use elone_hal::arch::tables::{MapError, Mapper};
use elone_hal::arch::unclaimed::{Unclaimed, UserMemory};
use elone_hal::dma::DmaBuffers;
use elone_hal::protections::{in_force, wanted};
use heapless::Vec;

use crate::allegation::{Access, Regions};
use crate::memory::BLOCKS;

use super::LoadError;
use super::chosen::{BUFFERS_LENGTH, HANDOVER_LENGTH, Places, STACK_LENGTH};

/// Pages for tables: what an image, a stack, a heap of some pieces and sixteen devices take.
const TABLES: usize = 42 * PAGE;
/// How many of them are kept for devices: scattered memory must not cost the network.
const TABLES_FOR_DEVICES: usize = 8;
/// The most that one piece of the heap can need: of level 2 and of level 3, for either end, and one
/// of level 1.
const TABLES_A_PIECE: usize = 5;

/// The application's memory, and where it is seen.
pub(super) struct Layout {
    space: UserSpace,
    handover: UserMemory,
    stack: UserMemory,
    copies: Vec<UserMemory, SEGMENTS>,
    /// What is mapped below the stack where that is to be missing which keeps it free.
    spill: Option<UserMemory>,
    blocks: Vec<UserMemory, BLOCKS>,
    places: Places,
    heap: MemoryRanges,
    next_buffers: u64,
    regions: Regions,
}

impl Layout {
    /// Sets memory aside for all but the heap, which is what is left.
    pub(super) fn new(
        package: &Package<'static>,
        mut blocks: Vec<Unclaimed, BLOCKS>,
        mapper: &Mapper,
    ) -> Result<Self, LoadError> {
        let mut take = |length: usize| {
            let length = length.checked_next_multiple_of(PAGE).unwrap_or(length);
            let largest = blocks.iter_mut().max_by_key(|block| block.length());
            let free = largest.as_ref().map_or(0, |block| block.length());
            let taken = largest.and_then(|block| block.cut(length));
            taken.ok_or(LoadError::TooLarge { needed: length >> 10, free: free >> 10 })
        };
        let space = UserSpace::new(take(TABLES)?, mapper)?;
        let (handover, stack) = (take(HANDOVER_LENGTH)?.into(), take(STACK_LENGTH)?.into());
        let mut copies = Vec::new();
        for segment in package.segments().filter(|segment| segment.access.is_copied()) {
            let memory = take(usize::try_from(segment.memory).unwrap_or(usize::MAX))?;
            copies.push(memory.into()).map_err(|_| MapError::OutOfTables)?;
        }
        let spilled = Places::default().stack_guard();
        let spilled = usize::try_from(spilled.end - spilled.start).unwrap_or(usize::MAX);
        let spill = (!wanted(Protection::StackGuards)).then(|| take(spilled)).transpose()?;
        let filled = blocks.into_iter().filter(|block| block.length() > 0);
        Ok(Self {
            space,
            handover,
            stack,
            copies,
            spill: spill.map(UserMemory::from),
            blocks: filled.map(UserMemory::from).collect(),
            places: Places::default(),
            heap: MemoryRanges::NONE,
            next_buffers: 0,
            regions: match in_force().has(Protection::HeapTags) {
                true => Regions::tagged(),
                false => Regions::new(),
            },
        })
    }

    /// Where the image begins: what a package's addresses count from.
    pub(super) const fn base(&self) -> u64 {
        self.places.image
    }

    /// Where the application finds what it is told.
    pub(super) const fn handed_over(&self) -> u64 {
        self.places.handover
    }

    /// What is not mapped below the stack.
    pub(super) const fn stack_guard(&self) -> Range<u64> {
        self.places.stack_guard()
    }

    /// Where the stack pointer begins.
    pub(super) const fn stack_pointer(&self) -> u64 {
        self.places.stack_pointer
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

    /// Takes everything away and lays it out anew, in other places, by numbers of 64 random bits; data
    /// as in the image, without any buffers. What was handed over has to be so again.
    pub(super) fn lay_out(
        &mut self,
        package: &Package<'static>,
        mut number: impl FnMut() -> u64,
    ) -> Result<(), MapError> {
        self.space.clear();
        self.regions.clear();
        let heap = self.blocks.iter().map(UserMemory::physical);
        let number = || if wanted(Protection::RandomLayout) { number() } else { 0 };
        let places = Places::draw(heap, package.memory(), number);
        self.places = places.ok_or(MapError::OutOfRange)?;
        self.next_buffers = self.places.buffers;
        self.lay_out_image(package)?;
        let Places { handover, .. } = self.places;
        self.space.map_words(handover, &self.handover)?;
        own(&mut self.regions, handover, HANDOVER_LENGTH as u64, Access::Read)?;
        let stack = self.stack_guard().end;
        self.stack.bytes().fill(0);
        self.space.map_memory(stack, &self.stack)?;
        if let Some(spill) = &self.spill {
            self.space.map_memory(self.stack_guard().start, spill)?;
        }
        own(&mut self.regions, stack, STACK_LENGTH as u64, Access::Write)?;
        self.lay_out_heap()
    }

    fn lay_out_image(&mut self, package: &Package<'static>) -> Result<(), MapError> {
        let base = self.places.image;
        let mut copies = self.copies.iter_mut();
        for segment in package.segments() {
            let (seen, bytes) = (base + segment.address, segment.contents);
            let mut copy = || {
                let memory = copies.next().ok_or(MapError::OutOfRange)?;
                package.copy(&segment, base, memory.bytes());
                Ok::<_, MapError>(&*memory)
            };
            match segment.access {
                Segment::Text => self.space.map_constants(seen, bytes, Constant::Text)?,
                Segment::Constants => self.space.map_constants(seen, bytes, Constant::Data)?,
                Segment::Relocated if wanted(Protection::SealedData) => {
                    self.space.map_words(seen, copy()?)?;
                }
                Segment::Relocated | Segment::Data => self.space.map_memory(seen, copy()?)?,
            }
            let access = if segment.access == Segment::Data { Access::Write } else { Access::Read };
            own(&mut self.regions, seen, segment.memory, access)?;
        }
        Ok(())
    }

    /// The heap keeps what was written to it: an application takes it for unspecified.
    fn lay_out_heap(&mut self) -> Result<(), MapError> {
        self.heap = MemoryRanges::NONE;
        for block in &self.blocks {
            let seen = self.places.of_heap(block.physical().start().0);
            let room = self.space.tables_left() >= TABLES_A_PIECE + TABLES_FOR_DEVICES;
            if room && self.space.map_heap(seen, block).is_ok() {
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
        if self.next_buffers > self.places.buffers + BUFFERS_LENGTH {
            return Err(MapError::OutOfRange);
        }
        self.space.map_buffers(seen, buffers)?;
        own(&mut self.regions, seen, buffers.length() as u64, Access::Write)?;
        let base = core::ptr::NonNull::new(core::ptr::without_provenance_mut(address(seen)));
        let base = base.ok_or(MapError::OutOfRange)?;
        Ok(Area::new(base, buffers.count(), buffers.size()))
    }
}

/// Where everything but the image is.
impl fmt::Display for Layout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Places { heap, handover, buffers, .. } = self.places;
        let stack = self.stack_guard().end;
        write!(f, "its stack at {stack:#x}, its heap at {heap:#x}, buffers at {buffers:#x}")?;
        write!(f, ", what it is told at {handover:#x}")
    }
}

/// Notes what the application may name in its calls: all that is mapped for it.
fn own(regions: &mut Regions, seen: u64, length: u64, access: Access) -> Result<(), MapError> {
    regions.add(seen, length, access).then_some(()).ok_or(MapError::OutOfRange)
}

/// An address of the application's as a number of the machine's width.
#[expect(clippy::cast_possible_truncation, reason = "addresses have 64 bits wherever this runs")]
const fn address(seen: u64) -> usize {
    seen as usize
}
