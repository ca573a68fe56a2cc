//! Time: what the counter says, in nanoseconds since the start, one alarm; and the date.

use elone_gate::{Error, Nanoseconds, UnixTime};
use elone_hal::arch::{core as cpu, timer};
use spin::Mutex;

use crate::calendar::{Calendar, Jump};
use crate::dates;
use crate::error::BootError;
use crate::interrupts::Interrupts;
use crate::machine::Machine;
use crate::memory::Memory;
use crate::watchdog;

const SECOND: u64 = 1_000_000_000;

/// The date at the machine's start, as far as it is known, and who is asked for it again.
static CALENDAR: Mutex<Calendar<dates::Sources>> = Mutex::new(Calendar::new(dates::Sources::NONE));

/// The machine's clock.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    scale: Scale,
    start: u64,
}

impl Clock {
    /// Starts counting. Needs the timer's line, which [`Interrupts::open`] lets through.
    pub(crate) fn start(
        machine: &Machine,
        interrupts: &Interrupts,
        memory: &mut Memory,
    ) -> Result<Self, BootError> {
        let scale = Scale::of(cpu::counter_frequency()).ok_or(BootError::NoTimer)?;
        interrupts.hear_timer()?;
        let clock = Self { scale, start: timer::ticks() };
        let mut calendar = CALENDAR.lock();
        calendar.sources = dates::find(machine, memory);
        calendar.begin(clock.now(), |sources| sources.read(|ticks| clock.at(ticks)));
        Ok(clock)
    }

    /// Says where the date comes from.
    pub(crate) fn announce(&self) {
        CALENDAR.lock().sources.announce();
    }

    /// The time since the start.
    pub(crate) fn now(&self) -> Nanoseconds {
        self.at(timer::ticks())
    }

    /// The time since the start when the counter is at `ticks`.
    fn at(&self, ticks: u64) -> Nanoseconds {
        Nanoseconds(self.scale.nanoseconds(ticks.saturating_sub(self.start)))
    }

    /// How whoever may read the counter can tell the time as well.
    #[cfg(elone_contained)]
    pub(crate) const fn counter(&self) -> elone_gate::handover::Counter {
        elone_gate::handover::Counter { start: self.start, scale: self.scale.nanoseconds }
    }

    /// The date, by what is known of it; nobody is asked.
    pub(crate) fn date(&self) -> Result<UnixTime, Error> {
        CALENDAR.lock().date(self.now()).ok_or(Error::NoClock)
    }

    /// Whether nobody has been asked for the date for so long.
    pub(crate) fn is_older_than(&self, age: Nanoseconds) -> bool {
        CALENDAR.lock().is_older_than(age, self.now())
    }

    /// Asks for the date; says by how much it is not what it should have been.
    pub(crate) fn look(&self) -> Option<Jump> {
        let mut calendar = CALENDAR.lock();
        calendar.look(|sources| sources.read(|ticks| self.at(ticks)), || self.now())
    }

    /// Asks for an interrupt at `deadline`.
    pub(crate) fn set_alarm(&self, deadline: Nanoseconds) {
        watchdog::set_alarm(self.start.saturating_add(self.scale.ticks(deadline.0)));
    }

    /// Asks for none any more.
    pub(crate) fn clear_alarm(&self) {
        watchdog::clear_alarm();
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
