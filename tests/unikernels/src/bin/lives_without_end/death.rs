//! Ways to die.

use alloc::vec::Vec;
use core::arch::asm;
use core::hint::black_box;

/// Dies as it is this life's turn.
pub(crate) fn die(life: u32) -> ! {
    match life % 8 {
        0 => panic!("life {life} is over"),
        // SAFETY: none, here and below; each of these must be the end.
        1 => unsafe { core::ptr::without_provenance_mut::<u64>(black_box(8)).write_volatile(1) },
        2 => _ = black_box(deeper(black_box(u64::MAX))),
        3 => all_memory(),
        // SAFETY: as above.
        4 => unsafe { asm!("br {}", in(reg) 0xffff_ff80_0000_1000_u64) },
        // SAFETY: as above.
        5 => unsafe { asm!("svc #9") },
        6 => scribble(),
        // SAFETY: as above.
        _ => unsafe { asm!("udf #0") },
    }
    panic!("SURVIVED")
}

#[inline(never)]
fn deeper(depth: u64) -> u64 {
    let frame = black_box([depth; 32]);
    if depth == 0 { 0 } else { frame[7] ^ deeper(depth - 1).rotate_left(1) }
}

fn all_memory() {
    let mut all = Vec::new();
    loop {
        all.push(black_box(Vec::<u8>::with_capacity(256 << 10)));
    }
}

/// Over its own data, from its beginning on, until something breaks.
fn scribble() {
    let mut place = (&raw const crate::DATA).cast_mut().cast::<u64>();
    loop {
        // SAFETY: as above: the data ends somewhere, and what it needs itself is on the way.
        unsafe { place.write_volatile(0xdead_beef_dead_beef) };
        place = place.wrapping_add(1);
    }
}
