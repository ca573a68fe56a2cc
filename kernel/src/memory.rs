//! Memory: who owns which, and under what name it can be reached.
//!
//! The image was mapped by the entry code, W^X. Everything else gets a name here, once, as what it
//! is: firmware's tables to be read, free RAM to be written, registers. What gets none (reserved
//! memory, other firmware, everything low) cannot be reached at all.

use elone_gate::{MemoryRange, MemoryRanges};
use elone_hal::address::PhysicalRange;
use elone_hal::arch::entry::Handoff;
use elone_hal::arch::frames::Frames;
use elone_hal::arch::tables::{Access, MapError, Mapper};
use elone_hal::dma::DmaPool;
use elone_hal::mmio::Window;
use heapless::Vec;
use spin::Once;

use elone_boards::Early;

use crate::error::BootError;
use crate::machine::{Machine, MachineError, Tree};

/// With less than this free, in bytes, nothing useful runs.
const LEAST: usize = 1 << 20;
/// How many blocks of free memory the application's heap is made of: the largest ones.
const BLOCKS: usize = MemoryRanges::CAPACITY;

static MACHINE: Once<Machine> = Once::new();

/// All memory that the kernel has a say over.
pub(crate) struct Memory {
    handoff: Handoff,
    mapper: Mapper,
    frames: Frames,
    tree: PhysicalRange,
    /// Where the board's guess has registers. On another machine that may be RAM, which is then
    /// left alone: it has a name already, and not as memory.
    guess: PhysicalRange,
}

impl Memory {
    /// Becomes the owner of the address space that the entry code made.
    pub(crate) fn take_over(mut handoff: Handoff) -> Self {
        let mapper = Mapper::take_over(&mut handoff);
        let nowhere = PhysicalRange::default();
        Self { handoff, mapper, frames: Frames::new(), tree: nowhere, guess: nowhere }
    }

    /// The level at which the kernel was entered: 1, 2 or 3.
    pub(crate) fn entered_at(&self) -> u8 {
        self.handoff.entered_at()
    }

    /// Reads the device tree, from where the loader says or, if nobody says, where the board has
    /// it. It stays mapped, for good: its strings are used for as long as the machine runs.
    pub(crate) fn read_machine(&mut self, board: &Early) -> Result<&'static Machine, BootError> {
        let start = match self.handoff.device_tree() {
            0 => board.device_tree,
            given => given,
        };
        let wrong = |error| BootError::DeviceTree(start, error);
        let tree = self
            .mapper
            .firmware_with(start, Tree::HEADER, |head| Ok(Tree::check(head)?))
            .map_err(|error: TreeError| match error {
                TreeError::Map(error) => BootError::Map("the device tree", error),
                TreeError::Tree(error) => wrong(error),
            })?;
        self.tree = PhysicalRange::new(start, tree.len() as u64).unwrap_or_default();
        let machine = Machine::read(tree).map_err(wrong)?;
        Ok(MACHINE.call_once(|| machine))
    }

    /// Maps all free RAM, writable and never executable. A bank that the layout has no room for is
    /// left alone.
    pub(crate) fn claim(&mut self, machine: &Machine) -> Result<(), BootError> {
        for range in machine.free_memory([self.handoff.image(), self.tree, self.guess]) {
            match self.mapper.ram(range, Access::ReadWrite) {
                Ok(unclaimed) => self.frames.add(unclaimed),
                Err(error) => log::warn!("memory {range} is not used: {error}"),
            }
        }
        let free = self.frames.free();
        if free < LEAST { Err(BootError::TooLittleMemory(free >> 10)) } else { Ok(()) }
    }

    /// Maps the registers of a device that nobody has named yet, of which there can be one.
    pub(crate) fn early_device(&mut self, registers: PhysicalRange) -> Result<Window, MapError> {
        self.guess = registers;
        self.mapper.device(registers)
    }

    /// Maps a device's registers.
    pub(crate) fn device(&mut self, registers: PhysicalRange) -> Result<Window, MapError> {
        self.mapper.device(registers)
    }

    /// Takes memory that devices read and write, at least `length` bytes, for good.
    pub(crate) fn dma_pool(&mut self, length: usize) -> Option<DmaPool> {
        self.frames.dma_pool(length, &self.mapper)
    }

    /// Gives all that is left to the application.
    pub(crate) fn into_heap(mut self) -> MemoryRanges {
        let mut blocks: Vec<MemoryRange, BLOCKS> = Vec::new();
        while let Some((start, length)) = self.frames.take_largest() {
            if blocks.push(MemoryRange { start, length }).is_err() {
                break; // the smallest blocks of a scattered memory
            }
        }
        blocks.sort_unstable_by_key(|block| block.start);
        let mut heap = MemoryRanges::NONE;
        let mut blocks = blocks.into_iter();
        let Some(mut range) = blocks.next() else { return heap };
        for block in blocks {
            if range.start + range.length == block.start {
                range.length += block.length;
            } else {
                heap.push(core::mem::replace(&mut range, block)); // there is room for all blocks
            }
        }
        heap.push(range);
        heap
    }
}

/// What can go wrong between a tree's address and its bytes.
enum TreeError {
    Map(MapError),
    Tree(MachineError),
}

impl From<MapError> for TreeError {
    fn from(error: MapError) -> Self {
        Self::Map(error)
    }
}

impl From<MachineError> for TreeError {
    fn from(error: MachineError) -> Self {
        Self::Tree(error)
    }
}
