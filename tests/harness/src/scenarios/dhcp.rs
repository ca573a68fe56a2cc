//! Addresses by DHCP (RFC 2131), from a server that the test plays, with leases of seconds.

use std::net::{Ipv4Addr, SocketAddrV4};

use anyhow::{Result, ensure};

use crate::net::dhcp::{ACK, DISCOVER, Lease, NAK, OFFER, REQUEST};
use crate::net::lan::{Lan, PATIENCE};
use crate::net::packet::BROADCAST;
use crate::scenario::scenarios;
use crate::{Context, Guest, Network, Scenario};

pub(super) const SCENARIOS: &[Scenario] = scenarios!["dhcp":
    Quick a_lease_is_taken_and_renewed,
    Quick a_refused_request_begins_again,
    Quick a_refused_renewal_begins_again,
    Quick a_lost_lease_is_told_and_had_again,
    Quick a_silent_network_is_waited_for,
];

const SERVER: Ipv4Addr = Ipv4Addr::new(10, 9, 8, 1);
const LEASE: Lease = Lease { address: Ipv4Addr::new(10, 9, 8, 7), seconds: 4 };
const OTHER: Lease = Lease { address: Ipv4Addr::new(10, 9, 8, 77), seconds: 3600 };

/// At half of the lease's time the guest asks its server, and nobody else, to renew it, again and
/// again (section 4.4.5); a connection does not notice.
fn a_lease_is_taken_and_renewed(context: &Context) -> Result<()> {
    let guest = boot(context)?;
    let lan = Lan::new(guest.wire()?, SERVER);
    lan.give(LEASE)?;
    let line = guest.wait_for("echoing on", PATIENCE)?;
    ensure!(line.contains("10.9.8.7:7"), "{line}");
    let mac = lan.find(LEASE.address)?;
    let mut connection = lan.connect(mac, SocketAddrV4::new(LEASE.address, 7))?;
    for round in 0..3 {
        let renewal = lan.client_says(REQUEST)?;
        ensure!(
            renewal.to == (SERVER, lan.mac),
            "renewal {round} is not the server's: {renewal:?}"
        );
        ensure!(renewal.client == LEASE.address, "of another address: {renewal:?}");
        // Table 5 in section 4.4.1: neither is sent in a renewal.
        let bare = renewal.requested.is_none() && renewal.server.is_none();
        ensure!(bare, "a renewal asks for an address and a server: {renewal:?}");
        lan.answer(&renewal, ACK, LEASE)?;
        connection.echo(b"still there?")?;
    }
    connection.close()?;
    ensure!(!guest.console().contains("lost"), "{}", guest.console());
    Ok(())
}

/// Refused before it had an address, the guest begins from the beginning (section 3.1, item 5).
fn a_refused_request_begins_again(context: &Context) -> Result<()> {
    let guest = boot(context)?;
    let lan = Lan::new(guest.wire()?, SERVER);
    let discover = lan.client_says(DISCOVER)?;
    lan.answer(&discover, OFFER, LEASE)?;
    let request = lan.client_says(REQUEST)?;
    lan.answer(&request, NAK, LEASE)?;
    lan.give(OTHER)?;
    guest.wait_for("echoing on 10.9.8.77:7", PATIENCE)?;
    works(&lan, OTHER)
}

/// Refused a renewal, the guest gives its address up at once, says so, and asks for another.
fn a_refused_renewal_begins_again(context: &Context) -> Result<()> {
    let guest = boot(context)?;
    let lan = Lan::new(guest.wire()?, SERVER);
    lan.give(LEASE)?;
    guest.wait_for("echoing on 10.9.8.7:7", PATIENCE)?;
    let renewal = lan.client_says(REQUEST)?;
    lan.answer(&renewal, NAK, LEASE)?;
    guest.wait_for("address 10.9.8.7/24 lost", PATIENCE)?;
    lan.give(OTHER)?;
    guest.wait_for("address 10.9.8.77/24 by DHCP", PATIENCE)?;
    works(&lan, OTHER)?;
    ensure!(!lan.is_there(LEASE.address)?, "the guest still answers for what it lost");
    Ok(())
}

/// A server that falls silent: the address is not used beyond its time, which is told; when the
/// server is back, so is the service.
fn a_lost_lease_is_told_and_had_again(context: &Context) -> Result<()> {
    let guest = boot(context)?;
    let lan = Lan::new(guest.wire()?, SERVER);
    lan.give(LEASE)?;
    guest.wait_for("echoing on 10.9.8.7:7", PATIENCE)?;
    works(&lan, LEASE)?;
    let first = lan.client_says(REQUEST)?;
    ensure!(first.to == (SERVER, lan.mac), "not the server's: {first:?}");
    // No answer: the guest asks as often as it likes, at last everybody (section 4.4.5).
    let mut last = first;
    let again = loop {
        let message = lan.client_says_anything()?;
        if message.kind == DISCOVER {
            break message;
        }
        last = message;
    };
    ensure!(last.to == (Ipv4Addr::BROADCAST, BROADCAST), "nobody else was asked: {last:?}");
    guest.wait_for("address 10.9.8.7/24 lost", PATIENCE)?;
    ensure!(!lan.is_there(LEASE.address)?, "an address is used beyond its time");
    ensure!(again.client.is_unspecified(), "it says it has an address: {again:?}");
    lan.give(LEASE)?;
    guest.wait_for("address 10.9.8.7/24 by DHCP", PATIENCE)?;
    works(&lan, LEASE)
}

/// Where no server answers the guest asks on, and takes what it is given when there is one.
fn a_silent_network_is_waited_for(context: &Context) -> Result<()> {
    let guest = boot(context)?;
    let lan = Lan::new(guest.wire()?, SERVER);
    let first = lan.client_says(DISCOVER)?;
    ensure!(first.to == (Ipv4Addr::BROADCAST, BROADCAST), "not for everybody: {first:?}");
    lan.client_says(DISCOVER)?;
    lan.give(OTHER)?;
    guest.wait_for("echoing on 10.9.8.77:7", PATIENCE)?;
    works(&lan, OTHER)
}

fn boot(context: &Context) -> Result<Guest> {
    context.machine("qemu-virt", "echo")?.network(Network::Wire).setting("ip=dhcp").boot()
}

/// The guest is there under that address, and serves.
fn works(lan: &Lan<'_>, lease: Lease) -> Result<()> {
    let mac = lan.find(lease.address)?;
    lan.ping(mac, SERVER, lease.address, b"hello")?;
    let mut connection = lan.connect(mac, SocketAddrV4::new(lease.address, 7))?;
    connection.echo(b"hello")?;
    connection.close()
}
