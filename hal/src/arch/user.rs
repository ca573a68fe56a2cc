//! The application at EL0: entered by a function that returns why it stopped.
//!
//! The kernel stays where it is, on its own stack with interrupts held back, and the application's
//! turn is a call to [`run`]. What EL0 may do besides running its own code is decided here, once:
//! read the virtual counter, and nothing else of the system (Arm ARM, section D24.2).

use aarch64_cpu::asm::barrier;
use aarch64_cpu::registers::{
    CNTKCTL_EL1, ID_AA64DFR0_EL1, ID_AA64MMFR1_EL1, ID_AA64PFR0_EL1, MDSCR_EL1, ReadWriteable,
    Readable, SCTLR_EL1, TCR_EL1, TPIDR_EL0, TPIDRRO_EL0, Writeable,
};
use core::arch::asm;

use elone_protections::Protection;

use super::exception::{Frame, Kind};
use super::places::places;
use crate::protections::{note, wanted};

/// `ESR_EL1` of `svc #0` from AArch64: class 0x15, a 32-bit instruction, number 0.
const CALL: u64 = 0x5600_0000;
/// `SCTLR_EL1`: exceptions leave `PSTATE.PAN` as it is.
const SPAN: u64 = 1 << 23;

/// Why the application's turn ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// It called the kernel, by `svc #0`.
    Call,
    /// An interrupt is pending; the application knows nothing of it.
    Interrupt,
    /// It did something that it must not do. The frame says what.
    Fault(Kind),
}

/// What a new application starts with: nothing but these.
#[must_use]
pub fn first_frame(entry: u64, stack: u64, arguments: [u64; 2]) -> Frame {
    let mut frame = Frame {
        x: [0; 31],
        sp: stack,
        elr: entry,
        spsr: 0, // EL0, nothing masked
        esr: 0,
        far: 0,
        q: [0; 32],
        fpsr: 0,
        fpcr: 0,
    };
    [frame.x[0], frame.x[1]] = arguments;
    frame
}

/// Lets the application run from where `frame` says until something happens; the frame then says
/// where it stopped. The tables of [`UserSpace`](super::space::UserSpace) decide what it reaches.
#[must_use]
pub fn run(frame: &mut Frame) -> Reason {
    unsafe extern "C" {
        safe fn elone_hal_run_user(frame: &mut Frame) -> u64;
    }
    // Whatever the frame says: EL0, in AArch64, with nothing masked.
    frame.spsr &= !0x3ff;
    match elone_hal_run_user(frame) {
        0 if frame.esr == CALL => Reason::Call,
        0 => Reason::Fault(Kind::Synchronous),
        1 => Reason::Interrupt,
        2 => Reason::Fault(Kind::Fiq),
        _ => Reason::Fault(Kind::SError),
    }
}

/// Forgets what an application left where no frame holds it: the one register that EL0 may write
/// besides.
pub(super) fn forget() {
    TPIDR_EL0.set(0);
}

/// Says once what EL0 may do. The lower half is translated from now on, with 48 bits, by whatever
/// tables `TTBR0_EL1` names.
#[unsafe(link_section = ".init.text")]
pub(super) fn open() {
    // The virtual counter can be read; its timer and everything of the physical one not.
    CNTKCTL_EL1.write(CNTKCTL_EL1::EL0VCTEN::SET);
    // Nor the debugger's channel. All of the register is written: what it holds after a reset is
    // unknown, and a step or a watchpoint that firmware left would be the application's fault.
    MDSCR_EL1.write(MDSCR_EL1::TDCC::SET);
    TPIDRRO_EL0.set(0); // readable at EL0, and whatever firmware left in it
    let counters = ID_AA64DFR0_EL1.read(ID_AA64DFR0_EL1::PMUVer);
    if (1..15).contains(&counters) {
        // SAFETY: the register exists, as was just read; it opens the counters to EL0, or not.
        unsafe { asm!("msr pmuserenr_el0, xzr", options(nomem, nostack)) };
    }
    if ID_AA64PFR0_EL1.read(ID_AA64PFR0_EL1::AMU) != 0 {
        // SAFETY: AMUSERENR_EL0 exists, as was just read; it opens the activity monitors to EL0, or not.
        unsafe { asm!("msr s3_3_c13_c2_3, xzr", options(nomem, nostack)) };
    }
    // Where there is PAN the kernel cannot touch what EL0 can, other than by `ldtr` and `sttr`.
    if ID_AA64MMFR1_EL1.read(ID_AA64MMFR1_EL1::PAN) != 0
        && wanted(Protection::PrivilegedAccessNever)
    {
        note(Protection::PrivilegedAccessNever);
        SCTLR_EL1.set(SCTLR_EL1.get() & !SPAN);
        // SAFETY: the field exists, as was just read (`msr pan, #1`); no kernel code needs EL0's memory.
        unsafe { asm!(".inst 0xd500419f", options(nomem, nostack)) };
    }
    if places().features.has_e0pd() {
        note(Protection::ConstantTimeFaults);
    }
    TCR_EL1.modify(TCR_EL1::T0SZ.val(64 - 48) + TCR_EL1::EPD0::EnableTTBR0Walks);
    barrier::isb(barrier::SY);
}

/// The call by which the attacked image's kernel, and no other, is asked to be careless.
#[cfg(elone_attackable)]
pub const FOLLOW: u64 = 0x0bad_0ca1;

/// Reads the application's word at `address` as a careless kernel would: unchecked, by an ordinary
/// load.
#[must_use]
#[cfg(elone_attackable)]
pub fn follow(address: u64) -> u64 {
    // SAFETY: none, on purpose: whether this is stopped is what is tried.
    unsafe { (address as *const u64).read_volatile() }
}

/// Reads what the application has at `address`. The caller has found it to be the application's; if
/// it is not, this faults, as the application itself would.
pub fn read(address: u64, bytes: &mut [u8]) {
    unsafe extern "C" {
        fn elone_hal_read_user(theirs: u64, ours: *mut u8, length: usize);
    }
    // SAFETY: writes `length` bytes of a slice that is ours to write to, and reads only what EL0 could.
    unsafe { elone_hal_read_user(address, bytes.as_mut_ptr(), bytes.len()) };
}

/// Writes where the application could write, on the same terms as [`read`].
pub fn write(address: u64, bytes: &[u8]) {
    unsafe extern "C" {
        fn elone_hal_write_user(theirs: u64, ours: *const u8, length: usize);
    }
    // SAFETY: reads `length` bytes of a slice, and writes only what EL0 could: memory that no code of
    // the kernel holds a reference to (`UserSpace`).
    unsafe { elone_hal_write_user(address, bytes.as_ptr(), bytes.len()) };
}
