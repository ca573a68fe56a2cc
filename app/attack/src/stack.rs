//! Row 4: a stack overflow is caught. What a stack has, in either mode, is 128 KiB.
#![expect(unsafe_code, reason = "looks at the stack pointer")]

use core::arch::asm;
use core::hint::black_box;

use crate::scene::{self, Attack, Outcome, Scene};

pub(crate) const ATTACKS: &[(&str, Attack)] = &[
    ("deep-recursion", deep_recursion),
    ("frame-as-large-as-the-stack", one_frame),
    ("frame-of-a-mebibyte", frame_of_a_mebibyte),
];

const STACK: usize = 128 << 10;

/// Has: input that makes a function call itself. Wants: what is below the stack overwritten, by as
/// much as the stack is in use already: less than a page.
fn deep_recursion(_: &Scene) -> Outcome {
    let here = stack_pointer();
    scene::target(here);
    let sum = deeper(here - STACK, black_box(1));
    black_box(sum);
    Outcome::Survived
}

/// Has: a function with an array as large as the stack. Wants: the array's beginning, which lies
/// below the stack, written without notice.
fn one_frame(_: &Scene) -> Outcome {
    scene::target(stack_pointer());
    if large::<STACK>(black_box(7)) == 7 { Outcome::Survived } else { unchanged() }
}

/// Has: a function with an array of a mebibyte, far more than a guard page. Wants: its beginning
/// written without notice.
fn frame_of_a_mebibyte(_: &Scene) -> Outcome {
    scene::target(stack_pointer());
    if large::<{ 1 << 20 }>(black_box(7)) == 7 { Outcome::Survived } else { unchanged() }
}

fn unchanged() -> Outcome {
    Outcome::Stopped("memory that keeps nothing".into())
}

/// Goes down until the stack pointer is below `end`.
#[inline(never)]
fn deeper(end: usize, depth: u64) -> u64 {
    let frame = black_box([depth; 8]);
    if stack_pointer() < end {
        return frame[3];
    }
    frame[5] ^ deeper(end, depth + 1).rotate_left(1)
}

/// Writes the first byte of an array of `SIZE`, and reads it again.
#[inline(never)]
fn large<const SIZE: usize>(value: u8) -> u8 {
    let mut frame = [const { core::mem::MaybeUninit::<u8>::uninit() }; SIZE];
    let first = black_box(&mut frame).as_mut_ptr().cast::<u8>();
    // SAFETY: the array's first byte; that the array lies below the stack is the attack.
    unsafe { first.write_volatile(value) };
    // SAFETY: it was just written.
    unsafe { black_box(first).read_volatile() }
}

#[inline(always)]
fn stack_pointer() -> usize {
    let pointer;
    // SAFETY: reads a register.
    unsafe { asm!("mov {}, sp", out(reg) pointer, options(nomem, nostack)) };
    pointer
}
