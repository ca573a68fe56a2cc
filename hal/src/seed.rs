//! What the early pass draws lots with: made by the kernel before it has a place, from what there
//! is then. Half of it is used up by the early pass, half is handed on to the kernel's generator.

use core::fmt;

use crate::wipe;

/// Random numbers for the layout, and for the pool that the kernel's generator is seeded from. Who
/// knows one of the numbers can compute none of the others, nor any byte of the pool.
///
/// It is a secret, and cannot be copied: [`EarlySeed::wipe`] leaves nothing of it.
pub struct EarlySeed {
    /// A number for each thing whose place is random. Where [`EarlySeed::sources`] is 0 they differ
    /// from boot to boot at most by the time, and can be guessed.
    pub layout: [u64; Self::LAYOUT],
    /// For the pool of the kernel's generator.
    pub pool: [u8; 32],
    /// Which sources have given something, as the kernel numbers them (`entropy::Sources`).
    pub sources: u8,
}

impl EarlySeed {
    /// How many numbers there are: one for each place, and two for the key of return addresses.
    pub const LAYOUT: usize = 12;

    /// Nothing at all, from nowhere.
    #[must_use]
    pub const fn none() -> Self {
        Self { layout: [0; Self::LAYOUT], pool: [0; 32], sources: 0 }
    }

    /// Forgets the numbers and the bytes; the sources stay known.
    pub fn wipe(&mut self) {
        wipe::wipe_words(&mut self.layout);
        wipe::wipe(&mut self.pool);
    }
}

/// Shows no secret.
impl fmt::Debug for EarlySeed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EarlySeed(sources: {:#x})", self.sources)
    }
}
