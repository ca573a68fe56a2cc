//! Interrupts by message at a GICv3: the Interrupt Translation Service (Arm IHI 0069, chapter 5).
//!
//! A device interrupts by writing a number, its *event*, to one address. The ITS sees who wrote (the
//! *DeviceID*), looks up in tables which interrupt that is, and tells a redistributor; the core then
//! takes it like any other. These interrupts are LPIs: they are pending or not, and what is known of
//! them lies in memory that is given to the hardware here, and that the kernel never reads again.
//!
//! Only the boot does any of this; afterwards an LPI costs what another interrupt costs.

mod commands;
mod lpis;
mod registers;
mod tables;
#[cfg(test)]
mod tests;

use core::fmt;

use heapless::Vec;

use crate::address::PhysicalAddress;
use crate::attempt::Absent;
use crate::dma::{DmaPool, DmaRegion};
use crate::mmio::Window;
use commands::{Command, Queue, Target};
pub use lpis::{FIRST as FIRST_LPI, Lpis, Redistributor};
pub use registers::Coherence;
use tables::DeviceTable;

/// The registers that are used here, in bytes. Those that devices write to follow them.
pub const CONTROL_FRAME: u64 = 0x1_0000;
/// All registers, in bytes.
pub const FRAMES: u64 = 0x2_0000;

const GITS_CTLR: usize = 0x0;
const GITS_TYPER: usize = 0x8;
const GITS_PIDR2: usize = 0xffe8;
/// Where devices write: in the second frame.
const GITS_TRANSLATER: u64 = 0x1_0040;
/// In `GITS_CTLR`: on; and nothing is under way any more.
const ENABLED: u32 = 1;
const QUIESCENT: u32 = 1 << 31;

/// How many devices can have messages.
const DEVICES: usize = 32;
/// Memory is claimed by this much, in bytes, or by more if more is needed.
const CLAIM: usize = 0x2_0000;
/// A device's table of messages begins at a multiple of this.
const TABLE_ALIGNMENT: usize = 0x100;

/// Asked each time that the hardware is not done yet: whether to look again.
pub type Patience<'a> = &'a mut dyn FnMut() -> bool;

/// Why there are no messages. Nothing is lost but those: do without them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// Nothing answers there, or not as an ITS would.
    Absent,
    /// It does not know the kind of interrupts that the core takes.
    NoLpis,
    /// Somebody before us has turned LPIs on, in memory of their own, and that cannot be taken back.
    InUse,
    /// No memory is left for its tables.
    Memory,
    /// A register does not hold what was written, or a command was found wrong.
    Refused,
    /// It did not get done with what it was told.
    Silent,
    /// There is no room in its tables for a device of that number.
    OutOfReach,
    /// A device of that number has its messages already: the ITS cannot tell the two apart.
    Twice,
    /// It has fewer messages than were asked for.
    TooMany,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Absent => f.write_str("nothing answers there"),
            Self::NoLpis => f.write_str("it has no LPIs for the core"),
            Self::InUse => f.write_str("LPIs are on already, with tables of somebody else's"),
            Self::Memory => f.write_str("not enough memory"),
            Self::Refused => f.write_str("it refuses what it is told"),
            Self::Silent => f.write_str("it does not get done with what it is told"),
            Self::OutOfReach => f.write_str("it has no room for a device of that number"),
            Self::Twice => f.write_str("there are two devices of that number"),
            Self::TooMany => f.write_str("it has no more messages"),
        }
    }
}

impl core::error::Error for Error {}

impl From<Absent> for Error {
    fn from(Absent: Absent) -> Self {
        Self::Absent
    }
}

/// Where the tables' memory comes from.
pub struct Room<'a> {
    /// What was claimed and is not used up.
    pub pool: &'a mut Option<DmaPool>,
    /// Claims at least so many bytes more.
    pub claim: &'a mut dyn FnMut(usize) -> Option<DmaPool>,
}

impl fmt::Debug for Room<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Room({:?})", self.pool)
    }
}

impl Room<'_> {
    /// Takes `length` bytes, all zero, in memory too, at a multiple of `alignment`.
    fn take(&mut self, length: usize, alignment: usize) -> Result<DmaRegion, Error> {
        let left = self.pool.as_mut().and_then(|pool| pool.take(length, alignment).ok());
        let region = match left {
            Some(region) => region,
            None => {
                let mut pool = (self.claim)(length.max(CLAIM)).ok_or(Error::Memory)?;
                let region = pool.take(length, alignment).map_err(|_| Error::Memory)?;
                *self.pool = Some(pool);
                region
            }
        };
        region.clean();
        Ok(region)
    }
}

/// Messages that follow each other: the one at `n` is the number `data + n` at `address`, and arrives
/// as interrupt `interrupt + n`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Block {
    /// Where the device writes.
    pub address: PhysicalAddress,
    /// What it writes for the first.
    pub data: u32,
    /// The first interrupt's number (INTID).
    pub interrupt: u32,
}

/// An ITS, on, for the messages of the devices in front of it.
#[derive(Debug)]
pub struct Its {
    at: PhysicalAddress,
    queue: Queue,
    table: Option<DeviceTable>,
    target: Target,
    kind: Kind,
    devices: Vec<u32, DEVICES>,
}

impl Its {
    /// Whether there is an ITS behind this window, before any memory is taken for it.
    ///
    /// # Errors
    /// [`Error::Absent`]; [`Error::NoLpis`]: it is one for virtual machines only.
    pub fn look(window: Window) -> Result<(), Error> {
        Kind::look(window).map(|_| ())
    }

    /// Takes over the ITS at `at`, whose first frame is behind `window`. All its messages go to the
    /// core of `redistributor`, of which LPIs are on. `first` is the device that will be the first.
    ///
    /// # Errors
    /// [`Error::Absent`], [`Error::NoLpis`], [`Error::Memory`], [`Error::Refused`], [`Error::Silent`].
    pub fn start(
        window: Window,
        at: PhysicalAddress,
        coherence: Coherence,
        redistributor: Redistributor,
        first: u32,
        room: &mut Room<'_>,
        patience: Patience<'_>,
    ) -> Result<Self, Error> {
        let kind = Kind::look(window)?;
        window.write32(GITS_CTLR, window.read32(GITS_CTLR) & !ENABLED);
        while window.read32(GITS_CTLR) & QUIESCENT == 0 {
            if !patience() {
                return Err(Error::Silent);
            }
        }
        let table = tables::give(window, kind.device_bits, first, coherence, room)?;
        let mut queue = Queue::new(window, coherence, room)?;
        window.write32(GITS_CTLR, window.read32(GITS_CTLR) | ENABLED);
        if window.read32(GITS_CTLR) & ENABLED == 0 {
            return Err(Error::Refused);
        }
        let target = redistributor.target(kind.by_address);
        let first = [Command::MapCollection(target), Command::Synchronise(target)];
        queue.run(&first, patience).inspect_err(|_| window.write32(GITS_CTLR, 0))?;
        Ok(Self { at, queue, table, target, kind, devices: Vec::new() })
    }

    /// Gives `device` its messages, `count` of them, each an LPI of its own that is let through. For
    /// each device once.
    ///
    /// # Errors
    /// [`Error::OutOfReach`], [`Error::Twice`], [`Error::TooMany`] and [`Error::Memory`] are this
    /// device's; after [`Error::Refused`] and [`Error::Silent`] the ITS is of no more use.
    pub fn allot(
        &mut self,
        device: u32,
        count: u32,
        lpis: &mut Lpis,
        room: &mut Room<'_>,
        patience: Patience<'_>,
    ) -> Result<Block, Error> {
        if self.devices.contains(&device) {
            return Err(Error::Twice);
        }
        // A table has two entries at least.
        let entries = count.max(2).checked_next_power_of_two().ok_or(Error::TooMany)?;
        let event_bits = entries.trailing_zeros();
        let is_too_many = event_bits > self.kind.event_bits || count > lpis.left();
        if count == 0 || is_too_many || self.devices.is_full() {
            return Err(Error::TooMany);
        }
        if u64::from(device) >> self.kind.device_bits != 0 {
            return Err(Error::OutOfReach);
        }
        if let Some(table) = &mut self.table {
            table.make_room_for(device, room)?;
        }
        let table = room.take(entries as usize * self.kind.entry, TABLE_ALIGNMENT)?;
        let first = lpis.allot(count)?;
        // There is room, as was asked for above.
        let _ = self.devices.push(device);

        let table = table.physical();
        self.queue.run(&[Command::MapDevice { device, event_bits, table }], patience)?;
        for event in 0..count {
            let interrupt = first + event;
            let invalidate = Command::Invalidate { device, event };
            let map = Command::MapMessage { device, event, interrupt };
            self.queue.run(&[map, invalidate], patience)?;
        }
        self.queue.run(&[Command::Synchronise(self.target)], patience)?;
        let address = PhysicalAddress(self.at.0 + GITS_TRANSLATER);
        Ok(Block { address, data: 0, interrupt: first })
    }
}

/// What an ITS can do (`GITS_TYPER`, section 12.19.15).
#[derive(Clone, Copy, Debug)]
struct Kind {
    /// How long an entry of a device's table of messages is, in bytes.
    entry: usize,
    /// How many bits there are of a message's number, and of a device's.
    event_bits: u32,
    device_bits: u32,
    /// Whether redistributors are named by their addresses, or else by their numbers.
    by_address: bool,
}

impl Kind {
    /// Looks whether there is an ITS, and what it can do.
    fn look(window: Window) -> Result<Self, Error> {
        const ARCHITECTURES: core::ops::RangeInclusive<u32> = 3..=4;
        let architecture = window.attempt32(GITS_PIDR2)? >> 4 & 0xf;
        if !ARCHITECTURES.contains(&architecture) {
            return Err(Error::Absent);
        }
        let kind = window.read64(GITS_TYPER);
        let field = |low: u32, bits: u32| {
            let value = kind >> low & ((1 << bits) - 1);
            u32::try_from(value).unwrap_or_default() // none of these has so many bits
        };
        if kind & 1 == 0 {
            return Err(Error::NoLpis);
        }
        Ok(Self {
            entry: field(4, 4) as usize + 1,
            event_bits: field(8, 5) + 1,
            device_bits: field(13, 5) + 1,
            by_address: field(19, 1) != 0,
        })
    }
}
