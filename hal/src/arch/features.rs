//! What the core has of that which protects: found in its ID registers (Arm ARM, section D24.2), so
//! that one image serves all cores.

use aarch64_cpu::asm::barrier;
use core::arch::asm;

use elone_protections::Protection;

use super::translation::Attributes;
use crate::protections::{note, wanted};

/// `SCTLR_EL1` as the entry code leaves it.
const WXN: u64 = 1 << 19;
/// Signed addresses, by the key `APIAKey_EL1`.
const ENABLE_IA: u64 = 1 << 31;
/// Tags at EL1 and EL0, and faults at once where they differ (`ATA`, `ATA0`, `TCF`, `TCF0`).
const TAGS: u64 = 1 << 43 | 1 << 42 | 1 << 40 | 1 << 38;

/// `TCR_EL1`: the top byte of a pointer to data is a tag, that of one to code is not (`TBI`, `TBID`);
/// the tags that plain addresses have are not checked (`TCMA`): all ones in the upper half, else 0.
const TAGGED: u64 = 1 << 37 | 1 << 38 | 1 << 51 | 1 << 52 | 1 << 57 | 1 << 58;
/// EL0 faults in the upper half without a walk (`E0PD1`).
const E0PD1: u64 = 1 << 56;

/// What is put up of what the core has.
#[derive(Clone, Copy, Debug)]
pub(super) struct Features {
    signed_returns: bool,
    landing_pads: bool,
    tags: bool,
    e0pd: bool,
}

impl Features {
    pub(super) const NONE: Self =
        Self { signed_returns: false, landing_pads: false, tags: false, e0pd: false };

    /// Those that this core has, and that are to be put up.
    #[unsafe(link_section = ".init.text")]
    pub(super) fn of_this_core() -> Self {
        let (isar1, isar2, pfr1, mmfr2): (u64, u64, u64, u64);
        // SAFETY: reads registers that say what the core is; those not there read as 0.
        unsafe {
            asm!(
                "mrs {}, id_aa64isar1_el1",
                "mrs {}, s3_0_c0_c6_2", // ID_AA64ISAR2_EL1
                "mrs {}, id_aa64pfr1_el1",
                "mrs {}, s3_0_c0_c7_2", // ID_AA64MMFR2_EL1
                out(reg) isar1,
                out(reg) isar2,
                out(reg) pfr1,
                out(reg) mmfr2,
                options(nomem, nostack, preserves_flags)
            );
        }
        let field = |register: u64, shift: u32| register >> shift & 0xf;
        let signs = field(isar1, 4) | field(isar1, 8) | field(isar2, 12) != 0; // APA, API, APA3
        let put_up = |has: bool, protection| {
            let is_up = has && wanted(protection);
            if is_up {
                note(protection);
            }
            is_up
        };
        Self {
            signed_returns: put_up(signs, Protection::SignedReturns),
            landing_pads: put_up(field(pfr1, 0) >= 1, Protection::LandingPads), // BT
            // Noted when the memory is seen to keep them (`Unclaimed::keeps_tags`).
            tags: field(pfr1, 8) >= 2 && wanted(Protection::HeapTags), // MTE
            // Noted when there is something at EL0 (user.rs).
            e0pd: field(mmfr2, 60) >= 1 && wanted(Protection::ConstantTimeFaults), // E0PD
        }
    }

    /// Sets up what can be before the image is where it will be; returns what `SCTLR_EL1` has to be
    /// for the rest, from the moment on at which it is.
    #[unsafe(link_section = ".init.text")]
    pub(super) fn put_up(self, random: u64) -> u64 {
        let (mut control, mut translation): (u64, u64);
        // SAFETY: reads two registers that are always there.
        unsafe {
            asm!("mrs {}, sctlr_el1", "mrs {}, tcr_el1", out(reg) control, out(reg) translation,
                options(nomem, nostack, preserves_flags));
        }
        if !wanted(Protection::WriteXorExecute) {
            control &= !WXN;
            // SAFETY: more may be done from here on, nothing less; at once, as the next instruction at
            // the image's new place is in memory that is writable then.
            unsafe { asm!("msr sctlr_el1, {}", in(reg) control, options(nostack)) };
        }
        if self.signed_returns {
            control |= ENABLE_IA;
        }
        if self.e0pd {
            translation |= E0PD1;
        }
        if self.tags {
            control |= TAGS;
            translation |= TAGGED;
            // SAFETY: the core has tags. Attribute 3 is made "normal, tagged", before anything is mapped
            // with it; tags are drawn by the core, never those of plain addresses (`GCR_EL1`,
            // `RGSR_EL1`; Arm ARM, sections D24.2.50 and D24.2.160).
            unsafe {
                asm!(
                    "mrs {scratch}, mair_el1",
                    "and {scratch}, {scratch}, #0xffffffff00ffffff",
                    "orr {scratch}, {scratch}, #0xf0000000",
                    "msr mair_el1, {scratch}",
                    "msr s3_0_c1_c0_6, {excluded}",
                    "msr s3_0_c1_c0_5, {seed}",
                    scratch = out(reg) _,
                    excluded = in(reg) 0x1_8001_u64,
                    seed = in(reg) (random & 0xffff | 1) << 8,
                    options(nostack, preserves_flags)
                );
            }
        }
        // SAFETY: how addresses are translated stays the same for all that is mapped: no top byte is
        // used yet, and nothing runs at EL0.
        unsafe { asm!("msr tcr_el1, {}", in(reg) translation, options(nostack, preserves_flags)) };
        barrier::isb(barrier::SY);
        super::translation::flush();
        control
    }

    /// Whether memory that becomes a heap is mapped with tags.
    pub(super) const fn has_tags(self) -> bool {
        self.tags
    }

    /// Whether EL0 faults in the upper half without a walk.
    pub(super) const fn has_e0pd(self) -> bool {
        self.e0pd
    }

    /// The rights of text: where there are landing pads, indirect jumps land on nothing else.
    pub(super) fn text(self) -> Attributes {
        let text = Attributes::kernel_run();
        if self.landing_pads { text.guarded() } else { text }
    }

    /// The rights of the application's text at EL0, likewise.
    pub(super) fn user_text(self) -> Attributes {
        if self.landing_pads { Attributes::user_run().guarded() } else { Attributes::user_run() }
    }

    /// The rights of memory that becomes a heap: where there are tags, it has them.
    pub(super) fn heap(self, attributes: Attributes) -> Attributes {
        if self.tags { attributes.tagged() } else { attributes }
    }
}
