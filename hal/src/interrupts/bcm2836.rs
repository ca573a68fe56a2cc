//! The two interrupt controllers of the Raspberry Pi 2 and 3, one behind the other: the BCM2836's
//! local one, which each core is wired to (Broadcom, "Quad-A7 control" rev. 3.4, here QA7), and the
//! BCM2835's ARM control block, which the peripherals are (BCM2835 ARM Peripherals, chapter 7).
//!
//! Neither has priorities, nor a register by which a line is acknowledged: a line is up for as long as
//! its device wants something. So what is to be handled next is simply the first line that is up, and
//! its handler, which runs with interrupts masked, has to quiet the device.

use super::Line;
use crate::attempt::Absent;
use crate::mmio::Window;

/// QA7, section 4.2: where the core timers' counter has its ticks from, and how many.
const CONTROL: usize = 0x00;
const CORE_TIMER_PRESCALER: usize = 0x08;
/// Section 4.4: which core the peripherals' line goes to.
const GPU_INTERRUPTS_ROUTING: usize = 0x0c;
/// Sections 4.3, 4.9 and 4.11: what else could raise a core's line, the counters of performance,
/// outstanding accesses, and the local timer.
const PERFORMANCE_ROUTING_CLEAR: usize = 0x18;
const AXI_OUTSTANDING_INTERRUPTS: usize = 0x30;
const LOCAL_TIMER_CONTROL: usize = 0x34;
/// Sections 4.6, 4.7 and 4.10: one word a core.
const CORE_TIMERS_INTERRUPT_CONTROL: usize = 0x40;
const CORE_MAILBOXES_INTERRUPT_CONTROL: usize = 0x50;
const CORE_INTERRUPT_SOURCE: usize = 0x60;
/// How many bytes of registers there must be: all that are used here.
const LOCAL_LENGTH: usize = 0x70;
/// Of four cores each: the manual has room for no more.
const CORES: usize = 4;

/// The prescaler's ratio that is 1: 2^31 is divided by it.
const EVERY_TICK: u32 = 0x8000_0000;
/// The timers' bits, in the order of the manual: secure physical, physical, hypervisor, virtual.
const TIMERS: u32 = 0xf;
/// The source that the ARM control block is behind.
pub const PERIPHERALS: u8 = 8;

/// BCM2835 ARM Peripherals, section 7.5, from the block's first register on (0xb200 there), in the
/// order in which lines are counted here: pending 1 and 2, basic.
const PENDING: [usize; BANKS] = [0x04, 0x08, 0x00];
const FIQ_CONTROL: usize = 0x0c;
const ENABLE: [usize; BANKS] = [0x10, 0x14, 0x18];
const DISABLE: [usize; BANKS] = [0x1c, 0x20, 0x24];
const PERIPHERALS_LENGTH: usize = 0x28;
const BANKS: usize = 3;

/// How many lines there are: two banks of the GPU's, and the eight of the ARM's own.
pub const PERIPHERAL_LINES: u8 = 72;

/// The controllers.
#[derive(Clone, Copy, Debug)]
pub struct Bcm2836 {
    local: Window,
    peripherals: Option<Window>,
    /// This core's words of the local one are so many bytes behind the first core's.
    core: usize,
    /// The timers' lines that are let through, and each bank's.
    timers: u32,
    enabled: [u32; BANKS],
}

impl Bcm2836 {
    /// Takes the controllers over for `core`, every line masked. The counter that the core timers
    /// compare with is set going where nobody has: that is firmware's to do, and there may be none.
    ///
    /// # Errors
    /// [`Absent`]: nobody answers where the local controller should be; or a window is shorter than
    /// its registers; or there is no such core.
    pub fn take_over(
        local: Window,
        peripherals: Option<Window>,
        core: usize,
    ) -> Result<Self, Absent> {
        let too_short = peripherals.is_some_and(|window| window.length() < PERIPHERALS_LENGTH);
        if local.length() < LOCAL_LENGTH || too_short || core >= CORES {
            return Err(Absent);
        }
        if local.attempt32(CORE_INTERRUPT_SOURCE + 4 * core)? == u32::MAX {
            return Err(Absent);
        }
        if local.read32(CORE_TIMER_PRESCALER) == 0 {
            local.write32(CONTROL, 0); // the crystal's ticks, one by one
            local.write32(CORE_TIMER_PRESCALER, EVERY_TICK);
        }
        local.write32(CORE_TIMERS_INTERRUPT_CONTROL + 4 * core, 0);
        local.write32(CORE_MAILBOXES_INTERRUPT_CONTROL + 4 * core, 0);
        local.write32(PERFORMANCE_ROUTING_CLEAR, u32::MAX);
        local.write32(AXI_OUTSTANDING_INTERRUPTS, 0);
        local.write32(LOCAL_TIMER_CONTROL, 0);
        if let Some(peripherals) = peripherals {
            if peripherals.attempt32(PENDING[0])? == u32::MAX {
                return Err(Absent);
            }
            peripherals.write32(FIQ_CONTROL, 0);
            DISABLE.iter().for_each(|register| peripherals.write32(*register, u32::MAX));
            // Bits 1:0 are the core for interrupts, 3:2 that for fast ones, which none is.
            #[expect(clippy::cast_possible_truncation, reason = "one of four")]
            local.write32(GPU_INTERRUPTS_ROUTING, core as u32);
        } else {
            // Nobody here could take back what the peripherals want: that is another core's, which is
            // asleep with interrupts masked.
            #[expect(clippy::cast_possible_truncation, reason = "one of four")]
            local.write32(GPU_INTERRUPTS_ROUTING, ((core + 1) % CORES) as u32);
        }
        Ok(Self { local, peripherals, core, timers: 0, enabled: [0; BANKS] })
    }

    /// Lets a line through to this core; whether there is such a line, and it can be. Of the local
    /// controller's those of the timers can, as nothing here listens to the others.
    pub fn enable(&mut self, line: Line) -> bool {
        match line {
            Line::Local(number) => {
                let Some(bit) = 1_u32.checked_shl(number.into()).filter(|bit| bit & TIMERS != 0)
                else {
                    return false;
                };
                let register = CORE_TIMERS_INTERRUPT_CONTROL + 4 * self.core;
                self.local.write32(register, self.timers | bit);
                if self.local.read32(register) & bit == 0 {
                    return false; // something else is there
                }
                self.timers |= bit;
                true
            }
            Line::Peripheral(number) if number < PERIPHERAL_LINES => {
                let (bank, bit) = place(number);
                let (Some(peripherals), Some(enabled), Some(register)) =
                    (self.peripherals, self.enabled.get_mut(bank), ENABLE.get(bank))
                else {
                    return false;
                };
                *enabled |= bit;
                peripherals.write32(*register, bit); // zeros are without effect
                true
            }
            Line::Peripheral(_) | Line::Gic(_) => false,
        }
    }

    /// The first line that is up. It is given again for as long as it is.
    #[must_use]
    pub fn pending(&self) -> Option<Line> {
        let sources = self.local.read32(CORE_INTERRUPT_SOURCE + 4 * self.core);
        if let Some(timer) = first(sources & self.timers) {
            return Some(Line::Local(timer));
        }
        let peripherals = self.peripherals.filter(|_| sources & 1 << PERIPHERALS != 0)?;
        let mut banks = (0_u8..).step_by(32).zip(PENDING.iter().zip(self.enabled));
        banks.find_map(|(from, (register, enabled))| {
            let bit = first(peripherals.read32(*register) & enabled)?;
            Some(Line::Peripheral(from + bit))
        })
    }
}

/// The bank that a peripheral's line is in, and its bit there.
const fn place(number: u8) -> (usize, u32) {
    ((number / 32) as usize, 1 << (number % 32))
}

/// The lowest bit that is set.
fn first(bits: u32) -> Option<u8> {
    u8::try_from(bits.trailing_zeros()).ok().filter(|bit| *bit < 32)
}
