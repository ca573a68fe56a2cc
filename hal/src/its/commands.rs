//! The commands that an ITS is given (Arm IHI 0069, section 5.3), and the queue that they go through.

use core::sync::atomic::AtomicU64;

use super::registers::{Base, placed};
use super::{Coherence, Error, Patience, Room};
use crate::address::PhysicalAddress;
use crate::dma::{DmaRegion, Shared};
use crate::mmio::Window;

const GITS_CBASER: Base = Base { register: 0x80, cached: 59 };
const GITS_CWRITER: usize = 0x88;
const GITS_CREADR: usize = 0x90;
/// In `GITS_CBASER`, and in commands.
const VALID: u64 = 1 << 63;
/// In `GITS_CBASER`: the address, and how many pages there are but one.
const HELD: u64 = VALID | 0x000f_ffff_ffff_f000 | 0xff;
/// In `GITS_CREADR`: a command was wrong, and no other is looked at.
const STALLED: u32 = 1;
/// In `GITS_CREADR`: which command is next, as an offset in the queue.
const OFFSET: u32 = 0xf_ffe0;

/// The queue's length in bytes: one page of 4 KiB, which is what 0 pages in the register stands for.
const LENGTH: usize = 0x1000;
/// Where it may begin: bits 15:12 of its address are not to be counted on.
const ALIGNMENT: usize = 0x1_0000;
/// A command is four words of 64 bits.
const WORDS: usize = 4;
const COMMAND: usize = WORDS * size_of::<u64>();
/// How many commands there is room for. One place stays empty: a full queue would look like none.
const COMMANDS: usize = LENGTH / COMMAND;

/// The number of the one collection that there is: all messages go to this core.
const COLLECTION: u64 = 0;

/// A redistributor, as commands name it: its number or its address, in bits 50:16.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Target(pub(super) u64);

/// What an ITS is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Command {
    /// MAPC: the messages of the collection go to this redistributor.
    MapCollection(Target),
    /// MAPD: a device has messages, their numbers of so many bits, and here is a table for them.
    MapDevice { device: u32, event_bits: u32, table: PhysicalAddress },
    /// MAPTI: a device's message is this interrupt, and one of the collection's.
    MapMessage { device: u32, event: u32, interrupt: u32 },
    /// INV: what the redistributor remembers of a message's configuration is out of date.
    Invalidate { device: u32, event: u32 },
    /// SYNC: the redistributor is to have seen all that came before.
    Synchronise(Target),
}

impl Command {
    /// The command as it lies in memory.
    fn words(self) -> [u64; WORDS] {
        let head = |number, device| number | u64::from(device) << 32;
        match self {
            Self::MapCollection(Target(target)) => [0x9, 0, VALID | target | COLLECTION, 0],
            Self::MapDevice { device, event_bits, table } => {
                [head(0x8, device), u64::from(event_bits) - 1, VALID | placed(table), 0]
            }
            Self::MapMessage { device, event, interrupt } => {
                [head(0xa, device), head(event.into(), interrupt), COLLECTION, 0]
            }
            Self::Invalidate { device, event } => [head(0xc, device), event.into(), 0, 0],
            Self::Synchronise(Target(target)) => [0x5, 0, target, 0],
        }
    }
}

/// The queue. It is empty whenever nobody is in [`run`](Self::run).
#[derive(Debug)]
pub(super) struct Queue {
    window: Window,
    memory: DmaRegion,
    words: Shared<AtomicU64>,
    /// Where the next command goes.
    next: usize,
}

impl Queue {
    /// Gives an ITS that is off an empty queue.
    pub(super) fn new(
        window: Window,
        coherence: Coherence,
        room: &mut Room<'_>,
    ) -> Result<Self, Error> {
        let memory = room.take(LENGTH, ALIGNMENT)?;
        let words = memory.words64(0, COMMANDS * WORDS).map_err(|_| Error::Memory)?;
        let value = VALID | placed(memory.physical());
        if GITS_CBASER.tell(window, value, coherence) & HELD != value {
            return Err(Error::Refused);
        }
        window.write64(GITS_CWRITER, 0);
        Ok(Self { window, memory, words, next: 0 })
    }

    /// Has `commands`, fewer than there are places, carried out in their order; returns when they are.
    pub(super) fn run(
        &mut self,
        commands: &[Command],
        patience: Patience<'_>,
    ) -> Result<(), Error> {
        for command in commands {
            for (word, value) in command.words().into_iter().enumerate() {
                self.words.store(self.next * WORDS + word, value);
            }
            self.next = (self.next + 1) % COMMANDS;
        }
        self.memory.clean(); // and with it whatever else was written for the ITS to see
        let end = self.next * COMMAND;
        self.window.write64(GITS_CWRITER, end as u64);
        loop {
            let read = self.window.read32(GITS_CREADR); // all there is of it is in its lower half
            if (read & OFFSET) as usize == end {
                return Ok(());
            }
            if read & STALLED != 0 {
                return Err(Error::Refused);
            }
            if !patience() {
                return Err(Error::Silent);
            }
        }
    }
}
