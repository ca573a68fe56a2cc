//! Machine code: what is injected, what is attacked, and how one gets there.
#![expect(unsafe_code, reason = "calls what no compiler has seen")]

use core::arch::{asm, global_asm};
use core::mem;

use crate::scene::Scene;

/// What the code says that an attacker brought along. Nothing else says it.
pub(crate) const ANSWER: u32 = 42;
/// `mov w0, #42`.
pub(crate) const SAY_ANSWER: u32 = 0x5280_0540;
/// Code that says so, as an attacker brings it along: `bti c`, `mov w0, #42`, `ret`.
pub(crate) const INJECTED: [u32; 3] = [0xd503_245f, SAY_ANSWER, 0xd65f_03c0];

// A function that says 7, for others to change: its second instruction does.
global_asm!(
    ".section .text.attack_seven, \"ax\"",
    ".global attack_seven",
    "attack_seven:",
    "hint #34", // bti c
    "mov w0, #7",
    "ret",
);

unsafe extern "C" {
    /// Says 7, unless it was changed.
    pub(crate) safe fn attack_seven() -> u32;
}

/// A place that offsets are told from: the symbol `attack_seven`.
pub(crate) fn anchor() -> usize {
    (attack_seven as extern "C" fn() -> u32 as *const ()).addr()
}

/// Where the instruction of [`attack_seven`] is that makes it seven.
pub(crate) fn seven() -> usize {
    anchor() + 4
}

/// Calls whatever is at `address`; returns what it says.
#[inline(never)]
pub(crate) fn call(address: usize) -> u32 {
    // SAFETY: none, on purpose: no function may be there. Where the promise is kept nothing there is
    // executed; where it is not, it is code such as `INJECTED`, which has this signature.
    let function = unsafe { mem::transmute::<usize, extern "C" fn() -> u32>(address) };
    function()
}

/// Stores a word where it must not be.
#[inline(never)]
pub(crate) fn store(address: usize, word: u32) {
    // SAFETY: none, on purpose: this is what most attacks are. Where the promise is kept it faults.
    unsafe { (address as *mut u32).write_volatile(word) };
}

/// Reads a word that may be nobody's.
#[inline(never)]
pub(crate) fn load(address: usize) -> u32 {
    // SAFETY: none, on purpose: where the promise is kept it faults.
    unsafe { (address as *const u32).read_volatile() }
}

/// Has the core see code that was just stored. At EL0 that is refused, and an attacker waits until
/// the caches have forgotten; the emulator sees it at once.
pub(crate) fn publish(scene: &Scene, address: usize) {
    if scene.is_contained() {
        return;
    }
    // SAFETY: cleans and invalidates the line of an address that was just stored to.
    unsafe {
        asm!(
            "dc cvau, {address}",
            "dsb ish",
            "ic ivau, {address}",
            "dsb ish",
            "isb",
            address = in(reg) address,
            options(nostack)
        );
    }
}

/// What is at an address, for those who may read there; 0 for who would fault before he attacks.
pub(crate) fn load_quietly(scene: &Scene, address: usize) -> u32 {
    if scene.is_contained() { 0 } else { load(address) }
}
