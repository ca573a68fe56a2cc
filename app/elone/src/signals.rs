//! What no device says: bytes on the console, and the owner's wish that the application end.

use core::cell::RefCell;
use core::task::{Context, Poll};

use elone_gate::{Events, Nanoseconds, calls};

use crate::run::Source;
use crate::wakers::Wakers;

struct Waiting {
    console: Wakers,
    shutdown: Wakers,
    /// When the end was asked for, as far as is known here; that is not taken back.
    ending: Option<Nanoseconds>,
}

local! {
    static WAITING: RefCell<Waiting> = RefCell::new(Waiting {
        console: Wakers::new(), shutdown: Wakers::new(), ending: None,
    });
}

/// The source of both.
pub(crate) struct Signals;

impl Source for Signals {
    fn arrive(&self, events: Events) {
        if !events.contains(Events::CONSOLE.with(Events::SHUTDOWN)) {
            return;
        }
        WAITING.with(|waiting| {
            let mut waiting = waiting.borrow_mut();
            if events.contains(Events::CONSOLE) {
                waiting.console.wake();
            }
            if events.contains(Events::SHUTDOWN) {
                waiting.ending.get_or_insert_with(calls::now);
                waiting.shutdown.wake();
            }
        });
    }

    fn depart(&self) -> Option<Nanoseconds> {
        None
    }
}

/// Forgets what an earlier application of this thread was told.
pub(crate) fn reset() {
    WAITING.with(|waiting| {
        let mut waiting = waiting.borrow_mut();
        waiting.ending = None;
        waiting.console.clear();
        waiting.shutdown.clear();
    });
}

/// Has the task woken when bytes arrive on the console.
pub(crate) fn wake_on_console(context: &Context<'_>) {
    WAITING.with(|waiting| waiting.borrow_mut().console.add(context));
}

/// Ready once the machine's owner has asked for the end.
pub(crate) fn poll_shutdown(context: &Context<'_>) -> Poll<()> {
    WAITING.with(|waiting| {
        let mut waiting = waiting.borrow_mut();
        if waiting.ending.is_some() {
            return Poll::Ready(());
        }
        waiting.shutdown.add(context);
        Poll::Pending
    })
}

/// When the machine's owner asked for the end, or rather when this was told of it.
pub(crate) fn ending_since() -> Option<Nanoseconds> {
    WAITING.with(|waiting| waiting.borrow().ending)
}
