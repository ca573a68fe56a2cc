//! A TCP connection.

use core::fmt;
use core::future::poll_fn;
use core::net::SocketAddr;
use core::task::{Context, Poll};

use embedded_io_async::{ErrorType, Read, Write};
use smoltcp::socket::tcp::{RecvError, Socket, State};
use smoltcp::time::Duration;
use smoltcp::wire::IpEndpoint;

use super::place::Id;
use super::stack::{Stack, now};
use crate::Error;

/// A TCP connection. Dropped, it ends as it should: what was written still arrives, if the peer
/// takes it within ten seconds.
pub struct TcpSocket {
    stack: &'static Stack,
    id: Id,
}

/// The half of a connection that reads.
#[derive(Debug)]
pub struct TcpReader<'a>(&'a TcpSocket);

/// The half of a connection that writes.
#[derive(Debug)]
pub struct TcpWriter<'a>(&'a TcpSocket);

pub(super) fn socket_address(endpoint: IpEndpoint) -> SocketAddr {
    SocketAddr::new(endpoint.addr.into(), endpoint.port)
}

impl TcpSocket {
    pub(super) const fn new(stack: &'static Stack, id: Id) -> Self {
        Self { stack, id }
    }

    pub(super) fn with<R>(&self, visit: impl FnOnce(&mut Socket<'static>) -> R) -> R {
        visit(self.stack.inner.borrow_mut().table.place(self.id).socket())
    }

    /// As [`Self::with`], where it may leave something to be sent.
    fn act<R>(&self, visit: impl FnOnce(&mut Socket<'static>) -> R) -> R {
        let mut inner = self.stack.inner.borrow_mut();
        inner.table.mark(self.id);
        visit(inner.table.place(self.id).socket())
    }

    /// The peer's address; `None` once the connection is over.
    #[must_use]
    pub fn peer(&self) -> Option<SocketAddr> {
        self.with(|socket| socket.remote_endpoint()).map(socket_address)
    }

    /// This end's address; `None` once the connection is over.
    #[must_use]
    pub fn local(&self) -> Option<SocketAddr> {
        self.with(|socket| socket.local_endpoint()).map(socket_address)
    }

    /// Has the peer asked for a sign of life when it was silent for so long, and given up when it
    /// gives none; `None` for never, as it is at first.
    pub fn keep_alive(&mut self, interval: Option<crate::time::Duration>) {
        let interval = interval.map(|interval| Duration::from_micros(interval.as_micros()));
        self.act(|socket| socket.set_keep_alive(interval));
    }

    /// The two halves, to be used by two tasks, or by one that waits for either.
    pub fn split(&mut self) -> (TcpReader<'_>, TcpWriter<'_>) {
        (TcpReader(self), TcpWriter(self))
    }

    /// Says that no more will be written, and waits until the peer has all that was.
    ///
    /// # Errors
    /// [`Error::Reset`] if the connection breaks before that.
    pub async fn close(&mut self) -> Result<(), Error> {
        self.act(Socket::close);
        poll_fn(|context| {
            self.with(|socket| match socket.state() {
                State::FinWait1 | State::Closing | State::LastAck => {
                    socket.register_send_waker(context.waker());
                    Poll::Pending
                }
                State::Closed if socket.send_queue() > 0 => Poll::Ready(Err(Error::Reset)),
                _ => Poll::Ready(Ok(())),
            })
        })
        .await
    }

    /// Ends the connection at once: the peer gets a reset, and what was written may not arrive.
    pub fn abort(&mut self) {
        self.act(Socket::abort);
    }

    fn poll_read(&self, bytes: &mut [u8], context: &Context<'_>) -> Poll<Result<usize, Error>> {
        let mut inner = self.stack.inner.borrow_mut();
        let socket = inner.table.place(self.id).socket();
        match socket.recv_slice(bytes) {
            Ok(0) => {
                socket.register_recv_waker(context.waker());
                Poll::Pending
            }
            Ok(length) => {
                // There is room again, which the peer may have to be told.
                inner.table.mark(self.id);
                Poll::Ready(Ok(length))
            }
            Err(RecvError::Finished) => Poll::Ready(Ok(0)),
            Err(RecvError::InvalidState) => Poll::Ready(Err(Error::Reset)),
        }
    }

    async fn read_some(&self, bytes: &mut [u8]) -> Result<usize, Error> {
        if bytes.is_empty() {
            return Ok(0);
        }
        poll_fn(|context| self.poll_read(bytes, context)).await
    }

    async fn write_some(&self, bytes: &[u8]) -> Result<usize, Error> {
        if bytes.is_empty() {
            return Ok(0);
        }
        poll_fn(|context| {
            self.act(|socket| match socket.send_slice(bytes) {
                Ok(0) => {
                    socket.register_send_waker(context.waker());
                    Poll::Pending
                }
                Ok(length) => Poll::Ready(Ok(length)),
                Err(_) if socket.state() == State::Closed => Poll::Ready(Err(Error::Reset)),
                Err(_) => Poll::Ready(Err(Error::Closed)),
            })
        })
        .await
    }

    /// Waits until a read would not wait.
    async fn wait_readable(&self) -> Result<(), Error> {
        poll_fn(|context| {
            self.with(|socket| {
                if socket.can_recv() || !socket.may_recv() {
                    return Poll::Ready(Ok(()));
                }
                socket.register_recv_waker(context.waker());
                Poll::Pending
            })
        })
        .await
    }
}

impl Drop for TcpSocket {
    fn drop(&mut self) {
        self.stack.inner.borrow_mut().table.leave(self.id, now());
    }
}

impl fmt::Debug for TcpSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TcpSocket").field("peer", &self.peer()).finish_non_exhaustive()
    }
}

/// Implements the traits for types that lead to a connection by `$get`.
macro_rules! reads {
    ($($type:ty, |$one:ident| $get:expr;)*) => {$(
        impl Read for $type {
            async fn read(&mut self, bytes: &mut [u8]) -> Result<usize, Error> {
                let $one = self;
                $get.read_some(bytes).await
            }
        }

        impl edge_nal::Readable for $type {
            async fn readable(&mut self) -> Result<(), Error> {
                let $one = self;
                $get.wait_readable().await
            }
        }
    )*};
}

macro_rules! writes {
    ($($type:ty, |$one:ident| $get:expr;)*) => {$(
        impl Write for $type {
            async fn write(&mut self, bytes: &[u8]) -> Result<usize, Error> {
                let $one = self;
                $get.write_some(bytes).await
            }

            /// What was written leaves at the end of this turn by itself, and waiting for the peer's
            /// acknowledgement would cost a round trip; [`TcpSocket::close`] does.
            async fn flush(&mut self) -> Result<(), Error> {
                Ok(())
            }
        }
    )*};
}

reads! {
    TcpSocket, |socket| socket;
    TcpReader<'_>, |half| half.0;
}
writes! {
    TcpSocket, |socket| socket;
    TcpWriter<'_>, |half| half.0;
}

impl ErrorType for TcpSocket {
    type Error = Error;
}

impl ErrorType for TcpReader<'_> {
    type Error = Error;
}

impl ErrorType for TcpWriter<'_> {
    type Error = Error;
}
