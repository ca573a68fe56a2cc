//! LPIs at this core's redistributor: what is known of them lies in two tables in memory (Arm IHI 0069,
//! section 5.1).

use core::sync::atomic::AtomicU8;

use super::commands::Target;
use super::registers::{Base, Coherence, placed};
use super::{Error, Patience, Room};
use crate::address::PhysicalAddress;
use crate::dma::{DmaRegion, Shared};
use crate::mmio::Window;

const GICD_TYPER: usize = 0x4;
const GICR_CTLR: usize = 0x0;
const GICR_TYPER: usize = 0x8;
const GICR_PROPBASER: Base = Base { register: 0x70, cached: 7 };
const GICR_PENDBASER: Base = Base { register: 0x78, cached: 7 };

/// In `GICD_TYPER`: there are LPIs.
const HAS_LPIS: u32 = 1 << 17;
/// In `GICR_CTLR`: they are on; and what was written to it has not been seen everywhere yet.
const ENABLE_LPIS: u32 = 1;
const WRITE_PENDING: u32 = 1 << 3;
/// In `GICR_TYPER`: they can be had by message.
const BY_MESSAGE: u64 = 1;
/// In `GICR_PENDBASER`: the table is all zeros, and need not be read.
const ALL_ZERO: u64 = 1 << 62;
/// In both: where the table is.
const ADDRESS: u64 = 0x000f_ffff_ffff_f000;

/// The first LPI's number (INTID).
pub const FIRST: u32 = 8192;
/// How many bits there are of the numbers used here: the fewest there can be if there is to be any LPI
/// at all.
const ID_BITS: u32 = 14;
/// What is known of each: a byte of configuration, from the first LPI's on.
const CONFIGURATION: usize = (1 << ID_BITS) - FIRST as usize;
/// Whether it is pending: a bit, from interrupt 0's on. Where the table may begin.
const PENDING: usize = (1 << ID_BITS) / 8;
const PENDING_ALIGNMENT: usize = 0x1_0000;
const CONFIGURATION_ALIGNMENT: usize = 0x1000;
/// An LPI's configuration: the same priority as all lines have, and let through. (Bit 1 is one that
/// reads as one.)
const LET_THROUGH: u8 = 0x80 | 0b11;

/// A core's redistributor.
#[derive(Clone, Copy, Debug)]
pub struct Redistributor {
    /// Its registers: the first frame at least.
    pub window: Window,
    /// Where they are.
    pub at: PhysicalAddress,
}

impl Redistributor {
    /// As the commands of an ITS name it, which depends on the ITS.
    pub(super) fn target(self, by_address: bool) -> Target {
        let number = self.window.read64(GICR_TYPER) >> 8 & 0xffff;
        Target(if by_address { placed(self.at) & !0xffff } else { number << 16 })
    }
}

/// The LPIs of one core. They are on for good: what was given to the hardware stays its.
#[derive(Debug)]
pub struct Lpis {
    memory: DmaRegion,
    configuration: Shared<AtomicU8>,
    /// How many there are, and how many have been given out.
    count: u32,
    taken: u32,
}

impl Lpis {
    /// Turns LPIs on, with none let through.
    ///
    /// # Errors
    /// [`Error::NoLpis`], [`Error::InUse`], [`Error::Memory`], [`Error::Refused`], [`Error::Silent`].
    pub fn start(
        distributor: Window,
        redistributor: Redistributor,
        coherence: Coherence,
        room: &mut Room<'_>,
        patience: Patience<'_>,
    ) -> Result<Self, Error> {
        let window = redistributor.window;
        let count = count(distributor.read32(GICD_TYPER)).ok_or(Error::NoLpis)?;
        if window.read64(GICR_TYPER) & BY_MESSAGE == 0 {
            return Err(Error::NoLpis);
        }
        stop(window, patience)?;
        let pending = room.take(PENDING, PENDING_ALIGNMENT)?;
        let memory = room.take(CONFIGURATION, CONFIGURATION_ALIGNMENT)?;
        let configuration = memory.words8(0, CONFIGURATION).map_err(|_| Error::Memory)?;

        let value = placed(memory.physical()) | u64::from(ID_BITS - 1);
        let held = GICR_PROPBASER.tell(window, value, coherence);
        // It may know of more bits than it was told of, but not of fewer.
        if held & ADDRESS != value & ADDRESS || held & 0x1f < value & 0x1f {
            return Err(Error::Refused);
        }
        let value = placed(pending.physical());
        let held = GICR_PENDBASER.tell(window, value | ALL_ZERO, coherence);
        if held & ADDRESS != value {
            return Err(Error::Refused);
        }
        window.write32(GICR_CTLR, window.read32(GICR_CTLR) | ENABLE_LPIS);
        if window.read32(GICR_CTLR) & ENABLE_LPIS == 0 {
            return Err(Error::Refused);
        }
        Ok(Self { memory, configuration, count, taken: 0 })
    }

    /// How many have not been given out.
    pub(super) const fn left(&self) -> u32 {
        self.count - self.taken
    }

    /// Gives out `count` LPIs that follow each other, let through; returns the number of the first.
    /// Who has them mapped has the redistributor look again.
    pub(super) fn allot(&mut self, count: u32) -> Result<u32, Error> {
        if count > self.left() {
            return Err(Error::TooMany);
        }
        let first = self.taken;
        self.taken += count;
        for lpi in first..self.taken {
            self.configuration.store(lpi as usize, LET_THROUGH);
        }
        self.memory.clean();
        Ok(FIRST + first)
    }
}

/// How many LPIs there are of those that are used here, from `GICD_TYPER` (section 12.9.38).
fn count(kind: u32) -> Option<u32> {
    let id_bits = (kind >> 19 & 0x1f) + 1;
    if kind & HAS_LPIS == 0 || id_bits < ID_BITS {
        return None;
    }
    let all = (1 << ID_BITS) - FIRST;
    Some(match kind >> 11 & 0x1f {
        0 => all, // as many as there are numbers
        limit => all.min(1_u32.checked_shl(limit + 1).unwrap_or(all)),
    })
}

/// Turns off LPIs that somebody before us has turned on, if that can be done at all (section 12.11.2).
fn stop(window: Window, patience: Patience<'_>) -> Result<(), Error> {
    let control = window.read32(GICR_CTLR);
    if control & ENABLE_LPIS != 0 {
        window.write32(GICR_CTLR, control & !ENABLE_LPIS);
        if window.read32(GICR_CTLR) & ENABLE_LPIS != 0 {
            return Err(Error::InUse);
        }
    }
    while window.read32(GICR_CTLR) & WRITE_PENDING != 0 {
        if !patience() {
            return Err(Error::Silent);
        }
    }
    Ok(())
}
