//! Fills the SIMD registers, then the general ones and the flags, and looks on while an interrupt
//! comes. The vectors must give every register back as it was: the handler is compiled code, which
//! uses them.
#![no_std]
#![no_main]

use core::arch::asm;

use elone::{Platform, info};

const INTERRUPTS: u64 = 200;
/// How many times to look before giving up on an interrupt.
const PATIENCE: u64 = 10_000_000;

#[elone::main]
async fn main(_platform: Platform) -> Result<(), &'static str> {
    for round in 1..=INTERRUPTS {
        let pattern = round.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mut seen = [0_u64; 64];
        if !interrupted_with(pattern, &mut seen) {
            return Err("no interrupt came");
        }
        if seen.iter().any(|word| *word != pattern) {
            return Err("a SIMD register changed");
        }
        match general_differences(pattern) {
            None => return Err("no interrupt came"),
            Some(0) => {}
            Some(_) => return Err("a general register or a flag changed"),
        }
    }
    info!("every register survived {INTERRUPTS} interrupts");
    Ok(())
}

/// Sets all SIMD registers to `pattern`, asks the timer for an interrupt a little later, waits for
/// the handler to have taken it (it switches the timer off), and stores the registers.
fn interrupted_with(pattern: u64, seen: &mut [u64; 64]) -> bool {
    let left: u64;
    // SAFETY: at EL1 the timer may be written to; all registers that are changed are named, and
    // the store goes to the 512 bytes of `seen`.
    unsafe {
        asm!(
            ".irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31",
            "dup v\\n\\().2d, {pattern}",
            ".endr",
            "isb",
            "mrs {scratch}, cntvct_el0",
            "add {scratch}, {scratch}, #500",
            "msr cntv_cval_el0, {scratch}",
            "mov {scratch}, #1",
            "msr cntv_ctl_el0, {scratch}",
            "isb",
            "2: mrs {scratch}, cntv_ctl_el0",
            "tbz {scratch}, #0, 3f",
            "subs {left}, {left}, #1",
            "b.ne 2b",
            "3: stp q0, q1, [{seen}]",
            "stp q2, q3, [{seen}, #32]",
            "stp q4, q5, [{seen}, #64]",
            "stp q6, q7, [{seen}, #96]",
            "stp q8, q9, [{seen}, #128]",
            "stp q10, q11, [{seen}, #160]",
            "stp q12, q13, [{seen}, #192]",
            "stp q14, q15, [{seen}, #224]",
            "stp q16, q17, [{seen}, #256]",
            "stp q18, q19, [{seen}, #288]",
            "stp q20, q21, [{seen}, #320]",
            "stp q22, q23, [{seen}, #352]",
            "stp q24, q25, [{seen}, #384]",
            "stp q26, q27, [{seen}, #416]",
            "stp q28, q29, [{seen}, #448]",
            "stp q30, q31, [{seen}, #480]",
            pattern = in(reg) pattern,
            seen = in(reg) seen.as_mut_ptr(),
            scratch = out(reg) _,
            left = inout(reg) PATIENCE => left,
            out("v0") _, out("v1") _, out("v2") _, out("v3") _, out("v4") _, out("v5") _,
            out("v6") _, out("v7") _, out("v8") _, out("v9") _, out("v10") _, out("v11") _,
            out("v12") _, out("v13") _, out("v14") _, out("v15") _, out("v16") _, out("v17") _,
            out("v18") _, out("v19") _, out("v20") _, out("v21") _, out("v22") _, out("v23") _,
            out("v24") _, out("v25") _, out("v26") _, out("v27") _, out("v28") _, out("v29") _,
            out("v30") _, out("v31") _,
        );
    }
    left != 0
}

/// The same with all general registers that assembly may name (x18, x19, x29 and x30 are not), the
/// condition flags, and the floating-point control and status. `None` if no interrupt came; else
/// the bits in which anything differs afterwards, together.
fn general_differences(pattern: u64) -> Option<u64> {
    // All four flags; rounding towards zero; inexact.
    const FLAGS: u64 = 0b1010 << 28;
    const CONTROL: u64 = 0b11 << 22;
    const STATUS: u64 = 1 << 4;
    let (left, differences): (u64, u64);
    // SAFETY: at EL1 the timer may be written to; all registers that are changed are named, and
    // control and status are put back to zero, which is what compiled code has them at.
    unsafe {
        asm!(
            "msr fpcr, x4",
            "msr fpsr, x5",
            "msr nzcv, x3",
            ".irp n, 6,7,8,9,10,11,12,13,14,15,16,17,20,21,22,23,24,25,26,27,28",
            "mov x\\n, x2",
            ".endr",
            "isb",
            "mrs x1, cntvct_el0",
            "add x1, x1, #500",
            "msr cntv_cval_el0, x1",
            "mov x1, #1",
            "msr cntv_ctl_el0, x1",
            "isb",
            "2: mrs x1, cntv_ctl_el0",
            "tbz x1, #0, 3f",
            "sub x0, x0, #1",
            "cbnz x0, 2b",
            "3: mrs x1, nzcv",
            "eor x1, x1, x3",
            ".irp n, 6,7,8,9,10,11,12,13,14,15,16,17,20,21,22,23,24,25,26,27,28",
            "eor x\\n, x\\n, x2",
            "orr x1, x1, x\\n",
            ".endr",
            "mrs x6, fpcr",
            "eor x6, x6, x4",
            "orr x1, x1, x6",
            "mrs x6, fpsr",
            "eor x6, x6, x5",
            "orr x1, x1, x6",
            "msr fpcr, xzr",
            "msr fpsr, xzr",
            inout("x0") PATIENCE => left,
            out("x1") differences,
            in("x2") pattern, in("x3") FLAGS, in("x4") CONTROL, in("x5") STATUS,
            out("x6") _, out("x7") _, out("x8") _, out("x9") _, out("x10") _, out("x11") _,
            out("x12") _, out("x13") _, out("x14") _, out("x15") _, out("x16") _, out("x17") _,
            out("x20") _, out("x21") _, out("x22") _, out("x23") _, out("x24") _, out("x25") _,
            out("x26") _, out("x27") _, out("x28") _,
        );
    }
    (left != 0).then_some(differences)
}
