//! Random numbers, from the kernel's generator.

use elone_gate::calls;
use rand_core::{CryptoRng, RngCore, impls};

use crate::Error;

/// Fills `bytes` with random ones.
///
/// # Errors
/// [`elone_gate::Error::NoEntropy`] where the machine has no source at all.
pub fn fill(bytes: &mut [u8]) -> Result<(), Error> {
    Ok(calls::entropy(bytes)?)
}

/// A random number.
///
/// # Errors
/// As [`fill`].
pub fn word() -> Result<u64, Error> {
    let mut bytes = [0; 8];
    fill(&mut bytes)?;
    Ok(u64::from_ne_bytes(bytes))
}

/// The kernel's generator, as crates of the `rand_core` 0.6 generation take it.
///
/// There is one for the asking only where the machine has entropy, so its calls that cannot fail
/// do not.
#[derive(Debug)]
pub struct Random(());

impl Random {
    /// A generator.
    ///
    /// # Errors
    /// As [`fill`].
    pub fn new() -> Result<Self, Error> {
        word().map(|_| Self(()))
    }
}

impl RngCore for Random {
    fn next_u32(&mut self) -> u32 {
        impls::next_u32_via_fill(self)
    }

    fn next_u64(&mut self) -> u64 {
        impls::next_u64_via_fill(self)
    }

    fn fill_bytes(&mut self, bytes: &mut [u8]) {
        if fill(bytes).is_err() {
            // A source that was there is gone. Numbers that are not random would be worse than an end.
            calls::report("entropy was there, and is there no more");
            crate::exit(1);
        }
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), rand_core::Error> {
        self.fill_bytes(bytes);
        Ok(())
    }
}

// What the kernel's generator gives is fit for keys (gate, `entropy`).
impl CryptoRng for Random {}
