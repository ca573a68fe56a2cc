//! The connections: a fixed number of places, each with a socket and its buffers, used in turn.
//!
//! Nothing waits in LISTEN. A SYN for a port that somebody listens on is given a place when it
//! arrives, so a listener's backlog is all the places there are, and an idle listener costs nothing.
//! Places are made when first needed and then kept: after that no connection allocates.

use core::task::Waker;

use alloc::collections::VecDeque;
use alloc::vec;
use alloc::vec::Vec;
use smoltcp::iface::{SocketHandle, SocketSet};
use smoltcp::socket::tcp::{self, State};

use super::Limits;
use super::flow::{Ends, Segment};

/// When something is due, in microseconds; never.
pub(super) const NEVER: u64 = u64::MAX;

/// How long a peer may take to finish opening a connection, in microseconds.
const OPENING: u64 = 5_000_000;
/// How long a connection that the application left may take to end, in microseconds.
const LINGERING: u64 = 10_000_000;
/// How long data may stay unacknowledged before the connection is given up.
const UNANSWERED: smoltcp::time::Duration = smoltcp::time::Duration::from_secs(60);

/// The number of a place.
pub(super) type Id = u16;

/// Who has a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// Nobody.
    Free,
    /// A peer that is opening a connection to a listener.
    Opening(usize),
    /// A connection that its listener has not been asked for yet.
    Queued(usize),
    /// The application.
    Owned,
    /// Nobody any more: the connection ends in the background.
    Leaving,
}

/// One place.
#[derive(Debug)]
pub(super) struct Place {
    /// A set of one, because the protocol stack takes sets.
    pub(super) set: SocketSet<'static>,
    handle: SocketHandle,
    pub(super) phase: Phase,
    /// Whether it is in the list of those that may have something to send.
    marked: bool,
    /// When the protocol stack wants to be asked again.
    pub(super) due: u64,
    /// When the phase ends by force.
    pub(super) deadline: u64,
    /// When the phase began; the oldest goes first.
    since: u64,
    /// Where the peer's sequence began, and where it ended, once it did.
    first: u32,
    last: Option<u32>,
}

impl Place {
    pub(super) fn socket(&mut self) -> &mut tcp::Socket<'static> {
        self.set.get_mut(self.handle)
    }

    pub(super) fn state(&self) -> State {
        self.set.get::<tcp::Socket<'static>>(self.handle).state()
    }
}

/// Whoever listens on a port.
#[derive(Debug)]
pub(super) struct Backlog {
    /// 0 when nobody does.
    pub(super) port: u16,
    /// Connections to be accepted.
    pub(super) queue: VecDeque<Id>,
    pub(super) waiting: Vec<Waker>,
}

/// What became of connections since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Connections {
    /// Opened by peers.
    pub accepted: u64,
    /// Refused for want of a place.
    pub refused: u64,
    /// Given up half open, to make room or because the peer was silent.
    pub dropped: u64,
    /// Places in use now.
    pub active: usize,
}

#[derive(Debug)]
pub(super) struct Table {
    limits: Limits,
    pub(super) places: Vec<Place>,
    /// The ends of each place's connection, beside each other so that a search is one short run.
    ends: Vec<Ends>,
    free: Vec<Id>,
    marked: Vec<Id>,
    pub(super) backlogs: Vec<Backlog>,
    half_open: usize,
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

    /// The place that a segment is for; `None` where there is none, and it is to be refused.
    pub(super) fn route(&mut self, segment: &Segment, now: u64) -> Option<Id> {
        if let Some(id) = self.find(&segment.ends) {
            if !(segment.opens() && self.is_superseded(id, segment)) {
                if segment.closes() {
                    let end = segment.sequence.wrapping_add(segment.length);
                    self.place(id).last = Some(end);
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

    fn find(&self, ends: &Ends) -> Option<Id> {
        self.ends.iter().position(|known| known == ends).map(number)
    }

    /// Whether these are the ends of a connection.
    pub(super) fn is_known(&self, ends: &Ends) -> bool {
        self.find(ends).is_some()
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
            State::SynReceived => place.first != segment.sequence,
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
                matches!(place.phase, Phase::Opening(_))
                    && now.saturating_sub(place.since) > 1_000_000
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

    fn oldest(&self, is_wanted: impl Fn(&Place) -> bool) -> Option<Id> {
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
                backlog.waiting.drain(..).for_each(Waker::wake);
            }
            (Phase::Leaving, state) => {
                // Nobody will read it, but the peer may have to get rid of it to hear the answer.
                while let Ok(1..) = place.socket().recv(|bytes| (bytes.len(), bytes.len())) {}
                if state == State::TimeWait {
                    place.deadline = NEVER;
                    place.since = now;
                }
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

    /// A listener goes: whoever it has not accepted is turned away.
    pub(super) fn unlisten(&mut self, listener: usize) {
        let backlog = &mut self.backlogs[listener];
        backlog.port = 0;
        backlog.queue.clear();
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

    /// What became of connections.
    pub(super) const fn connections(&self) -> Connections {
        let mut count = self.count;
        count.active = self.places.len() - self.free.len();
        count
    }
}

impl Limits {
    /// A new place.
    fn place(&self) -> Place {
        let receive = tcp::SocketBuffer::new(vec![0; self.receive_buffer]);
        let transmit = tcp::SocketBuffer::new(vec![0; self.transmit_buffer]);
        let mut set = SocketSet::new(Vec::with_capacity(1));
        let handle = set.add(tcp::Socket::new(receive, transmit));
        Place {
            set,
            handle,
            phase: Phase::Free,
            marked: false,
            due: NEVER,
            deadline: NEVER,
            since: 0,
            first: 0,
            last: None,
        }
    }
}

/// A place's number. There are at most 65,535 places (`Limits::connections`).
#[expect(clippy::cast_possible_truncation, reason = "there are at most 65,535 places")]
const fn number(index: usize) -> Id {
    index as Id
}
