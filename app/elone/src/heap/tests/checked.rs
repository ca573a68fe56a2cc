//! What the checks find, one thing at a time.

use super::*;
use crate::heap::tests::with_tags::Never;

/// Sizes up to this, each; and a heap of as many bytes as are needed, as each test has its own.
const FEW: usize = if cfg!(miri) { 10 } else { 60 };
const BYTES: usize = if cfg!(miri) { 256 << 10 } else { 1 << 20 };

fn bench() -> Bench<Never> {
    Bench::new(BYTES, |heap, _| heap.check_by(KEY))
}

fn wrong<T>(result: Result<T, Finding>) -> Option<Wrong> {
    result.err().map(|finding| finding.wrong)
}

/// Changes one byte at an offset from a block's start.
fn write(user: *mut u8, at: isize) {
    change(user.wrapping_offset(at));
}

#[test]
fn an_overrun_by_one_is_found_in_either_direction() {
    for size in (1..FEW).chain([320, 500, 70_000]) {
        for (at, wrong_) in [(size, Wrong::Overrun), (size + 7, Wrong::Overrun)] {
            let mut bench = bench();
            let user = bench.allocate(bytes(size));
            write(user, at.cast_signed());
            let found = bench.free(user, bytes(size)).unwrap_err();
            assert_eq!(found, Finding { wrong: wrong_, address: user.addr(), size });
        }
        for at in [-1, -8, -9, -16] {
            let mut bench = bench();
            let user = bench.allocate(bytes(size));
            write(user, at);
            assert_eq!(wrong(bench.free(user, bytes(size))), Some(Wrong::Header));
        }
    }
}

#[test]
fn an_overrun_is_found_by_a_resize() {
    let mut bench = bench();
    let user = bench.allocate(bytes(48));
    write(user, 48);
    // SAFETY: the block is live.
    let grown = unsafe { bench.heap.reallocate(user, bytes(48), 96) };
    assert_eq!(wrong(grown), Some(Wrong::Overrun));
}

#[test]
fn what_is_written_after_it_was_freed_is_found_when_it_leaves() {
    for size in (1..FEW).chain([311, 312, 313]) {
        for at in [0, 1, size / 2, size - 1, size + 7] {
            let mut bench = bench();
            let user = bench.allocate(bytes(size));
            bench.free(user, bytes(size)).unwrap();
            write(user, at.cast_signed());
            let found = bench.flush().unwrap_err();
            assert_eq!(
                found,
                Finding { wrong: Wrong::WrittenAfterFree, address: user.addr(), size }
            );
        }
    }
}

#[test]
fn of_a_larger_block_both_ends_are_looked_at() {
    for (at, found) in [(0, true), (255, true), (256, false), (4_000, false), (4_999, true)] {
        let mut bench = bench();
        let user = bench.allocate(bytes(5_000));
        bench.free(user, bytes(5_000)).unwrap();
        write(user, at);
        let expected = found.then_some(Wrong::WrittenAfterFree);
        assert_eq!(wrong(bench.flush()), expected);
    }
}

#[test]
fn a_header_that_is_written_after_it_was_freed_is_found() {
    let mut bench = bench();
    let user = bench.allocate(bytes(24));
    bench.free(user, bytes(24)).unwrap();
    write(user, -3);
    assert_eq!(wrong(bench.flush()), Some(Wrong::WrittenAfterFree));
}

#[test]
fn what_is_freed_twice_is_found_at_once() {
    let mut bench = bench();
    let user = bench.allocate(bytes(48));
    bench.free(user, bytes(48)).unwrap();
    let found = bench.free(user, bytes(48)).unwrap_err();
    assert_eq!(found, Finding { wrong: Wrong::FreedTwice, address: user.addr(), size: 48 });
}

#[test]
fn what_is_freed_twice_is_found_after_it_has_left_too() {
    let mut bench = bench();
    let (user, _wall) = (bench.allocate(bytes(48)), bench.allocate(bytes(48)));
    bench.free(user, bytes(48)).unwrap();
    bench.flush().unwrap();
    assert!(matches!(wrong(bench.free(user, bytes(48))), Some(Wrong::Header | Wrong::FreedTwice)));
}

#[test]
fn a_large_block_that_is_freed_twice_is_found() {
    let mut bench = bench();
    let (user, _wall) = (bench.allocate(bytes(100_000)), bench.allocate(bytes(48)));
    bench.free(user, bytes(100_000)).unwrap();
    assert!(bench.free(user, bytes(100_000)).is_err());
}

#[test]
fn what_is_no_block_and_another_size_are_found() {
    let mut bench = bench();
    let user = bench.allocate(bytes(48));
    // SAFETY: within the block.
    let inside = unsafe { user.add(16) };
    // SAFETY: as above; so that there is something to be read as a header.
    unsafe { user.write_bytes(0, 48) };
    assert_eq!(wrong(bench.free(inside, bytes(32))), Some(Wrong::Header));
    assert_eq!(wrong(bench.free(user, bytes(40))), Some(Wrong::Mismatch));
    let aligned = Layout::from_size_align(48, 64).unwrap();
    assert_eq!(wrong(bench.free(user, aligned)), Some(Wrong::Mismatch));
    assert_eq!(bench.free(user, bytes(48)), Ok(()));
}

#[test]
fn freed_memory_is_poisoned() {
    let mut bench = bench();
    let user = bench.allocate(bytes(64));
    bench.free(user, bytes(64)).unwrap();
    // SAFETY: still the heap's memory, which waits.
    let held = unsafe { core::slice::from_raw_parts(user, 64) };
    assert!(held.iter().all(|byte| *byte == 0xdf));
}

#[test]
fn what_waits_is_free_and_given_out_when_there_is_nothing_else() {
    let mut bench = bench();
    let whole = bench.heap.usage();
    assert_eq!(whole.allocated, 0);
    let layout = bytes(15_000);
    let mut blocks = Vec::new();
    loop {
        let user = bench.heap.allocate(layout).unwrap();
        if user.is_null() {
            break;
        }
        blocks.push(user);
    }
    assert!(blocks.len() > 12);
    assert_eq!(bench.heap.usage().allocated, blocks.len() * 15_000);
    let full = bench.heap.usage().free;
    for user in blocks.drain(..4) {
        bench.free(user, layout).unwrap();
    }
    assert!(bench.heap.usage().free > full + 4 * 15_000);
    // All four wait, so this needs them to leave.
    assert!(!bench.heap.allocate(bytes(30_000)).unwrap().is_null());
}

#[test]
fn all_comes_back() {
    let mut bench = bench();
    let Usage { free, .. } = bench.heap.usage();
    let mut random = Random(11);
    let blocks: Vec<_> = (0..50)
        .map(|_| {
            let layout = random.layout();
            (bench.allocate(layout), layout)
        })
        .collect();
    for (user, layout) in blocks {
        bench.free(user, layout).unwrap();
    }
    let usage = bench.heap.usage();
    // What waits is counted by what was asked for it; the allocator's own words come on top.
    assert!(usage.allocated == 0 && usage.free <= free && free - usage.free < 32 * 40, "{usage:?}");
    bench.flush().unwrap();
}
