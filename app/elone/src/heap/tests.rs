//! The heap over memory of this machine: what it finds, and that it finds nothing else. Sequences are
//! random with fixed seeds; what an application does wrong is done to one block of a sequence.
#![expect(unsafe_code, reason = "a heap is tested by what must not be done to it")]

use core::alloc::Layout;
use std::string::ToString;
use std::vec;
use std::vec::Vec;

use super::Usage;
use super::block::{
    CANARY, Facts, Finding, HEADER, Key, Plan, State, Wrong, canary, freed, poisoned,
};
use super::guarded::Heap;
use super::tags::{parted, tagged};

mod checked;
mod sequences;
mod with_tags;

const KEY: Key = Key([0x0123_4567_89ab_cdef, 0xfedc_ba98_7654_3210]);

/// The steps of a sequence; Miri takes a thousand times as long for one.
const STEPS: usize = if cfg!(miri) { 200 } else { 5_000 };

/// xorshift64*: the same numbers each time.
struct Random(u64);

impl Random {
    fn next(&mut self) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        usize::try_from(self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33).unwrap()
    }

    fn below(&mut self, bound: usize) -> usize {
        self.next() % bound
    }

    /// Mostly small, sometimes large, as applications ask.
    fn layout(&mut self) -> Layout {
        let large = if cfg!(miri) { 700 } else { 30_000 };
        let most = [64, 64, 300, 400, large][self.below(5)];
        let align = 1 << [0, 3, 3, 4, 4, 5, 8][self.below(7)];
        Layout::from_size_align(1 + self.below(most), align).unwrap()
    }
}

/// A heap, and the memory that it is over.
struct Bench<I> {
    heap: Heap<I>,
    _memory: Vec<u128>,
}

impl<I: super::tags::Instructions> Bench<I> {
    fn new(bytes: usize, guard: impl FnOnce(&mut Heap<I>, usize)) -> Self {
        let mut memory = vec![0_u128; bytes / 16];
        let mut heap = Heap::new();
        let base = memory.as_mut_ptr();
        guard(&mut heap, base.addr());
        // SAFETY: the vector is kept as long as the heap, and never reached but by it.
        unsafe { heap.claim(base.cast(), bytes) };
        Self { heap, _memory: memory }
    }

    fn allocate(&mut self, layout: Layout) -> *mut u8 {
        let user = self.heap.allocate(layout).unwrap();
        assert!(!user.is_null());
        user
    }

    /// Frees blocks until all that waited has left.
    fn flush(&mut self) -> Result<(), Finding> {
        (0..32).try_for_each(|_| {
            let user = self.heap.allocate(bytes(8))?;
            self.free(user, bytes(8))
        })
    }

    fn free(&mut self, user: *mut u8, layout: Layout) -> Result<(), Finding> {
        // SAFETY: as the test says; the memory itself is there as long as the heap.
        unsafe { self.heap.free(user, layout) }
    }
}

/// Changes one byte of the heap's memory.
fn change(place: *mut u8) {
    // SAFETY: of the heap's memory, which is what is tested.
    let byte = unsafe { place.read() };
    // SAFETY: as above.
    unsafe { place.write(byte ^ 0x55) };
}

fn bytes(size: usize) -> Layout {
    Layout::from_size_align(size, 8).unwrap()
}

#[test]
fn a_plan_has_room_for_what_it_says() {
    let mut random = Random(3);
    for _ in 0..STEPS {
        let layout = random.layout();
        let plan = Plan::guarded(layout).unwrap();
        assert!(plan.offset >= HEADER && plan.offset.is_multiple_of(layout.align()));
        assert_eq!(plan.backing.size(), plan.offset + layout.size() + CANARY);
        assert!(plan.backing.align() >= layout.align().max(16));
        let plan = Plan::tagged(layout).unwrap();
        assert!(plan.backing.size().is_multiple_of(16) && plan.backing.size() >= layout.size());
        assert!(plan.backing.size() - layout.size() < 16 && plan.backing.align() >= 16);
        let (head, tail) = poisoned(layout.size());
        assert!(head >= 8 && head + tail <= 320 && head + tail <= layout.size() + CANARY);
    }
}

#[test]
fn what_no_memory_holds_is_not_planned() {
    let huge = Layout::from_size_align(isize::MAX.unsigned_abs() - 15, 16).unwrap();
    assert_eq!(Plan::guarded(huge), None);
    let huge = Layout::from_size_align(isize::MAX.unsigned_abs(), 1).unwrap();
    assert_eq!(Plan::tagged(huge), None);
}

#[test]
fn a_header_is_good_for_its_place_key_and_contents_only() {
    let mut random = Random(5);
    for _ in 0..STEPS {
        let (address, size) = (random.next() * 16, random.below(1 << 40));
        let state = [State::Live, State::Freed][random.below(2)];
        let facts = Facts { state, size, align: 16 << random.below(8) };
        let header = KEY.seal(address, facts);
        assert_eq!(KEY.open(address, header), Some(facts));
        assert_eq!(KEY.open(address + 16, header), None);
        assert_eq!(Key([KEY.0[0], KEY.0[1] ^ 1]).open(address, header), None);
        let other =
            Facts { state: if state == State::Live { State::Freed } else { State::Live }, ..facts };
        assert_eq!((freed(header), freed(freed(header))), (KEY.seal(address, other), header));
        assert_ne!(canary(header), header[1]);
        let mut changed = header;
        changed[random.below(2)] ^= 1 << random.below(64);
        assert_eq!(KEY.open(address, changed), None);
    }
}

#[test]
fn a_finding_says_what_and_where() {
    let finding = Finding { wrong: Wrong::WrittenAfterFree, address: 0x1230, size: 48 };
    let words = "heap: block of 48 bytes at 0x1230 was written after it was freed";
    assert_eq!(finding.to_string(), words);
    let all = [
        Wrong::Header,
        Wrong::Overrun,
        Wrong::FreedTwice,
        Wrong::Mismatch,
        Wrong::Tag,
        Wrong::WrittenAfterFree,
    ];
    for (index, wrong) in all.iter().enumerate() {
        assert!(all[..index].iter().all(|other| other.words() != wrong.words()));
    }
}

#[test]
fn a_tag_is_put_into_an_address_and_out_of_it() {
    for (address, natural) in [(0x4000_1230_usize, 0), (0xffff_8000_4000_1230, 15)] {
        assert_eq!(parted(address), (address, natural));
        for tag in 0..16 {
            assert_eq!(parted(tagged(address, tag)), (address, tag));
        }
    }
}
