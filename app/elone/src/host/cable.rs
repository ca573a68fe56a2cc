//! A network cable: one end in a machine, the other in a test's hands.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use std::vec::Vec;

use elone_gate::Events;

use super::machine::Signals;

/// What goes wrong on a cable, each in frames of a thousand, by chance from a seed.
#[derive(Clone, Copy, Debug, Default)]
pub struct Faults {
    /// Where chance begins.
    pub seed: u64,
    /// Frames that are lost.
    pub lost: u16,
    /// Frames that arrive twice.
    pub doubled: u16,
    /// Frames that arrive after the next one.
    pub delayed: u16,
}

/// The end that goes into a machine.
#[derive(Debug)]
pub struct Plug(pub(super) Arc<Wire>);

/// The end in a test's hands. A handle: copies are the same end.
#[derive(Clone, Debug)]
pub struct Cable(Arc<Wire>);

#[derive(Debug)]
pub(super) struct Wire {
    state: Mutex<State>,
    arrived: Condvar,
}

#[derive(Debug)]
struct State {
    to_machine: Lane,
    to_peer: Lane,
    faults: Faults,
    chance: u64,
    /// The machine, once it runs, and what its interface's event is.
    machine: Option<(Arc<Signals>, Events)>,
}

/// One direction.
#[derive(Debug, Default)]
struct Lane {
    frames: VecDeque<Vec<u8>>,
    held: Option<Vec<u8>>,
}

impl Cable {
    /// A cable that delivers all frames in order.
    #[must_use]
    pub fn new() -> (Self, Plug) {
        Self::with(Faults::default())
    }

    /// A cable on which things go wrong, both ways.
    #[must_use]
    pub fn with(faults: Faults) -> (Self, Plug) {
        let state = State {
            to_machine: Lane::default(),
            to_peer: Lane::default(),
            faults,
            // The generator's state must not be 0.
            chance: faults.seed | 1,
            machine: None,
        };
        let wire = Arc::new(Wire { state: Mutex::new(state), arrived: Condvar::new() });
        (Self(Arc::clone(&wire)), Plug(wire))
    }

    /// Sends a frame to the machine.
    pub fn send(&self, frame: Vec<u8>) {
        let mut state = self.0.lock();
        let State { to_machine, faults, chance, .. } = &mut *state;
        to_machine.carry(frame, faults, chance);
        if let Some((machine, event)) = &state.machine {
            machine.raise(*event);
        }
    }

    /// Takes the next frame from the machine, if one comes in time.
    #[must_use]
    pub fn receive(&self, within: Duration) -> Option<Vec<u8>> {
        let end = Instant::now() + within;
        let mut state = self.0.lock();
        loop {
            if let Some(frame) = state.to_peer.frames.pop_front() {
                return Some(frame);
            }
            let left = end.checked_duration_since(Instant::now())?;
            let waited = self.0.arrived.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

impl Plug {
    /// Takes what was sent towards a machine while this is not plugged in.
    #[must_use]
    pub fn frames(&self) -> Vec<Vec<u8>> {
        self.0.lock().to_machine.frames.drain(..).collect()
    }
}

impl Wire {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn plug_in(&self, machine: &Arc<Signals>, event: Events) {
        self.lock().machine = Some((Arc::clone(machine), event));
        machine.raise(event);
    }

    pub(super) fn to_peer(&self, frame: Vec<u8>) {
        let mut state = self.lock();
        let State { to_peer, faults, chance, .. } = &mut *state;
        to_peer.carry(frame, faults, chance);
        self.arrived.notify_all();
    }

    pub(super) fn to_machine(&self) -> Option<Vec<u8>> {
        self.lock().to_machine.frames.pop_front()
    }
}

impl Lane {
    fn carry(&mut self, frame: Vec<u8>, faults: &Faults, chance: &mut u64) {
        let mut happens = |per_mille: u16| {
            // xorshift64: chance that a seed repeats.
            *chance ^= *chance << 13;
            *chance ^= *chance >> 7;
            *chance ^= *chance << 17;
            *chance % 1000 < u64::from(per_mille)
        };
        let (is_lost, is_doubled, is_delayed) =
            (happens(faults.lost), happens(faults.doubled), happens(faults.delayed));
        if is_lost {
            return;
        }
        if is_delayed && self.held.is_none() {
            self.held = Some(frame);
            return;
        }
        if is_doubled {
            self.frames.push_back(frame.clone());
        }
        self.frames.push_back(frame);
        self.frames.extend(self.held.take());
    }
}
