//! Memory that is to survive a restart of the machine: ordinary RAM, kept out of everybody's way.
//!
//! A reset stops the core, and whoever answers it may drop the caches; what is to be found again
//! must be in RAM by then. Whether the RAM keeps it is the machine's affair: what is read at a boot
//! is any bytes at all, and it is for the reader to tell.

use core::ptr::NonNull;

use super::caches;
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

    /// Sees to it that what was written is in RAM, past all caches.
    pub fn keep(&mut self) {
        let bytes = NonNull::from(self.bytes());
        // SAFETY: normal memory that is mapped for good (`Unclaimed`).
        unsafe { caches::clean(bytes.cast(), bytes.len()) };
    }
}
