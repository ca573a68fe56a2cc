//! The server's side of DHCP (RFC 2131), a message at a time: each scenario is its own server.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use super::lan::{Lan, PATIENCE};
use super::packet::{self, BROADCAST, Frame, Mac};

// Message types (RFC 2132, section 9.6).
pub(crate) const DISCOVER: u8 = 1;
pub(crate) const OFFER: u8 = 2;
pub(crate) const REQUEST: u8 = 3;
pub(crate) const ACK: u8 = 5;
pub(crate) const NAK: u8 = 6;

/// Where options begin: behind 236 bytes of fields (section 2) and these four (section 3).
const COOKIE: [u8; 4] = [99, 130, 83, 99];
const FIELDS: usize = 236;

/// What a client said, and how it came.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Message {
    pub(crate) kind: u8,
    transaction: [u8; 4],
    mac: Mac,
    /// The address that the client has, as it says (`ciaddr`).
    pub(crate) client: Ipv4Addr,
    /// The address that it asks for (option 50).
    pub(crate) requested: Option<Ipv4Addr>,
    /// The server that it means (option 54).
    pub(crate) server: Option<Ipv4Addr>,
    /// Whom the packet and the frame were sent to.
    pub(crate) to: (Ipv4Addr, Mac),
}

impl Message {
    /// The client's message in a frame, if it holds one.
    fn read(frame: &Frame<'_>) -> Option<Self> {
        let packet = frame.ipv4()?;
        let (_, 67, message) = packet.udp()? else { return None };
        let options = message.get(FIELDS..)?.strip_prefix(&COOKIE)?;
        let asks = message[..3] == [1, 1, 6];
        let address = |code| Some(Ipv4Addr::from(*option(options, code)?.first_chunk()?));
        Some(Self {
            kind: *option(options, 53)?.first().filter(|_| asks)?,
            transaction: *message[4..].first_chunk()?,
            mac: *message[28..].first_chunk()?,
            client: Ipv4Addr::from(*message[12..].first_chunk::<4>()?),
            requested: address(50),
            server: address(54),
            to: (packet.to, frame.to),
        })
    }
}

/// The value of the option with that code.
fn option(mut options: &[u8], wanted: u8) -> Option<&[u8]> {
    loop {
        match options {
            [0, rest @ ..] => options = rest,
            [255, ..] | [] | [_] => return None,
            [code, length, rest @ ..] => {
                let (value, rest) = rest.split_at_checked(usize::from(*length))?;
                if *code == wanted {
                    return Some(value);
                }
                options = rest;
            }
        }
    }
}

/// What a server gives.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lease {
    pub(crate) address: Ipv4Addr,
    /// How long it lasts.
    pub(crate) seconds: u32,
}

impl Lan<'_> {
    /// The client's next message within that time.
    pub(crate) fn client(&self, within: Duration) -> Result<Option<Message>> {
        self.hear(within, Message::read)
    }

    /// The client's next message, which must come.
    pub(crate) fn client_says_anything(&self) -> Result<Message> {
        self.client(PATIENCE)?.context("the client is silent")
    }

    /// The client's next message, which must be of that kind.
    pub(crate) fn client_says(&self, kind: u8) -> Result<Message> {
        let message = self.client_says_anything()?;
        ensure!(message.kind == kind, "expected message {kind}: {message:?}");
        Ok(message)
    }

    /// Answers the client (section 4.1): where it says that it has an address, there; else
    /// everybody hears it.
    pub(crate) fn answer(&self, message: &Message, kind: u8, lease: Lease) -> Result<()> {
        let given = if kind == NAK { Ipv4Addr::UNSPECIFIED } else { lease.address };
        let mut bytes = vec![2, 1, 6, 0];
        bytes.extend(message.transaction);
        bytes.extend([0; 4]); // seconds and flags
        bytes.extend(message.client.octets());
        bytes.extend(given.octets());
        bytes.extend([0; 8]); // the next server and the relay
        bytes.extend(message.mac);
        bytes.resize(FIELDS, 0);
        bytes.extend(COOKIE);
        bytes.extend([53, 1, kind, 54, 4]);
        bytes.extend(self.address.octets());
        if kind != NAK {
            bytes.extend([1, 4, 255, 255, 255, 0, 3, 4]);
            bytes.extend(self.address.octets());
            bytes.extend([51, 4]);
            bytes.extend(lease.seconds.to_be_bytes());
        }
        bytes.push(255);
        let direct = kind != NAK && !message.client.is_unspecified();
        let (to, mac) = match direct {
            true => (message.client, message.mac),
            false => (Ipv4Addr::BROADCAST, BROADCAST),
        };
        let (from, to) = (SocketAddrV4::new(self.address, 67), SocketAddrV4::new(to, 68));
        self.send(mac, packet::IPV4, &packet::udp(from, to, &bytes))
    }

    /// Gives the client that asks next a lease.
    pub(crate) fn give(&self, lease: Lease) -> Result<()> {
        let discover = self.client_says(DISCOVER)?;
        self.answer(&discover, OFFER, lease)?;
        let request = self.client_says(REQUEST)?;
        ensure!(request.requested == Some(lease.address), "another was asked for: {request:?}");
        ensure!(request.server == Some(self.address), "of another server: {request:?}");
        ensure!(request.client.is_unspecified(), "it has one already: {request:?}");
        self.answer(&request, ACK, lease)
    }
}
