//! Row 7: return addresses are signed.
#![expect(unsafe_code, reason = "overwrites return addresses")]

use core::arch::{asm, global_asm};
use core::hint::black_box;

use crate::scene::{self, Attack, Outcome, Scene};

pub(crate) const ATTACKS: &[(&str, Attack)] = &[
    ("overwrite-own-return", overwrite_own),
    ("overwrite-callers-return", overwrite_callers),
    ("reuse-a-signed-return", reuse),
    ("sign-for-itself", sign_for_itself),
];

/// Has: a store to where this function's return address is saved. Wants: to return elsewhere.
fn overwrite_own(_: &Scene) -> Outcome {
    let target = (scene::survived as extern "C" fn() -> ! as *const ()).addr();
    scene::target(target);
    redirect(0, target);
    Outcome::Stopped("a return to where it was called".into())
}

/// Has: a store far up the stack, as from an array that overran. Wants: one of the callers to return
/// elsewhere.
fn overwrite_callers(_: &Scene) -> Outcome {
    let target = (scene::survived as extern "C" fn() -> ! as *const ()).addr();
    scene::target(target);
    black_box(in_between(target));
    Outcome::Stopped("a return to where it was called".into())
}

#[inline(never)]
fn in_between(target: usize) -> usize {
    redirect(1, target);
    black_box(target) ^ 1
}

/// Overwrites the return address in the frame record that is `up` frames up from this one.
#[inline(never)]
fn redirect(up: usize, target: usize) {
    let mut record: *mut usize;
    // SAFETY: reads the frame pointer, which every function here keeps.
    unsafe { asm!("mov {}, x29", out(reg) record, options(nomem, nostack)) };
    for _ in 0..up {
        // SAFETY: a record begins with the address of its caller's (AAPCS64, section 6.4.6).
        record = unsafe { record.read_volatile() } as *mut usize;
    }
    black_box(record);
    // SAFETY: none, on purpose: the second word is the saved return address. Where the promise is
    // kept, what is returned to then does not authenticate.
    unsafe { record.wrapping_add(1).write_volatile(target) };
}

// `attack_lure` calls `attack_keep`, which keeps its own signed return address and returns 0; then
// `attack_reuse`, on another place of the stack, returns by the address that was kept, with 1. Who
// comes back into the lure with 1 has not called from there.
// hint #25: paciasp. hint #29: autiasp. On a core without them nothing happens.
global_asm!(
    ".section .text.attack_lure, \"ax\"",
    ".global attack_lure",
    "attack_lure:",
    "hint #25",
    "stp x29, x30, [sp, #-16]!",
    "mov x29, sp",
    "bl attack_keep",
    "cbz x0, 1f",
    "b {survived}",
    "1: ldp x29, x30, [sp], #16",
    "hint #29",
    "ret",
    "attack_keep:",
    "hint #25",
    "stp x29, x30, [sp, #-16]!",
    "mov x29, sp",
    "adrp x9, {kept}",
    "str x30, [x9, #:lo12:{kept}]",
    "mov x0, #0",
    "ldp x29, x30, [sp], #16",
    "hint #29",
    "ret",
    ".global attack_reuse",
    "attack_reuse:",
    "sub sp, sp, #64",
    "hint #25",
    "stp x29, x30, [sp, #-16]!",
    "mov x29, sp",
    "adrp x9, {kept}",
    "ldr x9, [x9, #:lo12:{kept}]",
    "str x9, [sp, #8]",
    "mov x0, #1",
    "ldp x29, x30, [sp], #16",
    "hint #29",
    "ret",
    kept = sym KEPT,
    survived = sym scene::survived,
);

static mut KEPT: u64 = 0;

unsafe extern "C" {
    safe fn attack_lure();
    safe fn attack_reuse();
}

/// Has: a signed return address of another frame, copied. Wants: this frame to return by it.
fn reuse(_: &Scene) -> Outcome {
    attack_lure();
    let kept = &raw const KEPT;
    // SAFETY: written once, by what was just called.
    let kept = unsafe { kept.read_volatile() };
    // Without its signature it is the address itself, in whichever half of the addresses.
    #[expect(clippy::cast_possible_truncation, reason = "addresses have 64 bits here")]
    scene::target(((kept << 16).cast_signed() >> 16).cast_unsigned() as usize);
    attack_reuse();
    Outcome::Stopped("a return to where it was called".into())
}

/// Has: code of its own choice, and so `paciasp`. Wants: to return to an address of its choice with
/// a signature of its own. Nothing stops that: keys keep addresses, not code, from being forged.
fn sign_for_itself(_: &Scene) -> Outcome {
    let target = (scene::survived as extern "C" fn() -> ! as *const ()).addr();
    scene::target(target);
    // SAFETY: none, on purpose: it never comes back.
    unsafe {
        asm!(
            "mov x30, {target}",
            "hint #25", // paciasp
            "hint #29", // autiasp
            "ret",
            target = in(reg) target,
            options(noreturn)
        );
    }
}
