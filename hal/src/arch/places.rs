//! Where everything is on this boot: a part of the upper half for each kind of memory, and in it a
//! place that is drawn at random.
//!
//! The parts are fixed, so that nothing can get in the way of anything else; the places in them are
//! independent of each other, so that one that leaks does not give away the next.

use core::ops::Range;

use super::features::Features;
use crate::address::PAGE;
use crate::sealed::Sealed;
use crate::seed::EarlySeed;

/// The upper half's first address: translated by `TTBR1_EL1`, 48 bits (Arm ARM, section D8.1.7).
pub(super) const UPPER: u64 = 0xffff_0000_0000_0000;
/// Parts are made of what one entry of the root table maps: 512 GiB.
const UNIT: u32 = 39;

/// In such units. The image is linked at the first one and never there any more once it runs.
const IMAGE: Range<u64> = 1..128;
const STACKS: Range<u64> = 128..192;
const RAM: Range<u64> = 192..320;
const BUFFERS: Range<u64> = 320..384;
const DEVICES: Range<u64> = 384..432;
const FIRMWARE: Range<u64> = 432..480;
const TABLES: Range<u64> = 480..494;
const TABLES_READ: Range<u64> = 494..508;
/// For one look at the device tree, before anything else.
pub(super) const GLANCE: u64 = UPPER + (510 << UNIT);

/// Set before anything runs that asks; the attacks look for it by its name.
#[unsafe(no_mangle)]
#[unsafe(link_section = ".bss.ro_after_init")]
static ELONE_PLACES: Sealed<Places> = Sealed::new(Places::NOWHERE);
/// The last stack's top, for the vectors.
#[unsafe(no_mangle)]
#[unsafe(link_section = ".bss.ro_after_init")]
static ELONE_LAST_STACK: Sealed<u64> = Sealed::new(0);

/// A stack: its lowest address, and the one behind its highest.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Stack {
    pub(super) bottom: u64,
    pub(super) top: u64,
}

/// Where everything is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Places {
    /// The image's first byte.
    pub(super) image: u64,
    /// Below the stacks' first guard page.
    pub(super) below_stacks: u64,
    /// The last one, that for exceptions, that for everything else.
    pub(super) stacks: [Stack; 3],
    /// What is drawn for RAM: how far apart its places are depends on how much there is.
    ram: u64,
    pub(super) buffers: u64,
    pub(super) devices: u64,
    pub(super) firmware: u64,
    /// Where page tables are written, until the seal.
    pub(super) tables: u64,
    /// Where they are read.
    pub(super) tables_read: u64,
    /// How many of the tables are in use.
    pub(super) tables_used: usize,
    pub(super) features: Features,
}

impl Places {
    const NOWHERE: Self = Self {
        image: 0,
        below_stacks: 0,
        stacks: [Stack { bottom: 0, top: 0 }; 3],
        ram: 0,
        buffers: 0,
        devices: 0,
        firmware: 0,
        tables: 0,
        tables_read: 0,
        tables_used: 0,
        features: Features::NONE,
    };

    /// Draws them.
    #[unsafe(link_section = ".init.text")]
    pub(super) fn draw(random: &[u64; EarlySeed::LAYOUT], features: Features) -> Self {
        let [image, stacks, ram, buffers, devices, firmware, tables, read, ..] = *random;
        Self {
            image: place(&IMAGE, image),
            below_stacks: place(&STACKS, stacks),
            ram,
            buffers: place(&BUFFERS, buffers),
            devices: place(&DEVICES, devices),
            firmware: place(&FIRMWARE, firmware),
            tables: place(&TABLES, tables),
            tables_read: place(&TABLES_READ, read),
            features,
            ..Self::NOWHERE
        }
    }

    /// Where the first GiB of RAM is seen, if all of it spans `span` bytes: RAM is mapped in blocks of
    /// 2 MiB or 1 GiB, which have to lie at multiples of their size. Much RAM would take too many
    /// tables for the smaller ones.
    pub(super) fn ram(&self, span: u64) -> u64 {
        const MUCH: u64 = 8 << 30;
        let granule = if span > MUCH { 30 } else { 21 };
        let choices = ((RAM.end - RAM.start) << (UNIT - granule)) - (span >> granule) - 1;
        UPPER + (RAM.start << UNIT) + ((self.ram % choices) << granule)
    }

    /// The most that RAM can span, in bytes.
    pub(super) const RAM_SPAN: u64 = 1 << 38;

    /// Notes where everything is, for good.
    ///
    /// # Safety
    /// There is one thread of execution, exceptions are masked, and [`places`] was not called yet.
    pub(super) unsafe fn settle(self) {
        // SAFETY: nobody holds a reference to it (the caller's promise).
        unsafe { ELONE_LAST_STACK.replace(self.stacks[0].top) };
        // SAFETY: as above.
        unsafe { ELONE_PLACES.replace(self) };
    }
}

/// Where everything is on this boot.
pub(super) fn places() -> &'static Places {
    ELONE_PLACES.get()
}

/// A page within `part` as `random` says, with a unit left behind it.
const fn place(part: &Range<u64>, random: u64) -> u64 {
    let pages = (part.end - part.start - 1) << (UNIT - PAGE.trailing_zeros());
    UPPER + (part.start << UNIT) + (random % pages) * PAGE as u64
}

/// An address as a number of the machine's width.
#[expect(clippy::cast_possible_truncation, reason = "addresses have 64 bits wherever this runs")]
pub(super) const fn address(seen: u64) -> usize {
    seen as usize
}
