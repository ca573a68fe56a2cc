//! The watchdog: an application that does not come back to wait hangs, whatever else it does.
//!
//! It must call `wait` at least once in every period of the setting `watchdog=`. Other calls do not
//! count: a program that asks for the time without end is as stuck as one that asks for nothing.
//! While it waits there is nothing to watch, and no interrupt is asked for: an idle machine sleeps.
//!
//! The alarm comes after half of the period, twice. The first time the application is only
//! suspected: a machine that its host had put aside for a while finds much time gone when it goes
//! on, and must not be taken to hang for that. What comes back to wait meanwhile is not.
//!
//! There is one timer. While the application waits it is the deadline's; while it runs it is the
//! watchdog's, as a deadline matters to nobody then. In joined mode an application that masks
//! interrupts cannot be watched.
//!
//! A machine that was asked to end has an end, whatever its application does meanwhile: from then on
//! no alarm is later than that, and the one that comes then is nobody else's.

use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// What a timer interrupt was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expiry {
    /// The alarm of whoever waits.
    Deadline,
    /// The watchdog's, or one that came before its time: ask for the next at this point, in ticks.
    Again(u64),
    /// The watchdog's, for the second time: the application hangs.
    Hang,
    /// The machine's end has come.
    End,
}

/// A watchdog's state. All times are in ticks of the counter. An interrupt may come between any two
/// steps.
#[derive(Debug, Default)]
pub struct Watch {
    /// Half of the period; 0 for a watchdog that is off.
    half: AtomicU64,
    /// When the alarm comes; 0 while the application waits.
    due: AtomicU64,
    /// Half of the period has passed without a wait.
    suspect: AtomicBool,
    hung: AtomicBool,
    /// When the machine ends; 0 for one that goes on.
    end: AtomicU64,
    over: AtomicBool,
}

impl Watch {
    /// Off, until it is given a period.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            half: AtomicU64::new(0),
            due: AtomicU64::new(0),
            suspect: AtomicBool::new(false),
            hung: AtomicBool::new(false),
            end: AtomicU64::new(0),
            over: AtomicBool::new(false),
        }
    }

    /// Watches from the next [`kick`](Self::kick) on, in periods of so many ticks; 0 for not at all.
    pub fn set_period(&self, ticks: u64) {
        self.half.store(ticks.div_ceil(2), Ordering::Relaxed);
    }

    /// The application runs again: when to ask for the alarm, if at all.
    pub fn kick(&self, now: u64) -> Option<u64> {
        let half = self.half.load(Ordering::Relaxed);
        if half == 0 {
            return None;
        }
        // 0 has a meaning, and the counter may be there at its start.
        let due = now.saturating_add(half).max(1);
        self.due.store(due, Ordering::Relaxed); // first: from here on no alarm is in time
        self.suspect.store(false, Ordering::Relaxed);
        self.hung.store(false, Ordering::Relaxed);
        Some(due)
    }

    /// The application waits. Returns whether the timer was the watchdog's until now.
    pub fn rest(&self) -> bool {
        self.due.swap(0, Ordering::Relaxed) != 0
    }

    /// When the watchdog's alarm comes, if it watches now.
    pub fn due(&self) -> Option<u64> {
        Some(self.due.load(Ordering::Relaxed)).filter(|due| *due != 0)
    }

    /// The machine ends at this point. Ask for an alarm then, unless there is an earlier one.
    pub fn end_at(&self, end: u64) {
        self.end.store(end.max(1), Ordering::Relaxed);
    }

    /// When the machine ends, if it does.
    pub fn end(&self) -> Option<u64> {
        Some(self.end.load(Ordering::Relaxed)).filter(|end| *end != 0)
    }

    /// When to ask for an alarm that is wanted at this point: the machine's end is not missed.
    pub fn bounded(&self, alarm: u64) -> u64 {
        self.end().map_or(alarm, |end| alarm.min(end))
    }

    /// A timer interrupt came.
    pub fn expired(&self, now: u64) -> Expiry {
        if self.end().is_some_and(|end| end <= now) {
            self.over.store(true, Ordering::Relaxed);
            return Expiry::End;
        }
        let due = self.due.load(Ordering::Relaxed);
        if due == 0 {
            return Expiry::Deadline;
        }
        if now < due {
            return Expiry::Again(due);
        }
        if self.suspect.swap(true, Ordering::Relaxed) {
            self.due.store(0, Ordering::Relaxed);
            self.hung.store(true, Ordering::Relaxed);
            return Expiry::Hang;
        }
        let due = now.saturating_add(self.half.load(Ordering::Relaxed)).max(1);
        self.due.store(due, Ordering::Relaxed);
        Expiry::Again(due)
    }

    /// Whether the application hangs. It does until the next kick.
    pub fn is_hung(&self) -> bool {
        self.hung.load(Ordering::Relaxed)
    }

    /// Whether the machine's end has come.
    pub fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }
}

/// The one on the machine.
#[cfg(target_os = "none")]
pub(crate) mod machine {
    use elone_hal::arch::{core as cpu, timer};

    use super::{Expiry, Watch};

    static WATCH: Watch = Watch::new();

    /// From now on an application that does not wait for so many seconds hangs; or none ever does.
    pub(crate) fn start(seconds: Option<u32>) {
        let seconds = u64::from(seconds.unwrap_or(0));
        WATCH.set_period(seconds.saturating_mul(cpu::counter_frequency()));
    }

    /// The application runs again.
    pub(crate) fn kick() {
        if let Some(due) = WATCH.kick(timer::ticks()) {
            set_alarm(due);
        }
    }

    /// From now on the machine has so many seconds, and no more.
    pub(crate) fn end_in(seconds: u32) {
        let ticks = u64::from(seconds).saturating_mul(cpu::counter_frequency());
        let end = timer::ticks().saturating_add(ticks);
        WATCH.end_at(end);
        // The alarm that was set may have been later, and whoever waits is about to be woken.
        set_alarm(WATCH.due().unwrap_or(end));
    }

    /// Asks for an alarm at this point, in ticks, or at the machine's end if that comes first. All
    /// alarms are asked for here. Whoever interrupts this may have set the end meanwhile, so it is
    /// looked at once more.
    pub(crate) fn set_alarm(at: u64) {
        loop {
            let bounded = WATCH.bounded(at);
            timer::set_alarm(bounded);
            if WATCH.bounded(at) == bounded {
                return;
            }
        }
    }

    /// Asks for none any more but the machine's end.
    pub(crate) fn clear_alarm() {
        timer::clear_alarm();
        // Looked at last, for the same reason.
        if let Some(end) = WATCH.end() {
            timer::set_alarm(end);
        }
    }

    /// The application waits; the timer is the deadline's from here on. Returns whether it was the
    /// watchdog's, and is still set.
    pub(crate) fn rest() -> bool {
        WATCH.rest()
    }

    /// For the interrupt handler: the timer's alarm came. Returns whether a deadline has passed.
    pub(crate) fn expired() -> bool {
        let expiry = WATCH.expired(timer::ticks());
        match expiry {
            Expiry::Again(due) => set_alarm(due),
            Expiry::Deadline | Expiry::Hang => clear_alarm(),
            Expiry::End => timer::clear_alarm(),
        }
        expiry == Expiry::Deadline
    }

    /// Whether the application hangs: to be asked after each interrupt that came while it ran.
    pub(crate) fn is_hung() -> bool {
        WATCH.is_hung()
    }

    /// Whether the machine's end has come: to be asked after each interrupt.
    pub(crate) fn is_over() -> bool {
        WATCH.is_over()
    }
}
#[cfg(target_os = "none")]
pub(crate) use machine::*;

#[cfg(test)]
mod tests {
    use super::*;

    fn watch(period: u64) -> Watch {
        let watch = Watch::new();
        watch.set_period(period);
        watch
    }

    #[test]
    fn a_program_that_does_not_wait_hangs_after_the_period() {
        let watch = watch(100);
        assert_eq!(watch.kick(1_000), Some(1_050));
        assert_eq!(watch.expired(1_050), Expiry::Again(1_100));
        assert!(!watch.is_hung());
        assert_eq!(watch.expired(1_100), Expiry::Hang);
        assert!(watch.is_hung());
        assert_eq!(watch.kick(2_000), Some(2_050));
        assert!(!watch.is_hung(), "the next life is not the last one");
    }

    #[test]
    fn a_program_that_waits_in_time_does_not() {
        let watch = watch(100);
        for round in 0..100 {
            assert_eq!(watch.kick(round * 99), Some(round * 99 + 50));
            assert_eq!(watch.expired(round * 99 + 50), Expiry::Again(round * 99 + 100));
        }
        assert!(!watch.is_hung());
    }

    #[test]
    fn while_it_waits_the_timer_is_the_deadlines() {
        let watch = watch(100);
        watch.kick(0);
        assert!(watch.rest());
        assert_eq!(watch.expired(9_999), Expiry::Deadline);
        assert!(!watch.rest(), "it was at rest");
        assert_eq!(watch.kick(10_000), Some(10_050));
    }

    #[test]
    fn a_machine_that_was_put_aside_gets_another_half() {
        let watch = watch(100);
        watch.kick(0);
        assert_eq!(watch.expired(1_000_000), Expiry::Again(1_000_050));
        watch.rest();
        watch.kick(1_000_049);
        assert!(!watch.is_hung());
    }

    #[test]
    fn an_alarm_before_its_time_means_nothing() {
        let watch = watch(100);
        watch.kick(0);
        assert_eq!(watch.expired(10), Expiry::Again(50));
        assert_eq!(watch.expired(49), Expiry::Again(50));
        assert_eq!(watch.expired(50), Expiry::Again(100));
    }

    #[test]
    fn the_end_comes_whatever_the_application_does() {
        for period in [0, 100] {
            let watch = watch(period);
            assert_eq!((watch.end(), watch.bounded(7_000)), (None, 7_000));
            watch.kick(1_000);
            watch.end_at(1_030);
            assert_eq!((watch.end(), watch.bounded(7_000)), (Some(1_030), 1_030));
            assert_eq!(watch.bounded(1_010), 1_010, "what is earlier stays so");
            assert_ne!(watch.expired(1_029), Expiry::End);
            assert!(!watch.is_over());
            assert_eq!(watch.expired(1_030), Expiry::End);
            assert!(watch.is_over() && !watch.is_hung());
        }
    }

    #[test]
    fn the_end_comes_while_the_application_waits_and_after_a_wait() {
        let watch = watch(100);
        watch.end_at(500);
        watch.kick(0);
        watch.rest();
        assert_eq!(watch.expired(400), Expiry::Deadline);
        watch.kick(400);
        assert_eq!(watch.expired(450), Expiry::Again(500));
        watch.rest();
        assert_eq!(watch.expired(500), Expiry::End);
    }

    #[test]
    fn a_hang_before_the_end_is_one() {
        let watch = watch(100);
        watch.end_at(500);
        watch.kick(0);
        assert_eq!(watch.expired(50), Expiry::Again(100));
        assert_eq!(watch.expired(100), Expiry::Hang);
        assert!(watch.is_hung() && !watch.is_over());
    }

    #[test]
    fn one_that_is_off_watches_nothing() {
        let watch = watch(0);
        assert_eq!(watch.kick(5), None);
        assert_eq!(watch.expired(1_000), Expiry::Deadline);
        assert!(!watch.rest() && !watch.is_hung());
    }
}
