//! Memory: who owns which, and under what name it can be reached.
//!
//! The image was mapped by the entry code, W^X. Everything else gets a name here, once, as what it
//! is: firmware's tables to be read, free RAM to be written, registers. What gets none (reserved
//! memory, other firmware, everything low) cannot be reached at all.

use elone_gate::{MemoryRanges, Protection};
use elone_hal::address::PhysicalRange;
use elone_hal::arch::entry::Handoff;
use elone_hal::arch::frames::Frames;
use elone_hal::arch::retained::Retained;
use elone_hal::arch::tables::{MapError, Mapper};
use elone_hal::arch::unclaimed::Unclaimed;
use elone_hal::dma::DmaPool;
use elone_hal::mmio::Window;
use elone_hal::observed::Observed;
use elone_hal::protections;
use elone_hal::seed::EarlySeed;
use heapless::Vec;
use spin::{Mutex, MutexGuard};

use elone_boards::Early;

use crate::blackbox;
use crate::error::BootError;
use crate::machine::{Machine, MachineError, Tree};

/// With less than this free, in bytes, nothing useful runs.
const LEAST: usize = 1 << 20;
/// How many blocks of free memory the application's heap is made of: the largest ones.
pub(crate) const BLOCKS: usize = MemoryRanges::CAPACITY;

/// The machine. It is read where it is to stay, being too large for a stack.
static MACHINE: Mutex<Vec<Machine, 1>> = Mutex::new(Vec::new());

/// All memory that the kernel has a say over.
pub(crate) struct Memory {
    handoff: Handoff,
    mapper: Mapper,
    frames: Frames,
    tree: PhysicalRange,
    /// Where the board's guess has registers. On another machine that may be RAM, which is then
    /// left alone: it has a name already, and not as memory.
    guess: PhysicalRange,
    retained: Option<Retained>,
}

impl Memory {
    /// Becomes the owner of the address space that the entry code made.
    pub(crate) fn take_over(mut handoff: Handoff) -> Self {
        let mapper = Mapper::take_over(&mut handoff);
        let nowhere = PhysicalRange::default();
        let frames = Frames::new();
        Self { handoff, mapper, frames, tree: nowhere, guess: nowhere, retained: None }
    }

    /// The level at which the kernel was entered: 1, 2 or 3.
    pub(crate) fn entered_at(&self) -> u8 {
        self.handoff.entered_at()
    }

    /// What was collected of entropy before the kernel began; once.
    pub(crate) fn take_seed(&mut self) -> EarlySeed {
        self.handoff.take_seed()
    }

    /// Reads the device tree, from where the loader says or, if nobody says, where the board has
    /// it. It stays mapped, for good: its strings are used for as long as the machine runs.
    #[inline(never)]
    pub(crate) fn read_machine(&mut self, board: &Early) -> Result<&'static Machine, BootError> {
        let start = match self.handoff.device_tree() {
            0 => board.device_tree.ok_or(BootError::NoDeviceTree)?,
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
        let machine = blank_machine().ok_or(BootError::NoDeviceTree)?;
        machine.learn(tree).map_err(wrong)?;
        Ok(machine)
    }

    /// Maps all free RAM, writable and never executable. A bank that the layout has no room for is
    /// left alone.
    pub(crate) fn claim(&mut self, machine: &Machine) -> Result<(), BootError> {
        for conflict in machine.conflicts(self.handoff.image(), self.tree) {
            log::warn!("{conflict}");
        }
        let free = machine.free_memory([self.handoff.image(), self.tree, self.guess]);
        let ends = |range: &PhysicalRange| (range.start().0, range.end().0);
        let first = free.iter().map(|range| ends(range).0).min().unwrap_or_default();
        let last = free.iter().map(|range| ends(range).1).max().unwrap_or_default();
        self.mapper.place_ram(PhysicalRange::new(first, last - first).unwrap_or_default());
        // From the highest on, the first of which keeps the black box.
        for range in free.into_iter().rev() {
            match self.mapper.ram(range) {
                Ok(mut unclaimed) => {
                    if self.retained.is_none() && range.length() > blackbox::PAGES as u64 {
                        self.retained = unclaimed.cut(blackbox::PAGES).map(Retained::new);
                    }
                    self.frames.add(unclaimed);
                }
                Err(error) => log::warn!("memory {range} is not used: {error}"),
            }
        }
        let free = self.frames.free();
        if free < LEAST { Err(BootError::TooLittleMemory(free >> 10)) } else { Ok(()) }
    }

    /// The end of the highest free memory, the same at every boot, with what was left in it.
    pub(crate) fn retained(&mut self) -> Option<Retained> {
        self.retained.take()
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

    /// Maps memory that somebody outside writes, to be read.
    pub(crate) fn observed(&mut self, range: PhysicalRange) -> Result<Observed, MapError> {
        self.mapper.observed(range)
    }

    /// Takes memory that devices read and write, at least `length` bytes, for good.
    pub(crate) fn dma_pool(&mut self, length: usize) -> Option<DmaPool> {
        self.frames.dma_pool(length, &mut self.mapper)
    }

    /// Gives up all that is left, for the application.
    pub(crate) fn into_rest(mut self) -> Rest {
        let mut blocks: Vec<Unclaimed, BLOCKS> = Vec::new();
        while let Some(block) = self.frames.take_largest(&self.mapper) {
            let place = blocks.iter().take_while(|other| other.start() < block.start()).count();
            if blocks.insert(place, block).is_err() {
                break; // the smallest blocks of a scattered memory
            }
        }
        let mut joined: Vec<Unclaimed, BLOCKS> = Vec::new();
        for block in blocks {
            let left = match joined.last_mut() {
                Some(last) => last.join(block).err(),
                None => Some(block),
            };
            if let Some(block) = left {
                drop(joined.push(block)); // there is room for all blocks
            }
        }
        // All of it has to: some that does not would end an application in which nothing is wrong.
        match joined
            .iter_mut()
            .map(Unclaimed::keeps_tags)
            .reduce(|one, other| one.min(other))
            .flatten()
        {
            Some(true) => protections::note(Protection::HeapTags),
            Some(false) => log::warn!("the heap's memory keeps no tags: it is guarded by checks"),
            None => {}
        }
        Rest { blocks: joined, mapper: self.mapper }
    }
}

/// A machine that nothing is known of yet, in its place, once. Its frame is not its caller's: for a
/// moment it has one more machine in it.
#[inline(never)]
fn blank_machine() -> Option<&'static mut Machine> {
    let place = MutexGuard::leak(MACHINE.try_lock()?);
    // There is room for one.
    drop(place.push(Machine::default()));
    place.first_mut()
}

/// What the kernel does not need: memory, in ascending order, and the map in which it has its names.
pub(crate) struct Rest {
    pub(crate) blocks: Vec<Unclaimed, BLOCKS>,
    pub(crate) mapper: Mapper,
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
