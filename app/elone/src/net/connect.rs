//! Connections out.

use core::future::poll_fn;
use core::net::{IpAddr, SocketAddr};
use core::task::Poll;

use smoltcp::socket::tcp::State;
use smoltcp::time::Duration;

use super::Net;
use super::flow::Ends;
use super::place::Id;
use super::stack::{Inner, now};
use super::tcp::TcpSocket;
use crate::{Error, entropy};

/// How long a peer may take to answer.
const CONNECTING: Duration = Duration::from_secs(15);
/// Ports for connections out (RFC 6335, section 6).
const EPHEMERAL: core::ops::RangeInclusive<u16> = 49_152..=65_535;

impl Net {
    /// Connects to a peer.
    ///
    /// # Errors
    /// [`Error::NoAddress`], [`Error::BadAddress`], [`Error::Full`], [`Error::Refused`],
    /// [`Error::TimedOut`] after 15 seconds.
    pub async fn connect(&self, remote: SocketAddr) -> Result<TcpSocket, Error> {
        let id = self.stack.inner.borrow_mut().connect(remote)?;
        let start = now();
        let socket = TcpSocket::new(self.stack, id);
        poll_fn(|context| {
            socket.with(|socket| match socket.state() {
                State::SynSent | State::SynReceived => {
                    socket.register_send_waker(context.waker());
                    Poll::Pending
                }
                State::Closed if now() - start < CONNECTING.total_micros() => {
                    Poll::Ready(Err(Error::Refused))
                }
                State::Closed => Poll::Ready(Err(Error::TimedOut)),
                _ => Poll::Ready(Ok(())),
            })
        })
        .await?;
        Ok(socket)
    }
}

impl Inner {
    fn connect(&mut self, remote: SocketAddr) -> Result<Id, Error> {
        let local = self.interface.get_source_address(&remote.ip().into());
        let local = local.ok_or(Error::NoAddress)?;
        let mut ends = Ends {
            ports: u32::from(remote.port()) << 16,
            remote: bits(remote.ip()),
            local: bits(local.into()),
        };
        let count = u64::from(EPHEMERAL.end() - EPHEMERAL.start()) + 1;
        // One that is in use with the same peer is passed over; a few tries find one.
        let port = loop {
            let offset = u16::try_from(entropy::word()? % count).unwrap_or(0);
            let port = EPHEMERAL.start() + offset;
            ends.ports = ends.ports & 0xffff_0000 | u32::from(port);
            if !self.table.is_known(&ends) {
                break port;
            }
        };
        let id = self.table.vacancy(now()).ok_or(Error::Full)?;
        let socket = self.table.place(id).socket();
        let result = socket.connect(self.interface.context(), (remote.ip(), remote.port()), port);
        socket.set_timeout(Some(CONNECTING));
        self.table.own(id, ends);
        if result.is_err() {
            self.table.release(id);
            return Err(Error::BadAddress);
        }
        Ok(id)
    }
}

fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().to_bits(),
        IpAddr::V6(address) => address.to_bits(),
    }
}
