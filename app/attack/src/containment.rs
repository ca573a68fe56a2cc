//! Row 14: the application at EL0 reaches nothing of the kernel. Joined, the same code is at EL1 and
//! part of the same program: there it comes through, which shows that it is real.
#![expect(unsafe_code, reason = "reaches for what is not the application's")]

use alloc::format;
use core::arch::asm;

use elone::gate::calls;

use crate::code;
use crate::scene::{self, Attack, Outcome, Scene};

pub(crate) const ATTACKS: &[(&str, Attack)] = &[
    ("read-kernel", read_kernel),
    ("write-kernel", write_kernel),
    ("run-kernel", run_kernel),
    ("read-system-register", read_register),
    ("write-system-register", write_register),
    ("mask-interrupts", mask_interrupts),
    ("call-hypervisor", call_hypervisor),
    ("have-kernel-overwrite-itself", overwrite_kernel),
    ("have-kernel-overwrite-own-code", overwrite_code),
    ("tell-mapped-from-unmapped", tell),
    ("have-kernel-follow-a-pointer", follow),
    #[cfg(elone_contained)]
    ("write-table-register", write_table_register),
];

/// Has: a read from any address, and the kernel's address. Wants: what the kernel keeps there.
fn read_kernel(scene: &Scene) -> Outcome {
    let Some(target) = scene.target() else { return NOT_TOLD };
    scene::target(target);
    code::load(target);
    Outcome::Survived
}

/// Has: a store to any address, and that of a variable of the kernel. Wants: another value there.
fn write_kernel(scene: &Scene) -> Outcome {
    let Some(target) = scene.target() else { return NOT_TOLD };
    scene::target(target);
    let kept = code::load_quietly(scene, target);
    code::store(target, !kept);
    let changed = code::load(target) == !kept;
    code::store(target, kept);
    if changed { Outcome::Survived } else { Outcome::Stopped("memory that keeps its value".into()) }
}

/// Has: a jump to any address, and that of a function of the kernel, which does nothing if it is
/// asked for nothing. Wants: it to be run.
fn run_kernel(scene: &Scene) -> Outcome {
    let Some(target) = scene.target() else { return NOT_TOLD };
    scene::target(target);
    // SAFETY: none, on purpose; where it is a function, it is `memset`, of no bytes.
    unsafe {
        asm!(
            "blr {}", in(reg) target,
            in("x0") 0, in("x1") 0, in("x2") 0, clobber_abi("C"),
        );
    }
    Outcome::Survived
}

const NOT_TOLD: Outcome = Outcome::NotMade("it takes app.target=");

/// Has: instructions of his choice. Wants: to know how the machine is set up.
fn read_register(_: &Scene) -> Outcome {
    instruction(read_register);
    let value: u64;
    // SAFETY: reads a register, where that is permitted.
    unsafe { asm!("mrs {}, sctlr_el1", out(reg) value, options(nomem, nostack)) };
    // Whoever runs this has the MMU on.
    if value & 1 == 1 { Outcome::Survived } else { Outcome::Stopped("a register of zeros".into()) }
}

/// Has: instructions of his choice. Wants: to set a register of the kernel's: where it returns to.
fn write_register(_: &Scene) -> Outcome {
    instruction(write_register);
    let value: u64;
    // SAFETY: none, on purpose; where it is permitted, no exception is being handled, so that nobody
    // uses the register until the next one sets it.
    unsafe {
        asm!("msr elr_el1, {0}", "mrs {1}, elr_el1", in(reg) 0x1234_u64, out(reg) value);
    }
    if value == 0x1234 {
        Outcome::Survived
    } else {
        Outcome::Stopped("a register that keeps".into())
    }
}

/// Has: instructions of his choice. Wants: the machine for himself, without interrupts.
fn mask_interrupts(_: &Scene) -> Outcome {
    instruction(mask_interrupts);
    let value: u64;
    // SAFETY: where it is permitted, interrupts are let through again at once.
    unsafe {
        asm!("msr daifset, #2", "mrs {}, daif", "msr daifclr, #2", out(reg) value);
    }
    match value >> 7 & 1 {
        1 => Outcome::Survived,
        _ => Outcome::Stopped("interrupts that come nevertheless".into()),
    }
}

/// Has: instructions of his choice. Wants: to speak to the hypervisor, in the kernel's place.
fn call_hypervisor(_: &Scene) -> Outcome {
    const PSCI_VERSION: u64 = 0x8400_0000;
    instruction(call_hypervisor);
    let version: u64;
    // SAFETY: where it is permitted, the caller-saved registers may be changed (SMCCC 1.0).
    unsafe {
        asm!("hvc #0", inlateout("x0") PSCI_VERSION => version, clobber_abi("C"));
    }
    match version >> 16 {
        0 | 1 => Outcome::Survived,
        _ => Outcome::Stopped(format!("the answer {version:#x}")),
    }
}

/// Has: instructions of his choice. Wants: other tables. Joined, the instruction is not in the image,
/// nor in any other (row 13).
#[cfg(elone_contained)]
fn write_table_register(_: &Scene) -> Outcome {
    instruction(write_table_register);
    // SAFETY: none, on purpose.
    unsafe { asm!("msr ttbr0_el1, xzr") };
    Outcome::Survived
}

/// Has: the gate, and the address of a variable of the kernel. Wants: the kernel to write its own
/// random bytes over it.
fn overwrite_kernel(scene: &Scene) -> Outcome {
    let Some(target) = scene.target() else { return NOT_TOLD };
    ask_for_entropy(target, scene)
}

/// Has: the gate. Wants: the kernel to write random bytes over code, which only the kernel could.
fn overwrite_code(scene: &Scene) -> Outcome {
    ask_for_entropy(code::seven(), scene)
}

fn ask_for_entropy(target: usize, scene: &Scene) -> Outcome {
    scene::target(target);
    let kept = code::load_quietly(scene, target);
    // SAFETY: none, on purpose: the memory is not the application's to write to.
    let bytes = unsafe { core::slice::from_raw_parts_mut(target as *mut u8, 4) };
    // Four random bytes are what was there before in one of four thousand million boots.
    if let Err(error) = calls::entropy(bytes) {
        return Outcome::Stopped(format!("the gate: {error}"));
    }
    let changed = code::load(target) != kept;
    code::store(target, kept);
    if changed { Outcome::Survived } else { Outcome::Stopped("memory that keeps its value".into()) }
}

/// Has: a kernel that was made careless for this one attack: it follows a pointer that the
/// application names, unchecked. Wants: it to take the application's memory for its own.
fn follow(_: &Scene) -> Outcome {
    /// What the attacked image's kernel knows the call by (`hal/src/arch/user.rs`).
    const FOLLOW: u64 = 0x0bad_0ca1;
    const LURE: u64 = 0x1a7e;
    let lure = core::hint::black_box(LURE);
    let place = (&raw const lure).addr();
    scene::target(place);
    let (code, seen): (u64, u64);
    // SAFETY: the kernel keeps all registers but these (gate, `abi`).
    unsafe {
        asm!(
            "svc #0",
            in("x8") FOLLOW,
            inlateout("x0") place => code,
            lateout("x1") seen,
            lateout("x2") _,
            lateout("x3") _,
            lateout("x4") _,
            lateout("x5") _,
            options(nostack)
        );
    }
    match (code, seen) {
        (0, LURE) => Outcome::Survived,
        _ => Outcome::Stopped(format!("error {code} of the gate")),
    }
}

/// Has: reports of his own faults, life after life. Wants: to learn from them what the kernel has
/// mapped: reads where something is in one life, where nothing can be in the next, and compares in
/// the third.
fn tell(scene: &Scene) -> Outcome {
    const NOWHERE: usize = 0xffff_ff00_0000_0000;
    let Some(target) = scene.target() else { return NOT_TOLD };
    let status = || {
        let esr = scene.report().split("esr=0x").nth(1)?;
        let esr = u64::from_str_radix(esr.get(..esr.find(' ')?)?, 16).ok()?;
        Some(esr & 0x3f)
    };
    match scene.life() {
        0 => {
            scene::target(target);
            code::load(target);
        }
        1 => {
            calls::report(&format!("mapped: status {:#x}", status().unwrap_or_default()));
            code::load(NOWHERE);
        }
        _ => {
            let unmapped = status().unwrap_or_default();
            let same = format!("mapped: status {unmapped:#x}");
            return match scene.report().contains(&same) {
                true => Outcome::Stopped(format!("the same status for both, {unmapped:#x}")),
                false => Outcome::Survived,
            };
        }
    }
    Outcome::Stopped("memory that can be read".into())
}

/// There is no address that faults: the instruction does.
fn instruction(attack: Attack) {
    scene::target((attack as *const ()).addr());
}
