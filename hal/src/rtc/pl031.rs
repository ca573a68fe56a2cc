//! PrimeCell PL031, after its Technical Reference Manual (Arm DDI 0224C), chapter 3.

use super::{Doubt, plausible};
use crate::mmio::Window;

/// Registers, by the manual's names (table 3-1).
const RTCDR: usize = 0x000;
const RTCCR: usize = 0x00c;

/// Control: the clock runs. Once set, it stays so until the machine is reset.
const START: u32 = 1;

/// A PL031.
#[derive(Clone, Copy, Debug)]
pub struct Pl031 {
    registers: Window,
}

impl Pl031 {
    /// Takes the clock over, and lets it run where it does not. It then counts from wherever it
    /// was, and the date is wrong; but so it was before.
    #[must_use]
    pub fn start(registers: Window) -> Self {
        if registers.read32(RTCCR) & START == 0 {
            registers.write32(RTCCR, START);
        }
        Self { registers }
    }

    /// The date in nanoseconds since 1970-01-01 00:00:00 UTC, which is what everybody sets it to;
    /// to a second. The register has 32 bits: it wraps in February 2106.
    ///
    /// # Errors
    /// [`Doubt::Implausible`].
    pub fn date(self) -> Result<u64, Doubt> {
        plausible(self.registers.read32(RTCDR).into(), 0)
    }
}
