//! Xen's hypercalls, as far as a guest needs them that has no device of its own to talk by: which
//! version it is, and its console (Xen 4.17, `xen/include/public/{version,xen}.h`).
//!
//! The hardware domain's console is Xen's: Xen has the machine's UART for itself, prints what it is
//! handed, and passes on what is typed while the input is switched to that domain. Nothing interrupts
//! for it short of an event channel, so it has to be asked.

use core::fmt;

use crate::arch::attempt;

/// Numbers of hypercalls.
const XEN_VERSION: u64 = 17;
const CONSOLE_IO: u64 = 18;

/// Commands of `xen_version`: the version itself, major in the upper half, minor in the lower.
const VERSION: u64 = 0;
/// Commands of `console_io`.
const WRITE: u64 = 0;
const READ: u64 = 1;

/// Xen runs on this architecture since 4.3.
const MAJORS: core::ops::RangeInclusive<i64> = 4..=255;

/// Xen is below. A handle, and proof that it has answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Xen {
    version: Version,
}

/// Which Xen it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Version {
    /// The 4 of 4.17.
    pub major: u16,
    /// The 17.
    pub minor: u16,
}

/// Why something of Xen's is not to be had. Do without it, and say so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum XenError {
    /// The instruction that calls it does not exist here.
    Traps,
    /// It, or whoever else is below, answers with this.
    Answers(i64),
}

impl fmt::Display for XenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Traps => f.write_str("its hypercall traps"),
            Self::Answers(answer) => write!(f, "its hypercall is answered with {answer}"),
        }
    }
}

impl core::error::Error for XenError {}

impl Xen {
    /// Calls Xen. Whoever else is there refuses: to others the instruction means nothing, or a call of
    /// theirs with the number 0, which nobody has.
    ///
    /// # Errors
    /// It is not Xen that answers, or nobody does.
    pub fn find() -> Result<Self, XenError> {
        // SAFETY: this command writes no memory.
        let answer = unsafe { call(XEN_VERSION, [VERSION, 0, 0]) }?;
        let [major, minor] = [answer >> 16, answer & 0xffff];
        match (u16::try_from(major), u16::try_from(minor)) {
            (Ok(number), Ok(minor)) if MAJORS.contains(&major) => {
                Ok(Self { version: Version { major: number, minor } })
            }
            _ => Err(XenError::Answers(answer)),
        }
    }

    /// Which Xen it is.
    #[must_use]
    pub const fn version(self) -> Version {
        self.version
    }

    /// Its console, for those that may use it: the hardware domain.
    ///
    /// # Errors
    /// Xen refuses.
    pub fn console(self) -> Result<Console, XenError> {
        // SAFETY: this command writes no memory.
        match unsafe { call(CONSOLE_IO, [WRITE, 0, 0]) }? {
            0 => Ok(Console(())),
            refusal => Err(XenError::Answers(refusal)),
        }
    }
}

/// Xen's console. It has no state here, so that the report of a fault can use it at any time.
#[derive(Clone, Copy, Debug)]
pub struct Console(());

impl Console {
    /// Writes `bytes`; Xen makes a carriage return and a line feed of each line feed. What it does not
    /// take is dropped.
    pub fn write(self, bytes: &[u8]) {
        let place = bytes.as_ptr().expose_provenance() as u64;
        // SAFETY: this command only reads, and those bytes are there to be read.
        let _dropped = unsafe { call(CONSOLE_IO, [WRITE, bytes.len() as u64, place]) };
    }

    /// Takes the next byte that was typed for this domain.
    #[must_use]
    pub fn read(self) -> Option<u8> {
        let mut byte = [0_u8];
        let place = byte.as_mut_ptr().expose_provenance() as u64;
        // SAFETY: this command writes one byte there at most, and it is borrowed for that.
        let count = unsafe { call(CONSOLE_IO, [READ, 1, place]) };
        (count == Ok(1)).then_some(byte[0])
    }
}

/// Makes a hypercall.
///
/// # Safety
/// As for [`attempt::hypercall`].
unsafe fn call(number: u64, arguments: [u64; 3]) -> Result<i64, XenError> {
    // SAFETY: the caller's condition.
    let answer = unsafe { attempt::hypercall(number, arguments) };
    answer.map(u64::cast_signed).ok_or(XenError::Traps)
}
