//! Memory that somebody reads past the caches: what was written has to leave them first.

use core::arch::asm;
use core::ptr::NonNull;

use aarch64_cpu::asm::barrier;

/// Cleans `length` bytes to the point of coherency, and waits until they are there (Arm ARM, section
/// D7.5.9). What is stored later is not.
///
/// # Safety
/// The bytes are mapped as normal memory.
pub(crate) unsafe fn clean(start: NonNull<u8>, length: usize) {
    let line = line();
    let start = start.addr().get();
    for address in (start / line * line..start + length).step_by(line) {
        // SAFETY: mapped, as the caller says; cleaning a line changes no byte of it.
        unsafe { asm!("dc cvac, {}", in(reg) address, options(nostack, preserves_flags)) };
    }
    barrier::dsb(barrier::SY);
}

/// The shortest line of the data caches, in bytes (Arm ARM, section D24.2.35: `CTR_EL0.DminLine`
/// gives it in words, as a power of two).
fn line() -> usize {
    let register: usize;
    // SAFETY: reads a register that says how the caches are made.
    unsafe { asm!("mrs {}, ctr_el0", out(reg) register, options(nomem, nostack)) };
    4 << (register >> 16 & 0xf)
}
