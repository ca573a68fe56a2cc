//! The registers by which an ITS and a redistributor are told of memory, and what they share.

use crate::address::PhysicalAddress;
use crate::mmio::Window;

/// Who has that memory, beside the one that is told: bits 11:10 of each of these registers.
const SHAREABILITY: u64 = 0b11 << 10;
const INNER_SHAREABLE: u64 = 0b01 << 10;
/// How it is cached: a field of three bits, each register has it elsewhere. Below the second of these
/// it is not.
const NOT_CACHED: u64 = 0b001;
const FIRST_CACHED: u64 = 0b010;
const WRITE_BACK: u64 = 0b111;

/// Whether the interrupt controller sees memory as the core does. What is written to its tables is
/// cleaned to memory in any case, which costs little at a boot; this is what the hardware is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coherence {
    /// As the hardware itself says.
    AsItSays,
    /// It reads past the caches, whatever it says: the device tree knows better (`dma-noncoherent`).
    PastTheCaches,
}

/// A register that holds where some memory is, and how it is to be reached.
#[derive(Clone, Copy, Debug)]
pub(super) struct Base {
    /// Its offset.
    pub(super) register: usize,
    /// The lowest bit of the field that says how the memory is cached.
    pub(super) cached: u32,
}

impl Base {
    /// Writes `value`, with the memory shared and cached if the hardware is able to, and else not.
    /// Returns what the register holds then.
    pub(super) fn tell(self, window: Window, value: u64, coherence: Coherence) -> u64 {
        if coherence == Coherence::AsItSays {
            window.write64(self.register, value | INNER_SHAREABLE | WRITE_BACK << self.cached);
            let held = window.read64(self.register);
            if held & SHAREABILITY != 0 && held >> self.cached & 0b111 >= FIRST_CACHED {
                return held;
            }
        }
        window.write64(self.register, value | NOT_CACHED << self.cached);
        window.read64(self.register)
    }
}

/// An address in a register or command that has its bits, up to 51, at their places.
pub(super) const fn placed(at: PhysicalAddress) -> u64 {
    at.0 & ((1 << 52) - 1)
}
