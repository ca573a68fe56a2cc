//! Fills every register and looks on while an interrupt comes: the watchdog's, which rings after half
//! of its second, whatever the application does. Each register must be as it was; and in the end,
//! where it goes on for longer than the second, it must be found to hang: that was no other machine.
#![no_std]
#![no_main]

use core::arch::asm;

use elone::gate::{Nanoseconds, calls};
use elone::{Platform, info};

const INTERRUPTS: u64 = 100;
/// How long to look on, in thousandths of a second: past one alarm, and past two.
const PAST_ONE: u64 = 600;
const PAST_TWO: u64 = 1_400;

#[elone::main]
async fn main(_platform: Platform) -> Result<(), &'static str> {
    for round in 1..=INTERRUPTS {
        if differences(round.wrapping_mul(0x9e37_79b9_7f4a_7c15), PAST_ONE) != 0 {
            return Err("a register changed");
        }
    }
    info!("every register survived {INTERRUPTS} interrupts");
    differences(0, PAST_TWO);
    Err("nobody was watching")
}

/// Fills the registers with `pattern`, sets flags and rounding, lets so many thousandths of a second
/// pass, and returns the bits in which anything differs afterwards, together.
fn differences(pattern: u64, thousandths: u64) -> u64 {
    const FLAGS: u64 = 0b1010 << 28;
    const ROUNDING: u64 = 0b11 << 22;
    const INEXACT: u64 = 1 << 4;
    // The watchdog counts from here.
    calls::wait(Some(Nanoseconds(0)));
    let mut block = [pattern, FLAGS, ROUNDING, INEXACT, 0];
    // SAFETY: reads registers that EL0 may read. All that is changed is named, or (x18, x19, x29, x30,
    // the stack pointer) put back; control and status go back to zero, as compiled code has them.
    unsafe {
        asm!(
            "stp x29, x30, [sp, #-48]!",
            "stp x18, x19, [sp, #16]",
            "str x0, [sp, #32]",
            "ldp x4, x5, [x0]",
            "ldp x2, x3, [x0, #16]",
            "msr nzcv, x5",
            "msr fpcr, x2",
            "msr fpsr, x3",
            ".irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31",
            "dup v\\n\\().2d, x4",
            ".endr",
            ".irp n, 5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30",
            "mov x\\n, x4",
            ".endr",
            // x1: how long; then until when. Nothing here touches the flags.
            "isb",
            "mrs x2, cntvct_el0",
            "add x1, x1, x2",
            "2: isb",
            "mrs x2, cntvct_el0",
            "sub x3, x1, x2",
            "tbz x3, #63, 2b",
            "mov x1, xzr",
            ".irp n, 5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30",
            "eor x\\n, x\\n, x4",
            "orr x1, x1, x\\n",
            ".endr",
            ".irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31",
            "mov x2, v\\n\\().d[0]",
            "eor x2, x2, x4",
            "orr x1, x1, x2",
            "mov x2, v\\n\\().d[1]",
            "eor x2, x2, x4",
            "orr x1, x1, x2",
            ".endr",
            "ldr x3, [sp, #32]",
            "eor x3, x3, x0",
            "orr x1, x1, x3",
            "ldr x3, [x0, #8]",
            "mrs x2, nzcv",
            "eor x2, x2, x3",
            "orr x1, x1, x2",
            "ldr x3, [x0, #16]",
            "mrs x2, fpcr",
            "eor x2, x2, x3",
            "orr x1, x1, x2",
            "ldr x3, [x0, #24]",
            "mrs x2, fpsr",
            "eor x2, x2, x3",
            "orr x1, x1, x2",
            "msr fpcr, xzr",
            "msr fpsr, xzr",
            "str x1, [x0, #32]",
            "ldp x18, x19, [sp, #16]",
            "ldp x29, x30, [sp], #48",
            inout("x0") block.as_mut_ptr() => _,
            inout("x1") thousandths * frequency() / 1_000 => _,
            out("x20") _, out("x21") _, out("x22") _, out("x23") _, out("x24") _, out("x25") _,
            out("x26") _, out("x27") _, out("x28") _, clobber_abi("C"),
        );
    }
    block[4]
}

/// The counter's ticks in a second.
fn frequency() -> u64 {
    let frequency;
    // SAFETY: reads a register that EL0 may read.
    unsafe { asm!("mrs {}, cntfrq_el0", out(reg) frequency, options(nomem, nostack)) };
    frequency
}
