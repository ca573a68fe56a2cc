//! A ticker that does not make up for what it missed.

use embassy_time::{Duration, Instant, Timer};

/// Ticks at regular times, as long as somebody waits for it.
///
/// Ticks that pass while nobody waits are missed, and the next one comes when it is due after that;
/// only one that is less than a period late is made up for, at once. So a machine that stood still
/// for a week does not have a week's work to do when it goes on.
///
/// ```ignore
/// let mut ticker = Ticker::every(Duration::from_secs(1));
/// loop {
///     ticker.next().await;
///     measure();
/// }
/// ```
#[derive(Debug)]
pub struct Ticker {
    next: Instant,
    period: Duration,
}

impl Ticker {
    /// One that ticks every `period`, for the first time when one has passed. A period of 0 is one
    /// microsecond.
    #[must_use]
    pub fn every(period: Duration) -> Self {
        let period = period.max(Duration::from_ticks(1));
        Self { next: Instant::now().saturating_add(period), period }
    }

    /// Begins anew: the next tick comes when a period has passed.
    pub fn reset(&mut self) {
        self.next = Instant::now().saturating_add(self.period);
    }

    /// Waits for the next tick; not at all, if the only one missed was due less than a period ago.
    pub async fn next(&mut self) {
        let period = self.period.as_ticks();
        let due = due(self.next.as_ticks(), period, Instant::now().as_ticks());
        self.next = Instant::from_ticks(due);
        Timer::at(self.next).await;
        self.next = Instant::from_ticks(following(due, period, Instant::now().as_ticks()));
    }
}

/// When the tick comes that would have come at `next`, and each `period` after that: not before
/// `now`, unless it is the first and late by less than a period.
const fn due(next: u64, period: u64, now: u64) -> u64 {
    if now.saturating_sub(next) < period { next } else { following(next, period, now - 1) }
}

/// When the first of them comes after `next` that is later than `now`.
const fn following(next: u64, period: u64, now: u64) -> u64 {
    let passed = now.saturating_sub(next) / period;
    next.saturating_add(period.saturating_mul(passed.saturating_add(1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_that_were_missed_are_left_out() {
        // On time, and late by less than a period.
        for now in [0, 1_000, 1_001, 1_099] {
            assert_eq!(due(1_000, 100, now), 1_000, "{now}");
        }
        assert_eq!(following(1_000, 100, 1_000), 1_100);
        assert_eq!(following(1_000, 100, 1_100), 1_200);
        // Late by more: on the grid, and not in the past.
        for (now, expected) in [(1_100, 1_100), (1_101, 1_200), (1_250, 1_300), (9_999, 10_000)] {
            assert_eq!(due(1_000, 100, now), expected, "{now}");
        }
    }

    #[test]
    fn a_huge_period_is_the_distant_future() {
        assert_eq!(due(u64::MAX, u64::MAX, 5), u64::MAX);
        assert_eq!(due(10, u64::MAX - 5, u64::MAX - 1), 10);
        assert_eq!(due(0, u64::MAX / 2, u64::MAX), u64::MAX);
        let ticker = Ticker::every(Duration::MAX);
        assert_eq!(ticker.next, Instant::MAX);
    }
}
