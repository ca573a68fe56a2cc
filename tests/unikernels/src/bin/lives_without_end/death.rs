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
        4 => unsafe { asm!("br {}", in(reg) 0xffff_0000_0000_1000_u64) },
        // SAFETY: as above.
        5 => unsafe { asm!("svc #9") },
        6 => scribble(),
        _ => {
            wild_calls(life);
            // SAFETY: as above.
            unsafe { asm!("udf #0") }
        }
    }
    panic!("SURVIVED")
}

/// A hundred calls with whatever words: none that ends or waits, or talks.
fn wild_calls(life: u32) {
    let mut word = u64::from(life);
    let mut next = || {
        word = word.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
        word
    };
    for index in 0..100 {
        let number = [5, 6, 8, 9, 10, 11, 77][index % 7];
        // SAFETY: as above. The kernel keeps all registers but x0 to x5; where these words say that
        // it may write there is no memory.
        unsafe {
            asm!(
                "svc #0",
                in("x8") number, inout("x0") next() >> 62 => _, inout("x1") next() => _,
                inout("x2") next() >> 60 => _, inout("x3") next() => _, inout("x4") next() >> 56 => _,
                inout("x5") next() => _, options(nostack),
            );
        }
    }
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
