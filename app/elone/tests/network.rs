//! The network of an application, against a peer on a cable: what holds beside the echo.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod peer;
mod raw;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use edge_nal::{UdpReceive, UdpSend};
use elone::host::Cable;
use elone::net::Static;
use elone::time::{Timer, with_timeout};
use elone::{Error, Platform};
use embedded_io_async::{Read, Write};
use peer::{MACHINE, PEER, Peer, SETTING, boot, pattern};
use raw::Raw;
use smoltcp::iface::SocketHandle;
use smoltcp::phy::ChecksumCapabilities;
use smoltcp::socket::udp;
use smoltcp::wire::{Icmpv4Packet, Icmpv4Repr, IpCidr, Ipv4Packet, Ipv6Cidr};

/// Serves one port by sending back what arrives, until the machine is asked to end.
async fn echo_until_asked(platform: Platform) -> Result<(), Error> {
    let net = platform.net().configured().await?;
    let listener = net.bind(7).await?;
    platform.spawn(async move {
        loop {
            let (_, mut socket) = listener.accept().await.unwrap();
            let _ = elone::copy::back(&mut socket, &mut [0; 4096]).await;
        }
    });
    platform.shutdown().await;
    Ok(())
}

#[test]
fn an_idle_machine_sleeps_without_a_deadline() {
    let (cable, plug) = Cable::new();
    let (control, machine) = boot(SETTING, plug, |machine| machine.run(echo_until_asked));
    let mut peer = Peer::new(&cable);
    let socket = peer.connect(7);
    peer.exchange(socket, &pattern(100_000));
    // Until the last acknowledgement has stopped the last timer.
    peer.rest(Duration::from_millis(100));
    let before = control.sleeps();
    std::thread::sleep(Duration::from_secs(1));
    assert_eq!(control.sleeps(), before, "woken while idle");
    control.ask_to_end();
    assert_eq!(machine.join().unwrap(), 0);
}

/// Peers are refused, and tasks that wait told; a connection that was accepted goes on, and the port
/// is free for another listener, which the first one's end leaves alone.
#[test]
fn a_listener_that_closes_takes_nobody_and_leaves_nobody() {
    let (cable, plug) = Cable::new();
    let (say, said) = mpsc::channel();
    let (control, machine) = boot(SETTING, plug, move |machine| {
        machine.run(async move |platform: Platform| {
            let net = platform.net().configured().await?;
            let listener: &elone::net::Listener = elone::forever(net.bind(7).await?);
            let (_, mut socket) = listener.accept().await?;
            let waiting = say.clone();
            platform.spawn(async move {
                let told = listener.accept().await.map(drop);
                waiting.send(told).unwrap();
            });
            Timer::after(elone::time::Duration::from_millis(20)).await;
            listener.close();
            assert_eq!(listener.accept().await.map(drop), Err(Error::Closed));
            say.send(Ok(())).unwrap();
            elone::copy::back(&mut socket, &mut [0; 4096]).await?;
            drop(socket);
            let again = net.bind(7).await?;
            listener.close();
            let (_, mut socket) = again.accept().await?;
            elone::copy::back(&mut socket, &mut [0; 4096]).await?;
            drop(socket);
            platform.shutdown().await;
            Ok::<_, Error>(())
        })
    });
    let mut peer = Peer::new(&cable);
    let socket = peer.connect(7);
    let told = [said.recv().unwrap(), said.recv().unwrap()];
    assert!(told.contains(&Err(Error::Closed)) && told.contains(&Ok(())), "{told:?}");
    let refused = peer.dial_to(50_001, MACHINE.into(), 7);
    assert!(!peer.is_connected(refused));
    peer.exchange(socket, &pattern(20_000));
    peer.close(socket);
    let socket = peer.connect(7);
    peer.exchange(socket, &pattern(20_000));
    peer.close(socket);
    control.ask_to_end();
    assert_eq!(machine.join().unwrap(), 0);
}

#[test]
fn ipv6_works_as_ipv4_does() {
    let (cable, plug) = Cable::new();
    let (control, machine) = boot("ip=fd00::15/64", plug, |machine| machine.run(echo_until_asked));
    let address = IpCidr::Ipv6(Ipv6Cidr::new("fd00::2".parse().unwrap(), 64));
    let mut peer = Peer::at(&cable, address);
    for to in ["fd00::15", "fe80::ff:fe00:1"] {
        let to: IpAddr = to.parse().unwrap();
        if to.to_string().starts_with("fe80") {
            let local = IpCidr::Ipv6(Ipv6Cidr::new("fe80::2".parse().unwrap(), 64));
            peer.interface.update_ip_addrs(|list| list.push(local).unwrap());
        }
        let socket = peer.dial_to(50_000, to, 7);
        assert!(peer.is_connected(socket));
        peer.exchange(socket, &pattern(20_000));
        peer.close(socket);
    }
    control.ask_to_end();
    assert_eq!(machine.join().unwrap(), 0);
}

#[test]
fn beyond_its_limit_it_refuses_and_recovers() {
    let (cable, plug) = Cable::new();
    let (accept, accepted) = mpsc::channel();
    let (control, machine) = boot(SETTING, plug, move |machine| {
        machine.run(async move |platform: Platform| {
            let net = platform.net().connections(4).configured().await.unwrap();
            let listener = net.bind(7).await.unwrap();
            platform.shutdown().await;
            for _ in 0..4 {
                // Dropped at once, which closes it.
                let _ = listener.accept().await.unwrap();
            }
            // A fifth got in once there was room.
            let (_, mut socket) = listener.accept().await.unwrap();
            socket.write_all(b"welcome").await.unwrap();
            socket.close().await.unwrap();
            accept.send(net.connections()).unwrap();
        })
    });
    let mut peer = Peer::new(&cable);
    let first: Vec<_> = (0..4).map(|_| peer.connect(7)).collect();
    for _ in 0..100 {
        let late = peer.dial(7);
        assert!(!peer.is_connected(late), "a fifth got in");
        peer.sockets.remove(late);
    }
    control.ask_to_end();
    first.into_iter().for_each(|socket| peer.close(socket));
    let fifth = peer.connect(7);
    peer.until("the welcome", |peer| (peer.tcp(fifth).recv_queue() == 7).then_some(()));
    // The machine ends once its own close is acknowledged; nobody answers this side's then.
    peer.until("its end", |_| machine.is_finished().then_some(()));
    assert_eq!(machine.join().unwrap(), 0);
    let count = accepted.recv().unwrap();
    assert_eq!((count.accepted, count.refused), (5, 100));
}

#[test]
fn it_connects_out_and_is_told_when_it_is_refused() {
    let (cable, plug) = Cable::new();
    let (_, machine) = boot(SETTING, plug, |machine| {
        machine.run(async |platform: Platform| {
            let net = platform.net().configured().await?;
            let refused = net.connect(SocketAddr::new(PEER.into(), 9)).await;
            assert_eq!(refused.err(), Some(Error::Refused));
            let mut socket = net.connect(SocketAddr::new(PEER.into(), 80)).await?;
            socket.write_all(b"hello").await?;
            let mut answer = [0; 5];
            socket.read_exact(&mut answer).await.map_err(|_| Error::Reset)?;
            assert_eq!(&answer, b"hello");
            socket.close().await
        })
    });
    let mut peer = Peer::new(&cable);
    let buffer = || smoltcp::socket::tcp::SocketBuffer::new(vec![0; 1024]);
    let mut socket = smoltcp::socket::tcp::Socket::new(buffer(), buffer());
    socket.listen(80).unwrap();
    let handle = peer.sockets.add(socket);
    peer.until("the echo", |peer| {
        let socket = peer.tcp(handle);
        let mut bytes = [0; 64];
        let length = if socket.can_recv() { socket.recv_slice(&mut bytes).unwrap() } else { 0 };
        (length > 0).then(|| socket.send_slice(&bytes[..length]).unwrap())
    });
    peer.until("the end", |_| machine.is_finished().then_some(()));
    assert_eq!(machine.join().unwrap(), 0);
}

#[test]
fn datagrams_come_and_go() {
    let (cable, plug) = Cable::new();
    let (_, machine) = boot(SETTING, plug, |machine| {
        machine.run(async |platform: Platform| {
            let net = platform.net().configured().await?;
            let local = SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), 5000);
            let mut socket = net.bind_udp(local).await?;
            assert_eq!(net.bind_udp(local).await.err(), Some(Error::PortInUse));
            let too_large = socket.send(SocketAddr::new(PEER.into(), 1), &[0; 1500]).await;
            assert_eq!(too_large, Err(Error::TooLarge));
            let mut bytes = [0; 100];
            for _ in 0..50 {
                let (length, from) = socket.receive(&mut bytes).await?;
                socket.send(from, &bytes[..length]).await?;
            }
            // Out before `main` returns.
            Timer::after_millis(1).await;
            Ok::<_, Error>(())
        })
    });
    let mut peer = Peer::new(&cable);
    let handle = peer.sockets.add(udp_socket(6000));
    for number in 0..50 {
        send_and_expect(&mut peer, handle, number);
    }
    assert_eq!(machine.join().unwrap(), 0);

    fn send_and_expect(peer: &mut Peer, handle: SocketHandle, number: u8) {
        let socket = peer.sockets.get_mut::<udp::Socket<'_>>(handle);
        socket.send_slice(&[number; 30], (MACHINE, 5000)).unwrap();
        let mut resend = Instant::now() + Duration::from_millis(200);
        peer.until("a datagram", |peer| {
            let socket = peer.sockets.get_mut::<udp::Socket<'_>>(handle);
            if let Ok((bytes, _)) = socket.recv() {
                return (bytes == [number; 30]).then_some(());
            }
            // The first may be lost while the machine is not up yet.
            if Instant::now() > resend && number == 0 {
                resend = Instant::now() + Duration::from_millis(200);
                socket.send_slice(&[number; 30], (MACHINE, 5000)).unwrap();
            }
            None
        });
    }
}

fn udp_socket(port: u16) -> udp::Socket<'static> {
    let buffer = || udp::PacketBuffer::new(vec![udp::PacketMetadata::EMPTY; 16], vec![0; 16_384]);
    let mut socket = udp::Socket::new(buffer(), buffer());
    socket.bind(port).unwrap();
    socket
}

#[test]
fn names_are_resolved() {
    let (cable, plug) = Cable::new();
    let (_, machine) = boot(SETTING, plug, |machine| {
        machine.run(async |platform: Platform| {
            let net = platform.net().configured().await?;
            assert_eq!(net.resolve("192.0.2.7").await?, IpAddr::from([192, 0, 2, 7]));
            assert_eq!(net.resolve("edge.example").await?, IpAddr::from([192, 0, 2, 1]));
            assert_eq!(net.resolve("nobody.example").await, Err(Error::NoSuchName));
            assert_eq!(net.resolve("..").await, Err(Error::NoSuchName));
            // One that is dropped early leaves its place to others.
            for _ in 0..20 {
                let silent = net.resolve("silent.example");
                let result = with_timeout(elone::time::Duration::from_millis(2), silent).await;
                assert!(result.is_err());
            }
            Ok::<_, Error>(())
        })
    });
    let mut peer = Peer::new(&cable);
    let handle = peer.sockets.add(udp_socket(53));
    peer.until("the machine", |peer| {
        let socket = peer.sockets.get_mut::<udp::Socket<'_>>(handle);
        while let Ok((query, from)) = socket.recv() {
            let mut answer = query.to_vec();
            let has = |name: &[u8]| answer.windows(name.len()).any(|part| part == name);
            if has(b"silent") {
                continue;
            }
            if has(b"nobody") {
                (answer[2], answer[3]) = (0x81, 0x83); // no such name
            } else {
                (answer[2], answer[3], answer[7]) = (0x81, 0x80, 1);
                answer.extend([0xc0, 0x0c, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, 1]);
            }
            socket.send_slice(&answer, from.endpoint).unwrap();
        }
        machine.is_finished().then_some(())
    });
    assert_eq!(machine.join().unwrap(), 0);
}

#[test]
fn a_bad_address_is_refused_and_none_is_there_without_a_device() {
    let (_cable, plug) = Cable::new();
    let (_, machine) = boot("", plug, |machine| {
        machine.run(async |platform: Platform| {
            let address = IpAddr::from([224, 0, 0, 1]);
            let wanted = Static { address, prefix: 24, gateway: None, dns: None };
            let refused = platform.net().configured_statically(wanted).await;
            assert_eq!(refused.err(), Some(Error::BadAddress));
            // The interface was not used up by that.
            let wanted = Static { address: IpAddr::from([10, 0, 2, 15]), ..wanted };
            assert!(platform.net().configured_statically(wanted).await.is_ok());
            let none = platform.net_at(1).configured_by_dhcp().await;
            assert_eq!(none.err(), Some(Error::NoInterface));
        })
    });
    assert_eq!(machine.join().unwrap(), 0);
}

#[test]
fn a_reader_learns_of_a_reset_and_a_writer_too() {
    let (cable, plug) = Cable::new();
    let (_, machine) = boot(SETTING, plug, |machine| {
        machine.run(async |platform: Platform| {
            let net = platform.net().configured().await.unwrap();
            let listener = net.bind(7).await.unwrap();
            let (_, mut socket) = listener.accept().await.unwrap();
            assert_eq!(socket.read(&mut [0; 8]).await, Err(Error::Reset));
            assert_eq!(socket.write(b"x").await, Err(Error::Reset));
        })
    });
    let mut peer = Peer::new(&cable);
    let socket = peer.connect(7);
    peer.rest(Duration::from_millis(10));
    peer.abort(socket);
    assert_eq!(machine.join().unwrap(), 0);
}

#[test]
fn a_ping_is_answered_with_what_it_carried() {
    let (cable, plug) = Cable::new();
    let (control, machine) = boot(SETTING, plug, |machine| machine.run(echo_until_asked));
    let raw = Raw { cable, address: PEER };
    let carried = pattern(1000);
    let end = Instant::now() + Duration::from_secs(10);
    for number in 0.. {
        raw.ping(MACHINE, number, &carried);
        let Some(packet) = raw.packet(Duration::from_millis(100)) else {
            // Not up yet.
            assert!(Instant::now() < end, "no answer");
            continue;
        };
        let packet = Ipv4Packet::new_checked(&packet[..]).unwrap();
        let answer = Icmpv4Packet::new_checked(packet.payload()).unwrap();
        let answer = Icmpv4Repr::parse(&answer, &ChecksumCapabilities::default()).unwrap();
        let Icmpv4Repr::EchoReply { ident, data, .. } = answer else { panic!("{answer:?}") };
        assert_eq!((ident, data), (7, &carried[..]));
        break;
    }
    control.ask_to_end();
    assert_eq!(machine.join().unwrap(), 0);
}
