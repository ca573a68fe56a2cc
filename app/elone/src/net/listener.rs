//! A port that peers may connect to.

use core::cell::Cell;
use core::future::poll_fn;
use core::net::SocketAddr;
use core::task::Poll;

use alloc::collections::VecDeque;
use smoltcp::socket::tcp::State;

use super::Net;
use super::place::{Backlog, Phase};
use super::stack::{Inner, Stack};
use super::tcp::{TcpSocket, socket_address};
use crate::Error;
use crate::wakers::Wakers;

/// A port that peers may connect to, until this is dropped.
///
/// Connections open by themselves and wait here to be accepted, as many as the interface has places
/// for ([`NetBuilder::connections`](super::NetBuilder::connections)).
#[derive(Debug)]
pub struct Listener {
    stack: &'static Stack,
    index: usize,
    open: Cell<bool>,
}

impl Net {
    /// Lets peers connect to `port`, over every address that the interface has or gets.
    ///
    /// # Errors
    /// [`Error::BadAddress`] for port 0, [`Error::PortInUse`].
    #[expect(clippy::unused_async, reason = "as in edge-nal")]
    pub async fn bind(&self, port: u16) -> Result<Listener, Error> {
        let index = self.stack.inner.borrow_mut().listen(port)?;
        Ok(Listener { stack: self.stack, index, open: Cell::new(true) })
    }
}

impl Inner {
    fn listen(&mut self, port: u16) -> Result<usize, Error> {
        let backlogs = &mut self.table.backlogs;
        if port == 0 {
            return Err(Error::BadAddress);
        }
        if backlogs.iter().any(|backlog| backlog.port == port) {
            return Err(Error::PortInUse);
        }
        if let Some(index) = backlogs.iter().position(|backlog| backlog.port == 0) {
            backlogs[index].port = port;
            return Ok(index);
        }
        backlogs.push(Backlog { port, queue: VecDeque::new(), waiting: Wakers::new() });
        Ok(backlogs.len() - 1)
    }
}

impl Listener {
    /// Waits for the next peer. Several tasks may wait at a time.
    ///
    /// # Errors
    /// [`Error::Closed`] after [`close`](Self::close).
    pub async fn accept(&self) -> Result<(SocketAddr, TcpSocket), Error> {
        poll_fn(|context| {
            if !self.open.get() {
                return Poll::Ready(Err(Error::Closed));
            }
            let mut inner = self.stack.inner.borrow_mut();
            let table = &mut inner.table;
            while let Some(id) = table.backlogs[self.index].queue.pop_front() {
                let place = table.place(id);
                let (state, remote) = (place.state(), place.socket().remote_endpoint());
                place.phase = Phase::Owned;
                match remote {
                    Some(remote) if state != State::Closed => {
                        let socket = TcpSocket::new(self.stack, id);
                        return Poll::Ready(Ok((socket_address(remote), socket)));
                    }
                    // The peer went away while it waited.
                    _ => table.release(id),
                }
            }
            table.backlogs[self.index].waiting.add(context);
            Poll::Pending
        })
        .await
    }
}

impl Listener {
    /// Takes no more connections: peers that try are refused, those that were not accepted yet are
    /// turned away, and tasks that wait for one are told. Connections that were accepted go on.
    pub fn close(&self) {
        // The port's place may be another listener's afterwards.
        if self.open.replace(false) {
            self.stack.inner.borrow_mut().table.unlisten(self.index);
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.close();
    }
}
