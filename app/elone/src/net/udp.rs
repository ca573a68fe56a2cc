//! Datagrams.

use core::fmt;
use core::future::poll_fn;
use core::net::SocketAddr;
use core::task::Poll;

use alloc::vec;
use edge_nal::{Readable, UdpReceive, UdpSend, UdpSplit};
use embedded_io_async::ErrorType;
use smoltcp::iface::SocketHandle;
use smoltcp::socket::udp::{PacketBuffer, PacketMetadata, SendError, Socket};
use smoltcp::wire::{IpEndpoint, IpListenEndpoint};

use super::Net;
use super::stack::{Inner, Stack, now};
use super::tcp::socket_address;
use crate::Error;

/// Datagrams that may wait, each way.
const DATAGRAMS: usize = 8;
/// Their bytes, together.
const BUFFER: usize = 4096;

/// A port for datagrams, until it is dropped.
pub struct UdpSocket {
    pub(super) stack: &'static Stack,
    handle: SocketHandle,
}

/// The half of a socket that receives.
#[derive(Debug)]
pub struct UdpReceiver<'a>(pub(super) &'a UdpSocket);

/// The half of a socket that sends.
#[derive(Debug)]
pub struct UdpSender<'a>(pub(super) &'a UdpSocket);

impl Net {
    /// Opens a port for datagrams: that of `local`, or where it is 0 one that is free. An address
    /// that is not unspecified admits only datagrams to that address.
    ///
    /// # Errors
    /// [`Error::PortInUse`].
    #[expect(clippy::unused_async, reason = "as in edge-nal")]
    pub async fn bind_udp(&self, local: SocketAddr) -> Result<UdpSocket, Error> {
        let handle = self.stack.inner.borrow_mut().open_udp(local)?;
        Ok(UdpSocket { stack: self.stack, handle })
    }
}

impl Inner {
    fn open_udp(&mut self, local: SocketAddr) -> Result<SocketHandle, Error> {
        let (secret, others) = (&mut self.secret, &self.others);
        let port = match local.port() {
            0 => secret.port(|port| others.is_bound(port)),
            port => Some(port).filter(|&port| !others.is_bound(port)),
        };
        let port = port.ok_or(Error::PortInUse)?;
        let buffer = || PacketBuffer::new(vec![PacketMetadata::EMPTY; DATAGRAMS], vec![0; BUFFER]);
        let mut socket = Socket::new(buffer(), buffer());
        let addr = Some(local.ip()).filter(|address| !address.is_unspecified()).map(Into::into);
        socket.bind(IpListenEndpoint { addr, port }).map_err(|_| Error::BadAddress)?;
        Ok(self.others.set.add(socket))
    }
}

impl UdpSocket {
    fn with<R>(&self, visit: impl FnOnce(&mut Socket<'static>) -> R) -> R {
        visit(self.stack.inner.borrow_mut().others.set.get_mut(self.handle))
    }

    /// The port at this end.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.with(|socket| socket.endpoint().port)
    }

    async fn receive_one(&self, bytes: &mut [u8]) -> Result<(usize, SocketAddr), Error> {
        poll_fn(|context| {
            self.with(|socket| match socket.recv() {
                Ok((datagram, from)) => {
                    let length = datagram.len().min(bytes.len());
                    bytes[..length].copy_from_slice(&datagram[..length]);
                    Poll::Ready(Ok((datagram.len(), socket_address(from.endpoint))))
                }
                Err(_) => {
                    socket.register_recv_waker(context.waker());
                    Poll::Pending
                }
            })
        })
        .await
    }

    async fn send_one(&self, remote: SocketAddr, bytes: &[u8]) -> Result<(), Error> {
        let to = IpEndpoint::from(remote);
        let mtu = usize::from(self.stack.inner.borrow().port.info().mtu);
        let headers = if remote.is_ipv4() { 20 + 8 } else { 40 + 8 };
        if bytes.len() > BUFFER.min(mtu - headers) {
            return Err(Error::TooLarge);
        }
        poll_fn(|context| {
            let mut inner = self.stack.inner.borrow_mut();
            inner.others.marked = true;
            let socket: &mut Socket<'static> = inner.others.set.get_mut(self.handle);
            match socket.send_slice(bytes, to) {
                Ok(()) => Poll::Ready(Ok(())),
                Err(SendError::Unaddressable) => Poll::Ready(Err(Error::BadAddress)),
                Err(SendError::BufferFull) => {
                    socket.register_send_waker(context.waker());
                    Poll::Pending
                }
            }
        })
        .await
    }

    async fn wait_readable(&self) -> Result<(), Error> {
        poll_fn(|context| {
            self.with(|socket| {
                if socket.can_recv() {
                    return Poll::Ready(Ok(()));
                }
                socket.register_recv_waker(context.waker());
                Poll::Pending
            })
        })
        .await
    }
}

impl Drop for UdpSocket {
    fn drop(&mut self) {
        let mut inner = self.stack.inner.borrow_mut();
        // What was sent just before is not to be lost with the socket.
        inner.others_depart(now());
        inner.others.set.remove(self.handle);
    }
}

impl fmt::Debug for UdpSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UdpSocket").field("port", &self.port()).finish_non_exhaustive()
    }
}

impl ErrorType for UdpSocket {
    type Error = Error;
}

impl UdpReceive for UdpSocket {
    async fn receive(&mut self, bytes: &mut [u8]) -> Result<(usize, SocketAddr), Error> {
        self.receive_one(bytes).await
    }
}

impl UdpSend for UdpSocket {
    async fn send(&mut self, remote: SocketAddr, bytes: &[u8]) -> Result<(), Error> {
        self.send_one(remote, bytes).await
    }
}

impl Readable for UdpSocket {
    async fn readable(&mut self) -> Result<(), Error> {
        self.wait_readable().await
    }
}

impl UdpSplit for UdpSocket {
    type Receive<'a> = UdpReceiver<'a>;
    type Send<'a> = UdpSender<'a>;

    fn split(&mut self) -> (UdpReceiver<'_>, UdpSender<'_>) {
        (UdpReceiver(self), UdpSender(self))
    }
}

impl ErrorType for UdpReceiver<'_> {
    type Error = Error;
}

impl UdpReceive for UdpReceiver<'_> {
    async fn receive(&mut self, bytes: &mut [u8]) -> Result<(usize, SocketAddr), Error> {
        self.0.receive_one(bytes).await
    }
}

impl Readable for UdpReceiver<'_> {
    async fn readable(&mut self) -> Result<(), Error> {
        self.0.wait_readable().await
    }
}

impl ErrorType for UdpSender<'_> {
    type Error = Error;
}

impl UdpSend for UdpSender<'_> {
    async fn send(&mut self, remote: SocketAddr, bytes: &[u8]) -> Result<(), Error> {
        self.0.send_one(remote, bytes).await
    }
}
