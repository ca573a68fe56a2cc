//! What the early pass makes of a device tree: every tree that was seen in the wild, and those with
//! something wrong in them.
#![allow(missing_docs, clippy::cast_possible_truncation, reason = "a test crate")]

mod common;

use common::{Writer, fixtures, mutate};
use dtoolkit::fdt::Fdt;
use dtoolkit::{Node as _, Property as _};
use elone_hal::seed::EarlySeed;
use elone_kernel::machine::Machine;
use elone_kernel::seed::early;
use rand_chacha::ChaCha8Rng;
use rand_core::{RngCore, SeedableRng};

const KASLR: u8 = 1 << 0;
const RNG: u8 = 1 << 1;
const RNDR: u8 = 1 << 2;

/// All that comes of a seed, to compare.
fn outcome(tree: &[u8], extra: &[u64]) -> ([u64; EarlySeed::LAYOUT], [u8; 32], u8) {
    let seed = early(&mut tree.to_vec(), extra);
    (seed.layout, seed.pool, seed.sources)
}

/// Where the seeds of a tree are, as another reader of device trees sees it.
fn places(tree: &[u8]) -> Vec<std::ops::Range<usize>> {
    let reader = Fdt::new(tree).expect("a tree");
    let chosen = reader.find_node("/chosen").expect("there is one");
    ["kaslr-seed", "rng-seed"]
        .iter()
        .filter_map(|name| chosen.property(name))
        .map(|property| {
            let start = property.value().as_ptr().addr() - tree.as_ptr().addr();
            start..start + property.value().len()
        })
        .collect()
}

/// A machine with these seeds.
fn machine(kaslr: &[u8], rng: &[u8]) -> Vec<u8> {
    let chosen = Writer::machine().begin("chosen").bytes("kaslr-seed", kaslr);
    chosen.bytes("rng-seed", rng).text("bootargs", &["log=debug"]).finish()
}

#[test]
fn every_seed_is_counted_and_wiped_and_nothing_else_is_written() {
    for (name, tree) in fixtures() {
        let expected = match name.split('-').next() {
            Some("qemu") => KASLR | RNG,
            Some("firecracker") => RNG,
            _ => 0, // kvmtool has a kaslr-seed of zeros
        };
        // As it lies in memory: something follows.
        let mut wiped = [&tree[..], &[0xa5; 99]].concat();
        let seed = early(&mut wiped, &[1]);
        assert_eq!(seed.sources, expected, "{name}");

        let places = places(&tree);
        assert!(!places.is_empty(), "{name}");
        let mut hand_wiped = [&tree[..], &[0xa5; 99]].concat();
        places.into_iter().for_each(|place| hand_wiped[place].fill(0));
        assert!(wiped == hand_wiped, "{name}");
        assert_eq!(early(&mut wiped, &[1]).sources, 0, "{name}, a second time");
        let machines = [&tree, &wiped].map(|tree| format!("{:?}", Machine::read(tree)));
        assert!(machines[0] == machines[1] && machines[0].starts_with("Ok"), "{name}");
    }
}

#[test]
fn every_byte_of_a_seed_matters_to_every_number() {
    let (kaslr, rng): (Vec<u8>, Vec<u8>) = ((1..=8).collect(), (1..=64).collect());
    let first = outcome(&machine(&kaslr, &rng), &[]);
    assert_eq!(first, outcome(&machine(&kaslr, &rng), &[]));
    let differs = |kaslr: &[u8], rng: &[u8]| {
        let other = outcome(&machine(kaslr, rng), &[]);
        assert!(first.0.iter().zip(other.0).all(|(one, other)| *one != other));
        assert_ne!(first.1, other.1);
    };
    for index in 0..8 {
        let mut kaslr = kaslr.clone();
        kaslr[index] ^= 1;
        differs(&kaslr, &rng);
    }
    for index in 0..64 {
        let mut rng = rng.clone();
        rng[index] ^= 0x80;
        differs(&kaslr, &rng);
    }
}

#[test]
fn no_number_is_another() {
    let (layout, pool, _) = outcome(&machine(&[1, 2, 3, 4, 5, 6, 7, 8], &[9, 8]), &[1, 2, 3]);
    let pool = pool.as_chunks::<8>().0.iter().map(|word| u64::from_le_bytes(*word));
    let mut numbers: Vec<u64> = layout.into_iter().chain(pool).collect();
    numbers.sort_unstable();
    numbers.dedup();
    assert_eq!(numbers.len(), EarlySeed::LAYOUT + 4);
}

#[test]
fn what_is_all_the_same_is_no_entropy() {
    let sources = |kaslr: &[u8], rng: &[u8], extra: &[u64]| outcome(&machine(kaslr, rng), extra).2;
    assert_eq!(sources(&[0; 8], &[0; 32], &[1]), 0);
    assert_eq!(sources(&[0xff; 8], &[0x5a; 64], &[0, 0, 0, 0, 1]), 0);
    assert_eq!(sources(&[], &[], &[]), 0);
    assert_eq!(sources(&[0, 1], &[0; 32], &[]), KASLR);
    assert_eq!(sources(&[0; 8], &[0, 1], &[]), RNG);
    assert_eq!(sources(&[0; 8], &[0; 8], &[7, 8, 1]), RNDR);
    assert_eq!(sources(&[0; 8], &[0; 8], &[0x1234, 1]), RNDR);
    assert_eq!(sources(&[0; 8], &[0; 8], &[0x1234, 0x1234, 0x1234, 1]), 0, "stuck");
    assert_eq!(sources(&[0; 8], &[0; 8], &[u64::MAX, 1]), 0, "stuck");
    assert_eq!(sources(&[0, 1], &[0, 1], &[7, 8, 1]), KASLR | RNG | RNDR);
}

#[test]
fn without_a_source_only_the_counter_matters() {
    let tree = machine(&[0; 8], &[]);
    assert_ne!(outcome(&tree, &[1]), outcome(&tree, &[2]));
    assert_eq!(outcome(&tree, &[1]), outcome(&tree, &[1]));
    assert_eq!(outcome(&[], &[1]), outcome(b"no tree at all", &[1]));
    assert_eq!(outcome(&[], &[1]).2, 0);
}

#[test]
fn seeds_count_in_chosen_alone() {
    let elsewhere = Writer::new()
        .bytes("rng-seed", b"in the root")
        .ram(0x4000_0000, 0x100_0000)
        .begin("device")
        .bytes("rng-seed", b"in a device")
        .begin("chosen")
        .bytes("rng-seed", b"in a chosen of its own")
        .end()
        .end()
        .begin("chosen")
        .begin("module")
        .bytes("kaslr-seed", b"in a node of chosen's")
        .end();
    let mut tree = elsewhere.finish();
    let before = tree.clone();
    assert_eq!(early(&mut tree, &[]).sources, 0);
    assert!(tree == before);
}

#[test]
fn a_long_seed_is_wiped_to_its_end() {
    let long: Vec<u8> = (0..100_000_u32).map(|n| n as u8 | 1).collect();
    let mut tree = machine(&[1, 2], &long);
    let length = tree.len();
    assert_eq!(early(&mut tree, &[]).sources, KASLR | RNG);
    assert_eq!(tree.len(), length);
    assert!(!tree.windows(8).any(|window| window == &long[..8]));
    assert!(places(&tree).into_iter().all(|place| tree[place].iter().all(|byte| *byte == 0)));
}

/// What is written is a property of one of the two names, and becomes zeros.
#[test]
fn no_tree_makes_it_panic_or_write_elsewhere() {
    const TREES: usize = 50_000;
    let trees = fixtures();
    let mut random = ChaCha8Rng::seed_from_u64(0x5eed);
    let (mut found, mut lost) = (0, 0);
    for _ in 0..TREES {
        let mut tree = trees[random.next_u32() as usize % trees.len()].1.clone();
        for _ in 0..=random.next_u32() % 3 {
            mutate(&mut tree, &mut random);
        }
        let before = tree.clone();
        if early(&mut tree, &[1]).sources == 0 {
            lost += 1
        } else {
            found += 1
        }
        check(&before, &tree);
    }
    assert!(found > TREES / 10 && lost > TREES / 10, "{found} had seeds, {lost} had none");
}

/// Each byte that changed is behind the token, the length and the name of a seed, and is zero now.
fn check(before: &[u8], after: &[u8]) {
    if before == after {
        return;
    }
    let word = |at: usize| {
        let cell = before.get(at..at + 4).expect("in the tree");
        u32::from_be_bytes(cell.try_into().expect("four")) as usize
    };
    let (structure, strings) = (word(8), word(12));
    let mut expected = before.to_vec();
    for token in (structure..before.len() - 12).step_by(4).filter(|token| word(*token) == 3) {
        let name = &before[(strings + word(token + 8)).min(before.len())..];
        if name.starts_with(b"kaslr-seed\0") || name.starts_with(b"rng-seed\0") {
            let value = token + 12..(token + 12 + word(token + 4)).min(before.len());
            // Values may overlap in such a tree, so one need not be wiped as a whole.
            for (byte, now) in expected[value.clone()].iter_mut().zip(&after[value]) {
                *byte = if *now == 0 { 0 } else { *byte };
            }
        }
    }
    assert!(expected == after, "something else was written");
}
