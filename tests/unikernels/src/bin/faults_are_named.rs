//! Does one of the things that the core refuses, as the setting `app.what=` says. Must end in a
//! report of the right class.
#![no_std]
#![no_main]

use core::arch::asm;

use elone::{Platform, info};

#[elone::main]
async fn main(platform: Platform) {
    match platform.setting("what") {
        // SAFETY: none, here and below; each instruction is one that must be refused.
        Some("undefined") => unsafe { asm!("udf #0") },
        // SAFETY: as above.
        Some("svc") => unsafe { asm!("svc #42") },
        // SAFETY: as above.
        Some("brk") => unsafe { asm!("brk #7") },
        // SAFETY: as above; the program counter is not aligned then.
        Some("misaligned") => unsafe {
            asm!("adr {0}, .", "add {0}, {0}, #2", "br {0}", out(reg) _)
        },
        Some("panic") => panic!("as asked for, {}", 42),
        Some("bounds") => {
            let index = core::hint::black_box(9);
            let array = core::hint::black_box([1, 2, 3]);
            info!("{}", array[index]);
        }
        Some("memory") => {
            let huge = alloc::vec::Vec::<u8>::with_capacity(core::hint::black_box(1 << 40));
            info!("{}", huge.capacity());
        }
        _ => info!("nothing was asked for"),
    }
    info!("SURVIVED");
}

extern crate alloc;
