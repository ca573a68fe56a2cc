//! The network: TCP, UDP, names and addresses over one Ethernet interface, on smoltcp.
//!
//! [`Net`] is a handle; its listeners and sockets speak the traits of `edge-nal` and
//! `embedded-io-async`, so that protocol crates run on them as they are.

mod address;
mod admission;
mod builder;
#[cfg(test)]
mod capture;
mod connect;
mod flow;
mod generator;
mod lifecycle;
mod listener;
mod moment;
mod multicast;
mod nal;
mod names;
mod place;
mod port;
mod refusal;
mod secret;
mod stack;
mod table;
mod tcp;
mod udp;

use core::fmt;
use core::net::IpAddr;

use alloc::vec::Vec;

pub use address::Static;
pub use builder::NetBuilder;
pub use listener::Listener;
pub use multicast::UdpGroups;
pub use place::Connections;
pub use port::Traffic;
pub use tcp::{TcpReader, TcpSocket, TcpWriter};
pub use udp::{UdpReceiver, UdpSender, UdpSocket};

use stack::Stack;

use crate::time::{Duration, Timer};

/// How often what will happen soon is looked for, where nobody tells.
const A_MOMENT: Duration = Duration::from_millis(5);

/// What is set aside for connections.
#[derive(Clone, Copy, Debug)]
struct Limits {
    /// How many there may be at a time, in and out together.
    connections: u16,
    /// Bytes each may have received that were not read yet.
    receive_buffer: usize,
    /// Bytes each may have sent that were not acknowledged yet.
    transmit_buffer: usize,
}

/// A configured interface. A handle: copies are the same interface.
#[derive(Clone, Copy)]
pub struct Net {
    stack: &'static Stack,
}

impl Net {
    /// The address that peers know: IPv4 where there is one, else IPv6, and the link-local one while
    /// there is no other, as after a lease was lost.
    #[must_use]
    pub fn address(&self) -> IpAddr {
        self.stack.inner.borrow().addresses.best()
    }

    /// All addresses: IPv4, IPv6, and the link-local one.
    #[must_use]
    pub fn addresses(&self) -> Vec<IpAddr> {
        self.stack.inner.borrow().addresses.all().collect()
    }

    /// The hardware address.
    #[must_use]
    pub fn mac(&self) -> [u8; 6] {
        self.stack.inner.borrow().port.info().mac
    }

    /// Where packets to other networks go.
    #[must_use]
    pub fn gateway(&self) -> Option<IpAddr> {
        self.stack.inner.borrow().addresses.gateway
    }

    /// Who resolves names.
    #[must_use]
    pub fn dns(&self) -> Vec<IpAddr> {
        self.stack.inner.borrow().addresses.dns.clone()
    }

    /// Whether it has an address that peers elsewhere can know. The gate does not tell whether a
    /// cable is plugged in.
    #[must_use]
    pub fn is_up(&self) -> bool {
        let inner = self.stack.inner.borrow();
        inner.addresses.ipv4.is_some() || inner.addresses.ipv6.is_some()
    }

    /// What has passed through since the start.
    #[must_use]
    pub fn traffic(&self) -> Traffic {
        self.stack.inner.borrow().port.traffic
    }

    /// Waits until peers have all that was written on connections that were dropped, or do not take
    /// it any more: for an application that is about to end, with which all of them do.
    pub async fn settled(&self) {
        while !self.stack.inner.borrow().table.is_settled(stack::now()) {
            Timer::after(A_MOMENT).await;
        }
    }

    /// What became of connections since the start.
    #[must_use]
    pub fn connections(&self) -> Connections {
        self.stack.inner.borrow().table.connections()
    }
}

impl fmt::Debug for Net {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Net").field(&self.address()).finish()
    }
}
