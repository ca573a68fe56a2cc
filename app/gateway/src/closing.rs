//! The service's end: no connection begins any more, those that are idle are closed, and each
//! request that has begun is answered.
//!
//! Everybody looks at one flag at the moments at which it matters: that costs a busy connection a
//! load a request. Who sleeps has to be woken to look; each task says once, at its beginning, how.

use core::cell::{Cell, RefCell};
use core::future::poll_fn;
use core::task::{Poll, Waker};

use alloc::vec::Vec;

/// Whether the service goes on.
#[derive(Debug, Default)]
pub struct Closing {
    begun: Cell<bool>,
    tasks: RefCell<Vec<Waker>>,
}

impl Closing {
    /// A service that goes on.
    #[must_use]
    pub const fn new() -> Self {
        Self { begun: Cell::new(false), tasks: RefCell::new(Vec::new()) }
    }

    /// The service ends. Wakes every task that is enlisted.
    pub fn begin(&self) {
        self.begun.set(true);
        self.tasks.take().into_iter().for_each(Waker::wake);
    }

    /// Whether it does.
    #[must_use]
    pub fn has_begun(&self) -> bool {
        self.begun.get()
    }

    /// Has the task that awaits this woken at the service's end. For the task's life: once is
    /// enough, and more take more memory.
    pub async fn enlist(&self) {
        poll_fn(|context| {
            self.tasks.borrow_mut().push(context.waker().clone());
            Poll::Ready(())
        })
        .await;
    }
}
