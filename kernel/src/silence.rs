//! Who could not say anything is not asked again at once: to ask may take milliseconds, and whoever
//! wants to know asks at each turn.

use elone_gate::Nanoseconds;

/// How long it is taken to last.
pub const LASTS: Nanoseconds = Nanoseconds(60_000_000_000);

/// Since when somebody has had nothing to say, if so.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silence(Option<Nanoseconds>);

impl Silence {
    /// Whether it makes sense to ask, at `now`.
    #[must_use]
    pub fn is_over(self, now: Nanoseconds) -> bool {
        self.0.is_none_or(|since| now.0.saturating_sub(since.0) >= LASTS.0)
    }

    /// There was no answer, at `now`. Says whether there had been one before.
    pub fn keep(&mut self, now: Nanoseconds) -> bool {
        self.0.replace(now).is_none()
    }

    /// There was an answer.
    pub fn end(&mut self) {
        self.0 = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_was_silent_is_asked_after_a_while_and_complained_of_once() {
        let at = |seconds: u64| Nanoseconds(seconds * 1_000_000_000);
        let mut silence = Silence::default();
        assert!(silence.is_over(at(0)));
        assert!(silence.keep(at(10)), "to be said");
        assert!(!silence.is_over(at(10)));
        assert!(!silence.is_over(at(69)));
        assert!(silence.is_over(at(70)));
        assert!(!silence.keep(at(70)), "has been said");
        assert!(!silence.is_over(at(129)));
        assert!(silence.is_over(at(130)));
        silence.end();
        assert!(silence.is_over(at(131)));
        assert!(silence.keep(at(132)), "to be said again");
    }
}
