//! Which loads and stores a hypervisor can answer in a device's place.
//!
//! An access to a device that the hypervisor plays is an abort to EL2, whose syndrome says what was
//! to be read or written: size, register, direction. The core describes only the plainest accesses
//! so; for the others the syndrome is not valid (ESR_ELx.ISS.ISV is 0, Arm ARM, section D17.2.37),
//! and KVM can do no better than to hand the guest an external abort, or end it.
//!
//! Encodings: Arm ARM (DDI 0487), section C4.1, "Loads and Stores".

use std::fmt;

/// What kind of load or store an instruction is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// One general-purpose register, and nothing else changes: the syndrome is valid.
    Plain,
    /// The base register changes as well.
    WriteBack,
    /// Two registers, or more.
    Pair,
    /// A SIMD and floating-point register, or several.
    Vector,
    /// An exclusive access, or one that reads and writes.
    Atomic,
    /// None of these: tags, copies, signed pointers.
    Other,
}

impl fmt::Display for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Plain => "a single register",
            Self::WriteBack => "write-back",
            Self::Pair => "a pair of registers",
            Self::Vector => "a vector register",
            Self::Atomic => "an atomic access",
            Self::Other => "a form of its own",
        })
    }
}

/// The form of a load or store; `None` for any other instruction, prefetches among them.
pub(super) const fn form(word: u32) -> Option<Form> {
    // Loads and stores have bits 28 to 25 as x1x0.
    if bits(word, 27, 27) != 1 || bits(word, 25, 25) != 0 {
        return None;
    }
    if bits(word, 26, 26) == 1 {
        return Some(Form::Vector);
    }
    Some(match (bits(word, 29, 28), bits(word, 24, 24)) {
        // Exclusives and compare-and-swap; those which are only ordered have bits 23 and 21 as 10.
        (0b00, 0) => ordered(word),
        // A register from beside the code; LDAPR and STLR with an offset; tags.
        (0b01, 0) => match bits(word, 31, 30) {
            0b11 => return None, // PRFM (literal)
            _ => Form::Plain,
        },
        (0b01, 1) if bits(word, 21, 21) == 0 && bits(word, 11, 10) == 0 => Form::Plain,
        (0b10, _) => Form::Pair,
        (0b11, _) if bits(word, 31, 30) == 0b11 && bits(word, 23, 22) == 0b10 => {
            match prefetch(word) {
                true => return None,
                false => single(word),
            }
        }
        (0b11, _) => single(word),
        _ => Form::Other,
    })
}

const fn ordered(word: u32) -> Form {
    match (bits(word, 23, 23), bits(word, 21, 21)) {
        (1, 0) => Form::Plain,
        _ => Form::Atomic,
    }
}

/// "Load/store register", in each way of making an address.
const fn single(word: u32) -> Form {
    match (bits(word, 24, 24), bits(word, 21, 21), bits(word, 11, 10)) {
        // By an unsigned offset, an offset in bytes, unprivileged, by a register's offset.
        (1, ..) | (0, 0, 0b00 | 0b10) | (0, 1, 0b10) => Form::Plain,
        (0, 0, _) => Form::WriteBack,
        (0, 1, 0b00) => Form::Atomic,
        _ => Form::Other,
    }
}

/// Whether what has a prefetch's size and operation is one, in the ways that there are for those.
const fn prefetch(word: u32) -> bool {
    matches!(
        (bits(word, 24, 24), bits(word, 21, 21), bits(word, 11, 10)),
        (1, ..) | (0, 0, 0b00) | (0, 1, 0b10)
    )
}

const fn bits(word: u32, high: u32, low: u32) -> u32 {
    (word >> low) & ((1 << (high - low + 1)) - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As an assembler writes them.
    #[test]
    fn forms_are_told_apart() {
        for (word, expected) in [
            (0xb940_0020, Form::Plain),     // ldr w0, [x1]
            (0xb900_0020, Form::Plain),     // str w0, [x1]
            (0x3940_0020, Form::Plain),     // ldrb w0, [x1]
            (0x7900_0820, Form::Plain),     // strh w0, [x1, #4]
            (0xf940_0420, Form::Plain),     // ldr x0, [x1, #8]
            (0xb840_3020, Form::Plain),     // ldur w0, [x1, #3]
            (0xb862_6820, Form::Plain),     // ldr w0, [x1, x2]
            (0xb840_0820, Form::Plain),     // ldtr w0, [x1]
            (0x88df_fc20, Form::Plain),     // ldar w0, [x1]
            (0x889f_fc20, Form::Plain),     // stlr w0, [x1]
            (0x9940_0020, Form::Plain),     // ldapur w0, [x1]
            (0x1800_0000, Form::Plain),     // ldr w0, .
            (0xb840_4420, Form::WriteBack), // ldr w0, [x1], #4
            (0xb800_4c20, Form::WriteBack), // str w0, [x1, #4]!
            (0x2940_0820, Form::Pair),      // ldp w0, w2, [x1]
            (0xa900_0820, Form::Pair),      // stp x0, x2, [x1]
            (0x2880_8820, Form::Pair),      // stp w0, w2, [x1], #4
            (0xa840_0820, Form::Pair),      // ldnp x0, x2, [x1]
            (0xbd40_0020, Form::Vector),    // ldr s0, [x1]
            (0x3d80_0020, Form::Vector),    // str q0, [x1]
            (0xad40_0420, Form::Vector),    // ldp q0, q1, [x1]
            (0x4c40_7820, Form::Vector),    // ld1 {v0.4s}, [x1]
            (0x885f_7c20, Form::Atomic),    // ldxr w0, [x1]
            (0x8802_7c20, Form::Atomic),    // stxr w2, w0, [x1]
            (0x88a0_7c22, Form::Atomic),    // cas w0, w2, [x1]
            (0xb820_0022, Form::Atomic),    // ldadd w0, w2, [x1]
            (0xd960_0020, Form::Other),     // ldg x0, [x1]
            (0xf820_0420, Form::Other),     // ldraa x0, [x1]
        ] {
            assert_eq!(form(word), Some(expected), "{word:#010x}");
        }
        // nop, ret, add, b, mrs; prfm in three ways.
        for word in [0xd503_201f, 0xd65f_03c0, 0x9100_0020, 0x1400_0000, 0xd538_1000] {
            assert_eq!(form(word), None, "{word:#010x}");
        }
        for word in [0xf980_0020, 0xd800_0000, 0xf8a2_6820] {
            assert_eq!(form(word), None, "{word:#010x}");
        }
    }
}
