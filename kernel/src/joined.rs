//! Joined: the application is linked with the kernel and runs with it, at EL1. Its calls are plain
//! calls; what is left of memory is its heap; its end is the machine's.

use elone_gate::{Level, MemoryRange, MemoryRanges};
use elone_hal::arch::tables::Mapper;

use crate::memory::{Memory, Rest};
use crate::platform::Platform;
use crate::watchdog;

elone_gate::provide!(crate::platform::KERNEL);

/// Where the application runs.
pub(crate) const LEVEL: Level = Level::El1;

/// Why it cannot be run: it is linked, so there is no reason.
pub(crate) type LoadError = core::convert::Infallible;

/// The application, ready to run.
#[derive(Debug)]
pub(crate) struct Application {
    heap: MemoryRanges,
}

impl Application {
    /// Gives it all memory that is left.
    pub(crate) fn load(memory: Memory) -> Result<(Self, Mapper), LoadError> {
        let Rest { blocks, mapper } = memory.into_rest();
        let mut heap = MemoryRanges::NONE;
        for block in blocks {
            heap.push(MemoryRange { start: block.start(), length: block.length() });
        }
        Ok((Self { heap }, mapper))
    }

    /// What is its alone.
    pub(crate) const fn heap(&self) -> MemoryRanges {
        self.heap
    }

    /// Runs it to its end; returns its exit status.
    pub(crate) fn run(self, platform: &'static Platform) -> u8 {
        watchdog::kick();
        elone_gate::calls::application(platform.start())
    }
}
