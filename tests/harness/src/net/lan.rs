//! A machine at the other end of a guest's wire: it answers for its own address, asks for the
//! guest's, and speaks just enough ICMP and TCP to see whether the guest is well.

use std::cell::Cell;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddrV4};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};

use super::packet::{self, BROADCAST, Frame, Mac};
use crate::Wire;

/// How long an answer may take on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

// TCP's flags (RFC 9293, section 3.1).
const FIN: u8 = 1;
const SYN: u8 = 2;
const RST: u8 = 4;
const PSH: u8 = 8;
const ACK: u8 = 16;

/// The test's own machine on the wire.
#[derive(Debug)]
pub(crate) struct Lan<'g> {
    wire: &'g Wire,
    pub(crate) mac: Mac,
    pub(crate) address: Ipv4Addr,
    port: Cell<u16>,
}

impl<'g> Lan<'g> {
    pub(crate) fn new(wire: &'g Wire, address: Ipv4Addr) -> Self {
        Self { wire, mac: [2, 0, 0, 0, 0, 1], address, port: Cell::new(40_000) }
    }

    pub(crate) fn send(&self, to: Mac, kind: u16, payload: &[u8]) -> Result<()> {
        self.raw(&packet::ethernet(self.mac, to, kind, payload))
    }

    pub(crate) fn raw(&self, frame: &[u8]) -> Result<()> {
        self.wire.send(frame).context("the wire is cut")
    }

    /// Waits until `look` finds something in a frame. Whoever asks for this machine's hardware
    /// address meanwhile is answered.
    pub(crate) fn hear<T>(
        &self,
        within: Duration,
        mut look: impl FnMut(&Frame<'_>) -> Option<T>,
    ) -> Result<Option<T>> {
        let deadline = Instant::now() + within;
        while let Some(left) = deadline.checked_duration_since(Instant::now()) {
            let Some(bytes) = self.wire.receive(left.max(Duration::from_millis(1)))? else { break };
            let frame = Frame::read(&bytes).context("a frame without a header was sent")?;
            if let Some((who, whom)) = frame.arp_request()
                && whom == self.address
                && who != whom
            {
                let answer = packet::arp(2, (self.mac, self.address), (frame.from, who));
                self.send(frame.from, packet::ARP, &answer)?;
            }
            if let Some(found) = look(&frame) {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// Waits for a frame in which `look` finds something; it is an error if none comes.
    pub(crate) fn expect<T>(
        &self,
        what: &str,
        look: impl FnMut(&Frame<'_>) -> Option<T>,
    ) -> Result<T> {
        self.hear(PATIENCE, look)?.with_context(|| format!("no {what} came"))
    }

    /// Asks until it is answered which hardware address has `address`: a guest that has just got
    /// its address may not listen yet.
    pub(crate) fn find(&self, address: Ipv4Addr) -> Result<Mac> {
        let deadline = Instant::now() + PATIENCE;
        let question = packet::arp(1, (self.mac, self.address), ([0; 6], address));
        loop {
            self.send(BROADCAST, packet::ARP, &question)?;
            let answer = self.hear(Duration::from_millis(500), |frame| {
                frame.arp_reply().filter(|(_, who)| *who == address)
            })?;
            if let Some((mac, _)) = answer {
                return Ok(mac);
            }
            ensure!(Instant::now() < deadline, "nobody has the address {address}");
        }
    }

    /// Whether anybody answers for `address` within a while in which others are answered.
    pub(crate) fn is_there(&self, address: Ipv4Addr) -> Result<bool> {
        let question = packet::arp(1, (self.mac, self.address), ([0; 6], address));
        self.send(BROADCAST, packet::ARP, &question)?;
        let answer = self.hear(Duration::from_millis(500), |frame| {
            frame.arp_reply().filter(|(_, who)| *who == address)
        })?;
        Ok(answer.is_some())
    }

    /// Asks for an echo (RFC 792) from `from`; the answer must be the same bytes, and come back to
    /// this machine, which is the gateway for all others.
    pub(crate) fn ping(&self, mac: Mac, from: Ipv4Addr, to: Ipv4Addr, bytes: &[u8]) -> Result<()> {
        let question = [&[8, 0, 0, 0, 0x12, 0x34, 0, 7], bytes].concat();
        let question = packet::sealed(question, &[], 2);
        self.send(mac, packet::IPV4, &packet::ipv4(from, to, packet::ICMP, &question))?;
        let answer = [&[0, 0, 0, 0, 0x12, 0x34, 0, 7], bytes].concat();
        let answer = packet::sealed(answer, &[], 2);
        self.expect("answer to a ping", |frame| {
            let packet = frame.ipv4()?;
            let ours = (packet.from, packet.to, packet.protocol) == (to, from, packet::ICMP);
            (ours && frame.to == self.mac && packet.payload == answer).then_some(())
        })
    }

    /// Asks for an echo over IPv6, after asking who has the address (RFC 4861, section 7.2).
    pub(crate) fn ping6(&self, from: Ipv6Addr, to: Ipv6Addr, bytes: &[u8]) -> Result<Mac> {
        let [.., a, b, c] = to.octets();
        let everyone =
            Ipv6Addr::new(0xff02, 0, 0, 0, 0, 1, 0xff00 | u16::from(a), u16::from_be_bytes([b, c]));
        // Reserved, the target, and an option: the source's link-layer address.
        let question = [&[0; 4][..], &to.octets(), &[1, 1], &self.mac].concat();
        let question = packet::icmpv6(from, everyone, 135, &question);
        self.send([0x33, 0x33, 0xff, a, b, c], packet::IPV6, &question)?;
        let mac = self.expect("neighbour advertisement", |frame| {
            let packet = frame.ipv6()?;
            let told = packet.protocol == packet::ICMPV6 && packet.payload.first() == Some(&136);
            let option = packet.payload.get(24..32)?;
            let whole = packet.payload[8..24] == to.octets() && option[..2] == [2, 1];
            (told && whole).then(|| option[2..].first_chunk().copied()).flatten()
        })?;
        let body = [&[0x12, 0x34, 0, 9], bytes].concat();
        self.send(mac, packet::IPV6, &packet::icmpv6(from, to, 128, &body))?;
        let answer = packet::icmpv6(to, from, 129, &body);
        self.expect("answer to a ping over IPv6", |frame| {
            let packet = frame.ipv6().filter(|packet| packet.protocol == packet::ICMPV6)?;
            // The hop limit is the sender's own affair; the rest, checksum included, is not.
            (packet.from == to && packet.payload == &answer[40..]).then_some(mac)
        })
    }

    /// Connects by TCP, from a port that was not used before.
    pub(crate) fn connect(&self, mac: Mac, to: SocketAddrV4) -> Result<Connection<'_, 'g>> {
        self.port.set(self.port.get() + 1);
        let from = SocketAddrV4::new(self.address, self.port.get());
        let mut connection = Connection { lan: self, mac, from, to, next: 1_000, seen: 0 };
        connection.say(SYN, &[])?;
        connection.next += 1;
        let (number, flags, _) =
            connection.hear("answer to a SYN", |_, flags, _| flags & SYN != 0)?;
        ensure!(flags == SYN | ACK, "a SYN was answered with flags {flags:#x}");
        connection.seen = number.wrapping_add(1);
        connection.say(ACK, &[])?;
        Ok(connection)
    }
}

/// A connection to the guest: one segment each way at a time.
#[derive(Debug)]
pub(crate) struct Connection<'l, 'g> {
    lan: &'l Lan<'g>,
    mac: Mac,
    from: SocketAddrV4,
    to: SocketAddrV4,
    next: u32,
    seen: u32,
}

impl Connection<'_, '_> {
    /// Sends `bytes` and waits for them to come back.
    pub(crate) fn echo(&mut self, bytes: &[u8]) -> Result<()> {
        self.send(bytes)?;
        let seen = self.seen;
        let expected = |number, _, payload: &[u8]| number == seen && payload == bytes;
        let (.., length) = self.hear("echo", expected)?;
        self.seen = seen.wrapping_add(length);
        self.say(ACK, &[])
    }

    /// Sends a segment without waiting for anything.
    pub(crate) fn send(&mut self, bytes: &[u8]) -> Result<()> {
        self.say(PSH | ACK, bytes)?;
        self.next = self.next.wrapping_add(u32::try_from(bytes.len())?);
        Ok(())
    }

    /// Ends the connection the rude way.
    pub(crate) fn reset(self) -> Result<()> {
        self.say(RST | ACK, &[])
    }

    /// Ends the connection, and sees that the other side ends it too.
    pub(crate) fn close(mut self) -> Result<()> {
        self.say(FIN | ACK, &[])?;
        self.next = self.next.wrapping_add(1);
        let seen = self.seen;
        self.hear("end of a connection", |number, flags, _| number == seen && flags & FIN != 0)?;
        self.seen = self.seen.wrapping_add(1);
        self.say(ACK, &[])
    }

    fn say(&self, flags: u8, bytes: &[u8]) -> Result<()> {
        let segment = packet::tcp(self.from, self.to, (self.next, self.seen), flags, bytes);
        self.lan.send(self.mac, packet::IPV4, &segment)
    }

    /// Waits for a segment: its sequence number, its flags, and the length of its payload.
    fn hear(&self, what: &str, wanted: impl Fn(u32, u8, &[u8]) -> bool) -> Result<(u32, u8, u32)> {
        self.lan.expect(what, |frame| {
            let packet = frame.ipv4().filter(|packet| packet.protocol == packet::TCP)?;
            let segment = packet.payload.get(..20)?;
            let ports = [self.to.port().to_be_bytes(), self.from.port().to_be_bytes()].concat();
            let number = u32::from_be_bytes(*segment[4..].first_chunk()?);
            let payload = packet.payload.get(usize::from(segment[12] >> 4) * 4..)?;
            let ours = packet.from == *self.to.ip() && segment[..4] == ports;
            let length = u32::try_from(payload.len()).ok()?;
            (ours && wanted(number, segment[13], payload)).then_some((number, segment[13], length))
        })
    }
}
