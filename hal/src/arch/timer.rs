//! The virtual timer (Arm ARM, section D11.2): a counter that never stops and one alarm.
//!
//! In a guest the virtual counter is the one that the hypervisor keeps right for us; where Elone
//! owns EL2, entry has set its offset to zero and it is the physical one.

use aarch64_cpu::asm::barrier;
use aarch64_cpu::registers::{CNTV_CTL_EL0, CNTV_CVAL_EL0, CNTVCT_EL0, Readable, Writeable};

/// The counter, in ticks. The barrier keeps the reading from being done early.
#[must_use]
pub fn ticks() -> u64 {
    barrier::isb(barrier::SY);
    CNTVCT_EL0.get()
}

/// Asks for the interrupt when the counter reaches `deadline`; at once if it is past.
pub fn set_alarm(deadline: u64) {
    CNTV_CVAL_EL0.set(deadline);
    CNTV_CTL_EL0.write(CNTV_CTL_EL0::ENABLE::SET);
    barrier::isb(barrier::SY);
}

/// Asks for nothing any more, and takes the interrupt's level down.
pub fn clear_alarm() {
    CNTV_CTL_EL0.write(CNTV_CTL_EL0::ENABLE::CLEAR);
    barrier::isb(barrier::SY);
}
