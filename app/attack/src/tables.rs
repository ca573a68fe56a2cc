//! The kernel's page tables, as somebody at EL1 sees them who knows the source: where they are read,
//! where they are written until the seal, and what is in them (Arm ARM, section D8.3).
#![expect(unsafe_code, reason = "reads the kernel's tables")]

use core::arch::asm;

use crate::scene::Scene;

/// The upper half, and how it is divided (`hal/src/arch/places.rs`).
const UPPER: usize = 0xffff_0000_0000_0000;
const WRITTEN: core::ops::Range<usize> = UPPER + (480 << 39)..UPPER + (494 << 39);
const READ: core::ops::Range<usize> = UPPER + (494 << 39)..UPPER + (508 << 39);
/// Which of the tables is the root.
const ROOT: usize = 3;
const PAGE: usize = 4096;

/// Which bits of an address choose the entry, from the root down.
const LEVELS: [usize; 4] = [39, 30, 21, 12];
const ADDRESS: u64 = 0x0000_ffff_ffff_f000;
pub(crate) const READ_ONLY: u64 = 1 << 7;
pub(crate) const NOT_EXECUTABLE: u64 = 1 << 53;

/// Where the tables are.
pub(crate) struct Tables {
    read: usize,
    written: usize,
    /// The first table's physical address.
    start: usize,
}

/// Something that is mapped.
#[derive(Clone, Copy)]
pub(crate) struct Mapping {
    pub(crate) seen: usize,
    pub(crate) size: usize,
    pub(crate) entry: u64,
}

impl Mapping {
    /// What it is physically.
    pub(crate) const fn physical(&self) -> usize {
        (self.entry & ADDRESS) as usize & !(self.size - 1)
    }

    /// Where the physical `address` is seen by it.
    pub(crate) fn sees(&self, address: usize) -> Option<usize> {
        let offset = address.checked_sub(self.physical())?;
        (offset < self.size).then_some(self.seen + offset)
    }

    pub(crate) const fn is_writable(&self) -> bool {
        self.entry & READ_ONLY == 0
    }

    pub(crate) const fn is_executable(&self) -> bool {
        self.entry & NOT_EXECUTABLE == 0
    }
}

impl Tables {
    /// Finds them, by the kernel's own note of where everything is, `ELONE_PLACES`.
    pub(crate) fn find(scene: &Scene) -> Option<Self> {
        const WORDS: usize = 24;
        let places = scene.target()? as *const usize;
        // SAFETY: a variable of the kernel's of at least so many words, which nobody writes any more.
        let word = |index| unsafe { places.wrapping_add(index).read_volatile() };
        let within = |part: &core::ops::Range<usize>| {
            (0..WORDS).map(word).find(|word| part.contains(word) && word.is_multiple_of(PAGE))
        };
        let root: usize;
        // SAFETY: reads a register, at EL1.
        unsafe { asm!("mrs {}, ttbr1_el1", out(reg) root, options(nomem, nostack)) };
        let start = (root & 0x0000_ffff_ffff_f000) - ROOT * PAGE;
        Some(Self { read: within(&READ)?, written: within(&WRITTEN)?, start })
    }

    /// The entry number `index` of the table that is physically at `table`.
    fn entry(&self, table: usize, index: usize) -> u64 {
        let place = (self.read + (table - self.start) + index * 8) as *const u64;
        // SAFETY: tables are mapped to be read.
        unsafe { place.read_volatile() }
    }

    /// Shows everything that is mapped in the upper half to `see`.
    pub(crate) fn each(&self, see: &mut impl FnMut(Mapping)) {
        self.each_below(self.start + ROOT * PAGE, UPPER, 0, see);
    }

    fn each_below(&self, table: usize, from: usize, level: usize, see: &mut impl FnMut(Mapping)) {
        let Some(&shift) = LEVELS.get(level) else { return };
        for index in 0..512 {
            let (entry, seen) = (self.entry(table, index), from + (index << shift));
            match entry & 0b11 {
                0b11 if level < 3 => {
                    self.each_below((entry & ADDRESS) as usize, seen, level + 1, see);
                }
                0b01 | 0b11 => see(Mapping { seen, size: 1 << shift, entry }),
                _ => {}
            }
        }
    }

    /// The page at `seen`, and an address near it that nothing is mapped at yet, with the place where
    /// its entry was written while tables could be.
    pub(crate) fn page_and_gap(&self, seen: usize) -> Option<(Mapping, usize, usize)> {
        let mut table = self.start + ROOT * PAGE;
        for shift in &LEVELS[..3] {
            let entry = self.entry(table, seen >> shift & 0x1ff);
            if entry & 0b11 != 0b11 {
                return None;
            }
            table = (entry & ADDRESS) as usize;
        }
        let index = seen >> LEVELS[3] & 0x1ff;
        let page = Mapping { seen: seen & !0xfff, size: PAGE, entry: self.entry(table, index) };
        let gap = (0..512).rev().find(|index| self.entry(table, *index) == 0)?;
        let address = (seen & !0x1f_ffff) | gap << LEVELS[3];
        Some((page, address, self.written + (table - self.start) + gap * 8))
    }

    /// The root's physical address.
    pub(crate) const fn root(&self) -> usize {
        self.start + ROOT * PAGE
    }
}

/// What is at an address that can be read, physically.
pub(crate) fn physical(address: usize) -> usize {
    let result: usize;
    // SAFETY: asks the walker, and changes nothing but the register with the answer.
    unsafe {
        asm!("at s1e1r, {}", "isb", "mrs {}, par_el1", in(reg) address, out(reg) result,
            options(nostack));
    }
    (result & 0x0000_ffff_ffff_f000) | (address & 0xfff)
}

/// Waits until the walker sees what was written.
pub(crate) fn settle() {
    // SAFETY: waits.
    unsafe { asm!("dsb ish", "isb", options(nostack)) };
}
