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
use crate::scale::Scale;
use crate::watchdog;

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
        let scale = Scale::of(cpu::counter_frequency()).ok_or(BootError::NoFrequency)?;
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
        elone_gate::handover::Counter { start: self.start, scale: self.scale.fraction() }
    }

    /// The date, by what is known of it; nobody is asked, and nobody is waited for: a report may want
    /// it while whoever asks for the date was interrupted.
    pub(crate) fn date(&self) -> Result<UnixTime, Error> {
        let calendar = CALENDAR.try_lock().ok_or(Error::NoClock)?;
        calendar.date(self.now()).ok_or(Error::NoClock)
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
