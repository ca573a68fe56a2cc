//! What a synchronous exception means, decoded from `ESR_EL1` and `FAR_EL1` (Arm ARM, section
//! D24.2.40). Reads only what the vectors saved, so it is tested on the host.

use core::fmt;

/// Why the core left what it was doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trap {
    /// The page tables, or the bus, refused an access.
    Abort {
        /// What the access was for.
        access: Access,
        /// Why it was refused.
        reason: Reason,
        /// Where it went; the hardware does not always know.
        address: Option<u64>,
    },
    /// An instruction that does not exist, here or at all.
    Undefined,
    /// The program counter or the stack pointer is not aligned.
    Misaligned(Pointer),
    /// `svc` with this number, which at EL1 nobody serves.
    SupervisorCall(u16),
    /// `brk` with this number: a compiler's own trap, or a breakpoint nobody waits at.
    Breakpoint(u16),
    /// An indirect jump to something that is no landing pad (`FEAT_BTI`).
    BranchTarget,
    /// A signed pointer that does not authenticate (`FEAT_FPAC`).
    PointerAuthentication,
    /// Floating point or SIMD where it is not enabled.
    FloatingPoint,
    /// A system register, or cache maintenance, that is not for this exception level.
    SystemAccess(SystemRegister),
    /// `wfi` or `wfe` by somebody who is to wait by a call.
    Wait,
    /// Nothing that this kernel provokes; its exception class, kept raw for the report.
    Unexpected(u8),
}

/// What a refused access was for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Reading data.
    Read,
    /// Writing data.
    Write,
    /// Fetching an instruction.
    Execute,
}

/// Why an access was refused: the fault status code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// Nothing is mapped there.
    Unmapped,
    /// What is mapped there may not be used so.
    Permission,
    /// The entry's access flag is clear, which this kernel never leaves so.
    AccessFlag,
    /// The address itself is impossible.
    AddressSize,
    /// Nobody on the bus answered.
    External,
    /// Device memory, or an atomic access, that is not aligned.
    Alignment,
    /// The memory's tag is not the pointer's (`FEAT_MTE`).
    Tag,
    /// Another code, kept raw.
    Other(u8),
}

/// What a trapped `mrs`, `msr` or `sys` named: bits 21 to 1 of the syndrome, as they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SystemRegister(u32);

/// A pointer that must be aligned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pointer {
    /// The program counter, to 4 bytes.
    ProgramCounter,
    /// The stack pointer, to 16 bytes.
    StackPointer,
}

impl Trap {
    /// Decodes the syndrome `esr` and the address `far` that came with it.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, reason = "fields of up to 22 bits, masked")]
    pub const fn decode(esr: u64, far: u64) -> Self {
        let class = (esr >> 26) as u8 & 0x3f;
        let immediate = esr as u16;
        match class {
            0x00 => Self::Undefined,
            0x01 => Self::Wait,
            0x07 => Self::FloatingPoint,
            0x0d => Self::BranchTarget,
            0x15 => Self::SupervisorCall(immediate),
            0x18 => Self::SystemAccess(SystemRegister(esr as u32 & 0x3f_fffe)),
            0x1c => Self::PointerAuthentication,
            0x20 | 0x21 => Self::abort(Access::Execute, esr, far),
            0x22 => Self::Misaligned(Pointer::ProgramCounter),
            0x24 | 0x25 if esr & 1 << 6 != 0 && esr & 1 << 8 == 0 => {
                Self::abort(Access::Write, esr, far)
            }
            0x24 | 0x25 => Self::abort(Access::Read, esr, far),
            0x26 => Self::Misaligned(Pointer::StackPointer),
            0x3c => Self::Breakpoint(immediate),
            other => Self::Unexpected(other),
        }
    }

    #[expect(clippy::cast_possible_truncation, reason = "a field of 6 bits, masked")]
    const fn abort(access: Access, esr: u64, far: u64) -> Self {
        let code = esr as u8 & 0x3f;
        let reason = match code {
            0x00..=0x03 => Reason::AddressSize,
            0x04..=0x07 => Reason::Unmapped,
            0x08..=0x0b => Reason::AccessFlag,
            0x0c..=0x0f => Reason::Permission,
            0x10 | 0x13..=0x17 => Reason::External,
            0x11 => Reason::Tag,
            0x21 => Reason::Alignment,
            other => Reason::Other(other),
        };
        // FnV: an external abort may come without its address.
        let address =
            if matches!(reason, Reason::External) && esr & 1 << 10 != 0 { None } else { Some(far) };
        Self::Abort { access, reason, address }
    }

    /// The trap's class in one word, for programs that read reports.
    #[must_use]
    pub const fn class(&self) -> &'static str {
        match self {
            Self::Abort { reason: Reason::Tag, .. } => "tag-check",
            Self::Abort { access: Access::Read, .. } => "read-abort",
            Self::Abort { access: Access::Write, .. } => "write-abort",
            Self::Abort { access: Access::Execute, .. } => "execute-abort",
            Self::Undefined => "undefined-instruction",
            Self::Misaligned(_) => "misaligned",
            Self::SupervisorCall(_) => "supervisor-call",
            Self::Breakpoint(_) => "breakpoint",
            Self::BranchTarget => "branch-target",
            Self::PointerAuthentication => "pointer-authentication",
            Self::FloatingPoint => "floating-point",
            Self::SystemAccess(_) => "system-access",
            Self::Wait => "wait-instruction",
            Self::Unexpected(_) => "unexpected",
        }
    }
}

impl fmt::Display for Trap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Abort { access, reason, address } => {
                let what = match access {
                    Access::Read => "reading",
                    Access::Write => "writing",
                    Access::Execute => "executing",
                };
                match address {
                    Some(address) => write!(f, "{what} {address:#x}: {reason}"),
                    None => write!(f, "{what} an unknown address: {reason}"),
                }
            }
            Self::Undefined => f.write_str("undefined instruction"),
            Self::Misaligned(Pointer::ProgramCounter) => f.write_str("misaligned program counter"),
            Self::Misaligned(Pointer::StackPointer) => f.write_str("misaligned stack pointer"),
            Self::SupervisorCall(number) => write!(f, "svc #{number}: there is no such service"),
            Self::Breakpoint(number) => write!(f, "brk #{number}"),
            Self::BranchTarget => f.write_str("an indirect jump missed its landing pad"),
            Self::PointerAuthentication => f.write_str("a signed pointer did not authenticate"),
            Self::FloatingPoint => f.write_str("floating point is not enabled"),
            Self::SystemAccess(register) => write!(f, "{register} is not to be used here"),
            Self::Wait => f.write_str("a wait for interrupts or events, which is not for here"),
            Self::Unexpected(class) => write!(f, "unexpected exception class {class:#x}"),
        }
    }
}

/// By its encoding, which every assembler takes (Arm ARM, section C5.1.2).
impl fmt::Display for SystemRegister {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(bits) = *self;
        let (op0, op1, op2) = (bits >> 20 & 0b11, bits >> 14 & 0b111, bits >> 17 & 0b111);
        let (crn, crm) = (bits >> 10 & 0xf, bits >> 1 & 0xf);
        write!(f, "s{op0}_{op1}_c{crn}_c{crm}_{op2}")
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unmapped => f.write_str("nothing is mapped there"),
            Self::Permission => f.write_str("not permitted there"),
            Self::AccessFlag => f.write_str("access flag is clear"),
            Self::AddressSize => f.write_str("no such address"),
            Self::External => f.write_str("nothing on the bus answered"),
            Self::Alignment => f.write_str("not aligned"),
            Self::Tag => f.write_str("the memory has another tag"),
            Self::Other(code) => write!(f, "fault status {code:#x}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn abort(access: Access, reason: Reason, address: Option<u64>) -> Trap {
        Trap::Abort { access, reason, address }
    }

    #[test]
    fn a_write_to_text_is_a_permission_fault() {
        // EC 0x25, IL, WnR, DFSC permission level 3.
        let trap = Trap::decode(0x9600_004f, 0xffff_ff80_0000_1000);
        assert_eq!(trap, abort(Access::Write, Reason::Permission, Some(0xffff_ff80_0000_1000)));
        assert_eq!(trap.class(), "write-abort");
    }

    #[test]
    fn a_read_of_null_is_unmapped() {
        assert_eq!(Trap::decode(0x9600_0004, 0), abort(Access::Read, Reason::Unmapped, Some(0)));
    }

    #[test]
    fn running_data_is_an_execute_abort() {
        let trap = Trap::decode(0x8600_000f, 0x10);
        assert_eq!(trap, abort(Access::Execute, Reason::Permission, Some(0x10)));
    }

    #[test]
    fn an_external_abort_may_not_know_its_address() {
        let known = Trap::decode(0x9600_0010, 0x10);
        let unknown = Trap::decode(0x9600_0410, 0x10);
        assert_eq!(known, abort(Access::Read, Reason::External, Some(0x10)));
        assert_eq!(unknown, abort(Access::Read, Reason::External, None));
    }

    #[test]
    fn a_tag_check_has_a_class_of_its_own() {
        let trap = Trap::decode(0x9600_0051, 0x0300_0040_0000_0030);
        assert_eq!(trap, abort(Access::Write, Reason::Tag, Some(0x0300_0040_0000_0030)));
        assert_eq!(trap.class(), "tag-check");
        assert_eq!(Trap::decode(0x9200_0011, 0).class(), "tag-check");
    }

    #[test]
    fn a_cache_maintenance_fault_counts_as_a_read() {
        // WnR is set for cache maintenance (CM), which writes nothing.
        assert_eq!(Trap::decode(0x9600_0144, 8), abort(Access::Read, Reason::Unmapped, Some(8)));
    }

    #[test]
    fn calls_and_breakpoints_keep_their_number() {
        assert_eq!(Trap::decode(0x5600_002a, 0), Trap::SupervisorCall(42));
        assert_eq!(Trap::decode(0xf200_0001, 0), Trap::Breakpoint(1));
    }

    #[test]
    fn a_system_register_is_named_by_its_encoding() {
        // `mrs x9, cntpct_el0`, then `wfi`, as they are trapped from EL0.
        let trap = Trap::decode(0x6232_f921, 0);
        assert_eq!(trap.class(), "system-access");
        assert_eq!(trap.to_string(), "s3_3_c14_c0_1 is not to be used here");
        assert_eq!(Trap::decode(0x07e0_0000, 0), Trap::Wait);
    }

    #[test]
    fn every_syndrome_decodes() {
        for class in 0..64_u64 {
            for status in 0..64 {
                let trap = Trap::decode(class << 26 | status, 0);
                assert!(!trap.class().is_empty());
            }
        }
    }
}
