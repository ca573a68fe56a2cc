//! One connection's place: a socket, its buffers, and how far the connection has come.

use alloc::collections::VecDeque;
use alloc::vec;
use alloc::vec::Vec;
use smoltcp::iface::{SocketHandle, SocketSet};
use smoltcp::socket::tcp::{self, State};
use smoltcp::time::Duration;

use super::Limits;
use crate::wakers::Wakers;

/// When something is due, in microseconds; never.
pub(super) const NEVER: u64 = u64::MAX;

/// When a peer that was asked for a sign of life is asked again.
const ASKED_AGAIN: Duration = Duration::from_secs(3600);

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
    pub(super) handle: SocketHandle,
    pub(super) phase: Phase,
    /// Whether it is in the list of those that may have something to send.
    pub(super) marked: bool,
    /// When the protocol stack wants to be asked again.
    pub(super) due: u64,
    /// When the phase ends by force.
    pub(super) deadline: u64,
    /// When the phase began; the oldest goes first.
    pub(super) since: u64,
    /// Where the peer's sequence began, and where it ended, once it did.
    pub(super) first: u32,
    pub(super) last: Option<u32>,
}

impl Place {
    pub(super) fn socket(&mut self) -> &mut tcp::Socket<'static> {
        self.set.get_mut(self.handle)
    }

    /// Has the peer say whether it still knows this connection: one that lost its memory opens it
    /// anew, and takes it for its own only once it has reset this end (RFC 5961, section 4). The
    /// protocol stack would not answer; a probe for a sign of life is the answer that is wanted.
    pub(super) fn challenge(&mut self) {
        let socket = self.socket();
        if socket.keep_alive().is_none() && socket.state() == State::Established {
            socket.set_keep_alive(Some(ASKED_AGAIN));
        }
    }

    /// Whether it was given to a peer just now, whose first segment the socket has not seen yet.
    pub(super) fn is_listening(&self) -> bool {
        matches!(self.phase, Phase::Opening(_)) && self.state() == State::Listen
    }

    /// How many bytes were written that the peer has not acknowledged.
    pub(super) fn unanswered(&self) -> usize {
        self.set.get::<tcp::Socket<'static>>(self.handle).send_queue()
    }

    /// Whether the peer knows that there is no such connection, or that there will be none.
    pub(super) fn is_over(&self) -> bool {
        let socket = self.set.get::<tcp::Socket<'static>>(self.handle);
        match socket.state() {
            State::FinWait2 | State::TimeWait => true,
            // One that was broken off has a peer until the reset has been sent.
            State::Closed => socket.remote_endpoint().is_none(),
            _ => false,
        }
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
    pub(super) waiting: Wakers,
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

impl Limits {
    /// A new place, with its buffers.
    pub(super) fn place(&self) -> Place {
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
pub(super) const fn number(index: usize) -> Id {
    index as Id
}
