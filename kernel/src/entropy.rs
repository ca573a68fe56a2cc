//! Entropy: every source that the machine has, mixed into one generator.
//!
//! No source is trusted alone, and none can make the result worse: all go through SHA-256 into the
//! seed of ChaCha20. What an attacker on one of them knows does not help without the others.

use core::fmt;

use elone_gate::Error;
use rand_chacha::ChaCha20Rng;
use rand_core::{RngCore, SeedableRng};
use sha2::{Digest, Sha256};

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

/// Collects bytes until there is a seed.
#[derive(Clone, Debug, Default)]
pub struct Pool {
    hash: Sha256,
    sources: Sources,
}

impl Pool {
    /// Mixes in what a source gave. What is empty, or all the same byte, is no entropy: it is mixed
    /// in all the same, and not counted.
    pub fn mix(&mut self, source: Source, bytes: &[u8]) {
        self.hash.update([source as u8]);
        self.hash.update((bytes.len() as u64).to_le_bytes());
        self.hash.update(bytes);
        if bytes.iter().any(|byte| *byte != bytes[0]) {
            self.sources.0 |= 1 << source as u8;
        }
    }

    /// Mixes in what a source gave in words. If they are all the same it is stuck, and not counted.
    pub fn mix_words(&mut self, source: Source, words: &[u64]) {
        self.hash.update([source as u8]);
        self.hash.update((size_of_val(words) as u64).to_le_bytes());
        let mut varied = false;
        for word in words {
            let bytes = word.to_le_bytes();
            self.hash.update(bytes);
            varied |= match words {
                [_] => bytes.iter().any(|byte| *byte != bytes[0]),
                _ => *word != words[0],
            };
        }
        self.sources.0 |= u8::from(varied) << source as u8;
    }

    /// Mixes in what differs from boot to boot but may be guessed, the time above all.
    pub fn stir(&mut self, value: u64) {
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

    /// The generator; nothing where no source has given anything.
    #[must_use]
    pub fn into_generator(self) -> Generator {
        let seeded = !self.sources.is_empty();
        let seed: [u8; 32] = self.hash.finalize().into();
        Generator { rng: seeded.then(|| ChaCha20Rng::from_seed(seed)) }
    }
}

/// The kernel's generator.
#[derive(Clone, Debug)]
pub struct Generator {
    rng: Option<ChaCha20Rng>,
}

impl Generator {
    /// Fills `bytes`.
    ///
    /// # Errors
    /// [`Error::NoEntropy`], with `bytes` as they were, where there was no seed.
    pub fn fill(&mut self, bytes: &mut [u8]) -> Result<(), Error> {
        self.rng.as_mut().ok_or(Error::NoEntropy)?.fill_bytes(bytes);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn output(mix: impl FnOnce(&mut Pool)) -> Result<[u8; 16], Error> {
        let mut pool = Pool::default();
        mix(&mut pool);
        let mut bytes = [0; 16];
        pool.into_generator().fill(&mut bytes).map(|()| bytes)
    }

    #[test]
    fn without_a_source_there_is_no_entropy() {
        assert_eq!(output(|_| {}), Err(Error::NoEntropy));
        assert_eq!(output(|pool| pool.stir(1)), Err(Error::NoEntropy));
        assert_eq!(output(|pool| pool.mix(Source::RngSeed, &[0; 32])), Err(Error::NoEntropy));
    }

    #[test]
    fn every_source_changes_the_output() {
        let one = output(|pool| pool.mix(Source::RngSeed, &[1, 2, 3]));
        for source in Source::ALL {
            let other = output(|pool| {
                pool.mix(Source::RngSeed, &[1, 2, 3]);
                pool.mix(source, &[4, 5, 6]);
            });
            assert_ne!(one, other, "{source:?}");
        }
    }

    #[test]
    fn the_time_changes_the_output() {
        let at = |time| {
            output(|pool| {
                pool.mix(Source::RngSeed, &[1, 2, 3]);
                pool.stir(time);
            })
        };
        assert_ne!(at(1), at(2));
        assert_eq!(at(1), at(1));
    }

    #[test]
    fn the_same_bytes_cut_otherwise_are_another_seed() {
        let whole = output(|pool| pool.mix(Source::RngSeed, &[1, 2, 3, 4]));
        let halves = output(|pool| {
            pool.mix(Source::RngSeed, &[1, 2]);
            pool.mix(Source::RngSeed, &[3, 4]);
        });
        assert_ne!(whole, halves);
    }

    #[test]
    fn sources_are_named() {
        let mut pool = Pool::default();
        assert_eq!(pool.sources().to_string(), "none");
        pool.mix(Source::KaslrSeed, &[1, 2]);
        pool.mix(Source::Virtio, &[1, 2]);
        assert_eq!(pool.sources().to_string(), "kaslr-seed, virtio-rng");
    }
}
