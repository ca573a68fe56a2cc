//! The time driver: embassy-time over the gate's clock, in microseconds.
//!
//! There is no alarm to set: the loop of [`crate::run`] asks for the next expiry before it sleeps.
//! Timers live in their tasks, so setting one costs the same however many there are.
#![expect(unsafe_code, reason = "finds the place that a task keeps for its timer")]

use core::cell::RefCell;
use core::task::Waker;

use alloc::vec::Vec;
use elone_gate::{Nanoseconds, calls};
use embassy_executor_timer_queue::TimerQueueItem;
use embassy_time_driver::Driver;
use embassy_time_queue_utils::queue_integrated::Queue;

/// Nanoseconds in the driver's tick (`tick-hz-1_000_000`).
const TICK: u64 = 1_000;

struct Timers {
    /// The timers of tasks.
    queue: Queue,
    /// Those whose waker is not a task's: combinators with wakers of their own.
    others: Vec<(u64, Waker)>,
    /// No timer expires before this tick.
    next: u64,
}

local! {
    static TIMERS: RefCell<Timers> =
        RefCell::new(Timers { queue: Queue::new(), others: Vec::new(), next: u64::MAX });
}

struct GateClock;

embassy_time_driver::time_driver_impl!(static CLOCK: GateClock = GateClock);

impl Driver for GateClock {
    fn now(&self) -> u64 {
        calls::now().0 / TICK
    }

    fn schedule_wake(&self, at: u64, waker: &Waker) {
        TIMERS.with(|timers| timers.borrow_mut().schedule(at, waker));
    }
}

impl Timers {
    fn schedule(&mut self, at: u64, waker: &Waker) {
        match place_in_task(waker) {
            Some(place) => {
                self.queue.schedule_wake_queue_item(at, place, waker);
            }
            // A timer that is polled again is the same one.
            None if self.others.iter().any(|(one, by)| *one == at && by.will_wake(waker)) => {}
            None => self.others.push((at, waker.clone())),
        }
        self.next = self.next.min(at);
    }

    fn wake_expired(&mut self, now: u64) {
        self.next = self.queue.next_expiration(now);
        for (_, waker) in self.others.extract_if(.., |(at, _)| *at <= now) {
            waker.wake();
        }
        self.next = self.others.iter().fold(self.next, |next, (at, _)| next.min(*at));
    }
}

/// Where the task behind `waker` keeps its timer; `None` where there is no task behind it.
fn place_in_task(waker: &Waker) -> Option<&'static mut TimerQueueItem> {
    unsafe extern "Rust" {
        // Defined by embassy-executor 0.10, `raw/mod.rs`, with just this signature.
        fn __try_embassy_time_queue_item_from_waker(
            waker: &Waker,
        ) -> Option<&'static mut TimerQueueItem>;
    }
    // SAFETY: the reference must be the only one. It is used by one call of the queue, which is the only
    // timer queue of this application, and is gone when that call returns.
    unsafe { __try_embassy_time_queue_item_from_waker(waker) }
}

/// Wakes those whose time has come.
pub(crate) fn wake_expired() {
    TIMERS.with(|timers| {
        let mut timers = timers.borrow_mut();
        if timers.next == u64::MAX {
            return;
        }
        let now = CLOCK.now();
        if timers.next <= now {
            timers.wake_expired(now);
        }
    });
}

/// When the next timer expires.
pub(crate) fn next() -> Option<Nanoseconds> {
    let next = TIMERS.with(|timers| timers.borrow().next);
    (next != u64::MAX).then(|| Nanoseconds(next.saturating_mul(TICK)))
}
