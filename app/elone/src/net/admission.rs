//! Who gets in: the way from a segment to its place, and to a new one where it opens a connection.
//!
//! What strangers send must not keep others out. Half-open connections have at most half of the
//! places, and the oldest goes first; a place whose connection only waits is given to whoever needs
//! it; beyond that a peer is refused, and nothing is allocated for it.

use smoltcp::socket::tcp::State;

use super::flow::{Ends, Segment};
use super::place::{Id, Phase};
use super::table::Table;

/// How long a peer may take to finish opening a connection, in microseconds.
const OPENING: u64 = 5_000_000;

impl Table {
    /// The place that a segment is for; `None` where there is none, and it is to be refused.
    pub(super) fn route(&mut self, segment: &Segment, now: u64) -> Option<Id> {
        if let Some(id) = self.find(&segment.ends) {
            if !(segment.opens() && self.is_superseded(id, segment)) {
                let place = self.place(id);
                if segment.closes() {
                    place.last = Some(segment.sequence.wrapping_add(segment.length));
                }
                if segment.opens() {
                    place.challenge();
                }
                return Some(id);
            }
            match self.place(id).phase {
                // The application still holds the old connection; it only gets no more segments.
                Phase::Owned | Phase::Queued(_) => self.ends[usize::from(id)] = Ends::NONE,
                _ => self.release(id),
            }
        }
        if segment.opens() { self.admit(segment, now) } else { None }
    }

    /// Whether a SYN shows that the peer has forgotten this connection and begins a new one: in
    /// TIME-WAIT a sequence number beyond the last (RFC 9293, section 3.6.1; RFC 6191), half open one
    /// that differs.
    fn is_superseded(&self, id: Id, segment: &Segment) -> bool {
        let place = &self.places[usize::from(id)];
        match place.state() {
            State::TimeWait => place.last.is_none_or(|last| {
                // Sequence numbers compare modulo 2^32: above means less than half the way round.
                matches!(segment.sequence.wrapping_sub(last), 1..=0x7fff_ffff)
            }),
            State::SynReceived => {
                matches!(place.phase, Phase::Opening(_)) && place.first != segment.sequence
            }
            State::Closed => true,
            _ => false,
        }
    }

    fn admit(&mut self, segment: &Segment, now: u64) -> Option<Id> {
        let port = segment.ends.local_port();
        let listener =
            self.backlogs.iter().position(|backlog| backlog.port == port && port != 0)?;
        // Peers that never finish opening get at most half of the places; a new one displaces the oldest.
        if self.half_open >= usize::from(self.limits.connections).div_ceil(2) {
            self.drop_oldest_opening();
        }
        let Some(id) = self.vacancy(now) else {
            self.count.refused += 1;
            return None;
        };
        let place = self.place(id);
        if place.socket().listen(port).is_err() {
            self.free.push(id);
            return None;
        }
        place.phase = Phase::Opening(listener);
        place.since = now;
        place.deadline = now.saturating_add(OPENING);
        place.first = segment.sequence;
        place.last = None;
        self.ends[usize::from(id)] = segment.ends;
        self.half_open += 1;
        Some(id)
    }

    fn drop_oldest_opening(&mut self) {
        if let Some(id) = self.oldest(|place| matches!(place.phase, Phase::Opening(_))) {
            self.count.dropped += 1;
            self.release(id);
        }
    }
}
