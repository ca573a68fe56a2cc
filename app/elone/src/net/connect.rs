//! Connections out.

use core::future::poll_fn;
use core::net::{IpAddr, SocketAddr};
use core::task::Poll;

use smoltcp::socket::tcp::State;
use smoltcp::time::Duration;
use smoltcp::wire::IpListenEndpoint;

use super::Net;
use super::flow::Ends;
use super::place::Id;
use super::stack::{Inner, now};
use super::tcp::TcpSocket;
use crate::Error;

/// How long a peer may take to answer.
const CONNECTING: Duration = Duration::from_secs(15);

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
        let (secret, table) = (&mut self.secret, &self.table);
        let port = secret.port(|port| table.is_used(&ends.with_local_port(port)));
        ends = ends.with_local_port(port.ok_or(Error::Full)?);
        let now = now();
        let id = self.table.vacancy(now).ok_or(Error::Full)?;
        let seed = self.secret.sequence_seed(&ends, now);
        let mut beginning = seed.map(|seed| self.moment(seed, now));
        let context = beginning.as_mut().unwrap_or(&mut self.interface).context();
        let socket = self.table.place(id).socket();
        let from = IpListenEndpoint { addr: Some(local), port: ends.local_port() };
        let result = socket.connect(context, (remote.ip(), remote.port()), from);
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
