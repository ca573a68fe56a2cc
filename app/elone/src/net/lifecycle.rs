//! What becomes of a connection: opened, accepted, left, ended.

use smoltcp::socket::tcp::State;
use smoltcp::time::Duration;

use super::place::{Id, NEVER, Phase, number};
use super::table::Table;

/// How long a connection that the application left may take to end, in microseconds.
const LINGERING: u64 = 10_000_000;
/// How long a peer that has everything has to say goodbye, in microseconds.
const FAREWELL: u64 = 1_000_000;
/// How long data may stay unacknowledged before the connection is given up.
const UNANSWERED: Duration = Duration::from_secs(60);

impl Table {
    /// Sees to a place that has just been given a segment.
    pub(super) fn after_arrival(&mut self, id: Id, now: u64) {
        let place = &mut self.places[usize::from(id)];
        match (place.phase, place.state()) {
            (Phase::Opening(_), State::Listen | State::Closed) => return self.release(id),
            (Phase::Opening(_), State::SynReceived) | (Phase::Free, _) => {}
            (Phase::Opening(listener), _) => {
                place.phase = Phase::Queued(listener);
                place.deadline = NEVER;
                self.half_open -= 1;
                self.count.accepted += 1;
                let backlog = &mut self.backlogs[listener];
                backlog.queue.push_back(id);
                backlog.waiting.wake();
            }
            (Phase::Leaving, state) => {
                // Nobody will read it, but the peer may have to get rid of it to hear the answer.
                while let Ok(1..) = place.socket().recv(|bytes| (bytes.len(), bytes.len())) {}
                if state == State::TimeWait {
                    place.deadline = NEVER;
                    place.since = now;
                }
            }
            (Phase::Queued(listener), State::Closed) => {
                // It went away before it was asked for, and makes room.
                self.backlogs[listener].queue.retain(|&queued| queued != id);
                return self.release(id);
            }
            (Phase::Queued(_) | Phase::Owned, _) => {}
        }
        self.mark(id);
    }

    /// Sees to a place that has sent what it had to; `wake` is when it wants to be asked again.
    pub(super) fn after_departure(&mut self, id: Id, wake: u64) {
        let place = &mut self.places[usize::from(id)];
        place.due = wake;
        let (phase, socket) = (place.phase, place.socket());
        // A reset that could not be sent is not tried again: the peer will ask.
        let is_over = socket.state() == State::Closed;
        let is_waiting = socket.send_queue() > 0;
        if phase == Phase::Leaving && is_over {
            self.release(id);
        } else if phase == Phase::Owned && !matches!(socket.state(), State::SynSent) {
            socket.set_timeout(is_waiting.then_some(UNANSWERED));
        }
    }

    /// Ends a phase whose deadline has passed.
    pub(super) fn expire(&mut self, id: Id, now: u64) {
        let place = self.place(id);
        if place.deadline > now {
            return;
        }
        place.deadline = NEVER;
        match place.phase {
            Phase::Opening(_) => {
                self.count.dropped += 1;
                self.release(id);
            }
            Phase::Leaving => place.socket().abort(),
            _ => {}
        }
    }

    /// The application has no more use for a connection. It ends as it should: what was written is
    /// sent, then FIN, and what the peer still sends is thrown away.
    pub(super) fn leave(&mut self, id: Id, now: u64) {
        let place = self.place(id);
        place.socket().close();
        place.phase = Phase::Leaving;
        place.since = now;
        place.deadline = now.saturating_add(LINGERING);
        self.after_arrival(id, now);
    }

    /// Whether peers have all that was written on connections that were left, and know that they
    /// were. A peer that has vanished will never say so: of one that has all, not much is expected.
    pub(super) fn is_settled(&self, now: u64) -> bool {
        self.places.iter().filter(|place| place.phase == Phase::Leaving).all(|place| {
            let is_late = now.saturating_sub(place.since) > FAREWELL;
            place.is_over() || (is_late && place.unanswered() == 0)
        })
    }

    /// A listener goes: whoever it has not accepted is turned away.
    pub(super) fn unlisten(&mut self, listener: usize) {
        let backlog = &mut self.backlogs[listener];
        backlog.port = 0;
        backlog.queue.clear();
        backlog.waiting.wake();
        for id in 0..self.places.len() {
            match self.places[id].phase {
                Phase::Opening(of) if of == listener => self.release(number(id)),
                Phase::Queued(of) if of == listener => {
                    let place = &mut self.places[id];
                    place.socket().abort();
                    place.phase = Phase::Leaving;
                    self.mark(number(id));
                }
                _ => {}
            }
        }
    }
}
