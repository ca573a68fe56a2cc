//! Frames, written and read by hand: what stands at the other end of a guest's wire must not be
//! the library that is under test. Only what the scenarios need, and as strict as they need it.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddrV4};

/// A hardware address.
pub(crate) type Mac = [u8; 6];

/// Everybody on the wire.
pub(crate) const BROADCAST: Mac = [0xff; 6];

// EtherTypes (RFC 9542, appendix B) and protocol numbers (RFC 790 and its successors).
pub(crate) const IPV4: u16 = 0x0800;
pub(crate) const ARP: u16 = 0x0806;
pub(crate) const IPV6: u16 = 0x86dd;
pub(crate) const ICMP: u8 = 1;
pub(crate) const TCP: u8 = 6;
pub(crate) const UDP: u8 = 17;
pub(crate) const ICMPV6: u8 = 58;

/// A frame that was seen on the wire.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Frame<'a> {
    pub(crate) to: Mac,
    pub(crate) from: Mac,
    pub(crate) kind: u16,
    pub(crate) payload: &'a [u8],
}

impl<'a> Frame<'a> {
    pub(crate) fn read(bytes: &'a [u8]) -> Option<Self> {
        let (to, rest) = bytes.split_first_chunk()?;
        let (from, rest) = rest.split_first_chunk()?;
        let (kind, payload) = rest.split_first_chunk()?;
        Some(Self { to: *to, from: *from, kind: u16::from_be_bytes(*kind), payload })
    }

    /// The IPv4 packet in it, if it holds a well-formed one (RFC 791, section 3.1).
    pub(crate) fn ipv4(&self) -> Option<Packet<'a, Ipv4Addr>> {
        let header = self.payload.get(..20).filter(|_| self.kind == IPV4)?;
        let length = usize::from(u16::from_be_bytes([header[2], header[3]]));
        let good = header[0] == 0x45 && checksum(&[header]) == 0;
        let payload = self.payload.get(20..length).filter(|_| good)?;
        Some(Packet {
            from: Ipv4Addr::from(*header[12..].first_chunk()?),
            to: Ipv4Addr::from(*header[16..].first_chunk()?),
            protocol: header[9],
            payload,
        })
    }

    /// The IPv6 packet in it, if it holds one without extensions (RFC 8200, section 3).
    pub(crate) fn ipv6(&self) -> Option<Packet<'a, Ipv6Addr>> {
        let header = self.payload.get(..40).filter(|_| self.kind == IPV6)?;
        let length = usize::from(u16::from_be_bytes([header[4], header[5]]));
        Some(Packet {
            from: Ipv6Addr::from(*header[8..].first_chunk()?),
            to: Ipv6Addr::from(*header[24..].first_chunk()?),
            protocol: header[6],
            payload: self.payload.get(40..40 + length)?,
        })
    }

    /// Who asks for whom, if it is an ARP request (RFC 826).
    pub(crate) fn arp_request(&self) -> Option<(Ipv4Addr, Ipv4Addr)> {
        let body = self.payload.get(..28).filter(|_| self.kind == ARP)?;
        let asks = body[..8] == [0, 1, 8, 0, 6, 4, 0, 1];
        let address = |at: usize| Some(Ipv4Addr::from(*body[at..].first_chunk()?));
        Some((address(14)?, address(24)?)).filter(|_| asks)
    }

    /// Who answers, if it is an ARP reply.
    pub(crate) fn arp_reply(&self) -> Option<(Mac, Ipv4Addr)> {
        let body = self.payload.get(..28).filter(|_| self.kind == ARP)?;
        let answers = body[..8] == [0, 1, 8, 0, 6, 4, 0, 2];
        Some((*body[8..].first_chunk()?, Ipv4Addr::from(*body[14..].first_chunk()?)))
            .filter(|_| answers)
    }
}

/// A packet that was seen in a frame.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Packet<'a, A> {
    pub(crate) from: A,
    pub(crate) to: A,
    pub(crate) protocol: u8,
    pub(crate) payload: &'a [u8],
}

impl<'a> Packet<'a, Ipv4Addr> {
    /// The ports and the payload of a datagram, if its checksum is right (RFC 768).
    pub(crate) fn udp(&self) -> Option<(u16, u16, &'a [u8])> {
        let header = self.payload.get(..8).filter(|_| self.protocol == UDP)?;
        let good = checksum(&[&pseudo(self.from, self.to, UDP, self.payload), self.payload]) == 0;
        let port = |at: usize| u16::from_be_bytes([header[at], header[at + 1]]);
        Some((port(0), port(2), &self.payload[8..])).filter(|_| good)
    }
}

/// The Internet checksum of what was cut into parts of even length (RFC 1071). Over what carries
/// its checksum it is 0.
pub(crate) fn checksum(parts: &[&[u8]]) -> u16 {
    let words = parts.iter().flat_map(|part| part.chunks(2));
    let mut sum: u32 =
        words.map(|word| u32::from(word[0]) << 8 | u32::from(*word.get(1).unwrap_or(&0))).sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !u16::try_from(sum).unwrap_or(0)
}

fn pseudo(from: Ipv4Addr, to: Ipv4Addr, protocol: u8, payload: &[u8]) -> Vec<u8> {
    [&from.octets()[..], &to.octets(), &[0, protocol], &length(payload).to_be_bytes()].concat()
}

fn length(payload: &[u8]) -> u16 {
    u16::try_from(payload.len()).unwrap_or(u16::MAX)
}

/// Puts the checksum of `payload`, with what comes `before` it, into its place in `payload`.
pub(crate) fn sealed(mut payload: Vec<u8>, before: &[u8], place: usize) -> Vec<u8> {
    let sum = checksum(&[before, &payload]);
    payload[place..place + 2].copy_from_slice(&sum.to_be_bytes());
    payload
}

pub(crate) fn ethernet(from: Mac, to: Mac, kind: u16, payload: &[u8]) -> Vec<u8> {
    [&to[..], &from, &kind.to_be_bytes(), payload].concat()
}

/// An ARP message: 1 asks, 2 answers.
pub(crate) fn arp(operation: u8, from: (Mac, Ipv4Addr), to: (Mac, Ipv4Addr)) -> Vec<u8> {
    let head = [0, 1, 8, 0, 6, 4, 0, operation];
    [&head[..], &from.0, &from.1.octets(), &to.0, &to.1.octets()].concat()
}

pub(crate) fn ipv4(from: Ipv4Addr, to: Ipv4Addr, protocol: u8, payload: &[u8]) -> Vec<u8> {
    let [high, low] = (20 + length(payload)).to_be_bytes();
    let head = [0x45, 0, high, low, 0, 0, 0x40, 0, 64, protocol, 0, 0];
    let header = [&head[..], &from.octets(), &to.octets()].concat();
    [sealed(header, &[], 10), payload.to_vec()].concat()
}

pub(crate) fn ipv6(from: Ipv6Addr, to: Ipv6Addr, protocol: u8, payload: &[u8]) -> Vec<u8> {
    let [high, low] = length(payload).to_be_bytes();
    let head = [0x60, 0, 0, 0, high, low, protocol, 255];
    [&head[..], &from.octets(), &to.octets(), payload].concat()
}

/// An IPv4 packet with a datagram.
pub(crate) fn udp(from: SocketAddrV4, to: SocketAddrV4, payload: &[u8]) -> Vec<u8> {
    let ports = [from.port().to_be_bytes(), to.port().to_be_bytes()].concat();
    let datagram = [&ports, &(8 + length(payload)).to_be_bytes()[..], &[0, 0], payload].concat();
    let before = pseudo(*from.ip(), *to.ip(), UDP, &datagram);
    ipv4(*from.ip(), *to.ip(), UDP, &sealed(datagram, &before, 6))
}

/// An IPv4 packet with a TCP segment (RFC 9293, section 3.1); `flags` as in the header.
pub(crate) fn tcp(
    from: SocketAddrV4,
    to: SocketAddrV4,
    (sequence, acknowledged): (u32, u32),
    flags: u8,
    payload: &[u8],
) -> Vec<u8> {
    let ports = [from.port().to_be_bytes(), to.port().to_be_bytes()].concat();
    let numbers = [sequence.to_be_bytes(), acknowledged.to_be_bytes()].concat();
    let rest = [5 << 4, flags, 0xff, 0xff, 0, 0, 0, 0];
    let segment = [&ports, &numbers, &rest[..], payload].concat();
    let before = pseudo(*from.ip(), *to.ip(), TCP, &segment);
    ipv4(*from.ip(), *to.ip(), TCP, &sealed(segment, &before, 16))
}

/// An IPv6 packet with an ICMPv6 message (RFC 4443, section 2.1): type, code, and what follows the
/// checksum.
pub(crate) fn icmpv6(from: Ipv6Addr, to: Ipv6Addr, kind: u8, body: &[u8]) -> Vec<u8> {
    let message = [&[kind, 0, 0, 0], body].concat();
    let size = u32::from(length(&message)).to_be_bytes();
    let before = [&from.octets()[..], &to.octets(), &size, &[0, 0, 0, ICMPV6]].concat();
    ipv6(from, to, ICMPV6, &sealed(message, &before, 2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let (here, there) = (Ipv4Addr::new(10, 0, 0, 1), Ipv4Addr::new(10, 0, 0, 2));
        let packet = udp(SocketAddrV4::new(here, 67), SocketAddrV4::new(there, 68), b"odd");
        let mut bytes = ethernet([1; 6], [2; 6], IPV4, &packet);
        let frame = Frame::read(&bytes).unwrap();
        assert_eq!((frame.from, frame.to), ([1; 6], [2; 6]));
        let packet = frame.ipv4().unwrap();
        assert_eq!((packet.from, packet.to), (here, there));
        assert_eq!(packet.udp(), Some((67, 68, &b"odd"[..])));
        *bytes.last_mut().unwrap() ^= 1;
        assert_eq!(Frame::read(&bytes).unwrap().ipv4().unwrap().udp(), None);
    }

    #[test]
    fn the_checksum_is_that_of_the_rfc() {
        // The example of RFC 1071, section 3.
        assert_eq!(checksum(&[&[0x00, 0x01, 0xf2, 0x03], &[0xf4, 0xf5, 0xf6, 0xf7]]), !0xddf2);
    }
}
