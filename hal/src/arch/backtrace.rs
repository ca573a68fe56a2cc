//! Walking the frame records of a stack (AAPCS64, section 6.4.6), without trusting any of them.

use core::arch::asm;

use super::stacks;
use crate::address::call_before;

unsafe extern "C" {
    static __init_end: u8;
    static __text_end: u8;
}

/// The return addresses from a frame outwards, the caller's first. Ends at the first record that
/// does not lie on one of the image's stacks, does not lie above the one before, or does not
/// return into the image's text: a smashed stack ends a backtrace, it does not fault it.
#[derive(Debug)]
pub struct Backtrace {
    record: u64,
}

impl Backtrace {
    /// From the frame record at `frame_pointer` (x29 of an exception's frame, say).
    #[must_use]
    pub const fn from(frame_pointer: u64) -> Self {
        Self { record: frame_pointer }
    }

    /// From here.
    #[must_use]
    pub fn here() -> Self {
        let record;
        // SAFETY: reads a register.
        unsafe { asm!("mov {}, x29", out(reg) record, options(nomem, nostack, preserves_flags)) };
        Self { record }
    }
}

impl Iterator for Backtrace {
    type Item = u64;

    fn next(&mut self) -> Option<u64> {
        if !self.record.is_multiple_of(16) || !stacks::hold(self.record) {
            return None;
        }
        let record = self.record as *const [u64; 2];
        // SAFETY: 16 aligned bytes of a stack, which is mapped readable (`hold`); they hold
        // plain numbers, whatever wrote them.
        let [next, return_address] = unsafe { record.read() };
        let return_address = unsigned(return_address);
        let text = (&raw const __init_end).addr() as u64..(&raw const __text_end).addr() as u64;
        if !text.contains(&call_before(return_address)) {
            return None;
        }
        self.record = if next > self.record { next } else { 0 };
        Some(return_address)
    }
}

/// A return address without its signature (Arm ARM, section D8.10): where there is one, it takes the
/// place of bits that are all like bit 55.
#[must_use]
pub const fn unsigned(address: u64) -> u64 {
    const SIGNATURE: u64 = 0xff7f << 48;
    if address >> 55 & 1 == 1 { address | SIGNATURE } else { address & !SIGNATURE }
}
