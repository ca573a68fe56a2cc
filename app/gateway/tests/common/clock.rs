//! A clock for embassy-time that stands still until a test lets time pass; one a thread, because
//! tests run side by side.

use std::cell::{Cell, RefCell};
use std::task::Waker;
use std::time::Duration;

use embassy_time_driver::{Driver, TICK_HZ};

thread_local! {
    static NOW: Cell<u64> = const { Cell::new(0) };
    static ALARMS: RefCell<Vec<(u64, Waker)>> = const { RefCell::new(Vec::new()) };
    static SET: Cell<usize> = const { Cell::new(0) };
}

struct Clock;

embassy_time_driver::time_driver_impl!(static CLOCK: Clock = Clock);

impl Driver for Clock {
    fn now(&self) -> u64 {
        NOW.get()
    }

    /// As the executor's own queue does it: one alarm a task, the earliest it asked for, kept
    /// until it rings.
    fn schedule_wake(&self, at: u64, waker: &Waker) {
        SET.set(SET.get() + 1);
        ALARMS.with_borrow_mut(|alarms| {
            match alarms.iter_mut().find(|(_, other)| other.will_wake(waker)) {
                Some((alarm, _)) => *alarm = at.min(*alarm),
                None => alarms.push((at, waker.clone())),
            }
        });
    }
}

/// How often an alarm was set.
pub fn alarms_set() -> usize {
    SET.get()
}

/// Lets time pass: from alarm to alarm, with `run` after each.
pub fn pass(span: Duration, mut run: impl FnMut()) {
    let end = NOW.get() + u64::try_from(span.as_micros()).unwrap() * TICK_HZ / 1_000_000;
    loop {
        let next = ALARMS.with_borrow(|alarms| alarms.iter().map(|(at, _)| *at).min());
        let Some(next) = next.filter(|next| *next <= end) else { break };
        NOW.set(next.max(NOW.get()));
        let due = ALARMS.with_borrow_mut(|alarms| {
            alarms.extract_if(.., |(at, _)| *at <= next).collect::<Vec<_>>()
        });
        due.into_iter().for_each(|(_, waker)| waker.wake());
        run();
    }
    NOW.set(end);
}
