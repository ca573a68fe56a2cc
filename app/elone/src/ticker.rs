//! A ticker that does not make up for what it missed.

use embassy_time::{Duration, Instant, Timer};

/// Ticks at regular times, as long as somebody waits for it.
///
/// Ticks that pass while nobody waits are missed: the next one comes when it is due after that, and
/// alone. So a machine that stood still for a week does not have a week's work to do when it goes on.
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
        Self { next: Instant::now() + period, period }
    }

    /// Begins anew: the next tick comes when a period has passed.
    pub fn reset(&mut self) {
        self.next = Instant::now() + self.period;
    }

    /// Waits for the next tick; the one that has passed, if that was less than a period ago.
    pub async fn next(&mut self) {
        Timer::at(self.next).await;
        let late = Instant::now().saturating_duration_since(self.next).as_ticks();
        let missed = late / self.period.as_ticks();
        let ahead = (missed + 1).saturating_mul(self.period.as_ticks());
        self.next = Instant::from_ticks(self.next.as_ticks().saturating_add(ahead));
    }
}
