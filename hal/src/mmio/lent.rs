//! The same instructions for a driver that is not ours: that of the interrupt controller reaches its
//! registers through `safe-mmio`, which leaves it to us how.

use core::ptr::NonNull;

use safe_mmio::{MmioOps, set_mmio_ops};

use super::single;

/// Our accessors, as `safe-mmio` wants them.
struct Single;

/// Writes a pair of methods for each width. Nothing is at address 0, and nothing is asked there.
macro_rules! lend {
    ($($type:ty: $read:ident = $our_read:ident, $write:ident = $our_write:ident;)*) => {
        // SAFETY: each is one access of that width, to where the caller says.
        impl MmioOps for Single {
            $(
                unsafe fn $read(register: *const $type) -> $type {
                    match NonNull::new(register.cast_mut().cast()) {
                        // SAFETY: the trait has the caller promise a valid, aligned register.
                        Some(register) => unsafe { single::$our_read(register) },
                        None => 0,
                    }
                }

                unsafe fn $write(register: *mut $type, value: $type) {
                    if let Some(register) = NonNull::new(register.cast()) {
                        // SAFETY: as above.
                        unsafe { single::$our_write(register, value) };
                    }
                }
            )*
        }
    };
}

lend! {
    u8: read_u8 = read8, write_u8 = write8;
    u16: read_u16 = read16, write_u16 = write16;
    u32: read_u32 = read32, write_u32 = write32;
    u64: read_u64 = read64, write_u64 = write64;
}

set_mmio_ops!(Single);
