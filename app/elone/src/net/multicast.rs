//! Groups that datagrams are sent to (RFC 1112, RFC 3810): needed to be found by name on a network
//! without servers.

use core::net::{Ipv4Addr, Ipv6Addr};

use edge_nal::{MulticastV4, MulticastV6, UdpSplitMulticast};
use embedded_io_async::ErrorType;
use smoltcp::wire::IpAddress;

use super::stack::Inner;
use super::udp::{UdpReceiver, UdpSender, UdpSocket};
use crate::Error;

/// The part of a socket that joins and leaves groups. Membership is the interface's: what one
/// socket joins, all receive on their ports.
#[derive(Debug)]
pub struct UdpGroups<'a>(&'a UdpSocket);

impl Inner {
    /// Joins a group; the interface has room for eight, two of which are its own.
    fn join(&mut self, group: IpAddress) -> Result<(), Error> {
        use smoltcp::iface::MulticastError;
        self.others.marked = true;
        self.interface.join_multicast_group(group).map_err(|error| match error {
            MulticastError::GroupTableFull => Error::Full,
            MulticastError::Unaddressable => Error::BadAddress,
        })
    }

    fn leave(&mut self, group: IpAddress) -> Result<(), Error> {
        self.others.marked = true;
        self.interface.leave_multicast_group(group).map_err(|_| Error::BadAddress)
    }
}

/// Implements joining and leaving for types that lead to a socket by `$get`.
macro_rules! groups {
    ($($type:ty, |$one:ident| $get:expr;)*) => {$(
        impl MulticastV4 for $type {
            async fn join_v4(&mut self, group: Ipv4Addr, _: Ipv4Addr) -> Result<(), Error> {
                let $one = self;
                $get.stack.inner.borrow_mut().join(group.into())
            }

            async fn leave_v4(&mut self, group: Ipv4Addr, _: Ipv4Addr) -> Result<(), Error> {
                let $one = self;
                $get.stack.inner.borrow_mut().leave(group.into())
            }
        }

        impl MulticastV6 for $type {
            async fn join_v6(&mut self, group: Ipv6Addr, _: u32) -> Result<(), Error> {
                let $one = self;
                $get.stack.inner.borrow_mut().join(group.into())
            }

            async fn leave_v6(&mut self, group: Ipv6Addr, _: u32) -> Result<(), Error> {
                let $one = self;
                $get.stack.inner.borrow_mut().leave(group.into())
            }
        }
    )*};
}

groups! {
    UdpSocket, |socket| socket;
    UdpGroups<'_>, |part| part.0;
}

impl ErrorType for UdpGroups<'_> {
    type Error = Error;
}

impl UdpSplitMulticast for UdpSocket {
    type MulticastV4<'a> = UdpGroups<'a>;
    type MulticastV6<'a> = UdpGroups<'a>;

    fn split_multicast(
        &mut self,
    ) -> (UdpReceiver<'_>, UdpSender<'_>, UdpGroups<'_>, UdpGroups<'_>) {
        let socket = &*self;
        (UdpReceiver(socket), UdpSender(socket), UdpGroups(socket), UdpGroups(socket))
    }
}
