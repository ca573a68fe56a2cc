//! Memory for devices.

use elone_hal::dma::{DmaError, DmaPool};
use elone_hal::fake::memory;

#[test]
fn regions_are_aligned_zero_and_apart() {
    let mut pool = DmaPool::on_host(3 * 4096);
    let first = pool.take(10, 1).expect("room");
    let second = pool.take(100, 4096).expect("room");
    assert_eq!(second.physical().0 % 4096, 0);
    assert!(first.physical().0 + 10 <= second.physical().0);
    assert_eq!(memory::read(second.physical().0, 100), [0; 100]);
    assert_eq!(pool.take(4096, 4096).expect("the last page").length(), 4096);
    assert_eq!(pool.take(1, 1).expect_err("nothing left"), DmaError::Exhausted);
    assert_eq!(pool.left(), 0);
}

#[test]
fn a_length_that_would_wrap_is_refused() {
    let mut pool = DmaPool::on_host(4096);
    assert_eq!(pool.take(usize::MAX, 8).expect_err("too much"), DmaError::Exhausted);
    assert_eq!(pool.take(8, usize::MAX / 2 + 1).expect_err("too aligned"), DmaError::Exhausted);
    assert_eq!(pool.left(), 4096);
}

#[test]
fn a_refused_take_takes_nothing() {
    let mut pool = DmaPool::on_host(4096);
    pool.take(8, 8).expect("room");
    let left = pool.left();
    pool.take(4096, 8).expect_err("no room");
    pool.take_buffers(1, 4096).expect_err("no page left");
    assert_eq!(pool.left(), left);
}

#[test]
fn a_region_ends_where_it_ends() {
    let mut pool = DmaPool::on_host(4096);
    let region = pool.take(16, 16).expect("room");
    assert!(region.span(0, 16).is_ok() && region.span(16, 0).is_ok());
    assert_eq!(region.span(1, 16).expect_err("past the end"), DmaError::OutsideRegion);
    assert_eq!(region.span(usize::MAX, 1).expect_err("wraps"), DmaError::OutsideRegion);
    assert_eq!(region.physical_of(15).map(|at| at.0), Some(region.physical().0 + 15));
    assert_eq!(region.physical_of(16), None);
    assert!(region.words64(8, 1).is_ok());
    assert!(region.words64(8, 2).is_err() && region.words64(4, 1).is_err());
    assert!(region.words16(0, usize::MAX).is_err());
}

#[test]
fn words_are_little_endian_and_seen_by_the_device() {
    let mut pool = DmaPool::on_host(4096);
    let region = pool.take(16, 16).expect("room");
    let (words, halves) =
        (region.words64(0, 2).expect("room"), region.words16(0, 8).expect("room"));
    words.store(0, 0x0102_0304_0506_0708);
    assert_eq!(memory::read(region.physical().0, 8), [8, 7, 6, 5, 4, 3, 2, 1]);
    memory::write(region.physical().0, &[0xcd, 0xab]);
    assert_eq!(halves.load(0), 0xabcd);
    halves.store(8, 1);
    assert_eq!((halves.load(8), words.load(1)), (0, 0), "past the end is nowhere");
}

#[test]
fn a_buffer_is_told_of_only_if_it_exists() {
    let mut pool = DmaPool::on_host(3 * 4096);
    let buffers = pool.take_buffers(4, 2048).expect("room");
    let span = buffers.span(3, 2048).expect("the last one");
    assert_eq!(span.address().0, buffers.span(0, 0).expect("the first").address().0 + 3 * 2048);
    assert!(buffers.span(4, 1).is_none() && buffers.span(0, 2049).is_none());
}
