//! The instructions: one load or store, a plain base register, nothing for the compiler to merge.
//!
//! Each is noted by its address in a section that is in the linked file and in no memory. The build
//! looks there at what each has become, and fails on one that no hypervisor could answer.
//!
//! None of them says `nomem`, so the compiler keeps them in order with every other memory access.
//! The order in which the *bus* sees normal memory and device registers is the caller's barrier.
//!
//! The first look at a device, which may not be there, is a function of its own: see
//! [`crate::attempt`].

use core::arch::asm;
use core::ptr::NonNull;

pub(super) use crate::arch::attempt::{load8 as attempt8, load32 as attempt32};

/// One instruction, and the note of it.
macro_rules! noted {
    ($instruction:literal, $size:literal) => {
        concat!(
            "2: ",
            $instruction,
            " {value:",
            $size,
            "}, [{register}]\n",
            ".pushsection .device_accesses, \"\", %progbits\n",
            ".quad 2b\n",
            ".popsection",
        )
    };
}

/// Writes a pair of functions for one width.
macro_rules! access {
    ($type:ty, $size:literal: $read:ident = $load:literal, $write:ident = $store:literal) => {
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
                    noted!($load, $size),
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
                    noted!($store, $size),
                    register = in(reg) register.as_ptr(),
                    value = in(reg) value,
                    options(nostack, preserves_flags)
                );
            }
        }
    };
}

access!(u8, "w": read8 = "ldrb", write8 = "strb");
access!(u16, "w": read16 = "ldrh", write16 = "strh");
access!(u32, "w": read32 = "ldr", write32 = "str");
access!(u64, "x": read64 = "ldr", write64 = "str");
