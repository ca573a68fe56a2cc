//! The core: who it is, what it can, how it waits.

use aarch64_cpu::asm::barrier;
use aarch64_cpu::registers::{CNTFRQ_EL0, CurrentEL, ID_AA64ISAR0_EL1, MIDR_EL1, Readable};
use core::arch::asm;

/// The exception level that this runs at.
#[must_use]
pub fn level() -> u8 {
    #[expect(clippy::cast_possible_truncation, reason = "a field of two bits")]
    {
        CurrentEL.read(CurrentEL::EL) as u8
    }
}

/// The core's name, from `MIDR_EL1` (the cores that Elone is run on by name, others as unknown).
#[must_use]
pub fn name() -> &'static str {
    const ARM: u64 = 0x41;
    let implementer = MIDR_EL1.read(MIDR_EL1::Implementer);
    let part = MIDR_EL1.read(MIDR_EL1::PartNum);
    match (implementer, part) {
        (ARM, 0xd03) => "Cortex-A53",
        (ARM, 0xd05) => "Cortex-A55",
        (ARM, 0xd07) => "Cortex-A57",
        (ARM, 0xd08) => "Cortex-A72",
        (ARM, 0xd09) => "Cortex-A73",
        (ARM, 0xd0a) => "Cortex-A75",
        (ARM, 0xd0b) => "Cortex-A76",
        (ARM, 0xd0c) => "Neoverse N1",
        (ARM, 0xd40) => "Neoverse V1",
        (ARM, 0xd41) => "Cortex-A78",
        (ARM, 0xd49) => "Neoverse N2",
        (ARM, 0xd4f) => "Neoverse V2",
        (0x61, _) => "Apple core",
        (0xc0, _) => "Ampere core",
        (0, 0x51) => "QEMU max",
        _ => "unknown core",
    }
}

/// Which of its cluster's cores this is (`MPIDR_EL1.Aff0`).
#[must_use]
pub fn number() -> usize {
    use aarch64_cpu::registers::MPIDR_EL1;
    usize::from(MPIDR_EL1.get().to_le_bytes()[0])
}

/// Lets interrupts through.
pub fn unmask_interrupts() {
    // SAFETY: the vectors are in place before the kernel runs, and the handler is the kernel's.
    unsafe { asm!("msr daifclr, #2", options(nostack)) };
}

/// Holds interrupts back.
pub fn mask_interrupts() {
    // SAFETY: masking is always allowed.
    unsafe { asm!("msr daifset, #2", options(nostack)) };
}

/// Lets errors from the bus through (`SError`), which may come long after the access that caused
/// them: held back, they would never be reported.
pub fn unmask_errors() {
    // SAFETY: as for interrupts.
    unsafe { asm!("msr daifclr, #4", options(nostack)) };
}

/// Sleeps until an interrupt is pending, held back or not.
pub fn wait_for_interrupt() {
    barrier::dsb(barrier::SY);
    aarch64_cpu::asm::wfi();
}

/// Sleeps for good, with everything held back: where a machine cannot be powered off.
pub fn halt() -> ! {
    // SAFETY: masking is always allowed.
    unsafe { asm!("msr daifset, #0xf", options(nostack)) };
    loop {
        aarch64_cpu::asm::wfi();
    }
}

/// The rate of the system counter in Hz; 0 where firmware forgot to set it.
#[must_use]
pub fn counter_frequency() -> u64 {
    CNTFRQ_EL0.get()
}

/// 64 bits from the core's own random number generator (`FEAT_RNG`, register RNDR): `None` where
/// there is none, or where it fails to give any in time.
#[must_use]
pub fn random() -> Option<u64> {
    if ID_AA64ISAR0_EL1.read(ID_AA64ISAR0_EL1::RNDR) == 0 {
        return None;
    }
    let (value, failed): (u64, u64);
    // SAFETY: the register exists, as was just read; reading it sets the flags.
    unsafe {
        asm!(
            "mrs {value}, s3_3_c2_c4_0",
            "cset {failed}, eq", // Z: nothing came in reasonable time
            value = out(reg) value,
            failed = out(reg) failed,
            options(nomem, nostack)
        );
    }
    (failed == 0).then_some(value)
}
