//! Feature bits: what a device offers and a driver takes (virtio 1.2, section 2.2).

use core::fmt;
use core::ops::BitOr;

/// A set of feature bits. The drivers name those of their device; here are those of all devices.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Features(u64);

impl Features {
    /// None at all.
    pub const NONE: Self = Self(0);
    /// A descriptor may point to a table of descriptors (section 2.7.5.3).
    pub const INDIRECT_DESCRIPTORS: Self = Self::bit(28);
    /// Each side says at which index it wants to be notified (section 2.7.7).
    pub const EVENT_INDEX: Self = Self::bit(29);
    /// The device is not a legacy one (section 6).
    pub const VERSION_1: Self = Self::bit(32);
    /// The device reaches memory as the platform says, not as the processor does (section 6).
    pub const ACCESS_PLATFORM: Self = Self::bit(33);
    /// What is done to memory is ordered for the device as the platform says: it may be hardware, which
    /// has no processor's idea of that (section 6).
    pub const ORDER_PLATFORM: Self = Self::bit(36);

    /// The set of one bit, by its number in the specification; none for a number over 63.
    #[must_use]
    pub const fn bit(number: u32) -> Self {
        match 1_u64.checked_shl(number) {
            Some(bits) => Self(bits),
            None => Self::NONE,
        }
    }

    /// From the two halves as registers hold them.
    #[must_use]
    pub const fn from_halves(low: u32, high: u32) -> Self {
        Self(low as u64 | (high as u64) << 32)
    }

    /// The low and the high half.
    #[must_use]
    pub const fn halves(self) -> (u32, u32) {
        ((self.0 & 0xffff_ffff) as u32, (self.0 >> 32) as u32)
    }

    /// Whether all of `other` are among these.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Those that are in both.
    #[must_use]
    pub const fn common(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// These, but for `other`.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }
}

impl BitOr for Features {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl fmt::Display for Features {
    /// The bits' numbers, as the specification lists them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut between = "";
        for number in (0..u64::BITS).filter(|&number| self.contains(Self::bit(number))) {
            write!(f, "{between}{number}")?;
            between = ", ";
        }
        if self.is_empty() { f.write_str("none") } else { Ok(()) }
    }
}

impl fmt::Debug for Features {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Features({self})")
    }
}
