//! What may be tried once: an access to a device that may not be there, a call that nobody may answer.
//!
//! A device tree can name what the machine does not have. Where nothing is, a bare board and an
//! emulator answer a load with an external abort, at once or late; most monitors give zeros, or all
//! ones. So the first look at a device is one load that may fail ([`Window::attempt32`]), and drivers
//! look at what it gave. In the same way whoever is said to power the machine off is called once.
//! Exactly these instructions may fail: any other access that does is a fault.
//!
//! [`Window::attempt32`]: crate::mmio::Window::attempt32

use core::fmt;

/// Nothing answers there. Do without the device, and say so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Absent;

impl fmt::Display for Absent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("nothing answers there")
    }
}

impl core::error::Error for Absent {}

/// Whether the load at which this syndrome (`ESR_EL1`) was taken found nobody: a data abort of the
/// current level, on a read, external and not on a table walk (Arm ARM, section D17.2.37).
#[must_use]
pub const fn nobody_answered(syndrome: u64) -> bool {
    const DATA_ABORT: u64 = 0x25;
    const IS_WRITE: u64 = 1 << 6;
    const EXTERNAL: u64 = 0x10;
    class(syndrome) == DATA_ABORT && syndrome & IS_WRITE == 0 && syndrome & 0x3f == EXTERNAL
}

/// Whether the instruction at which this syndrome was taken does not exist here.
#[must_use]
pub const fn is_undefined(syndrome: u64) -> bool {
    class(syndrome) == 0
}

const fn class(syndrome: u64) -> u64 {
    syndrome >> 26 & 0x3f
}

/// What a bus without anybody gives where it gives something.
#[must_use]
pub const fn is_nobodys(value: u32) -> bool {
    value == 0 || value == u32::MAX
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_external_abort_on_a_read_is_nobodys() {
        assert!(nobody_answered(0x9600_0010));
        assert!(nobody_answered(0x9600_0410), "its address may be unknown");
        assert!(nobody_answered(0x9600_0210), "it may be a slave's error");
        for other in [
            0x9600_0050, // on a write
            0x9600_0014, // on a table walk
            0x9600_0007, // nothing is mapped
            0x9600_000f, // not permitted
            0x9600_0021, // not aligned
            0x9200_0010, // of a lower level
            0x8600_0010, // on an instruction
            0x0200_0000, // undefined
            0,
        ] {
            assert!(!nobody_answered(other), "{other:#x}");
        }
    }

    #[test]
    fn an_undefined_instruction_has_a_class_of_its_own() {
        assert!(is_undefined(0x0200_0000));
        assert!(!is_undefined(0x9600_0010));
        assert!(!is_undefined(0x5a00_0000), "an hvc that was answered");
    }
}
