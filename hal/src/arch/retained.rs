//! Memory that is to survive a restart of the machine: ordinary RAM, kept out of everybody's way.
//!
//! A reset stops the core, and whoever answers it may drop the caches; what is to be found again
//! must be in RAM by then. Whether the RAM keeps it is the machine's affair: what is read at a boot
//! is any bytes at all, and it is for the reader to tell.

use core::arch::asm;

use aarch64_cpu::asm::barrier;

use super::unclaimed::Unclaimed;

/// Memory to be found again at the next boot, by whoever takes the same place.
#[derive(Debug)]
pub struct Retained {
    memory: Unclaimed,
}

impl Retained {
    /// Sets `memory` aside, with whatever is in it.
    #[must_use]
    pub const fn new(memory: Unclaimed) -> Self {
        Self { memory }
    }

    /// What is there, to be read and written. It stays in the caches until it is
    /// [kept](Self::keep).
    pub fn bytes(&mut self) -> &mut [u8] {
        self.memory.bytes()
    }

    /// Sees to it that what was written is in RAM, past all caches: cleans it to the point of
    /// coherency (Arm ARM, section D7.5.9).
    pub fn keep(&mut self) {
        let line = line();
        let start = self.memory.start();
        for address in (start / line * line..start + self.memory.length()).step_by(line) {
            // SAFETY: cleaning a line of memory that is ours to write changes no byte of it.
            unsafe { asm!("dc cvac, {}", in(reg) address, options(nostack, preserves_flags)) };
        }
        barrier::dsb(barrier::SY);
    }
}

/// The shortest line of the data caches, in bytes (Arm ARM, section D24.2.35: `CTR_EL0.DminLine`
/// gives it in words, as a power of two).
fn line() -> usize {
    let register: usize;
    // SAFETY: reads a register that says how the caches are made.
    unsafe { asm!("mrs {}, ctr_el0", out(reg) register, options(nomem, nostack)) };
    4 << (register >> 16 & 0xf)
}
