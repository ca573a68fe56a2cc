//! Interrupt lines: how a device says that it wants attention.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::map::Trigger;

/// A wire to the interrupt controller.
pub trait Line: Send + Sync {
    /// Sets the wire's level. What the controller makes of it is the controller's affair; a failure
    /// means that there is no such wire, which the machine's construction rules out.
    fn set(&self, up: bool);
}

/// A device's end of a wire.
///
/// A device tells two things: that something has happened, and, after each access, whether
/// something still wants attention. An edge is made of the first, a level of the second.
#[derive(Clone)]
pub struct Signal {
    line: Arc<dyn Line>,
    trigger: Trigger,
    is_up: Arc<AtomicBool>,
}

impl std::fmt::Debug for Signal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Signal").field("trigger", &self.trigger).finish_non_exhaustive()
    }
}

impl Signal {
    /// A device's end of `line`.
    #[must_use]
    pub fn new(line: Arc<dyn Line>, trigger: Trigger) -> Self {
        Self { line, trigger, is_up: Arc::default() }
    }

    /// Something has happened.
    pub fn raise(&self) {
        match self.trigger {
            Trigger::Edge => {
                self.line.set(true);
                self.line.set(false);
            }
            Trigger::Level => self.settle(true),
        }
    }

    /// Something wants attention, or nothing does any more.
    pub fn settle(&self, wanted: bool) {
        if self.trigger == Trigger::Level && self.is_news(wanted) {
            self.line.set(wanted);
        }
    }

    /// The same, for a device that knows no events: then it is an edge that something begins to want
    /// attention.
    pub fn follow(&self, wanted: bool) {
        match self.trigger {
            Trigger::Level => self.settle(wanted),
            Trigger::Edge if self.is_news(wanted) && wanted => self.raise(),
            Trigger::Edge => {}
        }
    }

    fn is_news(&self, wanted: bool) -> bool {
        self.is_up.swap(wanted, Ordering::Relaxed) != wanted
    }
}

impl vm_superio::Trigger for Signal {
    type E = std::io::Error;

    fn trigger(&self) -> Result<(), Self::E> {
        self.raise();
        Ok(())
    }
}

#[cfg(test)]
pub(crate) mod fake {
    //! A wire that remembers.

    use std::sync::{Arc, Mutex};

    use super::{Line, Signal};
    use crate::map::Trigger;

    /// The levels that a wire has had.
    #[derive(Clone, Default)]
    pub(crate) struct Wire(Arc<Mutex<Vec<bool>>>);

    impl Line for Wire {
        fn set(&self, up: bool) {
            self.0.lock().unwrap().push(up);
        }
    }

    impl Wire {
        /// What has happened on it since this was last asked.
        pub(crate) fn history(&self) -> Vec<bool> {
            std::mem::take(&mut *self.0.lock().unwrap())
        }

        /// A device's end of it.
        pub(crate) fn signal(&self, trigger: Trigger) -> Signal {
            Signal::new(Arc::new(self.clone()), trigger)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_edge_is_a_pulse_for_each_event_and_nothing_else() {
        let wire = fake::Wire::default();
        let signal = wire.signal(Trigger::Edge);
        signal.raise();
        signal.raise();
        signal.settle(true);
        signal.settle(false);
        assert_eq!(wire.history(), [true, false, true, false]);
    }

    #[test]
    fn an_edge_may_follow_a_level() {
        let wire = fake::Wire::default();
        let signal = wire.signal(Trigger::Edge);
        for wanted in [true, true, false, true] {
            signal.follow(wanted);
        }
        assert_eq!(wire.history(), [true, false, true, false]);
    }

    #[test]
    fn a_level_stays_until_nothing_wants_attention() {
        let wire = fake::Wire::default();
        let signal = wire.signal(Trigger::Level);
        signal.raise();
        signal.raise();
        signal.settle(true);
        assert_eq!(wire.history(), [true]);
        signal.settle(false);
        signal.settle(false);
        assert_eq!(wire.history(), [false]);
    }
}
