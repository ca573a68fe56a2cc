//! The machine's restores from snapshots, as tasks learn of them.

use core::cell::RefCell;
use core::pin::Pin;
use core::task::{Context, Poll};

use elone_gate::{Events, Nanoseconds};

use crate::run::Source;
use crate::wakers::Wakers;

struct Told {
    /// How often there was one.
    count: u64,
    waiting: Wakers,
}

local! {
    static TOLD: RefCell<Told> = RefCell::new(Told { count: 0, waiting: Wakers::new() });
}

/// The source of them.
pub(crate) struct Restores;

impl Source for Restores {
    fn arrive(&self, events: Events) {
        if events.contains(Events::RESTORED) {
            TOLD.with(|told| {
                let mut told = told.borrow_mut();
                told.count += 1;
                told.waiting.wake();
            });
        }
    }

    fn depart(&self) -> Option<Nanoseconds> {
        None
    }
}

/// Forgets those who waited in an earlier application of this thread.
pub(crate) fn reset() {
    TOLD.with(|told| told.borrow_mut().waiting.clear());
}

/// Waits for the next restore, from when this was made: one that comes before the first `await` is
/// not missed.
#[derive(Debug)]
#[must_use = "it waits only where it is awaited"]
pub struct Restored {
    seen: u64,
}

impl Restored {
    pub(crate) fn from_now_on() -> Self {
        Self { seen: TOLD.with(|told| told.borrow().count) }
    }
}

impl Future for Restored {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        TOLD.with(|told| {
            let mut told = told.borrow_mut();
            if told.count != self.seen {
                return Poll::Ready(());
            }
            told.waiting.add(context);
            Poll::Pending
        })
    }
}
