//! Time: what the counter says, in nanoseconds since the start, and one alarm.

use elone_gate::{Error, Nanoseconds, UnixTime};
use elone_hal::arch::{core as cpu, timer};
use elone_hal::rtc::Pl031;

use crate::error::BootError;
use crate::interrupts::Interrupts;
use crate::machine::{Machine, Rtc};
use crate::memory::Memory;

const SECOND: u64 = 1_000_000_000;

/// The machine's clock.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    scale: Scale,
    start: u64,
    /// The date at the machine's start.
    epoch: Option<UnixTime>,
}

impl Clock {
    /// Starts counting. Needs the timer's line, which [`Interrupts::open`] lets through.
    pub(crate) fn start(
        machine: &Machine,
        _interrupts: &Interrupts,
        memory: &mut Memory,
    ) -> Result<Self, BootError> {
        let scale = Scale::of(cpu::counter_frequency()).ok_or(BootError::NoTimer)?;
        let mut clock = Self { scale, start: timer::ticks(), epoch: None };
        if let Some(Rtc::Pl031(registers)) = machine.rtc {
            match memory.device(registers) {
                Ok(window) => {
                    let seconds = u64::from(Pl031::start(window).seconds());
                    let date = (seconds * SECOND).saturating_sub(clock.now().0);
                    clock.epoch = Some(UnixTime(date));
                }
                Err(error) => log::warn!("real-time clock: {error}"),
            }
        }
        Ok(clock)
    }

    /// The time since the start.
    pub(crate) fn now(&self) -> Nanoseconds {
        Nanoseconds(self.scale.nanoseconds(timer::ticks().saturating_sub(self.start)))
    }

    /// How whoever may read the counter can tell the time as well.
    #[cfg(elone_contained)]
    pub(crate) const fn counter(&self) -> elone_gate::handover::Counter {
        elone_gate::handover::Counter { start: self.start, scale: self.scale.nanoseconds }
    }

    /// The date.
    pub(crate) fn date(&self) -> Result<UnixTime, Error> {
        let epoch = self.epoch.ok_or(Error::NoClock)?;
        Ok(UnixTime(epoch.0.saturating_add(self.now().0)))
    }

    /// Asks for an interrupt at `deadline`.
    pub(crate) fn set_alarm(&self, deadline: Nanoseconds) {
        timer::set_alarm(self.start.saturating_add(self.scale.ticks(deadline.0)));
    }

    /// Asks for none any more.
    pub(crate) fn clear_alarm(&self) {
        timer::clear_alarm();
    }
}

/// From ticks to nanoseconds and back, without a division.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scale {
    /// Nanoseconds a tick, as a fraction of 2^32.
    nanoseconds: u64,
    /// Ticks a nanosecond, as a fraction of 2^64 (the counter is slower than 1 GHz or as fast).
    ticks: u128,
}

impl Scale {
    /// For a counter of `frequency` Hz; `None` for one that does not run, or runs at a rate that
    /// cannot be true. The architecture asks for 1 MHz to 1 GHz (Arm ARM, section D11.1); emulators
    /// and early firmware are given some room on both sides.
    pub(crate) fn of(frequency: u64) -> Option<Self> {
        if !(1_000..=16 * SECOND).contains(&frequency) {
            return None;
        }
        let nanoseconds = (SECOND << 32) / frequency;
        // A long division, 32 bits at a time: what is left of each step is less than 2^30.
        let (whole, left) = (frequency / SECOND, frequency % SECOND);
        let (high, left) = ((left << 32) / SECOND, (left << 32) % SECOND);
        let fraction = (high << 32) | ((left << 32) / SECOND);
        Some(Self { nanoseconds, ticks: (u128::from(whole) << 64) | u128::from(fraction) })
    }

    #[expect(clippy::cast_possible_truncation, reason = "wraps after centuries, as documented")]
    pub(crate) fn nanoseconds(self, ticks: u64) -> u64 {
        ((u128::from(ticks) * u128::from(self.nanoseconds)) >> 32) as u64
    }

    /// Rounded up, so that an alarm never comes early.
    #[expect(clippy::cast_possible_truncation, reason = "saturates in the distant future")]
    pub(crate) fn ticks(self, nanoseconds: u64) -> u64 {
        let (whole, fraction) = (self.ticks >> 64, self.ticks & u128::from(u64::MAX));
        let nanoseconds = u128::from(nanoseconds);
        let ticks = nanoseconds * whole + ((nanoseconds * fraction) >> 64) + 1;
        ticks.min(u128::from(u64::MAX >> 1)) as u64
    }
}
