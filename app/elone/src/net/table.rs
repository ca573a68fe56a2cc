//! The connections: a fixed number of places, each with a socket and its buffers, used in turn.
//!
//! Nothing waits in LISTEN. A SYN for a port that somebody listens on is given a place when it
//! arrives, so a listener's backlog is all the places there are, and an idle listener costs nothing.
//! Places are made when first needed and then kept: after that no connection allocates.

use alloc::vec::Vec;
use smoltcp::socket::tcp::State;

use super::Limits;
use super::flow::Ends;
use super::place::{Backlog, Connections, Id, NEVER, Phase, Place, number};

/// How long an opening peer keeps its place even when another wants it, in microseconds.
const GRACE: u64 = 1_000_000;

#[derive(Debug)]
pub(super) struct Table {
    pub(super) limits: Limits,
    pub(super) places: Vec<Place>,
    /// The ends of each place's connection, beside each other so that a search is one short run.
    pub(super) ends: Vec<Ends>,
    pub(super) free: Vec<Id>,
    marked: Vec<Id>,
    pub(super) backlogs: Vec<Backlog>,
    pub(super) half_open: usize,
    pub(super) count: Connections,
}

impl Table {
    pub(super) fn new(limits: Limits) -> Self {
        let most = usize::from(limits.connections);
        Self {
            limits,
            places: Vec::with_capacity(most),
            ends: Vec::with_capacity(most),
            free: Vec::with_capacity(most),
            marked: Vec::with_capacity(most),
            backlogs: Vec::new(),
            half_open: 0,
            count: Connections::default(),
        }
    }

    pub(super) fn place(&mut self, id: Id) -> &mut Place {
        &mut self.places[usize::from(id)]
    }

    /// Notes that a place may have something to send, or a new deadline.
    pub(super) fn mark(&mut self, id: Id) {
        let place = &mut self.places[usize::from(id)];
        if !place.marked {
            place.marked = true;
            self.marked.push(id);
        }
    }

    /// Notes all places in use: something that any of them may have waited for has happened.
    pub(super) fn mark_all(&mut self) {
        for id in 0..self.places.len() {
            if self.places[id].phase != Phase::Free {
                self.mark(number(id));
            }
        }
    }

    /// Notes the places whose time has come.
    pub(super) fn mark_due(&mut self, now: u64) {
        for id in 0..self.places.len() {
            if self.places[id].due.min(self.places[id].deadline) <= now {
                self.mark(number(id));
            }
        }
    }

    pub(super) const fn is_any_marked(&self) -> bool {
        !self.marked.is_empty()
    }

    /// Takes the next place off the list.
    pub(super) fn next_marked(&mut self) -> Option<Id> {
        let id = self.marked.pop()?;
        self.places[usize::from(id)].marked = false;
        Some(id)
    }

    /// When the next place is due.
    pub(super) fn due(&self) -> u64 {
        self.places.iter().fold(NEVER, |due, place| due.min(place.due).min(place.deadline))
    }

    pub(super) fn find(&self, ends: &Ends) -> Option<Id> {
        self.ends.iter().position(|known| known == ends).map(number)
    }

    /// Whether these are the ends of a connection, or would be those of a listener's.
    pub(super) fn is_used(&self, ends: &Ends) -> bool {
        let port = ends.local_port();
        self.backlogs.iter().any(|backlog| backlog.port == port) || self.find(ends).is_some()
    }

    /// A free place: one that is, or a new one, or one whose connection has nothing left to say.
    pub(super) fn vacancy(&mut self, now: u64) -> Option<Id> {
        if self.free.is_empty() && self.places.len() < usize::from(self.limits.connections) {
            let place = self.limits.place();
            self.places.push(place);
            self.ends.push(Ends::NONE);
            self.free.push(number(self.places.len() - 1));
        }
        if self.free.is_empty() {
            // All that TIME-WAIT and FIN-WAIT-2 still do is wait.
            let idle = |place: &Place| {
                place.phase == Phase::Leaving
                    && matches!(place.state(), State::TimeWait | State::FinWait2 | State::Closed)
            };
            let opening = |place: &Place| {
                matches!(place.phase, Phase::Opening(_)) && now.saturating_sub(place.since) > GRACE
            };
            let id = self.oldest(idle).or_else(|| self.oldest(opening))?;
            self.release(id);
        }
        let id = self.free.pop()?;
        let socket = self.place(id).socket();
        // What a server wants: answers at once, acknowledgements with the answer or at the turn's end.
        socket.set_nagle_enabled(false);
        socket.set_ack_delay(None);
        socket.set_timeout(None);
        socket.set_keep_alive(None);
        Some(id)
    }

    pub(super) fn oldest(&self, is_wanted: impl Fn(&Place) -> bool) -> Option<Id> {
        let wanted = self.places.iter().enumerate().filter(|(_, place)| is_wanted(place));
        wanted.min_by_key(|(_, place)| place.since).map(|(id, _)| number(id))
    }

    /// Gives a place, still without a connection, to the application.
    pub(super) fn own(&mut self, id: Id, ends: Ends) {
        self.ends[usize::from(id)] = ends;
        let place = self.place(id);
        place.phase = Phase::Owned;
        place.deadline = NEVER;
        place.last = None;
        self.mark(id);
    }

    /// Forgets a connection without a word to the peer.
    pub(super) fn release(&mut self, id: Id) {
        let place = &mut self.places[usize::from(id)];
        match place.phase {
            Phase::Free => return,
            Phase::Opening(_) => self.half_open -= 1,
            _ => {}
        }
        // What this would send is never asked for: the socket starts anew with its next connection.
        place.socket().abort();
        place.phase = Phase::Free;
        place.due = NEVER;
        place.deadline = NEVER;
        self.ends[usize::from(id)] = Ends::NONE;
        self.free.push(id);
    }

    /// What became of connections.
    pub(super) const fn connections(&self) -> Connections {
        let mut count = self.count;
        count.active = self.places.len() - self.free.len();
        count
    }
}
