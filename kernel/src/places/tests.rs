use rand_chacha::ChaCha8Rng;
use rand_core::{RngCore, SeedableRng};

use super::*;

const PAGE: u64 = 4096;
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;
/// The lower half with 48 bits, but for the first 4 GiB.
const SPACE: Range<u64> = 4 * GIB..1 << 48;

/// As an application has: heap, image, what it is told, stack, buffers.
const NEEDS: [Need; 5] = [
    Need { length: 8 * GIB, alignment: GIB, block: 512 * GIB },
    Need { length: 5 * MIB / 2, alignment: PAGE, block: GIB },
    Need { length: 4 * PAGE, alignment: PAGE, block: GIB },
    Need { length: MIB + 32 * PAGE, alignment: PAGE, block: GIB },
    Need { length: 64 * MIB, alignment: PAGE, block: GIB },
];

fn is_in_order(needs: &[Need], space: &Range<u64>, places: &[u64]) {
    let mut ranges: Vec<_> = needs.iter().zip(places).collect();
    ranges.sort_by_key(|(_, place)| **place);
    for (need, place) in &ranges {
        assert!(place.is_multiple_of(need.alignment), "{need:x?} at {place:#x}");
        assert!(**place >= space.start && **place + need.length <= space.end, "{place:#x}");
        let block = need.block.max((2 * need.length).next_power_of_two());
        assert_eq!(*place / block, (*place + need.length - 1) / block, "{need:x?} at {place:#x}");
    }
    for pair in ranges.windows(2) {
        let [(before, start), (_, next)] = pair else { continue };
        assert!(*start + before.length + APART <= **next, "{ranges:x?}");
    }
}

#[test]
fn a_hundred_thousand_draws_are_in_order_and_spread_evenly() {
    let draws = if cfg!(miri) { 100 } else { 100_000 };
    let mut random = ChaCha8Rng::seed_from_u64(0x91ace5);
    // How often each thing was in each sixteenth of the space, and how often each bit was set.
    let (mut sixteenths, mut bits) = ([[0_u32; 16]; 5], [[0_u32; 48]; 5]);
    let mut orders = std::collections::BTreeMap::<_, u32>::new();
    for _ in 0..draws {
        let places = draw(&NEEDS, &SPACE, || random.next_u64()).expect("there is room");
        is_in_order(&NEEDS, &SPACE, &places);
        for (index, place) in places.iter().enumerate() {
            sixteenths[index][(place >> 44) as usize] += 1;
            (0..48).for_each(|bit| bits[index][bit] += (place >> bit & 1) as u32);
        }
        let mut order = [0, 1, 2, 3, 4];
        order.sort_by_key(|index| places[*index]);
        *orders.entry(order).or_default() += 1;
    }
    if cfg!(miri) {
        return;
    }
    // 6250 and 50,000 are expected, 833 of each order; ten standard deviations are allowed. Of the
    // bits within a block a few are set less often: what would reach out of the block is not there.
    for (index, counts) in sixteenths.iter().enumerate() {
        assert!(counts.iter().all(|count| (5_480..7_020).contains(count)), "{index}: {counts:?}");
        let free = NEEDS[index].alignment.trailing_zeros() as usize..48;
        let balanced = bits[index][free].iter().all(|count| (46_200..51_600).contains(count));
        assert!(balanced, "{index}: {:?}", bits[index]);
    }
    assert_eq!(orders.len(), 120, "every order occurs");
    assert!(orders.values().all(|count| (540..1_130).contains(count)), "{orders:?}");
}

#[test]
fn no_two_draws_are_alike() {
    let mut random = ChaCha8Rng::seed_from_u64(1);
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..if cfg!(miri) { 20 } else { 10_000 } {
        let places = draw(&NEEDS, &SPACE, || random.next_u64()).expect("there is room");
        // The heap alone has 2^18 places; of the others no two ever have the same.
        assert!(places[1..].iter().all(|place| seen.insert(*place)), "{places:x?}");
    }
}

/// Whatever the numbers are, and however little room there is: either it is in order, or refused.
#[test]
fn the_worst_numbers_lead_to_places_that_are_in_order() {
    for numbers in [0, 1, u64::MAX, 1 << 63, u64::MAX / 3] {
        let places = draw(&NEEDS, &SPACE, || numbers).expect("there is room");
        is_in_order(&NEEDS, &SPACE, &places);
    }
    let mut random = ChaCha8Rng::seed_from_u64(2);
    let mut found = [0; 2];
    for _ in 0..if cfg!(miri) { 50 } else { 5_000 } {
        let needs = [(); 4].map(|()| Need {
            length: 1 + random.next_u64() % (1 << (random.next_u64() % 40)),
            alignment: 1 << (12 + random.next_u64() % 19),
            block: 1 << (12 + random.next_u64() % 28),
        });
        let start = random.next_u64() % (1 << 36);
        let space = start..start + random.next_u64() % (1 << 42);
        match draw(&needs, &space, || random.next_u64()) {
            Some(places) => is_in_order(&needs, &space, &places),
            None => found[0] += 1,
        }
        found[1] += 1;
    }
    assert!(found[0] * 20 > found[1] / 20 && found[0] * 2 < found[1], "{found:?}");
}

#[test]
fn what_has_no_room_is_refused() {
    let need = |length| Need { length, alignment: PAGE, block: PAGE };
    for length in [1 << 47, 1 << 48, 1 << 63, u64::MAX] {
        assert_eq!(draw(&[need(length), need(length)], &SPACE, || 7), None, "{length:#x}");
    }
    // One behind the other, with as much between them as has to be.
    let space = 0..2 * PAGE + APART;
    let both = [need(PAGE), need(PAGE)];
    assert!(draw(&both, &space, || 0).is_some());
    assert_eq!(draw(&both, &(0..space.end - 1), || 0), None);
    assert_eq!(draw(&both, &(1..1), || 0), None);
}
