//! What others must not be able to guess: sequence numbers, ports, the ids of queries.
//!
//! # Sequence numbers
//!
//! Who knows a connection's sequence number can speak in its peer's name without seeing a segment of
//! it. So the number with which a connection begins is that of RFC 6528: a timer plus a keyed hash of
//! the connection's two ends, by a key that is new at each start. The numbers of one pair of ends
//! grow with the time, so that a peer takes the next connection for a new one while the last is still
//! in TIME-WAIT. Those of different pairs have nothing to do with each other: an attacker who opens
//! ten thousand connections of his own learns the timer and ten thousand values of the hash, but none
//! for the ends of somebody else, as long as SipHash is what it is for: a pseudorandom function.
//!
//! The RFC's timer counts every four microseconds, which is right for connections of at most 250 kB/s:
//! a faster one is further on when it ends than the timer is, and its successor begins behind it. Nor
//! is it always enough to be ahead: the network that QEMU has built in resets a successor that begins
//! within the last one's window. So here the timer counts every 64 nanoseconds, as Linux's does: that
//! is 15 MB/s, ahead of a window after some milliseconds, and once around in 275 s, which is longer
//! than twice a segment's life (RFC 9293, section 3.4.2).
//!
//! No state is kept for it: a flood of SYNs has nothing to exhaust.
//!
//! # Ports and ids
//!
//! These come from the kernel's generator, one by one. DHCP's ids do not: they are the interface's own
//! generator's, whose seed has 64 bits of the kernel's, and they go to everybody on the network
//! anyhow. But for the delay of reports on groups nothing else is drawn from there, so who is not on
//! that network knows nothing of them.

use core::hash::Hasher;

use elone_gate::{Protection, Protections, calls};
use siphasher::sip::SipHasher24;

use super::flow::Ends;
use super::generator;
use crate::entropy;

/// Ports for connections out and sockets that name none (RFC 6335, section 6): 2^14, so that the
/// bits of a random number are uniform among them.
const EPHEMERAL: core::ops::RangeInclusive<u16> = 49_152..=65_535;
/// How often the timer counts that sequence numbers grow with, in nanoseconds.
const TICK: u64 = 64;
/// How often to draw again for a port that is not in use.
const TRIES: u32 = 128;

/// An interface's key, and what is made with it.
pub(super) struct Secret {
    keyed: SipHasher24,
    is_in_force: bool,
    /// Numbers that had to be made without entropy.
    made: u64,
}

impl Secret {
    /// A new key. Where the machine has no entropy it is made from the time, which is said.
    pub(super) fn new(protections: Protections) -> Self {
        Self::with_key(&key(), protections)
    }

    /// Another key: the machine was restored from a snapshot, and others may have the old one, with
    /// whose numbers the new ones then have nothing to do. A connection that comes after one between
    /// the same ends may for once be taken for a part of it, and reset.
    pub(super) fn renew(&mut self) {
        self.keyed = SipHasher24::new_with_key(&key());
    }

    fn with_key(key: &[u8; 16], protections: Protections) -> Self {
        let is_in_force = protections.has(Protection::KeyedSequenceNumbers);
        Self { keyed: SipHasher24::new_with_key(key), is_in_force, made: 0 }
    }

    /// A random number; where there is no entropy, one that at least differs from the others.
    pub(super) fn word(&mut self) -> u64 {
        entropy::word().unwrap_or_else(|_| {
            self.made += 1;
            let mut hasher = self.keyed;
            hasher.write_u64(self.made);
            hasher.write_u64(calls::now().0);
            hasher.finish()
        })
    }

    /// A port at random that is not in use; `None` where that would take too long to find.
    pub(super) fn port(&mut self, is_used: impl Fn(u16) -> bool) -> Option<u16> {
        let mut ports = (0..TRIES).map(|_| {
            let [low, high, ..] = self.word().to_le_bytes();
            *EPHEMERAL.start() | u16::from_le_bytes([low, high])
        });
        ports.find(|&port| !is_used(port))
    }

    /// The seed of an interface on which a connection between these ends begins with the sequence
    /// number that it is to begin with at `now`, in microseconds; `None` for whatever number the
    /// interface comes up with.
    pub(super) fn sequence_seed(&self, ends: &Ends, now: u64) -> Option<u64> {
        self.is_in_force.then(|| generator::seed_for(self.sequence(ends, now)))
    }

    /// RFC 6528, section 3.
    #[expect(clippy::cast_possible_truncation, reason = "sequence numbers are modulo 2^32")]
    fn sequence(&self, ends: &Ends, now: u64) -> u32 {
        let mut bytes = [0; 36];
        bytes[..16].copy_from_slice(&ends.local.to_le_bytes());
        bytes[16..32].copy_from_slice(&ends.remote.to_le_bytes());
        bytes[32..].copy_from_slice(&ends.ports.to_le_bytes());
        let timer = (now.wrapping_mul(1_000) / TICK) as u32;
        timer.wrapping_add(self.keyed.hash(&bytes) as u32)
    }

    /// The seed of an interface on which a query gets an id and a port at random. Its port is one of
    /// all that are not set aside, as the more there are the better (RFC 5452, section 9.2).
    pub(super) fn query_seed(&mut self, is_used: impl Fn(u16) -> bool) -> u64 {
        let mut seed = self.word();
        for _ in 1..TRIES {
            if !is_used(generator::query_port(seed)) {
                break;
            }
            seed = self.word();
        }
        seed
    }
}

/// A key at random; where there is no entropy, of the time.
fn key() -> [u8; 16] {
    let mut key = [0; 16];
    if entropy::fill(&mut key).is_err() {
        log::warn!("no entropy: ports, TCP's sequence numbers and ids of queries can be guessed");
        let date = calls::wall_clock().map_or(0, |date| date.0);
        key = (u128::from(calls::now().0) << 64 | u128::from(date)).to_le_bytes();
    }
    key
}

#[cfg(test)]
mod tests {
    use alloc::vec;
    use alloc::vec::Vec;

    use super::*;

    /// The key of the test vectors in the paper on SipHash (appendix A).
    const KEY: [u8; 16] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15];
    const ENDS: Ends = Ends { ports: 40_000 << 16 | 80, remote: 0xffff_0a00_0202, local: 7 };

    fn secret() -> Secret {
        Secret::with_key(&KEY, Protections::NONE.with(Protection::KeyedSequenceNumbers))
    }

    #[test]
    fn the_hash_is_that_of_the_paper() {
        let message: Vec<u8> = (0..15).collect();
        assert_eq!(secret().keyed.hash(&message), 0xa129_ca61_49be_45e5);
    }

    #[test]
    fn numbers_of_the_same_ends_grow_by_one_every_64_nanoseconds() {
        let secret = secret();
        let first = secret.sequence(&ENDS, 0);
        for (now, grown) in [(1, 15), (8, 125), (1_000_000, 15_625_000), (1 << 35, 0)] {
            assert_eq!(secret.sequence(&ENDS, now), first.wrapping_add(grown), "at {now}");
        }
    }

    #[test]
    fn each_part_of_the_ends_and_of_the_key_counts() {
        let mut other_key = KEY;
        other_key[15] ^= 0x80;
        let other = Secret::with_key(&other_key, Protections::NONE);
        let first = secret().sequence(&ENDS, 0);
        assert_ne!(other.sequence(&ENDS, 0), first);
        for ends in [
            Ends { ports: ENDS.ports ^ 1, ..ENDS },
            Ends { ports: ENDS.ports ^ 1 << 31, ..ENDS },
            Ends { remote: ENDS.remote ^ 1, ..ENDS },
            Ends { remote: ENDS.remote ^ 1 << 127, ..ENDS },
            Ends { local: ENDS.local ^ 1, ..ENDS },
            Ends { local: ENDS.local ^ 1 << 127, ..ENDS },
            Ends { local: ENDS.remote, remote: ENDS.local, ..ENDS },
        ] {
            assert_ne!(secret().sequence(&ends, 0), first, "{ends:?}");
        }
    }

    #[test]
    fn a_new_key_gives_other_numbers() {
        let mut secret = secret();
        let before = secret.sequence(&ENDS, 0);
        secret.renew();
        assert_ne!(secret.sequence(&ENDS, 0), before, "once in 2^32 times, by chance");
        assert!(secret.sequence_seed(&ENDS, 0).is_some());
    }

    #[test]
    fn without_the_protection_the_stack_draws_as_it_likes() {
        let plain = Secret::with_key(&KEY, Protections::NONE);
        assert_eq!(plain.sequence_seed(&ENDS, 0), None);
        assert!(secret().sequence_seed(&ENDS, 0).is_some());
    }

    #[test]
    fn a_port_is_one_of_those_that_are_free() {
        let mut secret = secret();
        for _ in 0..1000 {
            // One in four is free: 128 tries fail once in 10^16.
            let port = secret.port(|port| port & 3 != 1).unwrap();
            assert!(port >= 49_152 && port & 3 == 1, "{port}");
            let seed = secret.query_seed(|port| port & 3 != 1);
            assert_eq!(generator::query_port(seed) & 3, 1);
        }
        assert_eq!(secret.port(|_| true), None);
    }

    /// Each is seen about 30 times; that one is never seen happens once in 10^8 runs.
    #[test]
    fn every_port_of_the_range_is_drawn() {
        let mut secret = secret();
        let mut seen = vec![0_u32; 1 << 14];
        for _ in 0..30 << 14 {
            seen[usize::from(secret.port(|_| false).unwrap() - 49_152)] += 1;
        }
        assert!(!seen.contains(&0));
    }
}
