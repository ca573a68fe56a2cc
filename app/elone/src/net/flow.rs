//! To which connection a frame belongs.
//!
//! The protocol stack looks through the sockets it is given, one by one; so it is given just the
//! one that the frame is for, and a request costs the same with one connection as with a thousand.
//! What is read here only chooses: the stack checks the frame, checksums and all, and a frame that
//! lies is refused by the socket it was given to.

use core::net::{Ipv4Addr, Ipv6Addr};

/// EtherTypes (IEEE 802 numbers).
const IPV4: u16 = 0x0800;
const ARP: u16 = 0x0806;
const IPV6: u16 = 0x86dd;
/// IP protocol numbers.
const TCP: u8 = 6;
const ICMPV6: u8 = 58;

/// Bits of the TCP header's flags (RFC 9293, section 3.1).
const FIN: u8 = 1;
const SYN: u8 = 1 << 1;
const RST: u8 = 1 << 2;
const ACK: u8 = 1 << 4;

/// The two ends of a connection. IPv4 addresses are mapped into IPv6 (RFC 4291, section 2.5.5.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ends {
    /// Remote port above, local port below. 0 for no connection.
    pub(super) ports: u32,
    pub(super) remote: u128,
    pub(super) local: u128,
}

impl Ends {
    /// Of no connection.
    pub(super) const NONE: Self = Self { ports: 0, remote: 0, local: 0 };

    /// The same, but for the port at this end.
    pub(super) const fn with_local_port(mut self, port: u16) -> Self {
        self.ports = self.ports & 0xffff_0000 | port as u32;
        self
    }

    /// The port at this end.
    pub(super) const fn local_port(&self) -> u16 {
        (self.ports & 0xffff) as u16
    }
}

/// A TCP segment that arrived, as far as choosing needs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Segment {
    pub(super) ends: Ends,
    /// The sequence number of its first byte.
    pub(super) sequence: u32,
    /// How far it moves the sequence number: bytes, SYN and FIN (RFC 9293, section 3.4).
    pub(super) length: u32,
    flags: u8,
}

impl Segment {
    /// Whether it asks for a new connection.
    pub(super) const fn opens(&self) -> bool {
        self.flags & (SYN | ACK | RST) == SYN
    }

    /// Whether it is the peer's last.
    pub(super) const fn closes(&self) -> bool {
        self.flags & FIN != 0
    }
}

/// What a frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flow {
    /// For one connection, or for a listener.
    Tcp(Segment),
    /// News of neighbours, which sockets may have waited for.
    Neighbours,
    /// Anything else.
    Other,
}

impl Flow {
    /// Looks at a frame.
    pub(super) fn of(frame: &[u8]) -> Self {
        let Some(kind) = half(frame, 12) else { return Self::Other };
        let packet = frame.get(14..).unwrap_or_default();
        match kind {
            IPV4 => ipv4(packet).map_or(Self::Other, Self::Tcp),
            IPV6 if packet.get(6) == Some(&ICMPV6) => Self::Neighbours,
            IPV6 => ipv6(packet).map_or(Self::Other, Self::Tcp),
            ARP => Self::Neighbours,
            _ => Self::Other,
        }
    }
}

/// RFC 791, section 3.1. A fragment is no segment.
fn ipv4(packet: &[u8]) -> Option<Segment> {
    let header = usize::from(packet.first()? & 0xf) * 4;
    let total = usize::from(half(packet, 2)?);
    let fragment = half(packet, 6)? & 0x3fff;
    if *packet.get(9)? != TCP || fragment != 0 {
        return None;
    }
    let remote = Ipv4Addr::from(word(packet, 12)?).to_ipv6_mapped();
    let local = Ipv4Addr::from(word(packet, 16)?).to_ipv6_mapped();
    segment(packet.get(header..total)?, remote, local)
}

/// RFC 8200, section 3. Segments behind extension headers are for nobody.
fn ipv6(packet: &[u8]) -> Option<Segment> {
    let end = 40 + usize::from(half(packet, 4)?);
    if *packet.get(6)? != TCP {
        return None;
    }
    let remote: [u8; 16] = packet.get(8..24)?.try_into().ok()?;
    let local: [u8; 16] = packet.get(24..40)?.try_into().ok()?;
    segment(packet.get(40..end)?, Ipv6Addr::from(remote), Ipv6Addr::from(local))
}

/// RFC 9293, section 3.1.
fn segment(bytes: &[u8], remote: Ipv6Addr, local: Ipv6Addr) -> Option<Segment> {
    // The source's port, then the destination's: remote and local, as `Ends` has them.
    let ports = word(bytes, 0)?;
    let sequence = word(bytes, 4)?;
    let header = usize::from(*bytes.get(12)? >> 4) * 4;
    let flags = *bytes.get(13)?;
    let payload = u32::try_from(bytes.len().checked_sub(header)?).ok()?;
    let marks = u32::from(flags & SYN != 0) + u32::from(flags & FIN != 0);
    let ends = Ends { ports, remote: remote.to_bits(), local: local.to_bits() };
    Some(Segment { ends, sequence, length: payload + marks, flags })
}

fn half(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A SYN from 10.0.2.2:40000 to 10.0.2.15:80, sequence 0x01020304.
    const SYN_FRAME: [u8; 54] = [
        2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0, // Ethernet
        0x45, 0, 0, 40, 0, 0, 0x40, 0, 64, 6, 0, 0, 10, 0, 2, 2, 10, 0, 2, 15, // IPv4
        0x9c, 0x40, 0, 80, 1, 2, 3, 4, 0, 0, 0, 0, 0x50, 2, 0, 0, 0, 0, 0, 0, // TCP
    ];

    #[test]
    fn a_syn_opens_between_its_ends() {
        let Flow::Tcp(segment) = Flow::of(&SYN_FRAME) else { panic!("not TCP") };
        assert!(segment.opens() && !segment.closes());
        assert_eq!((segment.sequence, segment.length), (0x0102_0304, 1));
        assert_eq!((segment.ends.local_port(), segment.ends.ports >> 16), (80, 40000));
        assert_eq!(segment.ends.remote, 0xffff_0a00_0202);
    }

    #[test]
    fn a_fragment_is_no_segment() {
        let mut frame = SYN_FRAME;
        frame[20] = 0x20; // more fragments
        assert_eq!(Flow::of(&frame), Flow::Other);
    }

    #[test]
    fn whatever_is_cut_short_is_other_or_whole() {
        for length in 0..SYN_FRAME.len() {
            assert_eq!(Flow::of(&SYN_FRAME[..length]), Flow::Other, "{length}");
        }
    }

    #[test]
    fn arp_is_news_of_neighbours() {
        let mut frame = SYN_FRAME;
        frame[13] = 6;
        assert_eq!(Flow::of(&frame), Flow::Neighbours);
    }
}
