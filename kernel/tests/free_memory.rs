//! Free memory against a model that is too simple to be wrong: a bit for each byte.
#![allow(missing_docs, clippy::cast_possible_truncation, reason = "a test crate")]

mod common;

use common::range;
use elone_hal::address::PhysicalRange;
use elone_kernel::machine::{BANKS, Machine, RESERVATIONS, Reservation};
use rand_chacha::ChaCha8Rng;
use rand_core::{RngCore, SeedableRng};

const PAGE: u64 = 4096;

/// How many pages the model's address space has.
const PAGES: u64 = 64;

/// A range in the model's address space: mostly not of whole pages, sometimes empty.
fn any_range(random: &mut ChaCha8Rng, longest: u64) -> PhysicalRange {
    let mut number = |limit: u64| u64::from(random.next_u32()) % limit;
    let whole = |number: u64| number / PAGE * PAGE;
    let (start, length) = (number(PAGES * PAGE), number(longest));
    let (start, length) = match number(4) {
        0 => (whole(start), whole(length)),
        1 => (whole(start), length),
        _ => (start, length),
    };
    range(start, length.min(PAGES * PAGE - start))
}

/// The free pages, by marking every byte of RAM and then every page of which a byte is taken.
fn model(machine: &Machine, taken: &[PhysicalRange]) -> Vec<bool> {
    let mut ram = vec![false; (PAGES * PAGE) as usize];
    let bytes = |range: &PhysicalRange| range.start().0 as usize..range.end().0 as usize;
    machine.ram.iter().for_each(|bank| ram[bytes(bank)].fill(true));
    let mut pages: Vec<bool> =
        ram.chunks(PAGE as usize).map(|page| page.iter().all(|byte| *byte)).collect();
    for range in taken.iter().filter(|range| !range.is_empty()) {
        let last = (range.end().0 - 1) / PAGE;
        pages[(range.start().0 / PAGE) as usize..=last as usize].fill(false);
    }
    pages
}

#[test]
fn free_memory_is_ram_without_what_is_taken() {
    let mut random = ChaCha8Rng::seed_from_u64(1);
    for round in 0..600 {
        let mut machine = Machine::default();
        let count = |random: &mut ChaCha8Rng, limit: usize| random.next_u32() as usize % limit;
        for _ in 0..=count(&mut random, BANKS) {
            let _ = machine.ram.push(any_range(&mut random, 24 * PAGE));
        }
        for _ in 0..count(&mut random, RESERVATIONS + 1) {
            let range = any_range(&mut random, 3 * PAGE);
            let _ = machine.reservations.push(Reservation { range, no_map: false });
        }
        machine.initrd = (round % 2 == 0).then(|| any_range(&mut random, 4 * PAGE));
        let (image, tree) = (any_range(&mut random, 6 * PAGE), any_range(&mut random, 2 * PAGE));

        let early = any_range(&mut random, 2 * PAGE);

        let free = machine.free_memory([image, tree, early]);
        let mut pages = vec![false; PAGES as usize];
        let mut end = 0;
        for range in &free {
            assert_eq!((range.start().0 % PAGE, range.length() % PAGE), (0, 0), "{round}: pages");
            assert!(!range.is_empty(), "{round}: nothing is listed");
            assert!(end == 0 || range.start().0 > end, "{round}: sorted, and not touching");
            end = range.end().0;
            pages[(range.start().0 / PAGE) as usize..(end / PAGE) as usize].fill(true);
        }
        let reserved = machine.reservations.iter().map(|reservation| reservation.range);
        let taken: Vec<_> = reserved.chain([image, tree, early]).chain(machine.initrd).collect();
        assert_eq!(pages, model(&machine, &taken), "{round}: {:?} {taken:?}", machine.ram);
    }
}

#[test]
fn there_is_room_for_the_worst_case() {
    // Banks that do not touch, each reservation in the middle of what is left.
    let mut machine = Machine::default();
    for bank in 0..BANKS as u64 {
        machine.ram.push(range(bank << 32, 1 << 31)).expect("room");
    }
    for n in 0..RESERVATIONS as u64 {
        let range = range((n % 16) << 32 | (n + 1) << 20, 1);
        machine.reservations.push(Reservation { range, no_map: true }).expect("room");
    }
    machine.initrd = Some(range(0x4000_0000, 1));
    let own = [range(0x5000_0000, 1), range(0x6000_0000, 1), range(0x7000_0000, 1)];
    let free = machine.free_memory(own);
    assert_eq!(free.len(), BANKS + RESERVATIONS + 4);
    assert!(free.is_full());
    let taken = (RESERVATIONS as u64 + 4) * PAGE;
    let total: u64 = free.iter().map(PhysicalRange::length).sum();
    assert_eq!(total, machine.memory() - taken);
}

#[test]
fn the_end_of_the_address_space_is_no_special_place() {
    let mut machine = Machine::default();
    machine.ram.push(range(u64::MAX - 0x3fff, 0x3fff)).expect("room");
    let nowhere = range(0, 0);
    assert_eq!(machine.free_memory([nowhere; 3]), [range(u64::MAX - 0x3fff, 0x3000)]);
    let last = range(u64::MAX - 0x1fff, 0x1fff);
    assert_eq!(machine.free_memory([last, nowhere, nowhere]), [range(u64::MAX - 0x3fff, 0x2000)]);
}
