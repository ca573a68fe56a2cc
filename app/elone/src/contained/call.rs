//! One call: into registers, `svc`, and out of registers.

use core::arch::asm;

use elone_gate::Error;
use elone_gate::abi::{Answer, Call};

/// Asks the kernel.
#[inline]
pub(super) fn call(call: Call) -> Answer {
    let (number, [a, b, c, d, e, f]) = call.encode();
    let (code, v0, v1, v2, v3, v4): (u64, u64, u64, u64, u64, u64);
    // SAFETY: the kernel keeps all registers but these (gate, `abi`), and reads and writes no more
    // memory than the call names, which its caller holds as slices.
    unsafe {
        asm!(
            "svc #0",
            in("x8") number,
            inlateout("x0") a => code,
            inlateout("x1") b => v0,
            inlateout("x2") c => v1,
            inlateout("x3") d => v2,
            inlateout("x4") e => v3,
            inlateout("x5") f => v4,
            options(nostack)
        );
    }
    match code {
        0 => Ok([v0, v1, v2, v3, v4]),
        code => Err(Error::from_code(code).unwrap_or(Error::NoSuchCall)),
    }
}

/// A count in an answer. No kernel says more than was asked for.
pub(super) fn count(value: u64, asked: usize) -> usize {
    usize::try_from(value).map_or(asked, |count| count.min(asked))
}
