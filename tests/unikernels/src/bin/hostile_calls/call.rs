//! One call, by hand: any number, any words.

use core::arch::asm;

/// What came back: the code, and five words.
pub(crate) type Answer = (u64, [u64; 5]);

/// Asks the kernel for `number`, whatever that is.
pub(crate) fn call(number: u64, words: [u64; 6]) -> Answer {
    let [mut a, mut b, mut c, mut d, mut e, mut f] = words;
    // SAFETY: the kernel keeps all registers but these, which is half of what is tested; memory is
    // what the other half is about.
    unsafe {
        asm!(
            "svc #0",
            in("x8") number, inout("x0") a, inout("x1") b, inout("x2") c, inout("x3") d,
            inout("x4") e, inout("x5") f,
            options(nostack),
        );
    }
    (a, [b, c, d, e, f])
}

/// The same with `pattern` in every other register, those of SIMD too, and flags and rounding set.
/// `None` if any of them is another one afterwards.
pub(crate) fn call_in_full(number: u64, words: [u64; 6], pattern: u64) -> Option<Answer> {
    const FLAGS: u64 = 0b1010 << 28;
    const ROUNDING: u64 = 0b11 << 22;
    let [a, b, c, d, e, f] = words;
    // The number and words, later the answer; then what there is to compare with; the differences.
    let mut block = [number, a, b, c, d, e, f, pattern, FLAGS, ROUNDING, 0];
    // SAFETY: as above. What assembly must not name (x18, x19, x29, x30) is put back, the stack
    // pointer too; control is put back to zero, which is what compiled code has it at.
    unsafe {
        asm!(
            "stp x29, x30, [sp, #-48]!",
            "stp x18, x19, [sp, #16]",
            "str x0, [sp, #32]",
            "msr nzcv, x2",
            "msr fpcr, x3",
            ".irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31",
            "dup v\\n\\().2d, x1",
            ".endr",
            ".irp n, 6,7,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30",
            "mov x\\n, x1",
            ".endr",
            "ldr x8, [x0]",
            "ldp x4, x5, [x0, #40]",
            "ldp x2, x3, [x0, #24]",
            "ldp x0, x1, [x0, #8]",
            "svc #0",
            "stp x0, x1, [sp, #-16]!",
            "ldr x0, [sp, #48]",
            "stp x4, x5, [x0, #40]",
            "stp x2, x3, [x0, #24]",
            "ldp x2, x3, [sp], #16",
            "stp x2, x3, [x0, #8]",
            // x1: the pattern. x2: all differences.
            "ldr x1, [x0, #56]",
            "ldr x2, [x0]",
            "eor x2, x2, x8",
            ".irp n, 6,7,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30",
            "eor x\\n, x\\n, x1",
            "orr x2, x2, x\\n",
            ".endr",
            ".irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31",
            "mov x3, v\\n\\().d[0]",
            "eor x3, x3, x1",
            "orr x2, x2, x3",
            "mov x3, v\\n\\().d[1]",
            "eor x3, x3, x1",
            "orr x2, x2, x3",
            ".endr",
            "mrs x3, nzcv",
            "ldr x4, [x0, #64]",
            "eor x3, x3, x4",
            "orr x2, x2, x3",
            "mrs x3, fpcr",
            "ldr x4, [x0, #72]",
            "eor x3, x3, x4",
            "orr x2, x2, x3",
            "msr fpcr, xzr",
            "str x2, [x0, #80]",
            "ldp x18, x19, [sp, #16]",
            "ldp x29, x30, [sp], #48",
            inout("x0") block.as_mut_ptr() => _,
            inout("x1") pattern => _, inout("x2") FLAGS => _, inout("x3") ROUNDING => _,
            out("x20") _, out("x21") _, out("x22") _, out("x23") _, out("x24") _, out("x25") _,
            out("x26") _, out("x27") _, out("x28") _, clobber_abi("C"),
        );
    }
    let [_, code, values @ ..] = block;
    let [v0, v1, v2, v3, v4, _, _, _, differences] = values;
    (differences == 0).then_some((code, [v0, v1, v2, v3, v4]))
}
