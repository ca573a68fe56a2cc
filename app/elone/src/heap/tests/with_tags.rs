//! The heap over memory with tags that a list stands for: which tags blocks get, and what a pointer
//! with the wrong one leads to. What the core itself does is for the system tests.

use core::cell::{Cell, RefCell};
use std::rc::Rc;

use super::*;
use crate::heap::raw::Block;
use crate::heap::tags::Instructions;

/// What stands for the instructions where a heap has no tags.
pub(super) struct Never;

impl Instructions for Never {
    fn choose(&self, _: u16) -> u8 {
        unreachable!("no tags are in use")
    }

    fn tag(&self, _: &Block, _: isize) -> u8 {
        unreachable!("no tags are in use")
    }

    fn set_tag(&self, _: &mut Block, _: usize, _: usize, _: u8) {
        unreachable!("no tags are in use")
    }

    fn unchecked<R>(&self, _: impl FnOnce() -> R) -> R {
        unreachable!("no tags are in use")
    }
}

/// Tags of the granules from an address on. Whatever they were before is in them at first.
#[derive(Clone)]
struct Fake {
    start: usize,
    tags: Rc<RefCell<Vec<u8>>>,
    random: Rc<RefCell<Random>>,
    unchecked: Rc<Cell<bool>>,
}

impl Fake {
    fn at(&self, address: usize) -> u8 {
        self.tags.borrow()[(address - self.start) / 16]
    }

    /// Whether the core would let this pointer touch this byte.
    fn allows(&self, user: *mut u8, at: isize) -> bool {
        let (address, tag) = parted(user.addr());
        self.at(address.wrapping_add_signed(at)) == tag
    }
}

impl Instructions for Fake {
    fn choose(&self, excluded: u16) -> u8 {
        let allowed: Vec<u8> = (0..16).filter(|tag| excluded & 1 << tag == 0).collect();
        assert!(!allowed.is_empty());
        allowed[self.random.borrow_mut().below(allowed.len())]
    }

    fn tag(&self, block: &Block, at: isize) -> u8 {
        self.at(block.place(at).addr())
    }

    fn set_tag(&self, block: &mut Block, start: usize, length: usize, tag: u8) {
        assert!(start.is_multiple_of(16) && length.is_multiple_of(16));
        let first = (block.place(start.cast_signed()).addr() - self.start) / 16;
        self.tags.borrow_mut()[first..first + length / 16].fill(tag);
    }

    fn unchecked<R>(&self, work: impl FnOnce() -> R) -> R {
        assert!(!self.unchecked.replace(true), "once is enough");
        let result = work();
        self.unchecked.set(false);
        result
    }
}

const BYTES: usize = if cfg!(miri) { 256 << 10 } else { 1 << 20 };

fn bench() -> (Bench<Fake>, Fake) {
    let mut fake = None;
    let bench = Bench::new(BYTES, |heap, start| {
        let mut random = Random(77);
        let tags = (0..BYTES / 16).map(|_| u8::try_from(random.below(16)).unwrap()).collect();
        let made = Fake {
            start,
            tags: Rc::new(RefCell::new(tags)),
            random: Rc::new(RefCell::new(random)),
            unchecked: Rc::default(),
        };
        heap.tag_by(made.clone());
        fake = Some(made);
    });
    (bench, fake.unwrap())
}

/// That a pointer reaches all of its block and not a granule more.
fn reaches_just_its_block(fake: &Fake, user: *mut u8, size: usize) {
    let length = size.next_multiple_of(16).cast_signed();
    assert!((0..length).step_by(16).all(|at| fake.allows(user, at)));
    assert!(!fake.allows(user, -1) && !fake.allows(user, length));
    let (plain, tag) = parted(user.addr());
    assert!((1..15).contains(&tag) && plain.is_multiple_of(16));
}

fn refuses(fake: &Fake, user: *mut u8, from: usize, to: usize) {
    assert!((from..to).step_by(16).all(|at| !fake.allows(user, at.cast_signed())));
}

#[test]
fn a_pointer_reaches_its_block_and_nothing_beside_it() {
    let (mut bench, fake) = bench();
    let mut random = Random(2);
    let mut live: Vec<(*mut u8, Layout)> = Vec::new();
    for _ in 0..STEPS / 4 {
        if live.len() < 10 || (live.len() < 20 && random.below(2) == 0) {
            let layout = random.layout();
            let user = bench.allocate(layout);
            assert!(parted(user.addr()).0.is_multiple_of(layout.align()));
            live.push((user, layout));
        }
        let index = random.below(live.len());
        let (user, old) = live[index];
        reaches_just_its_block(&fake, user, old.size());
        let new = Layout::from_size_align(random.layout().size(), old.align()).unwrap();
        // SAFETY: the block is live.
        if random.below(2) == 0 && unsafe { bench.heap.resize(user, old, new) }.unwrap() {
            reaches_just_its_block(&fake, user, new.size());
            refuses(&fake, user, new.size().next_multiple_of(16), old.size());
            live[index].1 = new;
        } else if random.below(2) == 0 {
            live.swap_remove(index);
            bench.free(user, old).unwrap();
            refuses(&fake, user, 0, old.size());
        }
    }
    let asked: usize = live.iter().map(|(_, layout)| layout.size()).sum();
    assert_eq!(bench.heap.usage().allocated, asked);
}

/// The memory of a block, used at once for the next one, has neither of the earlier tags.
#[test]
fn a_stale_pointer_does_not_reach_the_next_block() {
    let (mut bench, fake) = bench();
    for _ in 0..STEPS / 4 {
        let stale = bench.allocate(bytes(64));
        bench.free(stale, bytes(64)).unwrap();
        assert!(!fake.allows(stale, 0));
        let next = bench.allocate(bytes(64));
        assert_eq!(parted(next.addr()).0, parted(stale.addr()).0);
        reaches_just_its_block(&fake, next, 64);
        bench.free(next, bytes(64)).unwrap();
    }
}

#[test]
fn tags_are_not_foreseeable() {
    let (mut bench, _) = bench();
    let tags = (0..200).map(|_| parted(bench.allocate(bytes(64)).addr()).1);
    let tags: std::collections::HashSet<_> = tags.collect();
    assert_eq!(tags.len(), 14, "all but two of them: {tags:?}");
}

#[test]
fn what_is_freed_twice_is_found() {
    let (mut bench, _) = bench();
    let user = bench.allocate(bytes(48));
    bench.free(user, bytes(48)).unwrap();
    let found = bench.free(user, bytes(48)).unwrap_err();
    assert_eq!((found.wrong, found.size), (Wrong::Tag, 48));
}

#[test]
fn what_is_no_block_and_another_size_are_found() {
    let (mut bench, _) = bench();
    let user = bench.allocate(bytes(64));
    let wrong = |result: Result<(), Finding>| result.unwrap_err().wrong;
    assert_eq!(wrong(bench.free(user.wrapping_add(16), bytes(48))), Wrong::Mismatch);
    assert_eq!(wrong(bench.free(user, bytes(48))), Wrong::Mismatch);
    assert_eq!(wrong(bench.free(user, bytes(80))), Wrong::Mismatch);
    let untagged = user.map_addr(|address| parted(address).0);
    assert_eq!(wrong(bench.free(untagged, bytes(64))), Wrong::Tag);
    assert_eq!(bench.free(user, bytes(64)), Ok(()));
}

/// Within the last granule no tag tells; what is written there is found when the block is freed.
#[test]
fn an_overrun_within_a_granule_is_found() {
    for size in if cfg!(miri) { 25_usize..27 } else { 1..64 } {
        for at in size..size.next_multiple_of(16) {
            let (mut bench, _) = bench();
            let user = bench.allocate(bytes(size));
            let place = user.map_addr(|address| parted(address).0).wrapping_add(at);
            // By a pointer that this machine takes.
            change(place);
            assert_eq!(bench.free(user, bytes(size)).unwrap_err().wrong, Wrong::Overrun);
        }
    }
}
