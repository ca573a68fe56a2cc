//! The attack on sequence numbers from a generator that was not made to withstand one: from three of
//! them in a row, all that follow. It stands alone: no crate is needed, and no memory but a list.
//!
//! The generator is sPCG32: a state of 64 bits that goes from `s` to `s * MULTIPLIER + INCREMENT`, of
//! which 32 bits are shown; the upper three bits, not shown, say which 32. Whoever guesses those
//! three and the few beside them knows the state but for its low bits; the next number says of a
//! multiple of these low bits, modulo 2^64, in what narrow range it is. To find the least number whose
//! multiple is in a range takes Euclid's algorithm and no search. So 2^32 states are tried in about
//! 2^16 steps, which takes well under a second.
#![allow(dead_code, reason = "each test uses a part of it")]

const MULTIPLIER: u64 = 0xbb2e_fcec_3c39_611d;
const INCREMENT: u64 = 0x7590_ef39;

/// The generator as the attacker believes it to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Predictor(u64);

impl Predictor {
    /// One whose seed is known.
    pub(crate) const fn seeded(seed: u64) -> Self {
        Self(seed)
    }

    /// Every generator that would have put out the numbers `seen`, three at least, in a row; each
    /// stands after the last of them. None where the numbers are from elsewhere.
    pub(crate) fn from_seen(seen: &[u32]) -> Vec<Self> {
        let [first, second, rest @ ..] = seen else { return Vec::new() };
        let mut found = Vec::new();
        for (known, unknown) in guesses(*first) {
            let stepped = Self(known).stepped();
            for (next, next_unknown) in guesses(*second) {
                // (known + low) * MULTIPLIER + INCREMENT = next + next_low
                let lower = next.wrapping_sub(stepped.0);
                for low in multiples_within(lower, next_unknown, unknown) {
                    let mut state = Self(known + low).stepped();
                    if state.shown() == *second && rest.iter().all(|&shown| state.next() == shown) {
                        found.push(state);
                    }
                }
            }
        }
        found
    }

    /// What comes next.
    pub(crate) const fn next(&mut self) -> u32 {
        *self = self.stepped();
        self.shown()
    }

    const fn stepped(self) -> Self {
        Self(self.0.wrapping_mul(MULTIPLIER).wrapping_add(INCREMENT))
    }

    #[allow(clippy::cast_possible_truncation, reason = "as the generator does")]
    const fn shown(self) -> u32 {
        (self.0 >> (29 - (self.0 >> 61))) as u32
    }
}

/// All that the state can be which shows `shown`: the state without its low bits, and how many
/// values these can have.
fn guesses(shown: u32) -> impl Iterator<Item = (u64, u64)> {
    (0..8_u32).flat_map(move |top| {
        let lowest = 29 - top;
        (0..1_u64 << top).map(move |between| {
            let upper = u64::from(top) << 61 | between << (61 - top);
            (upper | u64::from(shown) << lowest, 1 << lowest)
        })
    })
}

/// All numbers below `below` of which the multiple by `MULTIPLIER`, modulo 2^64, is one of the
/// `count` numbers from `lower` on.
fn multiples_within(lower: u64, count: u64, below: u64) -> impl Iterator<Item = u64> {
    let mut from = 0_u64;
    std::iter::from_fn(move || {
        // Counted from `from` on the range lies lower by that multiple.
        let start = lower.wrapping_sub(from.wrapping_mul(MULTIPLIER));
        let end = start.wrapping_add(count - 1);
        let further = if start > end {
            0 // It goes across 0, which is the multiple of 0.
        } else {
            first_within(MULTIPLIER.into(), 1 << 64, start.into(), end.into())?
        };
        let found = from.checked_add(u64::try_from(further).ok()?)?;
        from = found + 1;
        (found < below).then_some(found)
    })
}

/// The least number of which the multiple by `factor`, modulo `modulus`, is from `lower` to `upper`.
fn first_within(factor: u128, modulus: u128, lower: u128, upper: u128) -> Option<u128> {
    if lower == 0 {
        return Some(0);
    }
    if factor == 0 {
        return None;
    }
    if 2 * factor > modulus {
        return first_within(modulus - factor, modulus, modulus - upper, modulus - lower);
    }
    let before_wrapping = lower.div_ceil(factor);
    if factor * before_wrapping <= upper {
        return Some(before_wrapping);
    }
    // How often it has to wrap: the same question, modulo the factor.
    let step = (factor - modulus % factor) % factor;
    let wraps = first_within(step, factor, lower % factor, upper % factor)?;
    Some((lower + modulus * wraps).div_ceil(factor))
}
