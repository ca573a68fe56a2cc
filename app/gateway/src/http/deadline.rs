//! A deadline that is cheap to move.
//!
//! Each request moves its connection's deadline, and almost none is ever reached. A timer set and
//! unset per request would cost more than the request; so an alarm once set is left alone as long
//! as it comes no later than the deadline, and when it comes early it is set again. A connection
//! that is served without pause touches the timer queue once a minute.

use core::future::poll_fn;
use core::pin::pin;
use core::task::{Context, Poll};

use embassy_time::{Duration, Instant, Timer};

/// The deadline has passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Expired;

/// The alarm of one task.
///
/// The timer queue keeps one alarm a task, the earliest, so while this exists the task must set no
/// other: that one would take this one's place, and ring in its stead.
#[derive(Debug, Default)]
pub(super) struct Alarm {
    /// When it will ring; this task is polled then at the latest.
    at: Option<Instant>,
}

impl Alarm {
    /// Sees to it that the task is polled at `at` at the latest, and then asks again.
    fn by(&mut self, at: Instant, now: Instant, context: &mut Context<'_>) {
        if !self.at.is_some_and(|alarm| now < alarm && alarm <= at) {
            // A timer puts its alarm into the queue when it is polled, and leaves it there.
            let _ = pin!(Timer::at(at)).poll(context);
            self.at = Some(at);
        }
    }
}

/// A span of time within which something must be done. It runs from the first time that there is
/// something to wait for, so what never waits never asks for the time.
#[derive(Debug)]
pub(super) struct Deadline {
    span: Duration,
    at: Option<Instant>,
}

impl Deadline {
    /// `span` from the first wait.
    pub(super) const fn new(span: Duration) -> Self {
        Self { span, at: None }
    }

    /// What `work` comes to, unless the deadline passes before it is done.
    pub(super) async fn within<T>(
        &mut self,
        alarm: &mut Alarm,
        work: impl Future<Output = T>,
    ) -> Result<T, Expired> {
        let mut work = pin!(work);
        poll_fn(|context| match work.as_mut().poll(context) {
            Poll::Ready(done) => Poll::Ready(Ok(done)),
            Poll::Pending => self.poll(alarm, context).map(Err),
        })
        .await
    }

    fn poll(&mut self, alarm: &mut Alarm, context: &mut Context<'_>) -> Poll<Expired> {
        let now = Instant::now();
        let at = *self.at.get_or_insert(now + self.span);
        if now >= at {
            return Poll::Ready(Expired);
        }
        alarm.by(at, now, context);
        Poll::Pending
    }
}
