//! Entropy: every source that the machine has, mixed into one generator.
//!
//! No source is trusted alone, and none can make the result worse: all go through SHA-256 into the
//! key of ChaCha20. What an attacker on one of them knows does not help without the others.
//!
//! The key is a new one after each request, made from the old one's output before anything is given
//! out (D. J. Bernstein, "Fast-key-erasure random-number generators", 2017): who reads the kernel's
//! memory later cannot compute what was given out before. Who has read it once knows what is given
//! out next, until fresh entropy comes in; so it does, after so much output or so long.

use core::fmt;

use elone_gate::{Error, Nanoseconds};
use elone_hal::seed::EarlySeed;
use elone_hal::wipe;
use rand_chacha::ChaCha20Rng;
use rand_core::{RngCore, SeedableRng};
use sha2::{Digest, Sha256};

/// After how much output fresh entropy is due, in bytes.
pub const MOST_OUTPUT: usize = 1 << 20;
/// After how long fresh entropy is due: five minutes.
pub const LONGEST_AGE: Nanoseconds = Nanoseconds(300 * 1_000_000_000);

/// Where bytes come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Source {
    /// `/chosen/kaslr-seed` of the device tree.
    KaslrSeed = 0,
    /// `/chosen/rng-seed` of the device tree.
    RngSeed = 1,
    /// The core's own generator (register RNDR).
    Rndr = 2,
    /// Firmware's generator, by SMCCC.
    Firmware = 3,
    /// A virtio entropy device.
    Virtio = 4,
}

impl Source {
    const ALL: [Self; 5] =
        [Self::KaslrSeed, Self::RngSeed, Self::Rndr, Self::Firmware, Self::Virtio];

    const fn name(self) -> &'static str {
        match self {
            Self::KaslrSeed => "kaslr-seed",
            Self::RngSeed => "rng-seed",
            Self::Rndr => "RNDR",
            Self::Firmware => "firmware TRNG",
            Self::Virtio => "virtio-rng",
        }
    }
}

/// What precedes a thing that is mixed and is no source's.
const EARLY: u8 = 0x80;
const STIRRED: u8 = 0x81;

/// Which sources have given something.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sources(u8);

impl Sources {
    /// Whether none has.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// A bit for each, as [`Source`] numbers them.
    #[must_use]
    pub const fn bits(self) -> u8 {
        self.0
    }
}

impl fmt::Display for Sources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut names = Source::ALL
            .into_iter()
            .filter(|source| self.0 & 1 << *source as u8 != 0)
            .map(Source::name);
        f.write_str(names.next().unwrap_or("none"))?;
        names.try_for_each(|name| write!(f, ", {name}"))
    }
}

/// Collects bytes until they become a key.
#[derive(Default)]
pub struct Pool {
    hash: Sha256,
    sources: Sources,
}

impl Pool {
    /// Mixes in what a source gave. What is empty, or all the same byte, is no entropy: it is mixed
    /// in all the same, and not counted.
    pub fn mix(&mut self, source: Source, bytes: &[u8]) {
        self.frame(source as u8, bytes.len());
        self.hash.update(bytes);
        self.count(source, bytes.iter().any(|byte| *byte != bytes[0]));
    }

    /// Mixes in what a source gave in words. If they are all the same it is stuck, and not counted.
    pub fn mix_words(&mut self, source: Source, words: &[u64]) {
        self.frame(source as u8, size_of_val(words));
        for word in words {
            self.hash.update(word.to_le_bytes());
        }
        let varied = match words {
            [word] => *word != word.rotate_left(8),
            words => words.iter().any(|word| *word != words[0]),
        };
        self.count(source, varied);
    }

    /// Mixes in what was gathered before the kernel began, with its sources.
    pub fn mix_early(&mut self, seed: &EarlySeed) {
        self.frame(EARLY, seed.pool.len());
        self.hash.update(seed.pool);
        self.sources.0 |= seed.sources;
    }

    /// Mixes in what differs from boot to boot but may be guessed, the time above all.
    pub fn stir(&mut self, value: u64) {
        self.frame(STIRRED, size_of_val(&value));
        self.hash.update(value.to_le_bytes());
    }

    /// Which sources have given something.
    #[must_use]
    pub fn sources(&self) -> Sources {
        self.sources
    }

    /// All that was mixed, in 32 bytes.
    #[must_use]
    pub fn into_key(self) -> [u8; 32] {
        self.hash.finalize().into()
    }

    /// Says what comes next, so that the same bytes cut otherwise are something else.
    fn frame(&mut self, what: u8, length: usize) {
        self.hash.update([what]);
        self.hash.update((length as u64).to_le_bytes());
    }

    fn count(&mut self, source: Source, varied: bool) {
        self.sources.0 |= u8::from(varied) << source as u8;
    }
}

/// Shows no secret.
impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pool({})", self.sources)
    }
}

/// The kernel's generator. It stays where it is made: each copy would be a key that nobody erases.
pub struct Generator {
    key: [u8; 32],
    sources: Sources,
    /// How much may be given out before fresh entropy is due (bytes), and until when.
    left: usize,
    due: Nanoseconds,
}

impl Default for Generator {
    fn default() -> Self {
        Self::new()
    }
}

impl Generator {
    /// One that has nothing to give yet.
    #[must_use]
    pub const fn new() -> Self {
        Self { key: [0; 32], sources: Sources(0), left: 0, due: Nanoseconds(0) }
    }

    /// Which sources have ever given something.
    #[must_use]
    pub const fn sources(&self) -> Sources {
        self.sources
    }

    /// Mixes fresh entropy into the key, as much as `mix` puts into the pool; if that is nothing,
    /// or known to an attacker, the generator is as good as before. What was put there is on the
    /// stack no more when this returns.
    pub fn absorb(&mut self, mix: impl FnOnce(&mut Pool)) {
        self.rekey(mix);
        wipe::stack();
    }

    /// Fills `bytes`, whatever is due.
    ///
    /// # Errors
    /// [`Error::NoEntropy`], with `bytes` as they were, where no source has given anything yet.
    pub fn fill(&mut self, bytes: &mut [u8]) -> Result<(), Error> {
        if self.sources.is_empty() {
            return Err(Error::NoEntropy);
        }
        self.give(bytes);
        wipe::stack();
        Ok(())
    }

    /// Fills `bytes` at the time `now`. Each time that fresh entropy is due, before or midway,
    /// `mix` is asked for it; a generator that has never had any asks at each request.
    ///
    /// # Errors
    /// As [`Generator::fill`].
    pub fn fill_fresh(
        &mut self,
        mut bytes: &mut [u8],
        now: Nanoseconds,
        mut mix: impl FnMut(&mut Pool),
    ) -> Result<(), Error> {
        loop {
            if self.sources.is_empty() || self.left == 0 || now >= self.due {
                self.absorb(&mut mix);
                self.left = MOST_OUTPUT;
                self.due = Nanoseconds(now.0.saturating_add(LONGEST_AGE.0));
            }
            let (piece, rest) = bytes.split_at_mut(bytes.len().min(self.left));
            self.fill(piece)?;
            self.left -= piece.len();
            if rest.is_empty() {
                return Ok(());
            }
            bytes = rest;
        }
    }

    /// The old key goes into the new one, so that no source can take away what others gave.
    #[inline(never)]
    fn rekey(&mut self, mix: impl FnOnce(&mut Pool)) {
        let mut pool = Pool::default();
        pool.hash.update(self.key);
        mix(&mut pool);
        self.sources.0 |= pool.sources.0;
        self.key = pool.into_key();
    }

    /// The first output is the next key: with it nobody can compute this one, nor the rest.
    #[inline(never)]
    fn give(&mut self, bytes: &mut [u8]) {
        let mut stream = ChaCha20Rng::from_seed(self.key);
        stream.fill_bytes(&mut self.key);
        stream.fill_bytes(bytes);
    }
}

/// Shows no secret.
impl fmt::Debug for Generator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Generator({})", self.sources)
    }
}

#[cfg(test)]
mod tests;
