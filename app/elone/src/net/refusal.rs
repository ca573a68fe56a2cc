//! The answer to a segment that is for no connection: a reset (RFC 9293, section 3.10.7.1).
//!
//! It matters most after a restart. Peers hold connections that this machine knows nothing of any
//! more, and only a reset tells them. The protocol stack has one to give, too, but first asks who
//! the peer is, and has forgotten the reset when it is told: the peer would learn when it tries
//! again, after a second or more. So the answer is made here and goes back to where the segment
//! came from. It needs no neighbour, no route and no memory, whatever strangers send.

use smoltcp::iface::Interface;
use smoltcp::phy::{ChecksumCapabilities, Device, RxToken, TxToken};
use smoltcp::wire::{
    EthernetAddress, EthernetFrame, EthernetProtocol, EthernetRepr, HardwareAddress, IpAddress,
    IpCidr, IpProtocol, IpRepr, Ipv4Packet, Ipv4Repr, Ipv6Packet, Ipv6Repr, TcpControl, TcpPacket,
    TcpRepr, TcpSeqNumber,
};

use super::stack::{Inner, instant};

/// Bytes of an Ethernet header.
const ETHERNET_HEADER: usize = 14;
/// How many routers it may pass (RFC 1700, IP parameters).
const HOP_LIMIT: u8 = 64;

impl Inner {
    /// Takes the next frame, a segment of no connection, and answers it where it must be. Returns
    /// whether it could be taken.
    pub(super) fn refuse(&mut self, now: u64) -> bool {
        let Some((arrived, answer)) = Device::receive(&mut self.port, instant(now)) else {
            return false;
        };
        let interface = &self.interface;
        arrived.consume(|frame| {
            if let Some(reset) = Reset::to(frame, interface) {
                answer.consume(reset.length(), |bytes| reset.write(bytes));
            }
        });
        // It belongs to no connection, so it leaves with what else belongs to none.
        self.others.marked = true;
        true
    }
}

/// A reset, and the way back.
#[derive(Debug)]
struct Reset {
    ethernet: EthernetRepr,
    ip: IpRepr,
    tcp: TcpRepr<'static>,
}

impl Reset {
    /// What `frame` is to be answered with: `None` where it is not whole, is not for this interface
    /// alone, says that it comes from where nothing can come from, or is a reset itself.
    fn to(frame: &[u8], interface: &Interface) -> Option<Self> {
        let checks = ChecksumCapabilities::default();
        let frame = EthernetFrame::new_checked(frame).ok()?;
        let HardwareAddress::Ethernet(own) = interface.hardware_addr();
        let (peer, is_ours) = (frame.src_addr(), frame.dst_addr() == own);
        (is_ours && peer.is_unicast()).then_some(())?;
        match frame.ethertype() {
            EthernetProtocol::Ipv4 => {
                let packet = Ipv4Packet::new_checked(frame.payload()).ok()?;
                let ip = IpRepr::Ipv4(Ipv4Repr::parse(&packet, &checks).ok()?);
                Self::back([own, peer], &ip, packet.payload(), interface)
            }
            EthernetProtocol::Ipv6 => {
                let packet = Ipv6Packet::new_checked(frame.payload()).ok()?;
                let ip = IpRepr::Ipv6(Ipv6Repr::parse(&packet).ok()?);
                Self::back([own, peer], &ip, packet.payload(), interface)
            }
            _ => None,
        }
    }

    fn back(
        [own, peer]: [EthernetAddress; 2],
        ip: &IpRepr,
        segment: &[u8],
        interface: &Interface,
    ) -> Option<Self> {
        let (from, to) = (ip.src_addr(), ip.dst_addr());
        let is_answerable = interface.has_ip_addr(to) && is_peer(from, interface);
        is_answerable.then_some(())?;
        let packet = TcpPacket::new_checked(segment).ok()?;
        let checks = ChecksumCapabilities::default();
        let segment = TcpRepr::parse(&packet, &from, &to, &checks).ok()?;
        (segment.control != TcpControl::Rst).then_some(())?;
        // A peer believes a reset only with numbers that it expects, so they are its own: what it
        // has acknowledged, or else what is to be acknowledged to it.
        let next = segment.seq_number + segment.segment_len();
        let tcp = TcpRepr {
            src_port: segment.dst_port,
            dst_port: segment.src_port,
            control: TcpControl::Rst,
            seq_number: segment.ack_number.unwrap_or(TcpSeqNumber(0)),
            ack_number: segment.ack_number.is_none().then_some(next),
            window_len: 0,
            window_scale: None,
            max_seg_size: None,
            sack_permitted: false,
            sack_ranges: [None; 3],
            timestamp: None,
            payload: &[],
        };
        let ethertype = match ip {
            IpRepr::Ipv4(_) => EthernetProtocol::Ipv4,
            IpRepr::Ipv6(_) => EthernetProtocol::Ipv6,
        };
        let ethernet = EthernetRepr { src_addr: own, dst_addr: peer, ethertype };
        let ip = IpRepr::new(to, from, IpProtocol::Tcp, tcp.buffer_len(), HOP_LIMIT);
        Some(Self { ethernet, ip, tcp })
    }

    /// In bytes, as a frame.
    const fn length(&self) -> usize {
        ETHERNET_HEADER + self.ip.buffer_len()
    }

    fn write(&self, bytes: &mut [u8]) {
        let checks = ChecksumCapabilities::default();
        self.ethernet.emit(&mut EthernetFrame::new_unchecked(&mut *bytes));
        let Some((_, packet)) = bytes.split_at_mut_checked(ETHERNET_HEADER) else { return };
        self.ip.emit(&mut *packet, &checks);
        let Some((_, segment)) = packet.split_at_mut_checked(self.ip.header_len()) else { return };
        let (from, to) = (self.ip.src_addr(), self.ip.dst_addr());
        self.tcp.emit(&mut TcpPacket::new_unchecked(segment), &from, &to, &checks);
    }
}

/// Whether a segment can come from there: neither from many, nor from here.
fn is_peer(address: IpAddress, interface: &Interface) -> bool {
    let is_everybody = |cidr: &IpCidr| match (cidr, address) {
        (IpCidr::Ipv4(cidr), IpAddress::Ipv4(address)) => cidr.broadcast() == Some(address),
        _ => false,
    };
    address.is_unicast()
        && !interface.has_ip_addr(address)
        && !interface.ip_addrs().iter().any(is_everybody)
}
