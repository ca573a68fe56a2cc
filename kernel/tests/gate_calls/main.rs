//! What crosses from an application to the kernel and back, made wrong in every way that chance
//! finds: calls in registers, starts, packages, records of the black box. Each module has a `check`
//! that takes any bytes and says what must be true of them; `tests/fuzz` feeds the same functions.
//!
//! Short runs are part of every test run. Long ones are asked for:
//!
//!     ELONE_INPUTS=10000000 cargo test --release -p elone-kernel --test gate_calls
#![allow(missing_docs, clippy::cast_possible_truncation, reason = "a test crate")]

mod bytes;
mod calls;
mod packages;
mod records;
mod starts;

use std::collections::BTreeMap;
use std::env;
use std::fmt::Debug;

use rand_chacha::ChaCha8Rng;
use rand_core::{RngCore, SeedableRng};

/// Has `check` look at random bytes, `length` at most each time, as often as is asked for; returns
/// what came of how many of a thousand.
fn run<Outcome: Ord + Debug>(
    seed: u64,
    short: u64,
    length: usize,
    check: impl Fn(&[u8]) -> Outcome,
) -> BTreeMap<Outcome, u64> {
    let asked = env::var("ELONE_INPUTS").ok();
    let inputs = asked.map_or(short, |number| number.parse().expect("ELONE_INPUTS is a number"));
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut input = vec![0; length];
    let mut outcomes = BTreeMap::new();
    for number in 0..inputs {
        random.fill_bytes(&mut input);
        let length = length - usize::from(input[0]) * length / 512;
        let input = &input[..length];
        let named = Named { seed, number };
        *outcomes.entry(check(input)).or_default() += 1;
        std::mem::forget(named);
    }
    println!("{inputs} inputs: {outcomes:?}");
    for count in outcomes.values_mut() {
        *count = *count * 1000 / inputs;
    }
    outcomes
}

/// Says which input it was that a check panicked at.
struct Named {
    seed: u64,
    number: u64,
}

impl Drop for Named {
    fn drop(&mut self) {
        eprintln!("input {} of seed {:#x}", self.number, self.seed);
    }
}

#[test]
fn no_call_reaches_what_is_not_the_callers() {
    use calls::Outcome;
    let of_a_thousand = run(0xca11, 150_000, 160, calls::check);
    // All kinds are there in numbers: the inputs are neither too coarse nor too fine.
    for outcome in [Outcome::Refused, Outcome::NamesNothing, Outcome::Found, Outcome::NotTheirs] {
        assert!(of_a_thousand.get(&outcome) > Some(&30), "{outcome:?} of {of_a_thousand:?}");
    }
}

#[test]
fn no_package_breaks_its_promises() {
    let of_a_thousand = run(0x9ac4, 40_000, 64, packages::check);
    assert!(of_a_thousand.get(&true) > Some(&50), "{of_a_thousand:?}");
    assert!(of_a_thousand.get(&false) > Some(&200), "{of_a_thousand:?}");
}

#[test]
fn no_start_is_misread() {
    let of_a_thousand = run(0x57a7, 50_000, 320, starts::check);
    assert!(of_a_thousand.get(&true) > Some(&50), "{of_a_thousand:?}");
    assert!(of_a_thousand.get(&false) > Some(&200), "{of_a_thousand:?}");
}

#[test]
fn no_record_is_misread() {
    let of_a_thousand = run(0xb0c5, 40_000, 400, records::check);
    assert!(of_a_thousand.get(&true) > Some(&50), "{of_a_thousand:?}");
    assert!(of_a_thousand.get(&false) > Some(&200), "{of_a_thousand:?}");
}
