//! How a register says that some memory is to be reached (Arm IHI 0069, sections 12.19.1 and 12.19.2;
//! a redistributor's have the same fields).

use super::Make;
use crate::fake::memory;

const SHAREABILITY: u64 = 0b11 << 10;
/// Of InnerCache: the device's own kind of memory, and normal memory that is not cached.
const DEVICE: u64 = 0b000;
const NOT_CACHED: u64 = 0b001;

/// What a register holds of it. OuterCache is not looked at: nobody here writes it, and zero says that
/// the outer caches are as the inner ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attributes {
    /// Shareability: whose caches are asked.
    pub shareability: u64,
    /// InnerCache: how it is cached.
    pub inner_cache: u64,
}

impl Attributes {
    /// Shared with the core and cached, written back and allocated at reads and writes.
    pub const SHARED: Self = Self { shareability: 0b01, inner_cache: 0b111 };
    /// Nobody else's, and not cached.
    pub const UNCACHED: Self = Self { shareability: 0b00, inner_cache: NOT_CACHED };

    /// Those in `register`, whose InnerCache begins at bit `cached`.
    pub(super) const fn of(register: u64, cached: u32) -> Self {
        Self {
            shareability: (register & SHAREABILITY) >> 10,
            inner_cache: register >> cached & 0b111,
        }
    }

    /// What a register holds once `value` is written to it. Shareability may have a fixed value, and
    /// so says that the hardware does not see the core's caches; InnerCache is the driver's to write.
    pub(super) const fn held(make: Make, value: u64) -> u64 {
        if make.coherent { value } else { value & !SHAREABILITY }
    }

    /// Reads memory of these attributes.
    pub(super) fn read(self, address: u64, length: usize) -> Vec<u8> {
        match (self.inner_cache, self.shareability) {
            (DEVICE | NOT_CACHED, _) => memory::read_past_the_caches(address, length),
            (_, 0b01 | 0b10) => memory::read(address, length),
            _ => panic!("cached where the core's caches are not asked: {self:?}"),
        }
    }

    /// Reads a little-endian number of `N` bytes.
    pub(super) fn number<const N: usize>(self, address: u64) -> u64 {
        let mut bytes = [0; 8];
        bytes[..N].copy_from_slice(&self.read(address, N));
        u64::from_le_bytes(bytes)
    }

    /// Looks that memory given for a table is all zeros, as it must be.
    pub(super) fn check_zeros(self, address: u64, length: usize) {
        assert!(self.read(address, length) == vec![0; length], "no zeros at {address:#x}");
    }
}
