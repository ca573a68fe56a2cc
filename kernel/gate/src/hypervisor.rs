//! Who is below: the hypervisor, by the name that it gives itself.

use core::fmt;

use crate::Level;

/// Who is at EL2, as far as the kernel could find out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hypervisor {
    /// Nobody but this kernel, which was entered at this level, EL2 or above.
    Nobody(Level),
    /// Linux's KVM.
    Kvm,
    /// Xen, of this version; of 0.0 where it does not say.
    Xen {
        /// The 4 of 4.17.
        major: u16,
        /// The 17.
        minor: u16,
    },
    /// Microsoft's Hyper-V.
    HyperV,
    /// One that gives an identity which nobody here knows: the words of [`Hypervisor::of_identity`].
    Other([u32; 4]),
    /// One that does not say who it is; or none, and the kernel was entered at EL1 all the same.
    Unknown,
}

impl Hypervisor {
    /// The one that answers the "Call UID" query of the vendor specific hypervisor service with
    /// these words, w0 to w3 (SMCCC 1.4, section 6.2). Each word holds four bytes of the UUID, the
    /// first one in its lowest bits.
    #[must_use]
    pub const fn of_identity(words: [u32; 4]) -> Self {
        match words {
            // Not supported; and what no UUID is.
            [u32::MAX, ..] | [0, 0, 0, 0] => Self::Unknown,
            // 28b46fb6-2ec5-11e9-a9ca-4b564d003a74 (Linux, include/linux/arm-smccc.h)
            [0xb66f_b428, 0xe911_c52e, 0x564b_caa9, 0x743a_004d] => Self::Kvm,
            // a71812dc-c698-4369-9acf-79d18ddee667 (Xen, public/arch-arm/smccc.h)
            [0xdc12_18a7, 0x6943_98c6, 0xd179_cf9a, 0x67e6_de8d] => {
                Self::Xen { major: 0, minor: 0 }
            }
            // 58ba324d-6447-24cd-756c-ef8e24705916 (Linux, arch/arm64/include/asm/mshyperv.h)
            [0x4d32_ba58, 0xcd24_4764, 0x8eef_6c75, 0x1659_7024] => Self::HyperV,
            words => Self::Other(words),
        }
    }

    /// As numbers, for the handover.
    pub(crate) const fn encode(self) -> [u64; 3] {
        match self {
            Self::Nobody(level) => [0, level as u64, 0],
            Self::Kvm => [1, 0, 0],
            Self::Xen { major, minor } => [2, major as u64, minor as u64],
            Self::HyperV => [3, 0, 0],
            Self::Other([a, b, c, d]) => {
                [4, a as u64 | (b as u64) << 32, c as u64 | (d as u64) << 32]
            }
            Self::Unknown => [5, 0, 0],
        }
    }

    /// From those numbers; `None` for others.
    #[expect(clippy::cast_possible_truncation, reason = "parts of words, cut out")]
    pub(crate) fn decode(numbers: [u64; 3]) -> Option<Self> {
        Some(match numbers {
            [0, level, 0] => Self::Nobody(Level::from_code(level)?),
            [1, 0, 0] => Self::Kvm,
            [2, major @ ..=0xffff, minor @ ..=0xffff] => {
                Self::Xen { major: major as u16, minor: minor as u16 }
            }
            [3, 0, 0] => Self::HyperV,
            [4, a, b] => Self::Other([a as u32, (a >> 32) as u32, b as u32, (b >> 32) as u32]),
            [5, 0, 0] => Self::Unknown,
            _ => return None,
        })
    }
}

/// `KVM`, `Xen 4.17`, `none (entered at EL2)`, `unknown`, `unknown (01234567-89ab-cdef-0123-456789abcdef)`.
impl fmt::Display for Hypervisor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nobody(level) => write!(f, "none (entered at {level})"),
            Self::Kvm => f.write_str("KVM"),
            Self::Xen { major: 0, .. } => f.write_str("Xen"),
            Self::Xen { major, minor } => write!(f, "Xen {major}.{minor}"),
            Self::HyperV => f.write_str("Hyper-V"),
            Self::Other(words) => {
                let [a, b, c, d] = words.map(u32::swap_bytes);
                let (b, c) = ([b >> 16, b & 0xffff], [c >> 16, c & 0xffff]);
                write!(
                    f,
                    "unknown ({a:08x}-{:04x}-{:04x}-{:04x}-{:04x}{d:08x})",
                    b[0], b[1], c[0], c[1]
                )
            }
            Self::Unknown => f.write_str("unknown"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::ToString;

    /// The words of a UUID as the standard has them.
    fn words(uuid: &str) -> [u32; 4] {
        let digits: std::string::String = uuid.chars().filter(|c| *c != '-').collect();
        let word = |at: usize| u32::from_str_radix(&digits[at..at + 8], 16).expect("digits");
        [0, 8, 16, 24].map(|at| word(at).swap_bytes())
    }

    #[test]
    fn those_that_are_known_are_known_by_their_uuid() {
        let by = |uuid| Hypervisor::of_identity(words(uuid)).to_string();
        assert_eq!(by("28b46fb6-2ec5-11e9-a9ca-4b564d003a74"), "KVM");
        assert_eq!(by("a71812dc-c698-4369-9acf-79d18ddee667"), "Xen");
        assert_eq!(by("58ba324d-6447-24cd-756c-ef8e24705916"), "Hyper-V");
        let foreign = "12345678-9abc-def0-1122-334455667788";
        assert_eq!(by(foreign), std::format!("unknown ({foreign})"));
        assert_eq!(by("00000000-0000-0000-0000-000000000000"), "unknown");
        assert_eq!(Hypervisor::of_identity([u32::MAX, 1, 2, 3]), Hypervisor::Unknown);
    }

    #[test]
    fn both_sides_read_the_same() {
        for one in [
            Hypervisor::Nobody(Level::El2),
            Hypervisor::Nobody(Level::El3),
            Hypervisor::Kvm,
            Hypervisor::Xen { major: 4, minor: 17 },
            Hypervisor::HyperV,
            Hypervisor::Other([1, 2, u32::MAX, 4]),
            Hypervisor::Unknown,
        ] {
            assert_eq!(Hypervisor::decode(one.encode()), Some(one));
        }
        for wrong in [[6, 0, 0], [0, 4, 0], [1, 1, 0], [5, 0, 1], [u64::MAX; 3]] {
            assert_eq!(Hypervisor::decode(wrong), None);
        }
        assert_eq!(Hypervisor::Nobody(Level::El2).to_string(), "none (entered at EL2)");
    }
}
