//! Rows 9 and 10: use after free and overrun of the heap are caught, by tags where the core has
//! them, else by what surrounds and fills blocks.
#![expect(unsafe_code, reason = "uses memory that is not, or no longer, its own")]

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::hint::black_box;
use core::mem;

use crate::scene::{self, Attack, Outcome, Scene};

pub(crate) const ATTACKS: &[(&str, Attack)] = &[
    ("read-after-free", read_after_free),
    ("write-after-free", write_after_free),
    ("overrun-by-one", overrun_by_one),
    ("overrun-within-a-granule", overrun_within),
    ("overrun-then-free", overrun_then_free),
    ("free-twice", free_twice),
    ("write-after-free-and-wait", write_and_wait),
    ("write-into-a-large-block-after-free", write_into_large),
];

/// A block, as large as an object with a few pointers in it.
type Block = [u64; 8];
const OLD: u64 = 0x01d;
const SECRET: u64 = 0x5ec3e7;

/// A block that was given back, by the pointer that was kept.
fn stale() -> *mut u64 {
    let block: *mut Block = Box::into_raw(Box::new(black_box([OLD; 8])));
    // SAFETY: it was just made from a box. The pointer is kept, which is the mistake.
    drop(unsafe { Box::from_raw(block) });
    block.cast()
}

/// Has: a pointer to an object that is gone. Wants: what its memory is used for next.
fn read_after_free(_: &Scene) -> Outcome {
    let stale = stale();
    let secret = black_box(Box::new(black_box([SECRET; 8])));
    let place = stale.wrapping_add(4);
    scene::target(place.addr());
    // SAFETY: none, on purpose: the block is somebody else's now.
    let seen = unsafe { place.read_volatile() };
    black_box(secret);
    if seen == SECRET { Outcome::Survived } else { Outcome::Stopped("memory of nobody's".into()) }
}

/// Has: a pointer to an object that is gone. Wants: to change what its memory is used for next.
fn write_after_free(_: &Scene) -> Outcome {
    let stale = stale();
    let object = black_box(Box::new(black_box([SECRET; 8])));
    let place = stale.wrapping_add(4);
    scene::target(place.addr());
    // SAFETY: none, on purpose: the block is somebody else's now.
    unsafe { place.write_volatile(OLD) };
    if black_box(&object)[4] == OLD {
        Outcome::Survived
    } else {
        Outcome::Stopped("memory of nobody's".into())
    }
}

/// Has: a loop that goes one too far, behind a block of whole granules. Wants: what is behind it.
fn overrun_by_one(_: &Scene) -> Outcome {
    overrun(&[1; 64])
}

/// Has: a loop that goes one too far, where the block's last granule is not full. Wants: what is
/// behind it. Nothing stops that where there are tags, of which there is one for 16 bytes; without,
/// it shows when the block is freed.
fn overrun_within(_: &Scene) -> Outcome {
    overrun(&[1; 57])
}

/// Writes one byte behind a block. What is there is put back, as it may be the allocator's own.
fn overrun(bytes: &[u8]) -> Outcome {
    let block: Vec<u8> = black_box(bytes.to_vec());
    let place = block.as_ptr().wrapping_add(block.len()).cast_mut();
    scene::target(place.addr());
    // SAFETY: none, on purpose, here and below: the byte is not the block's.
    let kept = unsafe { place.read_volatile() };
    // SAFETY: as above.
    unsafe { place.write_volatile(!kept) };
    // SAFETY: as above.
    let changed = unsafe { place.read_volatile() } == !kept;
    // SAFETY: as above.
    unsafe { place.write_volatile(kept) };
    if changed { Outcome::Survived } else { Outcome::Stopped("memory that keeps its value".into()) }
}

/// Has: a loop that goes one too far, into what alignment leaves over behind a block. Wants: nobody
/// to notice, not even when the block is freed.
fn overrun_then_free(_: &Scene) -> Outcome {
    let block: Vec<u8> = black_box([1; 57].to_vec());
    let place = block.as_ptr().wrapping_add(block.len()).cast_mut();
    scene::target(place.addr());
    // SAFETY: none, on purpose: the byte is not the block's.
    unsafe { place.write_volatile(0x41) };
    drop(block);
    Outcome::Survived
}

/// Has: an object that is dropped twice. Wants: two others to share its memory afterwards.
fn free_twice(_: &Scene) -> Outcome {
    let stale = stale();
    let first = black_box(Box::new(black_box([SECRET; 8])));
    scene::target(stale.addr());
    // SAFETY: none, on purpose: it was freed before, and the block is somebody else's now.
    drop(unsafe { Box::from_raw(stale.cast::<Block>()) });
    let second = black_box(Box::new(black_box([OLD; 8])));
    let shared = black_box(&first)[4] == OLD;
    // Neither may be freed: they are one.
    mem::forget((first, second));
    if shared { Outcome::Survived } else { Outcome::Stopped("two places".into()) }
}

/// Has: a pointer to an object that is gone. Wants: nobody to notice that he wrote there, however
/// long the program goes on.
fn write_and_wait(_: &Scene) -> Outcome {
    write_into::<32>()
}

/// The same, into the middle of a block of more than a few hundred bytes. Nothing stops that without
/// tags: only the ends of such a block are filled with what is looked at later.
fn write_into_large(_: &Scene) -> Outcome {
    write_into::<512>()
}

/// Writes into the middle of a freed block of so many words, then uses the heap for a while.
fn write_into<const WORDS: usize>() -> Outcome {
    let block: *mut [u64; WORDS] = Box::into_raw(Box::new(black_box([OLD; WORDS])));
    // SAFETY: it was just made from a box.
    drop(unsafe { Box::from_raw(block) });
    let place = block.cast::<u64>().wrapping_add(WORDS / 2);
    scene::target(place.addr());
    // SAFETY: none, on purpose: the block is nobody's. Its middle is not the allocator's either.
    unsafe { place.write_volatile(SECRET) };
    for _ in 0..1000 {
        drop(black_box(Box::new(black_box([OLD; WORDS]))));
    }
    Outcome::Survived
}
