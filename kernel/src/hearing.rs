//! Interrupts that never come: devices that have answered, and nobody was told.
//!
//! A device tree can name the wrong line. A device whose interrupt has come once is trusted from then
//! on, and costs nothing: on a machine that is as its tree says, that is all of them, soon. Of the
//! others it is looked whether there is what an interrupt was asked for, each time that the machine has
//! slept; and it is woken for that, a tenth of a second after something was asked of such a device, and
//! then ever more rarely. What is found is told as if the interrupt had come. One that was found like
//! that twice is deaf: from then on it is looked at a hundred times a second, for as long as its
//! interrupt does not come after all.
//!
//! A console that does not interrupt is not covered: it is read when somebody else wakes the machine.

use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use elone_gate::{Events, Nanoseconds};

/// After what is asked of a device, nanoseconds until the first look. Most answer sooner by far.
const SOON: u64 = 100_000_000;
/// From one look to the next, how much rarer they get.
const RARER: u64 = 4;
/// And how rare at most: an idle machine is to sleep.
const RARELY: u64 = 256_000_000_000;
/// From one look at a deaf device to the next.
const OFTEN: u64 = 10_000_000;
const NEVER: u64 = u64::MAX;

/// The one on the machine.
#[cfg(target_os = "none")]
pub(crate) static HEARING: Hearing = Hearing::new();

/// Which devices are heard. They are known by their events, a bit each. Atomics for the interrupt
/// handler's sake, which only notes that one came.
#[derive(Debug)]
pub struct Hearing {
    heard: AtomicU32,
    /// Found once with something that nobody was told of.
    suspect: AtomicU32,
    /// Found again.
    deaf: AtomicU32,
    /// When to look next, and how long after that again: nanoseconds since the start.
    next: AtomicU64,
    pace: AtomicU64,
}

/// What is made of a device that was found with something nobody was told of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// It may be chance: the interrupt may be about to come.
    Suspect,
    /// It is deaf, from now on: to be told once.
    Deaf,
    /// It was deaf already.
    AsEver,
}

impl Default for Hearing {
    fn default() -> Self {
        Self::new()
    }
}

impl Hearing {
    /// Nobody was heard yet.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            heard: AtomicU32::new(0),
            suspect: AtomicU32::new(0),
            deaf: AtomicU32::new(0),
            next: AtomicU64::new(NEVER),
            pace: AtomicU64::new(RARELY),
        }
    }

    /// For the interrupt handler: the device's interrupt came, and was for that.
    pub fn hear(&self, device: Events) {
        self.heard.fetch_or(device.0, Ordering::Relaxed);
        self.deaf.fetch_and(!device.0, Ordering::Relaxed);
    }

    /// Of the devices that are in use, those of which nothing was heard yet.
    #[inline]
    #[must_use]
    pub fn unheard(&self, in_use: Events) -> Events {
        Events(in_use.0 & !self.heard.load(Ordering::Relaxed))
    }

    /// Something was asked of a device of which nothing was heard yet.
    pub fn ask(&self, now: Nanoseconds) {
        self.pace.store(SOON, Ordering::Relaxed);
        let soon = now.0.saturating_add(SOON);
        self.next.store(self.next.load(Ordering::Relaxed).min(soon), Ordering::Relaxed);
    }

    /// When to look, for whoever goes to sleep while some devices in use are `unheard`.
    #[must_use]
    pub fn next(&self, unheard: Events, now: Nanoseconds) -> Nanoseconds {
        let next = match self.next.load(Ordering::Relaxed) {
            NEVER => now.0.saturating_add(self.pace.load(Ordering::Relaxed)),
            next => next,
        };
        let is_deaf = self.deaf.load(Ordering::Relaxed) & unheard.0 != 0;
        let next = if is_deaf { next.min(now.0.saturating_add(OFTEN)) } else { next };
        self.next.store(next, Ordering::Relaxed);
        Nanoseconds(next)
    }

    /// All were looked at. If that was due, the next time is further away.
    pub fn looked(&self, now: Nanoseconds) {
        if self.next.load(Ordering::Relaxed) <= now.0 {
            let pace = self.pace.load(Ordering::Relaxed).saturating_mul(RARER).min(RARELY);
            self.pace.store(pace, Ordering::Relaxed);
            self.next.store(now.0.saturating_add(pace), Ordering::Relaxed);
        }
    }

    /// A device has what an interrupt was asked for, and none came.
    pub fn find(&self, device: Events) -> Found {
        let is_in = |set: &AtomicU32| set.fetch_or(device.0, Ordering::Relaxed) & device.0 != 0;
        match is_in(&self.suspect) {
            false => Found::Suspect,
            true if is_in(&self.deaf) => Found::AsEver,
            true => Found::Deaf,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: Events = Events(1 << 3);
    const B: Events = Events(1 << 4);
    const BOTH: Events = Events(3 << 3);

    fn at(milliseconds: u64) -> Nanoseconds {
        Nanoseconds(milliseconds * 1_000_000)
    }

    #[test]
    fn who_was_heard_once_is_not_looked_after() {
        let hearing = Hearing::new();
        assert_eq!(hearing.unheard(BOTH), BOTH);
        hearing.hear(A);
        assert_eq!(hearing.unheard(BOTH), B);
        assert_eq!(hearing.unheard(A), Events::NONE);
    }

    #[test]
    fn who_was_asked_is_looked_at_soon_and_then_ever_more_rarely() {
        let hearing = Hearing::new();
        assert_eq!(hearing.next(A, at(0)), at(256_000));
        hearing.ask(at(1_000));
        assert_eq!(hearing.next(A, at(1_000)), at(1_100));
        hearing.ask(at(1_050));
        assert_eq!(hearing.next(A, at(1_060)), at(1_100), "a busy machine does look");
        hearing.looked(at(1_099));
        assert_eq!(hearing.next(A, at(1_099)), at(1_100), "it was woken by something else");
        let mut now = at(1_100);
        let mut looks = 0;
        while now.0 < at(1_000_000).0 {
            hearing.looked(now);
            now = hearing.next(A, now);
            looks += 1;
        }
        assert_eq!(looks, 9, "in a thousand seconds");
    }

    #[test]
    fn a_second_time_is_no_chance() {
        let hearing = Hearing::new();
        assert_eq!(hearing.find(A), Found::Suspect);
        assert_eq!(hearing.find(B), Found::Suspect);
        assert_eq!(hearing.find(A), Found::Deaf);
        assert_eq!(hearing.find(A), Found::AsEver);
        assert_eq!(hearing.next(A, at(5)), at(15));
        hearing.looked(at(15));
        assert_eq!(hearing.next(A, at(15)), at(25));
        assert_eq!(hearing.next(B, at(15)), at(25), "what was said stays said");
    }

    #[test]
    fn who_is_heard_after_all_is_deaf_no_more() {
        let hearing = Hearing::new();
        let _ = (hearing.find(A), hearing.find(A));
        hearing.hear(A);
        assert_eq!(hearing.unheard(A), Events::NONE);
    }
}
