//! Copies, moves, sets and compares bytes of all short lengths at all alignments and overlaps, and
//! checks each byte: the functions that compiled code calls are the image's own.
#![no_std]
#![no_main]

use elone::{Platform, info};

const SPACE: usize = 512;
/// All paths differ below this; a few longer ones loop.
const LENGTHS: [usize; 12] = [96, 127, 128, 129, 130, 191, 192, 193, 200, 255, 256, 257];

#[elone::main]
async fn main(_platform: Platform) {
    let mut checked = 0;
    for length in (0..90).chain(LENGTHS) {
        for from in 0..17 {
            for to in [0, 1, 3, 7, 8, 15, 16, 17, 31, 33, 63, 64, 65, 100] {
                moves(from, to, length);
                checked += 1;
            }
            sets(from, length);
            compares(from, length);
        }
    }
    info!("{checked} combinations are right");
}

/// A byte for each place, without a short period.
fn pattern(place: usize) -> u8 {
    (place as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes()[0]
}

fn moves(from: usize, to: usize, length: usize) {
    let mut space: [u8; SPACE] = core::array::from_fn(pattern);
    core::hint::black_box(&mut space).copy_within(from..from + length, to);
    for (place, byte) in space.iter().enumerate() {
        let moved = (to..to + length).contains(&place);
        let expected = if moved { pattern(place - to + from) } else { pattern(place) };
        assert!(*byte == expected, "moved {length} from {from} to {to}: wrong at {place}");
    }
}

fn sets(at: usize, length: usize) {
    let mut space: [u8; SPACE] = core::array::from_fn(pattern);
    core::hint::black_box(&mut space)[at..at + length].fill(0xa5);
    for (place, byte) in space.iter().enumerate() {
        let expected = if (at..at + length).contains(&place) { 0xa5 } else { pattern(place) };
        assert!(*byte == expected, "set {length} at {at}: wrong at {place}");
    }
}

fn compares(at: usize, length: usize) {
    let one: [u8; SPACE] = core::array::from_fn(pattern);
    let mut other = one;
    let range = at..at + length;
    assert!(
        core::hint::black_box(&one)[range.clone()] == core::hint::black_box(&other)[range.clone()]
    );
    for place in range.clone().step_by(1 + length / 7) {
        other[place] = one[place].wrapping_add(1);
        let (left, right) = (&core::hint::black_box(&one)[range.clone()], &other[range.clone()]);
        assert!(left.cmp(right) == one[place].cmp(&other[place]), "{length} at {at}: {place}");
        other[place] = one[place];
    }
}
