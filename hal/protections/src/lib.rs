//! The protections that a machine can have in force, by name. A crate of its own, because everybody
//! speaks of them: the hardware layer puts most of them up, the kernel counts them, the application
//! shows them, and the attacks leave one of them out at a time.
//!
//! Which of them there are depends on the core and on the build, so a set of them is passed on from
//! the boot to whoever asks. The rows are those of the table in `SECURITY.md`.
#![no_std]

use core::fmt;

macro_rules! protections {
    ($($(#[$doc:meta])* $variant:ident = $row:literal $name:literal;)*) => {
        /// A protection. Its number is its bit in a [`Protections`].
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u8)]
        pub enum Protection { $($(#[$doc])* $variant,)* }

        impl Protection {
            /// All that there are, in the order of the table.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// Its name, as in logs and on command lines.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),* }
            }

            /// Its row in the table of promises; 0 for what stands beside the table.
            #[must_use]
            pub const fn row(self) -> u8 {
                match self { $(Self::$variant => $row),* }
            }
        }
    };
}

protections! {
    /// Nothing is writable and executable, and `SCTLR_EL1.WXN` sees to it a second time.
    WriteXorExecute = 1 "w^x";
    /// Code and page tables have no second, writable name.
    NoAliases = 2 "no-aliases";
    /// At EL1 nothing low is mapped.
    LowUnmapped = 3 "low-unmapped";
    /// Nothing below each stack.
    StackGuards = 4 "stack-guards";
    /// Image, stacks, heap and buffers lie elsewhere at each boot.
    RandomLayout = 5 "random-layout";
    /// Functions lie elsewhere in each build.
    ShuffledImage = 6 "shuffled-image";
    /// Return addresses are signed (`FEAT_PAuth`).
    SignedReturns = 7 "signed-returns";
    /// Indirect jumps land on landing pads only (`FEAT_BTI`).
    LandingPads = 8 "landing-pads";
    /// The heap's memory is tagged (`FEAT_MTE2`).
    HeapTags = 9 "heap-tags";
    /// The heap's blocks are guarded, and poisoned when they are free.
    HeapChecks = 10 "heap-checks";
    /// What is set up at boot is read-only from then on.
    SealedData = 11 "sealed-data";
    /// Page tables are read-only after boot.
    SealedTables = 12 "sealed-tables";
    /// The boot's code, and with it every instruction that could undo the rest, is gone.
    SealedCode = 13 "sealed-code";
    /// The application runs at EL0.
    Containment = 14 "containment";
    /// The kernel does not touch EL0's memory but on purpose (`FEAT_PAN`).
    PrivilegedAccessNever = 14 "pan";
    /// EL0 cannot tell what the kernel has mapped by the time a fault takes (`FEAT_E0PD`).
    ConstantTimeFaults = 14 "e0pd";
    /// TCP's initial sequence numbers come from a keyed hash (RFC 6528).
    KeyedSequenceNumbers = 16 "keyed-sequence-numbers";
    /// Code, constants and tables are compared with what they were at boot.
    IntegrityCheck = 0 "integrity-check";
}

impl Protection {
    /// The one with this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|protection| protection.name() == name)
    }
}

impl fmt::Display for Protection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A set of protections.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Protections(u32);

impl Protections {
    /// None of them.
    pub const NONE: Self = Self(0);

    /// The set that [`bits`](Self::bits) gave; what is not known here is dropped.
    #[must_use]
    pub const fn from_bits(bits: u32) -> Self {
        Self(bits & ((1 << Protection::ALL.len()) - 1))
    }

    /// A bit for each, by its number.
    #[must_use]
    pub const fn bits(self) -> u32 {
        self.0
    }

    /// The set with `protection` in it.
    #[must_use]
    pub const fn with(self, protection: Protection) -> Self {
        Self(self.0 | 1 << protection as u8)
    }

    /// Whether `protection` is in it.
    #[must_use]
    pub const fn has(self, protection: Protection) -> bool {
        self.0 & 1 << protection as u8 != 0
    }

    /// What is in it, in the order of the table.
    pub fn iter(self) -> impl Iterator<Item = Protection> {
        Protection::ALL.iter().copied().filter(move |protection| self.has(*protection))
    }
}

impl fmt::Debug for Protections {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

/// Their names, separated by blanks; `none`.
impl fmt::Display for Protections {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut names = self.iter().map(Protection::name);
        f.write_str(names.next().unwrap_or("none"))?;
        names.try_for_each(|name| write!(f, " {name}"))
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use std::string::ToString;

    use super::*;

    #[test]
    fn each_has_a_name_and_a_bit_of_its_own() {
        for (index, protection) in Protection::ALL.iter().enumerate() {
            assert_eq!(*protection as usize, index);
            assert_eq!(Protection::named(protection.name()), Some(*protection));
        }
        assert_eq!(Protection::named("w^y"), None);
    }

    #[test]
    fn a_set_holds_what_was_put_into_it() {
        let set = Protections::NONE.with(Protection::HeapTags).with(Protection::WriteXorExecute);
        assert!(set.has(Protection::HeapTags) && !set.has(Protection::HeapChecks));
        assert_eq!(set.to_string(), "w^x heap-tags");
        assert_eq!(Protections::NONE.to_string(), "none");
        assert_eq!(Protections::from_bits(set.bits()), set);
        assert_eq!(Protections::from_bits(u32::MAX).iter().count(), Protection::ALL.len());
    }
}
