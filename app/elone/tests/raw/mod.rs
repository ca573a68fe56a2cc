//! Frames made and read by hand, for what no decent protocol stack would say.
#![allow(dead_code, reason = "each test uses a part of it")]

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use elone::host::Cable;
use smoltcp::phy::ChecksumCapabilities;
use smoltcp::wire::{
    ArpOperation, ArpPacket, ArpRepr, EthernetAddress, EthernetFrame, EthernetProtocol,
    EthernetRepr, Icmpv4Packet, Icmpv4Repr, IpProtocol, Ipv4Packet, Ipv4Repr, TcpPacket, TcpRepr,
    UdpPacket, UdpRepr,
};

pub(crate) const MAC: EthernetAddress = EthernetAddress([2, 0, 0, 0, 1, 1]);
const MACHINE_MAC: EthernetAddress = EthernetAddress([2, 0, 0, 0, 0, 1]);

/// The other end of the cable, at `address`.
pub(crate) struct Raw {
    pub(crate) cable: Cable,
    pub(crate) address: Ipv4Addr,
}

impl Raw {
    /// The next IPv4 packet from the machine, within a while. Questions for `address` are answered.
    pub(crate) fn packet(&self, within: Duration) -> Option<Vec<u8>> {
        let end = Instant::now() + within;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            let bytes = self.cable.receive(left)?;
            let frame = EthernetFrame::new_checked(&bytes).unwrap();
            match frame.ethertype() {
                EthernetProtocol::Ipv4 => return Some(frame.payload().to_vec()),
                EthernetProtocol::Arp => self.answer(frame.payload()),
                _ => {}
            }
        }
    }

    fn answer(&self, question: &[u8]) {
        let question = ArpRepr::parse(&ArpPacket::new_checked(question).unwrap()).unwrap();
        let ArpRepr::EthernetIpv4 {
            operation: ArpOperation::Request,
            source_hardware_addr,
            source_protocol_addr,
            target_protocol_addr,
            ..
        } = question
        else {
            return;
        };
        if target_protocol_addr != self.address {
            return;
        }
        let answer = ArpRepr::EthernetIpv4 {
            operation: ArpOperation::Reply,
            source_hardware_addr: MAC,
            source_protocol_addr: self.address,
            target_hardware_addr: source_hardware_addr,
            target_protocol_addr: source_protocol_addr,
        };
        self.frame(source_hardware_addr, EthernetProtocol::Arp, answer.buffer_len(), |bytes| {
            answer.emit(&mut ArpPacket::new_unchecked(bytes));
        });
    }

    fn frame(
        &self,
        to: EthernetAddress,
        ethertype: EthernetProtocol,
        length: usize,
        write: impl FnOnce(&mut [u8]),
    ) {
        let mut bytes = vec![0; 14 + length];
        let header = EthernetRepr { src_addr: MAC, dst_addr: to, ethertype };
        header.emit(&mut EthernetFrame::new_unchecked(&mut bytes[..]));
        write(&mut bytes[14..]);
        self.cable.send(bytes);
    }

    fn ipv4(
        &self,
        to: (EthernetAddress, Ipv4Addr),
        next_header: IpProtocol,
        payload_len: usize,
        write: impl FnOnce(&mut [u8]),
    ) {
        let header = Ipv4Repr {
            src_addr: self.address,
            dst_addr: to.1,
            next_header,
            payload_len,
            hop_limit: 64,
        };
        self.frame(to.0, EthernetProtocol::Ipv4, 20 + payload_len, |bytes| {
            let mut packet = Ipv4Packet::new_unchecked(&mut *bytes);
            header.emit(&mut packet, &ChecksumCapabilities::default());
            write(&mut bytes[20..]);
        });
    }

    /// Sends a datagram to everybody.
    pub(crate) fn broadcast(&self, ports: (u16, u16), payload: &[u8]) {
        let to = Ipv4Addr::BROADCAST;
        let header = UdpRepr { src_port: ports.0, dst_port: ports.1 };
        let length = 8 + payload.len();
        self.ipv4((EthernetAddress::BROADCAST, to), IpProtocol::Udp, length, |bytes| {
            header.emit(
                &mut UdpPacket::new_unchecked(bytes),
                &self.address.into(),
                &to.into(),
                payload.len(),
                |part| part.copy_from_slice(payload),
                &ChecksumCapabilities::default(),
            );
        });
    }

    /// Asks the machine at `to` for an echo (RFC 792).
    pub(crate) fn ping(&self, to: Ipv4Addr, number: u16, data: &[u8]) {
        let question = Icmpv4Repr::EchoRequest { ident: 7, seq_no: number, data };
        self.ipv4((MACHINE_MAC, to), IpProtocol::Icmp, question.buffer_len(), |bytes| {
            let mut packet = Icmpv4Packet::new_unchecked(bytes);
            question.emit(&mut packet, &ChecksumCapabilities::default());
        });
    }

    /// Sends a segment to the machine at `to`.
    pub(crate) fn segment(&self, to: Ipv4Addr, segment: &TcpRepr<'_>) {
        self.ipv4((MACHINE_MAC, to), IpProtocol::Tcp, segment.buffer_len(), |bytes| {
            segment.emit(
                &mut TcpPacket::new_unchecked(bytes),
                &self.address.into(),
                &to.into(),
                &ChecksumCapabilities::default(),
            );
        });
    }

    /// The machine's next segment, within a while: its header, and how long its payload is.
    pub(crate) fn answer_segment(&self, within: Duration) -> Option<(TcpRepr<'static>, usize)> {
        let packet = self.packet(within)?;
        let packet = Ipv4Packet::new_checked(&packet[..]).unwrap();
        let (from, to) = (packet.src_addr().into(), packet.dst_addr().into());
        let segment = TcpPacket::new_checked(packet.payload()).unwrap();
        let checks = ChecksumCapabilities::default();
        let segment = TcpRepr::parse(&segment, &from, &to, &checks).unwrap();
        Some((TcpRepr { payload: &[], ..segment }, segment.payload.len()))
    }
}
