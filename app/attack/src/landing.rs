//! Row 8: indirect jumps land only on landing pads.
#![expect(unsafe_code, reason = "jumps to where no function begins")]

use core::arch::{asm, global_asm};

use crate::scene::{self, Attack, Outcome, Scene};

pub(crate) const ATTACKS: &[(&str, Attack)] = &[
    ("call-past-a-landing-pad", call_past),
    ("jump-into-a-function", jump_into),
    ("call-another-landing-pad", call_another),
];

// A function with a door in the middle, which nobody is to come in by.
global_asm!(
    ".section .text.attack_room, \"ax\"",
    ".global attack_room",
    "attack_room:",
    "hint #34", // bti c
    "mov x0, #7",
    "ret",
    "b {survived}",
    survived = sym scene::survived,
);

unsafe extern "C" {
    safe fn attack_room();
}

/// Has: a function pointer that he can change. Wants: a function of the compiler's to begin with
/// its second instruction, past the landing pad.
fn call_past(_: &Scene) -> Outcome {
    let target = (scene::survived as extern "C" fn() -> ! as *const ()).addr() + 4;
    scene::target(target);
    crate::code::call(target);
    Outcome::Stopped("a call that did nothing".into())
}

/// Has: a jump to any address (`br`). Wants: to come into the middle of a function.
fn jump_into(_: &Scene) -> Outcome {
    let target = (attack_room as extern "C" fn() as *const ()).addr() + 12;
    scene::target(target);
    // SAFETY: none, on purpose: it never comes back.
    unsafe { asm!("br {}", in(reg) target, options(noreturn)) };
}

/// Has: a function pointer that he can change. Wants: another function to be called. Nothing stops
/// that: every function that can be called by pointer has a landing pad, and they are all alike.
fn call_another(_: &Scene) -> Outcome {
    let target = (scene::survived as extern "C" fn() -> ! as *const ()).addr();
    scene::target(target);
    crate::code::call(target);
    Outcome::Stopped("a call that did nothing".into())
}
