//! The date, as the counter carries it on from the last time that somebody was asked.
//!
//! The counter of a machine that is put aside stands still, or it goes on: that is the hypervisor's
//! choice. The date goes on in any case. So from time to time somebody who knows it is asked again,
//! and where it is not what the counter says, then the machine has stood still for as long (or the
//! date was set). A counter's rate is never quite what it says, so a little more, or less, is taken
//! for that: it is followed, and nothing more is made of it.

use core::fmt;

use elone_gate::{Nanoseconds, UnixTime};

const SECOND: u64 = 1_000_000_000;
/// What may be between two readings of a clock that counts seconds, and is nobody's fault.
const SLACK: u64 = 2 * SECOND;
/// As a fraction of the time that has passed, how far clock and counter may drift apart: 1/4096, or
/// 244 parts in a million, more than the worst oscillator does.
const DRIFT: u64 = 4096;

/// What somebody who knows the date says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading {
    /// The date, in nanoseconds since 1970-01-01 00:00:00 UTC.
    pub date: u64,
    /// When that was, by the machine's own time.
    pub at: Nanoseconds,
    /// How fine it is.
    pub step: Step,
}

/// How fine a clock is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// It counts seconds.
    Second,
    /// It is as fine as the counter, or nearly so.
    Fine,
}

/// By how much the date is not what it should have been.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Jump {
    /// It went on for so many nanoseconds while the counter stood still.
    On(u64),
    /// It is so many nanoseconds earlier.
    Back(u64),
}

impl fmt::Display for Jump {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::On(by) => {
                write!(f, "the wall clock went on {} s while this machine stood still", by / SECOND)
            }
            Self::Back(by) => write!(f, "the wall clock went back {} s", by / SECOND),
        }
    }
}

/// The date, and the `sources` that know it.
#[derive(Debug)]
pub struct Calendar<Sources> {
    /// Who is asked.
    pub sources: Sources,
    /// The date when the machine's time was 0; `None` where nobody knows it.
    epoch: Option<u64>,
    /// When somebody was asked for the last time, and by how much, in nanoseconds, the counter was
    /// behind the answer then.
    asked: Nanoseconds,
    behind: i64,
}

impl<Sources> Calendar<Sources> {
    /// One that knows nothing yet.
    pub const fn new(sources: Sources) -> Self {
        Self { sources, epoch: None, asked: Nanoseconds(0), behind: 0 }
    }

    /// Asks for the first time, at `now`. Where nobody answers there is no date, for good.
    pub fn begin(&mut self, now: Nanoseconds, ask: impl FnOnce(&mut Sources) -> Option<Reading>) {
        self.asked = now;
        self.epoch =
            ask(&mut self.sources).map(|reading| reading.date.saturating_sub(reading.at.0));
    }

    /// The date at `now`.
    pub fn date(&self, now: Nanoseconds) -> Option<UnixTime> {
        self.epoch.map(|epoch| UnixTime(epoch.saturating_add(now.0)))
    }

    /// Whether there is a date, and nobody has been asked for it for so long.
    pub fn is_older_than(&self, age: Nanoseconds, now: Nanoseconds) -> bool {
        self.epoch.is_some() && now.0.saturating_sub(self.asked.0) >= age.0
    }

    /// Asks again; says by how much the date is not what it should have been.
    pub fn look(
        &mut self,
        ask: impl FnOnce(&mut Sources) -> Option<Reading>,
        now: impl FnOnce() -> Nanoseconds,
    ) -> Option<Jump> {
        let epoch = self.epoch?;
        let before = self.asked;
        let Some(Reading { date, at, step }) = ask(&mut self.sources) else {
            self.asked = now(); // who does not answer is not asked all the time
            return None;
        };
        self.asked = at;
        let right = date.saturating_sub(at.0);
        let behind = right.wrapping_sub(epoch).cast_signed();
        let since = behind.saturating_sub(self.behind);
        let allowed = SLACK + at.0.saturating_sub(before.0) / DRIFT;
        let is_a_jump = since.unsigned_abs() > allowed;
        // A clock that counts seconds is behind by up to one: to follow it would be to go back.
        if is_a_jump || step == Step::Fine || behind.unsigned_abs() > SLACK {
            self.epoch = Some(right);
            self.behind = 0;
        } else {
            self.behind = behind;
        }
        is_a_jump.then(|| match since {
            0.. => Jump::On(since.unsigned_abs()),
            _ => Jump::Back(since.unsigned_abs()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DATE: u64 = 1_800_000_000 * SECOND;

    /// A calendar of a machine that was started at `DATE`.
    fn calendar() -> Calendar<()> {
        let mut calendar = Calendar::new(());
        calendar.begin(Nanoseconds(0), |()| reading(0, 0, Step::Second));
        calendar
    }

    /// The date `date` seconds after the start, when the counter says `at` seconds.
    #[expect(clippy::unnecessary_wraps, reason = "as whoever is asked returns it")]
    fn reading(date: u64, at: u64, step: Step) -> Option<Reading> {
        Some(Reading { date: DATE + date * SECOND, at: Nanoseconds(at * SECOND), step })
    }

    fn look(calendar: &mut Calendar<()>, date: u64, at: u64, step: Step) -> Option<Jump> {
        calendar.look(|()| reading(date, at, step), || Nanoseconds(at * SECOND))
    }

    fn seconds(calendar: &Calendar<()>, at: u64) -> u64 {
        (calendar.date(Nanoseconds(at * SECOND)).expect("a date").0 - DATE) / SECOND
    }

    #[test]
    fn the_counter_carries_the_date_on() {
        let mut calendar = calendar();
        assert_eq!(seconds(&calendar, 100), 100);
        assert_eq!(look(&mut calendar, 100, 100, Step::Second), None);
        assert_eq!(seconds(&calendar, 200), 200);
    }

    #[test]
    fn a_pause_is_noticed_once_and_the_date_is_right_after_it() {
        for step in [Step::Second, Step::Fine] {
            let mut calendar = calendar();
            assert_eq!(look(&mut calendar, 83, 10, step), Some(Jump::On(73 * SECOND)));
            assert_eq!(seconds(&calendar, 10), 83);
            assert_eq!(look(&mut calendar, 84, 11, step), None);
            assert_eq!(look(&mut calendar, 24, 12, step), Some(Jump::Back(61 * SECOND)));
            assert_eq!(seconds(&calendar, 12), 24);
        }
        assert_eq!(
            std::format!("{}", Jump::On(73 * SECOND)),
            "the wall clock went on 73 s while this machine stood still"
        );
    }

    #[test]
    fn a_clock_that_counts_seconds_is_not_followed_to_and_fro() {
        let mut calendar = calendar();
        for (date, at) in [(9, 10), (21, 20), (29, 30)] {
            assert_eq!(look(&mut calendar, date, at, Step::Second), None);
            assert_eq!(seconds(&calendar, at), at);
        }
        assert_eq!(look(&mut calendar, 39, 40, Step::Fine), None);
        assert_eq!(seconds(&calendar, 40), 39, "a fine one is");
    }

    #[test]
    fn a_counter_that_goes_wrong_is_set_right_and_has_not_stood_still() {
        let mut calendar = calendar();
        let day = 86_400;
        let mut corrected = 0;
        for days in 1..100 {
            // 100 in a million, 8.6 s a day.
            let (at, date) = (days * day, days * day + days * day / 10_000);
            let before = seconds(&calendar, at);
            assert_eq!(look(&mut calendar, date, at, Step::Second), None, "day {days}");
            corrected += u64::from(seconds(&calendar, at) != before);
            assert!(seconds(&calendar, at).abs_diff(date) <= 3, "day {days}");
        }
        assert!(corrected > 50, "{corrected} times");
    }

    #[test]
    fn many_little_pauses_do_not_add_up_to_nothing() {
        let mut calendar = calendar();
        for round in 1..=10 {
            assert_eq!(look(&mut calendar, 11 * round, 10 * round, Step::Second), None);
            assert!(seconds(&calendar, 10 * round).abs_diff(11 * round) <= 2);
        }
    }

    #[test]
    fn without_a_date_there_is_none_and_nobody_is_asked() {
        let mut calendar = Calendar::new(());
        calendar.begin(Nanoseconds(5), |()| None);
        assert_eq!(calendar.date(Nanoseconds(9)), None);
        assert!(!calendar.is_older_than(Nanoseconds(0), Nanoseconds(u64::MAX)));
        assert_eq!(calendar.look(|()| unreachable!("nobody knows"), || Nanoseconds(7)), None);
    }

    #[test]
    fn who_does_not_answer_is_asked_again_later() {
        let mut calendar = calendar();
        let soon = Nanoseconds(5 * SECOND);
        assert!(calendar.is_older_than(soon, soon));
        assert_eq!(calendar.look(|()| None, || soon), None);
        assert!(!calendar.is_older_than(Nanoseconds(1), soon));
        assert_eq!(seconds(&calendar, 6), 6);
    }

    #[test]
    fn dates_from_nowhere_do_no_harm() {
        for (date, at) in [(0, u64::MAX), (u64::MAX, 0), (u64::MAX, u64::MAX), (0, 0)] {
            let mut calendar = calendar();
            let hostile = Reading { date, at: Nanoseconds(at), step: Step::Fine };
            let _jump = calendar.look(|()| Some(hostile), || Nanoseconds(at));
            let _date = calendar.date(Nanoseconds(u64::MAX));
            let _jump = look(&mut calendar, 1, 1, Step::Second);
        }
    }
}
