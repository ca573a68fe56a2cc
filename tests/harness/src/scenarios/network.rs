//! The network, with the echo application: over an emulated network from this machine's own TCP,
//! and on a wire whose other end the test plays by hand.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddrV4, TcpStream};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, ensure};

use crate::client::connect;
use crate::net::lan::{Lan, PATIENCE};
use crate::net::packet::{self, ARP, BROADCAST, IPV4, IPV6, Mac};
use crate::random::Random;
use crate::scenario::scenarios;
use crate::{Context, Forward, Guest, Network, Scenario};

pub(super) const SCENARIOS: &[Scenario] = scenarios!["network":
    Quick ten_mebibytes_come_back_unchanged,
    Quick ten_mebibytes_come_back_over_modern_virtio,
    Quick ten_mebibytes_come_back_on_gicv3,
    Quick many_clients_are_served_at_once,
    Quick a_client_that_resets_ends_nothing,
    Quick an_address_can_be_given,
    Quick pings_of_every_size_are_answered,
    Quick pings_over_ipv6_are_answered,
    Quick malformed_packets_end_nothing,
    Quick ten_thousand_random_frames_end_nothing,
];

/// The guest's port (RFC 862).
const PORT: u16 = 7;
/// On a wire: the test's machine, and the guest.
const TEST: Ipv4Addr = Ipv4Addr::new(192, 168, 7, 1);
const GUEST: Ipv4Addr = Ipv4Addr::new(192, 168, 7, 9);
const ECHO: SocketAddrV4 = SocketAddrV4::new(GUEST, PORT);
/// QEMU's hardware address for a machine's first interface, and what follows from it (RFC 4291,
/// appendix A).
const MAC: Mac = [0x52, 0x54, 0x00, 0x12, 0x34, 0x56];
const LINK_LOCAL: &str = "fe80::5054:ff:fe12:3456";

fn ten_mebibytes_come_back_unchanged(context: &Context) -> Result<()> {
    ten_mebibytes(context, "qemu-virt")
}

fn ten_mebibytes_come_back_over_modern_virtio(context: &Context) -> Result<()> {
    ten_mebibytes(context, "qemu-virt-modern")
}

fn ten_mebibytes_come_back_on_gicv3(context: &Context) -> Result<()> {
    ten_mebibytes(context, "qemu-virt-gicv3")
}

fn ten_mebibytes(context: &Context, board: &str) -> Result<()> {
    let mut guest = by_dhcp(context, board)?;
    echoes(connect(&mut guest, PORT)?, 10, 10 << 20)
}

/// More than the application serves at a time: some wait for their turn, all get it.
fn many_clients_are_served_at_once(context: &Context) -> Result<()> {
    let mut guest = by_dhcp(context, "qemu-virt")?;
    let clients: Vec<_> = (0..40).map(|_| connect(&mut guest, PORT)).collect::<Result<_>>()?;
    thread::scope(|scope| {
        let clients: Vec<_> = (0..)
            .zip(clients)
            .map(|(seed, client)| scope.spawn(move || echoes(client, seed, 64 << 10)))
            .collect();
        clients.into_iter().try_for_each(|client| {
            client.join().unwrap_or_else(|_| Err(anyhow!("a client panicked")))
        })
    })
}

/// One after the other, as many as would use up every place if one stayed taken.
fn a_client_that_resets_ends_nothing(context: &Context) -> Result<()> {
    let guest = on_a_wire(context)?;
    let lan = Lan::new(guest.wire()?, TEST);
    let mac = lan.find(GUEST)?;
    for client in 0..200 {
        let mut connection = lan.connect(mac, ECHO)?;
        if client % 2 == 0 {
            connection.echo(b"what is read")?;
        }
        connection.send(b"what is not")?;
        connection.reset()?;
    }
    is_well(&guest, &lan)
}

/// By a setting: nobody is asked, and other networks are reached through the gateway.
fn an_address_can_be_given(context: &Context) -> Result<()> {
    let guest = on_a_wire(context)?;
    let line = guest.wait_for("echoing on", PATIENCE)?;
    ensure!(line.contains("192.168.7.9:7"), "{line}");
    let lan = Lan::new(guest.wire()?, TEST);
    let asked = lan.client(Duration::from_secs(3))?;
    ensure!(asked.is_none(), "it asks by DHCP all the same: {asked:?}");
    let mac = lan.find(GUEST)?;
    ensure!(mac == MAC, "the address is at {mac:x?}");
    ensure!(!lan.is_there(Ipv4Addr::new(192, 168, 7, 8))?, "it takes another's address");
    lan.ping(mac, Ipv4Addr::new(203, 0, 113, 5), GUEST, b"from elsewhere")?;
    is_well(&guest, &lan)
}

fn pings_of_every_size_are_answered(context: &Context) -> Result<()> {
    let guest = on_a_wire(context)?;
    let lan = Lan::new(guest.wire()?, TEST);
    let mac = lan.find(GUEST)?;
    let bytes = Random::new(11).bytes(1472);
    for size in [0, 1, 17, 18, 19, 56, 511, 512, 1023, 1400, 1471, 1472] {
        lan.ping(mac, TEST, GUEST, &bytes[..size]).with_context(|| format!("{size} bytes"))?;
    }
    Ok(())
}

fn pings_over_ipv6_are_answered(context: &Context) -> Result<()> {
    let guest = on_a_wire(context)?;
    let lan = Lan::new(guest.wire()?, TEST);
    lan.find(GUEST)?;
    let bytes = Random::new(12).bytes(1400);
    for size in [0, 56, 1400] {
        let mac = lan.ping6("fe80::1".parse()?, LINK_LOCAL.parse()?, &bytes[..size])?;
        ensure!(mac == MAC, "the address is at {mac:x?}");
    }
    Ok(())
}

/// Each kind of packet that the guest knows, cut at every length, with every byte of its headers
/// changed in turn; and frames that are too short or too long to be any.
fn malformed_packets_end_nothing(context: &Context) -> Result<()> {
    let guest = on_a_wire(context)?;
    let lan = Lan::new(guest.wire()?, TEST);
    let mac = lan.find(GUEST)?;
    let from = |port| SocketAddrV4::new(TEST, port);
    let ping = packet::sealed(b"\x08\0\0\0\x12\x34\0\x07hello".to_vec(), &[], 2);
    let here = "fe80::1".parse()?;
    let packets = [
        (ARP, packet::arp(1, (lan.mac, TEST), ([0; 6], GUEST))),
        (IPV4, packet::ipv4(TEST, GUEST, packet::ICMP, &ping)),
        (IPV4, packet::udp(from(67), SocketAddrV4::new(GUEST, 68), &[2; 300])),
        (IPV4, packet::udp(from(53), SocketAddrV4::new(GUEST, 49_152), &[0xc0; 40])),
        (IPV4, packet::tcp(from(9), ECHO, (1, 0), 2, b"hello")),
        (IPV6, packet::icmpv6(here, LINK_LOCAL.parse()?, 128, &[1; 40])),
        (IPV6, packet::icmpv6(here, LINK_LOCAL.parse()?, 135, &[0xfe; 28])),
    ];
    for (kind, packet) in &packets {
        for length in 0..packet.len() {
            lan.send(mac, *kind, &packet[..length])?;
        }
        for place in 0..packet.len().min(64) {
            for change in [1, 0x80, 0xff] {
                let mut packet = packet.clone();
                packet[place] ^= change;
                lan.send(mac, *kind, &packet)?;
            }
        }
        // Whole, but larger than it says, up to more than any frame may be.
        for size in [1500, 1514, 2000, 2048, 4000, 9000, 60_000] {
            let mut packet = packet.clone();
            packet.resize(size, 0);
            lan.send(mac, *kind, &packet)?;
        }
    }
    // (Of no byte at all is no frame: the emulator takes it for the wire's end.)
    for length in 1..14 {
        lan.raw(&packet::ethernet(lan.mac, mac, IPV4, &[])[..length])?;
    }
    is_well(&guest, &lan)
}

fn ten_thousand_random_frames_end_nothing(context: &Context) -> Result<()> {
    let guest = on_a_wire(context)?;
    let lan = Lan::new(guest.wire()?, TEST);
    let mac = lan.find(GUEST)?;
    let mut random = Random::new(0x5eed);
    for round in 0..10_000 {
        let length = 20 + random.below(1500);
        let mut frame = random.bytes(length);
        // Three of four are for the guest, of a kind that it reads on in.
        if round % 4 != 0 {
            frame[..6].copy_from_slice(if round % 8 == 1 { &BROADCAST } else { &mac });
            let kind = [IPV4, IPV4, IPV6, ARP][random.below(4)];
            frame[12..14].copy_from_slice(&kind.to_be_bytes());
            frame[14] = if kind == IPV6 { 0x60 } else { 0x45 };
        }
        lan.raw(&frame)?;
    }
    is_well(&guest, &lan)
}

/// The echo application on a network with a DHCP server, its port forwarded.
fn by_dhcp(context: &Context, board: &str) -> Result<Guest> {
    let network = Network::User(vec![Forward::tcp(PORT)]);
    let guest = context.machine(board, "echo")?.network(network).boot()?;
    let line = guest.wait_for("echoing on", PATIENCE)?;
    ensure!(line.contains("10.0.2.15:7"), "another address than was given out: {line}");
    Ok(guest)
}

/// The echo application at an address that it was given, on a wire.
fn on_a_wire(context: &Context) -> Result<Guest> {
    let machine = context.machine("qemu-virt", "echo")?.network(Network::Wire);
    machine.setting("ip=192.168.7.9/24,192.168.7.1").boot()
}

/// Sends bytes that come twice nowhere, and reads them back as they come.
pub(super) fn echoes(mut stream: TcpStream, seed: u64, length: usize) -> Result<()> {
    let bytes = Random::new(seed).bytes(length);
    let (mut there, sent) = (stream.try_clone()?, bytes.clone());
    let sender = thread::spawn(move || {
        there.write_all(&sent)?;
        there.shutdown(Shutdown::Write)
    });
    let mut back = Vec::with_capacity(length);
    let read = stream.read_to_end(&mut back);
    read.with_context(|| format!("after {} of {length} bytes", back.len()))?;
    sender.join().map_err(|_| anyhow!("the sender panicked"))??;
    let differs = bytes.iter().zip(&back).position(|(one, other)| one != other);
    ensure!(differs.is_none(), "the echo differs at byte {differs:?}");
    ensure!(back.len() == length, "{} bytes of {length} came back", back.len());
    Ok(())
}

/// The guest answers, over ICMP and TCP, and has reported no fault.
fn is_well(guest: &Guest, lan: &Lan<'_>) -> Result<()> {
    let mac = lan.find(GUEST)?;
    lan.ping(mac, TEST, GUEST, b"are you well?").with_context(|| guest.console())?;
    let mut connection = lan.connect(mac, ECHO).with_context(|| guest.console())?;
    connection.echo(b"well,")?;
    connection.echo(b"it goes on")?;
    connection.close()?;
    let console = guest.console();
    ensure!(!console.contains("FAULT") && !console.contains("PANIC"), "{console}");
    Ok(())
}
