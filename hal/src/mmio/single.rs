//! The instructions: one load or store, a plain base register, nothing for the compiler to merge.
//!
//! None of them says `nomem`, so the compiler keeps them in order with every other memory access.
//! The order in which the *bus* sees normal memory and device registers is the caller's barrier.

use core::arch::asm;
use core::ptr::NonNull;

/// Writes a pair of functions for one width.
macro_rules! access {
    ($type:ty, $read:ident = $load:literal, $write:ident = $store:literal) => {
        /// Reads a register.
        ///
        /// # Safety
        /// `register` lies in a mapped window of device registers, aligned to its width.
        #[inline(always)]
        pub(super) unsafe fn $read(register: NonNull<u8>) -> $type {
            let value: $type;
            // SAFETY: the caller's condition.
            unsafe {
                asm!(
                    concat!($load, " {value:w}, [{register}]"),
                    register = in(reg) register.as_ptr(),
                    value = lateout(reg) value,
                    options(nostack, preserves_flags)
                );
            }
            value
        }

        /// Writes a register.
        ///
        /// # Safety
        /// `register` lies in a mapped window of device registers, aligned to its width.
        #[inline(always)]
        pub(super) unsafe fn $write(register: NonNull<u8>, value: $type) {
            // SAFETY: the caller's condition.
            unsafe {
                asm!(
                    concat!($store, " {value:w}, [{register}]"),
                    register = in(reg) register.as_ptr(),
                    value = in(reg) value,
                    options(nostack, preserves_flags)
                );
            }
        }
    };
}

access!(u8, read8 = "ldrb", write8 = "strb");
access!(u16, read16 = "ldrh", write16 = "strh");
access!(u32, read32 = "ldr", write32 = "str");
