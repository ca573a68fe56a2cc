//! A machine on the map of another virtual machine monitor, made by our own under KVM
//! (`boards/monitor`).

use std::net::{Ipv4Addr, TcpStream};

use anyhow::{Context as _, Result};

use super::{End, Findings, IMAGE, PORT, Plugged, SECTORS, Subject, examine};
use crate::Context;
use crate::client::PATIENCE as ANSWER;
use crate::scenarios::monitor::guest::{Guest, Order, Relay};

/// What is found on this map, on the host of the board `host`. On one without slots for devices
/// nothing is plugged in.
#[must_use]
pub fn on_a_map(context: &Context, host: &str, map: &str, has_slots: bool) -> Findings {
    let plugged = Plugged { disk: has_slots, network: has_slots, entropy: true };
    match start(context, host, map, has_slots) {
        Ok(subject) => examine(subject, plugged),
        Err(error) => Findings::of_none(&error),
    }
}

fn start(context: &Context, host: &str, map: &str, has_slots: bool) -> Result<There> {
    let order = Order::new(context, host, map, IMAGE)?;
    let (order, address) = if has_slots {
        let (order, address) = order.disk(SECTORS * 512)?.network()?;
        (order, Some(address))
    } else {
        (order, None)
    };
    Ok(There { guest: order.boot()?, address, relay: None })
}

struct There {
    guest: Guest,
    address: Option<Ipv4Addr>,
    relay: Option<Relay>,
}

impl Subject for There {
    fn wait_for(&self, text: &str) -> Result<String> {
        self.guest.wait_for(text)
    }

    fn type_in(&mut self, bytes: &[u8]) -> Result<()> {
        self.guest.type_in(bytes)
    }

    fn connect(&mut self) -> Result<TcpStream> {
        let (stream, relay) = self.guest.connect(self.address.context("no network")?, PORT)?;
        stream.set_read_timeout(Some(ANSWER))?;
        self.relay = Some(relay);
        Ok(stream)
    }

    fn end(self, plugged: Plugged) -> Result<End> {
        let ended = self.guest.ended()?;
        ended.expect_status(0)?;
        let disk = if plugged.disk { ended.disk()? } else { Vec::new() };
        Ok(End { disk, is_off: true })
    }
}
