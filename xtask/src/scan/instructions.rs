//! Which words are instructions that no running kernel may hold, and where branches lead.
//!
//! Encodings: Arm Architecture Reference Manual (DDI 0487), C3.1 and C5.1 ("System instruction
//! class encoding overview"). An instruction is a word, aligned to its size, so that what is found
//! in no word is nowhere.

use std::fmt;

/// A system register or a system instruction, by the five numbers that encode it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Operand {
    op0: u8,
    op1: u8,
    crn: u8,
    crm: u8,
    op2: u8,
}

impl fmt::Display for Operand {
    /// As assemblers take what has no name.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { op0, op1, crn, crm, op2 } = self;
        write!(f, "S{op0}_{op1}_C{crn}_C{crm}_{op2}")
    }
}

const fn el1(crn: u8, crm: u8, op2: u8) -> Operand {
    Operand { op0: 3, op1: 0, crn, crm, op2 }
}

/// Registers of EL1 that decide what translations are, what is permitted, and where exceptions go,
/// with those that later architectures added to the same end.
const FIXED: [(&str, Operand); 15] = [
    ("SCTLR_EL1", el1(1, 0, 0)),
    ("ACTLR_EL1", el1(1, 0, 1)),
    ("CPACR_EL1", el1(1, 0, 2)),
    ("SCTLR2_EL1", el1(1, 0, 3)),
    ("TTBR0_EL1", el1(2, 0, 0)),
    ("TTBR1_EL1", el1(2, 0, 1)),
    ("TCR_EL1", el1(2, 0, 2)),
    ("TCR2_EL1", el1(2, 0, 3)),
    ("MAIR_EL1", el1(10, 2, 0)),
    ("MAIR2_EL1", el1(10, 2, 1)),
    ("PIRE0_EL1", el1(10, 2, 2)),
    ("PIR_EL1", el1(10, 2, 3)),
    ("POR_EL1", el1(10, 2, 4)),
    ("VBAR_EL1", el1(12, 0, 0)),
    ("RMR_EL1", el1(12, 0, 2)),
];

/// Those that hold the keys by which addresses are signed: not to be read either.
const KEYS: [(&str, Operand); 10] = [
    ("APIAKeyLo_EL1", el1(2, 1, 0)),
    ("APIAKeyHi_EL1", el1(2, 1, 1)),
    ("APIBKeyLo_EL1", el1(2, 1, 2)),
    ("APIBKeyHi_EL1", el1(2, 1, 3)),
    ("APDAKeyLo_EL1", el1(2, 2, 0)),
    ("APDAKeyHi_EL1", el1(2, 2, 1)),
    ("APDBKeyLo_EL1", el1(2, 2, 2)),
    ("APDBKeyHi_EL1", el1(2, 2, 3)),
    ("APGAKeyLo_EL1", el1(2, 3, 0)),
    ("APGAKeyHi_EL1", el1(2, 3, 1)),
];

/// The least `op1` of registers of EL2, of EL3, and of EL1 as EL2 sees it (`_EL12`, 5).
const HIGHER_LEVELS: u8 = 4;
/// Where SYS has its TLBI: the second are those of FEAT_XS.
const TLBI: [u8; 2] = [8, 9];

/// An instruction that is not to be there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Forbidden(String);

impl fmt::Display for Forbidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn bits(word: u32, high: u32, low: u32) -> u32 {
    word >> low & ((1 << (high - low + 1)) - 1)
}

/// The instruction that `word` is, if it is one that must not be there.
pub(crate) fn forbidden(word: u32) -> Option<Forbidden> {
    // Moves to and from system registers, and SYS: one register, or a pair (FEAT_SYSREG128,
    // FEAT_SYSINSTR128).
    let suffix = match bits(word, 31, 22) {
        0b11_0101_0100 => "",
        0b11_0101_0101 => "p",
        _ => return None,
    };
    let field = |high, low| u8::try_from(bits(word, high, low)).unwrap_or_default();
    let operand = Operand {
        op0: field(20, 19),
        op1: field(18, 16),
        crn: field(15, 12),
        crm: field(11, 8),
        op2: field(7, 5),
    };
    let writes = bits(word, 21, 21) == 0;
    let register = bits(word, 4, 0);
    let named = |table: &[(&'static str, Operand)]| {
        table.iter().find(|(_, one)| *one == operand).map(|(name, _)| *name)
    };
    let pair = if suffix.is_empty() { "" } else { "r" };
    let told = match operand.op0 {
        1 if writes && TLBI.contains(&operand.crn) => match (operand, register) {
            (Operand { op1: 0, crn: 8, crm: 7, op2: 0, .. }, 31) => "tlbi vmalle1".to_owned(),
            _ => format!("tlbi{suffix} {operand}, x{register}"),
        },
        2 | 3 if writes => {
            let name = named(&FIXED).or(named(&KEYS));
            let higher = operand.op1 >= HIGHER_LEVELS;
            let name = name.map(str::to_owned).or(higher.then(|| operand.to_string()))?;
            format!("msr{pair} {name}, x{register}")
        }
        3 => format!("mrs{pair} x{register}, {}", named(&KEYS)?),
        _ => return None,
    };
    Some(Forbidden(told))
}

/// How far from itself a branch leads, in bytes (C3.1.1 to C3.1.3: conditional, compare, test,
/// unconditional), if `word` is one that holds that.
pub(crate) fn branch(word: u32) -> Option<i64> {
    let (width, low) = match (bits(word, 30, 26), bits(word, 30, 25), bits(word, 31, 24)) {
        (0b00101, ..) => (26, 0),
        (_, 0b011010, _) | (.., 0b0101_0100) => (19, 5),
        (_, 0b011011, _) => (14, 5),
        _ => return None,
    };
    Some(signed(bits(word, low + width - 1, low), width) * 4)
}

/// The page that ADRP leads to, seen from its own, in bytes (C6.2, "ADRP"); for ADR, the distance.
pub(crate) fn address(word: u32) -> Option<Reference> {
    if bits(word, 28, 24) != 0b10000 {
        return None;
    }
    let distance = signed(bits(word, 23, 5) << 2 | bits(word, 30, 29), 21);
    Some(match bits(word, 31, 31) {
        0 => Reference::Byte(distance),
        _ => Reference::Page(distance << 12),
    })
}

/// What `word` adds to the register that `adrp` has written, in bytes, if it is an ADD of a constant
/// to that (C6.2, "ADD (immediate)").
pub(crate) fn add(word: u32, adrp: u32) -> Option<u64> {
    let adds = bits(word, 31, 22) == 0b10_0100_0100;
    let same = bits(word, 9, 5) == bits(adrp, 4, 0);
    (adds && same).then(|| u64::from(bits(word, 21, 10)))
}

/// Whether `word` goes on elsewhere, as a register says (C4.1, "Unconditional branch (register)": BR, BLR,
/// RET, ERET, and what checks a signature before).
pub(crate) fn jumps(word: u32) -> bool {
    bits(word, 31, 25) == 0b110_1011
}

/// Whether `word` gives another value to the register that `adrp` has written (C4.1: data processing
/// with a constant, but for MOVK and BFM, which keep a part of the old one; of registers, logical and
/// additions; loads of a register from a constant offset).
pub(crate) fn overwrites(word: u32, adrp: u32) -> bool {
    let computes = bits(word, 28, 26) == 0b100 || matches!(bits(word, 28, 24), 0b0_1010 | 0b0_1011);
    let loads = bits(word, 29, 24) == 0b11_1001 && bits(word, 23, 22) == 0b01;
    let keeps =
        matches!((bits(word, 28, 23), bits(word, 30, 29)), (0b10_0101, 0b11) | (0b10_0110, 0b01));
    (computes && !keeps || loads) && bits(word, 4, 0) == bits(adrp, 4, 0)
}

/// What an instruction makes an address of, as a distance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reference {
    /// From the instruction.
    Byte(i64),
    /// From the beginning of the page of 4 KiB that the instruction is in.
    Page(i64),
}

/// The number in the lowest `width` bits, two's complement.
fn signed(value: u32, width: u32) -> i64 {
    let unused = 64 - width;
    (i64::from(value) << unused) >> unused
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(word: u32) -> String {
        forbidden(word).map(|found| found.to_string()).unwrap_or_default()
    }

    /// What an assembler makes of these lines (binutils 2.40, `-march=armv8.5-a`).
    #[test]
    fn what_undoes_a_seal_is_known() {
        for (word, line) in [
            (0xd518_1000, "msr SCTLR_EL1, x0"),
            (0xd518_1049, "msr CPACR_EL1, x9"),
            (0xd518_2000, "msr TTBR0_EL1, x0"),
            (0xd518_203f, "msr TTBR1_EL1, x31"),
            (0xd518_2041, "msr TCR_EL1, x1"),
            (0xd518_a202, "msr MAIR_EL1, x2"),
            (0xd518_c003, "msr VBAR_EL1, x3"),
            (0xd518_2104, "msr APIAKeyLo_EL1, x4"),
            (0xd518_2123, "msr APIAKeyHi_EL1, x3"),
            (0xd538_2322, "mrs x2, APGAKeyHi_EL1"),
            (0xd508_871f, "tlbi vmalle1"),
            (0xd508_831f, "tlbi S1_0_C8_C3_0, x31"), // vmalle1is
            (0xd508_8725, "tlbi S1_0_C8_C7_1, x5"),  // vae1
            (0xd50c_87df, "tlbi S1_4_C8_C7_6, x31"), // vmalls12e1
            (0xd508_971f, "tlbi S1_0_C9_C7_0, x31"), // vmalle1nxs
            (0xd51d_1000, "msr S3_5_C1_C0_0, x0"),   // sctlr_el12
            (0xd51c_1100, "msr S3_4_C1_C1_0, x0"),   // hcr_el2
            (0xd51e_1100, "msr S3_6_C1_C1_0, x0"),   // scr_el3
            (0xd558_2000, "msrr TTBR0_EL1, x0"),
            (0xd548_8722, "tlbip S1_0_C8_C7_1, x2"), // vae1
        ] {
            assert_eq!(told(word), line, "{word:#x}");
        }
    }

    #[test]
    fn every_named_register_is_refused_when_written_and_keys_when_read() {
        let word = |operand: Operand, read: u32| {
            let [op0, op1, crn, crm, op2] =
                [operand.op0, operand.op1, operand.crn, operand.crm, operand.op2].map(u32::from);
            0xd500_0000 | read << 21 | op0 << 19 | op1 << 16 | crn << 12 | crm << 8 | op2 << 5
        };
        for (name, operand) in FIXED {
            assert_eq!(told(word(operand, 0)), format!("msr {name}, x0"));
            assert_eq!(told(word(operand, 1)), "", "{name} may be read");
        }
        for (name, operand) in KEYS {
            assert_eq!(told(word(operand, 0)), format!("msr {name}, x0"));
            assert_eq!(told(word(operand, 1)), format!("mrs x0, {name}"));
        }
    }

    #[test]
    fn what_a_running_kernel_does_is_let_be() {
        for (word, line) in [
            (0xd503_201f, "nop"),
            (0xd503_3fdf, "isb"),
            (0xd503_3b9f, "dsb ish"),
            (0xd503_4fdf, "msr daifset, #15"),
            (0xd538_1000, "mrs x0, sctlr_el1"),
            (0xd53c_1100, "mrs x0, hcr_el2"),
            (0xd518_d080, "msr tpidr_el1, x0"),
            (0xd518_4020, "msr elr_el1, x0"),
            (0xd51b_e320, "msr cntv_ctl_el0, x0"),
            (0xd50b_7a20, "dc cvac, x0"),
            (0xd508_7800, "at s1e1r, x0"),
            (0xd518_4600, "msr icc_pmr_el1, x0"),
            (0xd69f_03e0, "eret"),
            (0, "udf #0"),
        ] {
            assert_eq!(forbidden(word), None, "{line}");
        }
    }

    #[test]
    fn branches_lead_where_they_say() {
        for (word, distance) in [
            (0x9400_0001, 4),           // bl .+4
            (0x17ff_ffff, -4),          // b .-4
            (0x5400_0040, 8),           // b.eq .+8
            (0x54ff_ffe1, -4),          // b.ne .-4
            (0xb4ff_ffc0, -8),          // cbz x0, .-8
            (0x3500_0060, 12),          // cbnz w0, .+12
            (0x3607_ffe0, -4),          // tbz w0, #0, .-4
            (0xb700_0040, 8),           // tbnz x0, #32, .+8
            (0x9600_0000, -0x800_0000), // bl, as far back as it goes
        ] {
            assert_eq!(branch(word), Some(distance), "{word:#x}");
        }
        for other in [0xd65f_03c0, 0xd61f_0200, 0xd503_201f, 0x9000_0000, 0x5800_0040, 0] {
            assert_eq!(branch(other), None, "{other:#x}");
        }
        assert_eq!(address(0xb000_0000), Some(Reference::Page(0x1000))); // adrp x0, .+0x1000
        assert_eq!(address(0x10ff_ffe0), Some(Reference::Byte(-4))); // adr x0, .-4
        assert_eq!(address(0x9100_0000), None);
        assert_eq!(add(0x9104_8c20, 0xb000_0001), Some(0x123)); // add x0, x1, #0x123
        assert_eq!(add(0x9104_8c20, 0xb000_0002), None);
        assert_eq!(add(0xd104_8c20, 0xb000_0001), None); // sub
        for (word, does) in [
            (0xb000_0001, true),  // adrp x1
            (0x9104_8c01, true),  // add x1, x0, #0x123
            (0xd280_0001, true),  // mov x1, #0
            (0xaa00_03e1, true),  // mov x1, x0
            (0x8b00_0021, true),  // add x1, x1, x0
            (0xf940_0001, true),  // ldr x1, [x0]
            (0xf900_0001, false), // str x1, [x0]
            (0xf2e0_0001, false), // movk x1, #0, lsl #48
            (0xb340_0001, false), // bfxil x1, x0, #0, #1
            (0x9104_8c20, false), // add x0, x1, #0x123
            (0xfa40_0001, false), // ccmp x0, x0, #1, eq
            (0xb400_0001, false), // cbz x1
            (0xd503_201f, false), // nop
        ] {
            assert_eq!(overwrites(word, 0xb000_0001), does, "{word:#x}");
        }
        // br x16, blr x16, ret, eret, braa x16, x17, retaa
        for word in [0xd61f_0200, 0xd63f_0200, 0xd65f_03c0, 0xd69f_03e0, 0xd71f_0a11, 0xd65f_0bff] {
            assert!(jumps(word), "{word:#x}");
        }
        assert!(![0x1400_0000, 0xd503_201f, 0xd400_0001].into_iter().any(jumps));
    }
}
