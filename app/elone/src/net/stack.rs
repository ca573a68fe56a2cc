//! The interface's part in a turn: what arrived goes in, what is to be sent goes out, and the next
//! deadline is told.
//!
//! Between the two the tasks run; so an answer leaves in the turn in which the question came, and
//! carries its acknowledgement. Nothing is done for connections on which nothing happened.

use core::cell::RefCell;
use core::fmt;

use alloc::vec::Vec;
use elone_gate::{Events, Nanoseconds, calls};
use smoltcp::iface::{Interface, PollIngressSingleResult, PollResult, SocketHandle, SocketSet};
use smoltcp::socket::Socket;
use smoltcp::time::Instant;

use super::address::Addresses;
use super::flow::Flow;
use super::place::{Id, NEVER, Phase};
use super::port::Port;
use super::secret::Secret;
use super::table::Table;
use crate::run::Source;
use crate::wakers::Wakers;

/// Frames let in before tasks get their turn, so that a flood does not keep them from it.
const MOST_FRAMES: usize = 128;
/// Segments that one connection sends before the next has its turn.
const MOST_SEGMENTS: usize = 64;
/// When to try again, in microseconds, where the device has no buffer to spare. It reports those it
/// frees, but not that there are some while none was refused.
const EXHAUSTED: u64 = 1_000;

/// One interface with all that is on it. Lives as long as the application.
pub(super) struct Stack {
    pub(super) event: Events,
    pub(super) inner: RefCell<Inner>,
}

pub(super) struct Inner {
    pub(super) interface: Interface,
    pub(super) port: Port,
    pub(super) secret: Secret,
    pub(super) table: Table,
    /// What is not TCP: datagrams, DHCP, DNS.
    pub(super) others: Others,
    pub(super) addresses: Addresses,
    /// Tasks that wait for the addresses to change.
    pub(super) waiting: Wakers,
    /// Whether frames may be left that no event will announce.
    is_behind: bool,
    /// Whether something could not be sent for want of a buffer.
    is_exhausted: bool,
}

pub(super) struct Others {
    pub(super) set: SocketSet<'static>,
    pub(super) dns: SocketHandle,
    pub(super) dhcp: Option<SocketHandle>,
    /// Whether any may have something to send.
    pub(super) marked: bool,
    due: u64,
}

impl Others {
    pub(super) const fn new(set: SocketSet<'static>, dns: SocketHandle) -> Self {
        Self { set, dns, dhcp: None, marked: false, due: NEVER }
    }

    /// Whether a socket receives the datagrams for a port.
    pub(super) fn is_bound(&self, port: u16) -> bool {
        self.set.iter().any(|(_, socket)| match socket {
            Socket::Udp(socket) => socket.endpoint().port == port,
            _ => false,
        })
    }
}

/// Microseconds since the start: what the protocol stack counts in.
pub(super) fn now() -> u64 {
    calls::now().0 / 1_000
}

pub(super) fn instant(microseconds: u64) -> Instant {
    Instant::from_micros(i64::try_from(microseconds).unwrap_or(i64::MAX))
}

impl Inner {
    pub(super) fn new(
        interface: Interface,
        port: Port,
        secret: Secret,
        table: Table,
        others: Others,
        addresses: Addresses,
    ) -> Self {
        let waiting = Wakers::new();
        // The first turn hands the device its buffers.
        let (is_behind, is_exhausted) = (true, false);
        Self { interface, port, secret, table, others, addresses, waiting, is_behind, is_exhausted }
    }

    /// Lets in what arrived.
    fn arrive(&mut self) {
        let now = now();
        let mut count = 0;
        loop {
            let is_more = self.port.receive();
            while let Some(frame) = self.port.next() {
                let flow = Flow::of(frame);
                if !self.take(flow, now) {
                    // No buffer for an answer: what is left waits for one.
                    return;
                }
                count += 1;
            }
            self.is_behind = is_more;
            if !is_more || count >= MOST_FRAMES {
                return;
            }
        }
    }

    /// Gives the next frame to whom it is for. Returns whether it could be taken.
    fn take(&mut self, flow: Flow, now: u64) -> bool {
        if self.port.is_exhausted() {
            self.port.reclaim();
        }
        let mut seed = None;
        let place = match flow {
            Flow::Tcp(segment) => {
                let Some(id) = self.table.route(&segment, now) else { return self.refuse(now) };
                if self.table.place(id).is_listening() {
                    seed = self.secret.sequence_seed(&segment.ends, now);
                }
                Some(id)
            }
            Flow::Neighbours => {
                self.table.mark_all();
                None
            }
            Flow::Other => None,
        };
        let result = if let Some((id, seed)) = place.zip(seed) {
            self.begin(id, seed, now)
        } else {
            let set = match place {
                Some(id) => &mut self.table.place(id).set,
                None => &mut self.others.set,
            };
            self.interface.poll_ingress_single(instant(now), &mut self.port, set)
        };
        match place {
            Some(id) => self.table.after_arrival(id, now),
            None => self.others.marked = true,
        }
        result != PollIngressSingleResult::None
    }

    /// Sends what is to be sent.
    fn depart(&mut self) -> Option<Nanoseconds> {
        let due = self.table.due().min(self.others.due);
        let is_idle = !self.table.is_any_marked() && !self.others.marked && !self.is_behind;
        if is_idle && !self.is_waiting() && due == NEVER {
            return None;
        }
        let now = now();
        self.is_exhausted = false;
        if self.others.marked || self.others.due <= now {
            self.others_depart(now);
        }
        if due <= now {
            self.table.mark_due(now);
        }
        let mut again = Vec::new();
        while let Some(id) = self.table.next_marked() {
            if !self.place_departs(id, now) {
                again.push(id);
            }
        }
        again.into_iter().for_each(|id: Id| self.table.mark(id));
        let is_refused = self.port.send();
        self.deadline(now, is_refused)
    }

    fn deadline(&self, now: u64, is_refused: bool) -> Option<Nanoseconds> {
        let mut due = self.table.due().min(self.others.due);
        if self.is_behind {
            due = now;
        } else if self.is_waiting() || is_refused {
            due = due.min(now + EXHAUSTED);
        }
        (due != NEVER).then(|| Nanoseconds(due.saturating_mul(1_000)))
    }

    /// Whether something waits for the device to free a buffer.
    fn is_waiting(&self) -> bool {
        self.is_exhausted || self.port.next().is_some()
    }

    /// Sends what one connection has to send. Returns whether that was all for now.
    fn place_departs(&mut self, id: Id, now: u64) -> bool {
        self.table.expire(id, now);
        let Self { interface, port, table, .. } = self;
        let place = table.place(id);
        if place.phase == Phase::Free {
            return true;
        }
        for _ in 0..MOST_SEGMENTS {
            let result = interface.poll_egress(instant(now), port, &mut place.set);
            let next = interface.poll_at(instant(now), &place.set);
            let due = next.map_or(NEVER, |next| u64::try_from(next.total_micros()).unwrap_or(0));
            if due > now {
                table.after_departure(id, due);
                return true;
            }
            if result == PollResult::None {
                break;
            }
            if port.is_exhausted() {
                port.send();
                port.reclaim();
            }
        }
        self.is_exhausted = true;
        table.after_departure(id, NEVER);
        false
    }

    /// Sends what the others have to send, and follows what DHCP's server said.
    pub(super) fn others_depart(&mut self, now: u64) {
        let Self { interface, port, others, .. } = self;
        others.marked = false;
        for _ in 0..MOST_SEGMENTS {
            let result = interface.poll_egress(instant(now), port, &mut others.set);
            if result == PollResult::None {
                break;
            }
        }
        let next = interface.poll_at(instant(now), &others.set);
        others.due = next.map_or(NEVER, |next| u64::try_from(next.total_micros()).unwrap_or(0));
        if others.due <= now {
            others.due = now + EXHAUSTED;
        }
        self.follow_lease();
    }
}

impl Source for Stack {
    fn arrive(&self, events: Events) {
        let mut inner = self.inner.borrow_mut();
        if events.contains(Events::RESTORED) {
            inner.secret.renew();
        }
        if events.contains(self.event) || inner.is_behind || inner.is_waiting() {
            inner.arrive();
        }
    }

    fn depart(&self) -> Option<Nanoseconds> {
        self.inner.borrow_mut().depart()
    }
}

impl fmt::Debug for Stack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stack").field("event", &self.event).finish_non_exhaustive()
    }
}
