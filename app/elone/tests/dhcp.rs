//! An application that gets its address by DHCP (RFC 2131), from a server that is made to misbehave.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod raw;

use std::net::{IpAddr, Ipv4Addr};
use std::sync::mpsc::{self, Receiver};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use elone::host::{Cable, Control, Machine};
use elone::time::Timer;
use elone::{Error, Platform};
use raw::Raw;
use smoltcp::wire::{DhcpMessageType, DhcpPacket, DhcpRepr, Ipv4Packet, UdpPacket};

const SERVER: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 2);
const FIRST: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 15);
const SECOND: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 16);
const PATIENCE: Duration = Duration::from_secs(30);

struct Lan {
    raw: Raw,
    /// Each address that the application saw, when it changed.
    addresses: Receiver<IpAddr>,
    control: Control,
    machine: JoinHandle<u8>,
}

/// What a client said.
#[derive(Debug)]
struct Message {
    kind: DhcpMessageType,
    transaction: u32,
    mac: smoltcp::wire::EthernetAddress,
}

fn boot() -> Lan {
    let (cable, plug) = Cable::new();
    let (tell, addresses) = mpsc::channel();
    let machine = Machine::new("ip=dhcp").net(plug);
    let control = machine.control();
    let machine = std::thread::spawn(move || {
        machine.run(async move |platform: Platform| {
            let net = platform.net().configured().await?;
            platform.spawn(async move {
                let mut known = None;
                loop {
                    if known != Some(net.address()) {
                        known = Some(net.address());
                        tell.send(net.address()).unwrap();
                    }
                    Timer::after_millis(5).await;
                }
            });
            platform.shutdown().await;
            Ok::<_, Error>(())
        })
    });
    Lan { raw: Raw { cable, address: SERVER }, addresses, control, machine }
}

impl Lan {
    /// The client's next message, within a while.
    fn hear(&self, within: Duration) -> Option<Message> {
        let end = Instant::now() + within;
        loop {
            let packet = self.raw.packet(end.saturating_duration_since(Instant::now()))?;
            let packet = Ipv4Packet::new_checked(&packet[..]).unwrap();
            let Ok(datagram) = UdpPacket::new_checked(packet.payload()) else { continue };
            if datagram.dst_port() != 67 {
                continue;
            }
            let message = DhcpPacket::new_checked(datagram.payload()).unwrap();
            let message = DhcpRepr::parse(&message).unwrap();
            return Some(Message {
                kind: message.message_type,
                transaction: message.transaction_id,
                mac: message.client_hardware_address,
            });
        }
    }

    fn expect(&self, kind: DhcpMessageType) -> Message {
        let message = self.hear(PATIENCE).expect("the client is silent");
        assert_eq!(message.kind, kind);
        message
    }

    fn say(&self, to: &Message, kind: DhcpMessageType, address: Ipv4Addr, lease: u32) {
        let is_refusal = kind == DhcpMessageType::Nak;
        let mut dns = heapless::Vec::new();
        dns.push(SERVER).unwrap();
        let repr = DhcpRepr {
            message_type: kind,
            transaction_id: to.transaction,
            secs: 0,
            client_hardware_address: to.mac,
            client_ip: Ipv4Addr::UNSPECIFIED,
            your_ip: if is_refusal { Ipv4Addr::UNSPECIFIED } else { address },
            server_ip: SERVER,
            router: (!is_refusal).then_some(SERVER),
            subnet_mask: (!is_refusal).then_some(Ipv4Addr::new(255, 255, 255, 0)),
            relay_agent_ip: Ipv4Addr::UNSPECIFIED,
            broadcast: true,
            requested_ip: None,
            client_identifier: None,
            server_identifier: Some(SERVER),
            parameter_request_list: None,
            dns_servers: (!is_refusal).then_some(dns),
            max_size: None,
            renew_duration: None,
            rebind_duration: None,
            lease_duration: (!is_refusal).then_some(lease),
            additional_options: &[],
        };
        let mut bytes = vec![0; repr.buffer_len()];
        repr.emit(&mut DhcpPacket::new_unchecked(&mut bytes[..])).unwrap();
        self.raw.broadcast((67, 68), &bytes);
    }

    fn lease(&self, address: Ipv4Addr, seconds: u32) {
        let question = self.expect(DhcpMessageType::Discover);
        self.say(&question, DhcpMessageType::Offer, address, seconds);
        let wish = self.expect(DhcpMessageType::Request);
        self.say(&wish, DhcpMessageType::Ack, address, seconds);
    }

    fn expect_address(&self, address: Ipv4Addr) {
        assert_eq!(self.addresses.recv_timeout(PATIENCE).unwrap(), IpAddr::V4(address));
    }

    fn end(self) -> String {
        self.control.ask_to_end();
        assert_eq!(self.machine.join().unwrap(), 0);
        self.control.output()
    }
}

#[test]
fn a_lease_is_taken_and_renewed() {
    let lan = boot();
    lan.lease(FIRST, 4);
    lan.expect_address(FIRST);
    let start = Instant::now();
    for _ in 0..2 {
        let renewal = lan.expect(DhcpMessageType::Request);
        lan.say(&renewal, DhcpMessageType::Ack, FIRST, 4);
    }
    // Renewed at half time, twice: not earlier, and (or the lease would have been lost) not too late.
    assert!(start.elapsed() >= Duration::from_millis(3000), "{:?}", start.elapsed());
    std::thread::sleep(Duration::from_millis(1500));
    assert!(lan.addresses.try_recv().is_err(), "the address changed");
    let log = lan.end();
    let line = "address 10.0.2.15/24 by DHCP, gateway 10.0.2.2";
    assert_eq!(log.matches(line).count(), 1, "{log}");
    assert!(!log.contains("lost"), "{log}");
}

#[test]
fn a_first_question_that_is_lost_is_asked_again() {
    let lan = boot();
    lan.expect(DhcpMessageType::Discover);
    lan.lease(FIRST, 60);
    lan.expect_address(FIRST);
    lan.end();
}

#[test]
fn a_refused_renewal_is_logged_and_another_address_taken() {
    let lan = boot();
    lan.lease(FIRST, 4);
    lan.expect_address(FIRST);
    let renewal = lan.expect(DhcpMessageType::Request);
    lan.say(&renewal, DhcpMessageType::Nak, FIRST, 0);
    lan.lease(SECOND, 60);
    assert!(lan.addresses.recv_timeout(PATIENCE).unwrap() != IpAddr::V4(FIRST));
    let log = lan.end();
    assert!(log.contains("address 10.0.2.15/24 lost"), "{log}");
    assert!(log.contains("address 10.0.2.16/24 by DHCP"), "{log}");
}

#[test]
fn a_server_that_goes_away_and_comes_back_is_survived() {
    let lan = boot();
    lan.lease(FIRST, 3);
    lan.expect_address(FIRST);
    lan.expect_address_lost();
    // Whatever is asked meanwhile stays unanswered, until it begins anew.
    lan.lease_eventually(SECOND);
    lan.expect_address(SECOND);
    let log = lan.end();
    assert!(log.contains("address 10.0.2.15/24 lost"), "{log}");
}

impl Lan {
    fn expect_address_lost(&self) {
        let end = Instant::now() + PATIENCE;
        loop {
            assert!(Instant::now() < end, "the address was never lost");
            if let Ok(address) = self.addresses.try_recv() {
                assert_ne!(address, IpAddr::V4(FIRST));
                // What is left is the address that needs no server.
                assert!(address.is_ipv6());
                return;
            }
            let _ = self.hear(Duration::from_millis(10));
        }
    }

    fn lease_eventually(&self, address: Ipv4Addr) {
        let end = Instant::now() + PATIENCE;
        loop {
            assert!(Instant::now() < end, "the client never asked again");
            let Some(message) = self.hear(Duration::from_millis(100)) else { continue };
            match message.kind {
                DhcpMessageType::Discover => {
                    self.say(&message, DhcpMessageType::Offer, address, 60);
                }
                DhcpMessageType::Request => {
                    self.say(&message, DhcpMessageType::Ack, address, 60);
                    return;
                }
                kind => panic!("{kind:?}"),
            }
        }
    }
}
