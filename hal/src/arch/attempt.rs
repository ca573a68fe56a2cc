//! The instructions that may fail, and what the handler does when one has (see [`crate::attempt`]).
//!
//! Only ordinary code can try: an exception while another one is handled starts on the last stack,
//! from which there is no way back.

use core::arch::global_asm;
use core::ptr::NonNull;

use super::exception::{Frame, Kind, Origin, Vector};
use super::power::Conduit;
use crate::attempt::{Absent, is_undefined, nobody_answered};

global_asm!(include_str!("attempt.s"));

/// A value, and whether there is none.
#[repr(C)]
struct Answer {
    value: u64,
    failed: u64,
}

unsafe extern "C" {
    static elone_hal_attempt8_load: u8;
    static elone_hal_attempt8_over: u8;
    static elone_hal_attempt32_load: u8;
    static elone_hal_attempt32_over: u8;
    static elone_hal_attempt_hvc_call: u8;
    static elone_hal_attempt_smc_call: u8;
    static elone_hal_attempt_xen_call: u8;
    fn elone_hal_attempt8(register: *const u8) -> Answer;
    fn elone_hal_attempt32(register: *const u8) -> Answer;
    fn elone_hal_attempt_hvc(function: u32) -> Answer;
    fn elone_hal_attempt_smc(function: u32) -> Answer;
    fn elone_hal_attempt_xen(first: u64, second: u64, third: u64, number: u64) -> Answer;
}

/// Bytes from a call to where it goes on if it does not exist: an instruction that was not reached is
/// between.
const TO_THE_END: u64 = 8;

/// Reads a register of a device that may not be there.
///
/// # Errors
/// [`Absent`].
///
/// # Safety
/// `register` is mapped, and reading it changes no memory.
pub(crate) unsafe fn load8(register: NonNull<u8>) -> Result<u8, Absent> {
    // SAFETY: the caller's condition; that nobody answers is the vectors' affair.
    let Answer { value, failed } = unsafe { elone_hal_attempt8(register.as_ptr()) };
    #[expect(clippy::cast_possible_truncation, reason = "a byte was loaded")]
    if failed == 0 { Ok(value as u8) } else { Err(Absent) }
}

/// Reads a register of a device that may not be there.
///
/// # Errors
/// [`Absent`].
///
/// # Safety
/// As for [`load8`], and it is aligned to four bytes.
pub(crate) unsafe fn load32(register: NonNull<u8>) -> Result<u32, Absent> {
    // SAFETY: as above.
    let Answer { value, failed } = unsafe { elone_hal_attempt32(register.as_ptr()) };
    #[expect(clippy::cast_possible_truncation, reason = "a word was loaded")]
    if failed == 0 { Ok(value as u32) } else { Err(Absent) }
}

/// Makes a call that takes nothing; `None` where the instruction for it does not exist.
pub(super) fn call(conduit: Conduit, function: u32) -> Option<u64> {
    // SAFETY: whoever is below changes no register that a function must leave alone (SMCCC 1.4,
    // section 2.6), and no memory; that nobody is below is the vectors' affair.
    let Answer { value, failed } = match conduit {
        // SAFETY: as above.
        Conduit::Hvc => unsafe { elone_hal_attempt_hvc(function) },
        // SAFETY: as above.
        Conduit::Smc => unsafe { elone_hal_attempt_smc(function) },
    };
    (failed == 0).then_some(value)
}

/// Makes a hypercall of Xen's; `None` where the instruction for it does not exist.
///
/// # Safety
/// Whatever memory this call has Xen write, by Xen's documentation, is the caller's to change.
pub(crate) unsafe fn hypercall(number: u64, arguments: [u64; 3]) -> Option<u64> {
    let [first, second, third] = arguments;
    // SAFETY: it changes x0 to x4 and x16 at most, which a function may (xen/include/public/arch-arm.h);
    // of memory what the caller answers for. That nobody is below is the vectors' affair.
    let Answer { value, failed } = unsafe { elone_hal_attempt_xen(first, second, third, number) };
    (failed == 0).then_some(value)
}

/// Whether an exception is the failure of what may fail; then the frame is changed so that whoever
/// tried is told.
pub(super) fn failed(frame: &mut Frame, vector: Vector) -> bool {
    if vector.origin != Origin::Kernel {
        return false;
    }
    let at = |symbol: *const u8| symbol.addr() as u64;
    let loads = [
        (&raw const elone_hal_attempt8_load, &raw const elone_hal_attempt8_over),
        (&raw const elone_hal_attempt32_load, &raw const elone_hal_attempt32_over),
    ]
    .map(|(load, over)| (at(load), at(over)));
    let calls = [
        &raw const elone_hal_attempt_hvc_call,
        &raw const elone_hal_attempt_smc_call,
        &raw const elone_hal_attempt_xen_call,
    ]
    .map(at);

    let goes_on = match vector.kind {
        Kind::Synchronous if nobody_answered(frame.esr) => {
            loads.iter().find(|(load, _)| *load == frame.elr).map(|(_, over)| *over)
        }
        Kind::Synchronous if is_undefined(frame.esr) => {
            calls.contains(&frame.elr).then_some(frame.elr + TO_THE_END)
        }
        Kind::SError => {
            let late = loads.iter().find(|(load, over)| (*load + 1..=*over).contains(&frame.elr));
            late.map(|(_, over)| *over)
        }
        _ => None,
    };
    let Some(goes_on) = goes_on else { return false };
    let [_, failed, ..] = &mut frame.x;
    *failed = 1;
    frame.elr = goes_on;
    true
}
