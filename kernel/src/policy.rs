//! What follows a fault: decided here, from settings and from what is remembered; done elsewhere.
//!
//! A program that faults again at once, after every restart, must not do so for ever. So faults
//! that are close to each other are counted, over restarts of the machine too, and the one that
//! reaches the limit ends it. How close two faults are cannot always be known: the counter starts
//! again at 0 with the machine, and dates jump. In doubt a fault is taken to be recent: a machine
//! that ends a little early is looked at, one that restarts without end is not.

use heapless::Deque;

/// What to do after a fault: the setting `on-fault=`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnFault {
    /// The application is started again; where it is no program apart from the machine (joined),
    /// or the kernel itself is at fault, the machine restarts.
    RestartApplication,
    /// The machine restarts.
    Reset,
    /// The power goes off, for whoever started the machine to decide.
    Off,
    /// The machine stays as it is, asleep, for somebody to look at with a debugger.
    Halt,
}

/// How many faults are too many: the setting `fault-limit=`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FaultLimit {
    /// The fault that ends the machine, counted from 1; at most [`History::CAPACITY`].
    pub faults: u8,
    /// Within so many seconds.
    pub seconds: u32,
}

/// What the operator wants to follow a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// The answer to a fault that is not one too many.
    pub on_fault: OnFault,
    /// Where that ends; `None` for nowhere.
    pub limit: Option<FaultLimit>,
}

/// Who is at fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Culprit {
    /// An application that is contained: the kernel is as sound as before.
    Application,
    /// The kernel, or what is linked with it.
    Machine,
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Start the application again.
    RestartApplication,
    /// Restart the machine.
    RestartMachine,
    /// Switch the machine off.
    Off,
    /// Leave it as it is.
    Halt,
    /// The limit is reached: switch the machine off, instead of one more restart.
    Quarantine(FaultLimit),
    /// The machine was asked to end: switch it off, instead of a restart.
    End,
}

impl Answer {
    /// What is done instead where the machine's owner has asked for its end: nothing begins anew.
    #[must_use]
    pub const fn in_the_end(self) -> Self {
        match self {
            Self::RestartApplication | Self::RestartMachine => Self::End,
            other => other,
        }
    }
}

/// When a fault was.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Moment {
    /// The machine's boot, by number. Numbers count up, as far as they are remembered.
    pub boot: u32,
    /// Milliseconds since that boot. Never goes back within a boot.
    pub uptime: u64,
    /// Milliseconds since 1970, in whole seconds at times, by a clock that anybody may set.
    pub date: Option<u64>,
}

/// The latest faults, oldest first.
#[derive(Clone, Debug, Default)]
pub struct History {
    faults: Deque<Moment, { Self::CAPACITY }>,
}

impl PartialEq for History {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

/// How exact a date is: real-time clocks count whole seconds.
const DATE_STEP: u64 = 1_000;

impl Policy {
    /// What holds until the settings are known.
    pub const OFF: Self = Self { on_fault: OnFault::Off, limit: None };

    /// What to do about the latest fault of `history`, which is `culprit`'s.
    #[must_use]
    pub fn answer(&self, history: &History, culprit: Culprit) -> Answer {
        let answer = match (self.on_fault, culprit) {
            (OnFault::Off, _) => return Answer::Off,
            (OnFault::Halt, _) => return Answer::Halt,
            (OnFault::RestartApplication, Culprit::Application) => Answer::RestartApplication,
            (OnFault::RestartApplication, Culprit::Machine) | (OnFault::Reset, _) => {
                Answer::RestartMachine
            }
        };
        match self.limit {
            Some(limit) if history.recent(limit.seconds) >= usize::from(limit.faults) => {
                Answer::Quarantine(limit)
            }
            _ => answer,
        }
    }
}

impl History {
    /// How many faults are remembered.
    pub const CAPACITY: usize = 16;
    /// None yet.
    pub const NEW: Self = Self { faults: Deque::new() };

    /// Adds the latest fault; forgets the oldest one where there is no room.
    pub fn push(&mut self, moment: Moment) {
        if self.faults.is_full() {
            self.faults.pop_front();
        }
        // There is room.
        let _ = self.faults.push_back(moment);
    }

    /// All that are remembered, oldest first.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Moment> {
        self.faults.iter().copied()
    }

    /// How many faults there were in the `seconds` before the latest one, itself counted.
    fn recent(&self, seconds: u32) -> usize {
        let window = u64::from(seconds) * 1_000;
        let (mut ago, mut count) = (0_u64, 0);
        let mut newer: Option<Moment> = None;
        for moment in self.faults.iter().rev() {
            ago = ago.saturating_add(newer.map_or(0, |newer| moment.until(newer)));
            if ago > window {
                break;
            }
            count += 1;
            newer = Some(*moment);
        }
        count
    }
}

impl Moment {
    /// How many milliseconds passed from this to `later`, at the least. Within a boot the uptime
    /// says it exactly, whatever the dates do. Over a restart at least the later boot's uptime has
    /// passed, and as much as the dates say, where both are known and in order.
    fn until(self, later: Self) -> u64 {
        if self.boot == later.boot {
            return later.uptime.saturating_sub(self.uptime);
        }
        let dates = self.date.zip(later.date);
        let by_date = dates.map_or(0, |(a, b)| b.saturating_sub(a).saturating_sub(DATE_STEP));
        later.uptime.max(by_date)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: FaultLimit = FaultLimit { faults: 3, seconds: 60 };
    const SECOND: u64 = 1_000;

    /// Faults as boot, seconds of uptime, date in seconds.
    fn history(faults: &[(u32, u64, Option<u64>)]) -> History {
        let mut history = History::default();
        for &(boot, uptime, date) in faults {
            let date = date.map(|date| date * SECOND);
            history.push(Moment { boot, uptime: uptime * SECOND, date });
        }
        history
    }

    fn answer(on_fault: OnFault, culprit: Culprit, faults: &[(u32, u64, Option<u64>)]) -> Answer {
        Policy { on_fault, limit: Some(LIMIT) }.answer(&history(faults), culprit)
    }

    #[test]
    fn in_the_end_nothing_begins_anew() {
        for answer in [Answer::RestartApplication, Answer::RestartMachine] {
            assert_eq!(answer.in_the_end(), Answer::End);
        }
        let limit = FaultLimit { faults: 1, seconds: 1 };
        for answer in [Answer::Off, Answer::Halt, Answer::Quarantine(limit), Answer::End] {
            assert_eq!(answer.in_the_end(), answer);
        }
    }

    #[test]
    fn a_fault_is_answered_as_asked() {
        use {Answer as A, Culprit as C, OnFault as O};
        for (on_fault, culprit, expected) in [
            (O::RestartApplication, C::Application, A::RestartApplication),
            (O::RestartApplication, C::Machine, A::RestartMachine),
            (O::Reset, C::Application, A::RestartMachine),
            (O::Reset, C::Machine, A::RestartMachine),
            (O::Off, C::Application, A::Off),
            (O::Off, C::Machine, A::Off),
            (O::Halt, C::Application, A::Halt),
            (O::Halt, C::Machine, A::Halt),
        ] {
            assert_eq!(answer(on_fault, culprit, &[(1, 5, None)]), expected, "{on_fault:?}");
            // The limit ends restarts and nothing else.
            let many = [(1, 5, None), (1, 6, None), (1, 7, None)];
            let expected = match expected {
                A::RestartApplication | A::RestartMachine => A::Quarantine(LIMIT),
                other => other,
            };
            assert_eq!(answer(on_fault, culprit, &many), expected, "{on_fault:?}");
        }
    }

    #[test]
    fn without_a_limit_it_never_ends() {
        let policy = Policy { on_fault: OnFault::Reset, limit: None };
        let mut history = History::default();
        for boot in 0..1_000 {
            history.push(Moment { boot, uptime: 1, date: None });
            assert_eq!(policy.answer(&history, Culprit::Machine), Answer::RestartMachine);
        }
        assert_eq!(history.iter().len(), History::CAPACITY);
    }

    #[test]
    fn a_limit_of_one_ends_the_first() {
        let limit = FaultLimit { faults: 1, seconds: 1 };
        let policy = Policy { on_fault: OnFault::Reset, limit: Some(limit) };
        let answer = policy.answer(&history(&[(1, 0, None)]), Culprit::Machine);
        assert_eq!(answer, Answer::Quarantine(limit));
    }

    #[test]
    fn the_largest_limit_can_be_reached() {
        let limit = FaultLimit { faults: 16, seconds: 1 };
        assert_eq!(usize::from(limit.faults), History::CAPACITY);
        let policy = Policy { on_fault: OnFault::RestartApplication, limit: Some(limit) };
        let mut history = History::default();
        for number in 1..=40 {
            history.push(Moment { boot: 1, uptime: number, date: None });
            let answer = policy.answer(&history, Culprit::Application);
            assert_eq!(answer == Answer::Quarantine(limit), number >= 16, "fault {number}");
        }
    }

    /// Each case: faults, oldest first, and how many of them are within 60 s of the last one.
    #[test]
    fn faults_that_are_recent_are_counted() {
        type Case<'a> = (&'a str, &'a [(u32, u64, Option<u64>)], usize);
        let cases: &[Case<'_>] = &[
            ("none", &[], 0),
            ("the first", &[(1, 3, None)], 1),
            ("within one boot", &[(1, 0, None), (1, 60, None)], 2),
            ("too long ago in one boot", &[(1, 0, None), (1, 61, None)], 1),
            ("some of several", &[(1, 0, None), (1, 50, None), (1, 70, None)], 2),
            ("a date that jumps in a boot", &[(1, 0, Some(10)), (1, 1, Some(999_999))], 2),
            ("a date that jumps back in a boot", &[(1, 0, Some(99)), (1, 70, Some(1))], 1),
            ("boots without a clock", &[(1, 5, None), (2, 5, None), (3, 5, None)], 3),
            ("one clock of two", &[(1, 5, Some(1)), (2, 5, None), (3, 5, Some(999))], 3),
            ("a boot that lasted", &[(1, 5, None), (2, 61, None)], 1),
            ("boots that lasted together", &[(1, 5, None), (2, 40, None), (3, 40, None)], 2),
            ("a long fault before a short", &[(1, 500, None), (2, 1, None)], 2),
            ("dates close by", &[(1, 5, Some(1_000)), (2, 5, Some(1_060))], 2),
            ("dates apart", &[(1, 5, Some(1_000)), (2, 5, Some(1_062))], 1),
            ("dates that go back", &[(1, 5, Some(1_000)), (2, 5, Some(10))], 2),
            ("dates that go back, a boot that lasts", &[(1, 5, Some(1_000)), (2, 61, Some(9))], 1),
            ("dates that say less than the uptime", &[(1, 5, Some(9)), (2, 61, Some(10))], 1),
            ("a boot without faults between", &[(1, 5, None), (9, 5, None)], 2),
            ("numbers that start again", &[(7, 5, None), (1, 5, None)], 2),
            ("an uptime that goes back", &[(1, 50, None), (1, 5, None)], 2),
            ("extremes", &[(0, 0, Some(0)), (1, u64::MAX / 1_000, Some(u64::MAX / 1_000))], 1),
        ];
        for (name, faults, expected) in cases {
            assert_eq!(history(faults).recent(60), *expected, "{name}");
        }
    }
}
