//! What a fault is, in a word for programs and in some for people.

use core::fmt;

use crate::trap::{Access, Reason, Trap};

/// What a fault is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// Something that the core refused.
    Trap(Trap),
    /// An access to the unmapped page below a stack: which stack, and the address.
    Overflow(&'static str, u64),
    /// An error from the bus, reported long after the access.
    Late,
    /// An interrupt of a kind that nobody asked for.
    Uninvited,
    /// A panic: what it says are last words.
    Panic,
    /// The watchdog's finding.
    Hang,
    /// Memory that must not change has changed: what it is, and where the page begins.
    Altered(&'static str, u64),
}

impl Cause {
    /// What a trap is, where accesses to some addresses are overflows of the stack whose name
    /// `guarded` gives for them.
    #[must_use]
    pub fn of(trap: Trap, guarded: impl FnOnce(u64) -> Option<&'static str>) -> Self {
        let missed = match trap {
            Trap::Abort { access: Access::Execute, .. } => None,
            Trap::Abort { reason: Reason::Unmapped, address, .. } => address,
            _ => None,
        };
        let overflow = missed.and_then(|at| Some(Self::Overflow(guarded(at)?, at)));
        overflow.unwrap_or(Self::Trap(trap))
    }

    /// The class, in a word.
    #[must_use]
    pub const fn class(&self) -> &'static str {
        match self {
            Self::Trap(trap) => trap.class(),
            Self::Overflow(..) => "stack-overflow",
            Self::Late => "serror",
            Self::Uninvited => "fiq",
            Self::Panic => "panic",
            Self::Hang => "hang",
            Self::Altered(..) => "integrity",
        }
    }

    /// Whether the core has found it, and says more of it in `ESR` and `FAR`.
    #[must_use]
    pub const fn has_syndrome(&self) -> bool {
        !matches!(self, Self::Panic | Self::Hang | Self::Altered(..))
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Trap(trap) => trap.fmt(f),
            Self::Overflow(stack, address) => write!(f, "{stack} overflowed at {address:#x}"),
            Self::Late => f.write_str("an error from the bus, late"),
            Self::Uninvited => f.write_str("an interrupt that nobody asked for"),
            Self::Panic => f.write_str("it panicked"),
            Self::Hang => f.write_str("it runs on without waiting"),
            Self::Altered(what, page) => {
                write!(f, "{what} at {page:#x} is not what it was at boot")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cause(esr: u64, far: u64) -> Cause {
        Cause::of(Trap::decode(esr, far), |at| (at == 0x1000).then_some("the stack"))
    }

    #[test]
    fn a_miss_below_a_stack_is_an_overflow() {
        assert_eq!(cause(0x9600_0047, 0x1000), Cause::Overflow("the stack", 0x1000));
        assert_eq!(cause(0x9600_0007, 0x1000).class(), "stack-overflow");
        assert_eq!(cause(0x9600_0047, 0x1000).to_string(), "the stack overflowed at 0x1000");
    }

    #[test]
    fn anything_else_is_what_it_is() {
        assert_eq!(cause(0x9600_0047, 0x2000).class(), "write-abort");
        assert_eq!(cause(0x9600_004f, 0x1000).class(), "write-abort", "it is mapped");
        assert_eq!(cause(0x8600_0007, 0x1000).class(), "execute-abort", "nobody pushes there");
        assert_eq!(cause(0xf200_0e10, 0x1000).class(), "breakpoint");
    }
}
