//! A place that one task holds at a time, and many may wait for.
//!
//! A listener wakes whoever waits on it; with three dozen tasks waiting, a new connection would
//! wake them all, for one to get it. Here one waits on the listener, and hands its place on.

use core::cell::{Cell, RefCell};
use core::future::poll_fn;
use core::task::{Poll, Waker};

use alloc::vec::Vec;

/// A place for one.
#[derive(Debug)]
pub struct Turnstile {
    held: Cell<bool>,
    /// Who waits, at most once each, by the number of the task.
    waiting: RefCell<Vec<(usize, Waker)>>,
}

/// The place, until it is dropped.
#[derive(Debug)]
pub struct Place<'a> {
    turnstile: &'a Turnstile,
}

impl Turnstile {
    /// One that nobody holds, with memory for as many to wait.
    #[must_use]
    pub fn new(tasks: usize) -> Self {
        Self { held: Cell::new(false), waiting: RefCell::new(Vec::with_capacity(tasks)) }
    }

    /// Waits for the place. `task` tells the tasks that use it apart; whoever came last goes
    /// first, since its memory is still in the cache.
    pub async fn enter(&self, task: usize) -> Place<'_> {
        poll_fn(|context| {
            let mut waiting = self.waiting.borrow_mut();
            // A task may be polled for other reasons than its turn: it must not be there twice.
            waiting.retain(|(other, _)| *other != task);
            if self.held.replace(true) {
                waiting.push((task, context.waker().clone()));
                return Poll::Pending;
            }
            Poll::Ready(Place { turnstile: self })
        })
        .await
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.turnstile.held.set(false);
        let next = self.turnstile.waiting.borrow_mut().pop();
        if let Some((_, waker)) = next {
            waker.wake();
        }
    }
}
