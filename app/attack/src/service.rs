//! Row 17: no program can be started. At EL1 nobody serves `svc`; at EL0 the gate's fifteen calls
//! are served, none of which starts anything.
#![expect(unsafe_code, reason = "makes calls past the library")]

use core::arch::asm;

use crate::scene::{self, Attack, Outcome, Scene};

pub(crate) const ATTACKS: &[(&str, Attack)] = &[
    ("call-linux-to-execute", call_linux),
    ("call-the-gate-by-svc", call_gate),
    ("call-another-service", call_another),
];

/// Linux's number of `execve` on arm64, and that of the gate's `now`.
const EXECVE: u64 = 221;
const NOW: u64 = 1;

/// Has: shell code for Linux, the kind that is to be had. Wants: a shell.
fn call_linux(_: &Scene) -> Outcome {
    announce(call_linux);
    refused(service(EXECVE))
}

/// Has: shell code for Elone. Wants: an answer to a call; there is none that starts a program.
fn call_gate(_: &Scene) -> Outcome {
    announce(call_gate);
    refused(service(NOW))
}

/// Has: `svc` with a number in the instruction, as other systems use it. Wants: any answer.
fn call_another(_: &Scene) -> Outcome {
    announce(call_another);
    // SAFETY: whoever serves it keeps all registers but these.
    unsafe { asm!("svc #42", out("x0") _, out("x1") _, options(nostack)) };
    Outcome::Survived
}

/// There is no address that faults: the instruction does.
fn announce(attack: Attack) {
    scene::target((attack as *const ()).addr());
}

fn refused(code: u64) -> Outcome {
    if code == 0 {
        Outcome::Survived
    } else {
        Outcome::Stopped(alloc::format!("error {code} of the gate"))
    }
}

/// Makes a call; returns its error, 0 if there is none.
fn service(number: u64) -> u64 {
    let path = c"/bin/sh";
    let code;
    // SAFETY: the gate keeps all registers but these (gate, `abi`), and where it is asked for nothing
    // that it knows writes no memory.
    unsafe {
        asm!(
            "svc #0",
            in("x8") number,
            inlateout("x0") path.as_ptr().addr() => code,
            inlateout("x1") 0_u64 => _,
            inlateout("x2") 0_u64 => _,
            inlateout("x3") 0_u64 => _,
            inlateout("x4") 0_u64 => _,
            inlateout("x5") 0_u64 => _,
            options(nostack)
        );
    }
    code
}
