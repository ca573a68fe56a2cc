//! The power management block of Broadcom's BCM2835 and later, as far as it ends a machine: by its
//! watchdog, which restarts it. There is no data sheet of the block; what is known of these registers
//! is what Linux's `bcm2835_wdt.c` and the boot firmware do with them.

use crate::attempt::Absent;
use crate::mmio::Window;

const RSTC: usize = 0x1c;
const RSTS: usize = 0x20;
const WDOG: usize = 0x24;
/// How many bytes of registers there must be.
const LENGTH: usize = 0x28;

/// What every write has to begin with.
const PASSWORD: u32 = 0x5a00_0000;
/// What a read gives besides.
const VALUE: u32 = 0x00ff_ffff;
/// What becomes of the machine when the watchdog has counted down: it is restarted, all of it.
const CONFIGURATION: u32 = 0x30;
const FULL_RESET: u32 = 0x20;
/// Where firmware looks at which partition it is to start from, in every second bit: 63 is none, so
/// that it switches everything off instead.
const PARTITION: u32 = 0x555;
/// How long until then, in units of 15 µs.
const TICKS: u32 = 10;

/// The block. A handle to registers, without state: a fault's report can use it at any time.
#[derive(Clone, Copy, Debug)]
pub struct PowerManagement {
    registers: Window,
}

impl PowerManagement {
    /// The block behind `registers`.
    ///
    /// # Errors
    /// [`Absent`]: nobody answers, or the window is too short.
    pub fn find(registers: Window) -> Result<Self, Absent> {
        if registers.length() < LENGTH || registers.attempt32(RSTC)? == u32::MAX {
            return Err(Absent);
        }
        Ok(Self { registers })
    }

    /// Restarts the machine, in a moment: whoever calls this waits.
    pub fn restart(self) {
        let partition = self.registers.read32(RSTS) & VALUE & !PARTITION;
        self.count_down(partition);
    }

    /// Switches the machine off, in a moment.
    pub fn off(self) {
        let status = self.registers.read32(RSTS) & VALUE;
        self.count_down(status | PARTITION);
    }

    fn count_down(self, status: u32) {
        self.registers.write32(RSTS, PASSWORD | status);
        self.registers.write32(WDOG, PASSWORD | TICKS);
        let control = self.registers.read32(RSTC) & VALUE & !CONFIGURATION;
        self.registers.write32(RSTC, PASSWORD | control | FULL_RESET);
    }
}
