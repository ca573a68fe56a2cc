//! TCP's initial sequence numbers, ports and the ids of queries cannot be guessed; and the sequence
//! numbers can be where the protection is left out, which shows that the attack is one.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod peer;
mod predictor;
mod raw;

use std::collections::HashSet;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use elone::Platform;
use elone::host::{Cable, Control, Machine};
use elone_gate::{Protection, Protections};
use peer::{MACHINE, PATIENCE, PEER, Peer, SETTING, boot, pattern};
use predictor::Predictor;
use raw::Raw;
use smoltcp::socket::udp;
use smoltcp::wire::{IpCidr, Ipv6Cidr, TcpControl, TcpRepr, TcpSeqNumber};

const KEYED: Protections = Protections::NONE.with(Protection::KeyedSequenceNumbers);

/// How many are to be predicted.
const MANY: usize = 10_000;

/// A machine that echoes on port 7.
fn echoing(setup: impl FnOnce(Machine) -> Machine + Send + 'static) -> (Cable, Control) {
    let (cable, plug) = Cable::new();
    let (control, _) = boot(SETTING, plug, |machine| {
        setup(machine).run(async |platform: Platform| {
            let net = platform.net().configured().await.unwrap();
            let listener = net.bind(7).await.unwrap();
            while let Ok((_, mut socket)) = listener.accept().await {
                let _ = elone::copy::back(&mut socket, &mut [0; 512]).await;
            }
        })
    });
    (cable, control)
}

fn attacked(protections: Protections) -> Raw {
    let (cable, _) = echoing(move |machine| machine.protections(protections));
    Raw { cable, address: PEER }
}

fn segment(from: u16, control: TcpControl, sequence: i32) -> TcpRepr<'static> {
    TcpRepr {
        src_port: from,
        dst_port: 7,
        control,
        seq_number: TcpSeqNumber(sequence),
        ack_number: None,
        window_len: 8000,
        window_scale: None,
        max_seg_size: None,
        sack_permitted: false,
        sack_ranges: [None; 3],
        timestamp: None,
        payload: &[],
    }
}

impl Raw {
    /// Opens a connection from a port, half, and forgets it. Returns its initial sequence number.
    fn sample(&self, from: u16) -> u32 {
        self.segment(MACHINE, &segment(from, TcpControl::Syn, 1000));
        let (answer, _) = self.answer_segment(PATIENCE).expect("no answer to a SYN");
        assert_eq!((answer.control, answer.dst_port), (TcpControl::Syn, from));
        self.segment(MACHINE, &segment(from, TcpControl::Rst, 1001));
        answer.seq_number.0.cast_unsigned()
    }

    /// Those of `count` connections from as many ports.
    fn samples(&self, count: usize) -> Vec<u32> {
        (1024..).take(count).map(|port| self.sample(port)).collect()
    }
}

#[test]
fn without_the_protection_ten_thousand_are_predicted() {
    let raw = attacked(Protections::NONE);
    let seen = raw.samples(MANY + 4);
    let mut found = Predictor::from_seen(&seen[..4]);
    assert_eq!(found.len(), 1);
    assert!(seen[4..].iter().all(|&number| found[0].next() == number));
}

#[test]
fn with_it_none_of_ten_thousand_is_predicted() {
    let raw = attacked(KEYED);
    let seen = raw.samples(MANY + 4);
    // What succeeded above finds nothing to go on, wherever it begins.
    for window in seen.windows(4).step_by(MANY / 25) {
        assert_eq!(Predictor::from_seen(window), []);
    }
    // The rules by which others could be guessed: the last step again, which hits twice by chance once
    // in 10^11; a number a little above the last, which hits 16 times by chance once in 10^20.
    let step = |pair: &[u32]| pair[1].wrapping_sub(pair[0]);
    let again = seen.windows(3).filter(|three| step(&three[..2]) == step(&three[1..])).count();
    assert!(again < 2, "{again} by the last step");
    let near = seen.windows(2).filter(|pair| step(pair) < 1 << 16).count();
    assert!(near < 16, "{near} by the clock");
    // Each bit is 1 as often as not, within 6 standard deviations: beyond them once in 10^7.
    for bit in 0..32 {
        let ones = seen[..MANY].iter().filter(|&number| number >> bit & 1 == 1).count();
        assert!(ones.abs_diff(MANY / 2) < 300, "bit {bit} was set {ones} times");
    }
}

/// The timer that sequence numbers grow with, after so many microseconds: it counts every 64
/// nanoseconds.
fn ticks(micros: u64) -> u64 {
    micros * 1000 / 64
}

/// Whether the numbers of connections between the same ends are one number plus the timer. What is
/// measured is an interval for each connection: no number is drawn before the one before it was asked
/// for, nor after it has arrived.
fn follow_the_clock(raw: &Raw, count: usize) -> bool {
    let now = || elone::time::Instant::now().as_micros();
    let mut from = now();
    let first = raw.sample(40_000).wrapping_sub(u32::try_from(ticks(from) % (1 << 32)).unwrap());
    let (mut least, mut most) = (i32::MIN, i32::MAX);
    for _ in 0..count {
        let asked = now();
        let number = raw.sample(40_000).wrapping_sub(first);
        // What is left without the timer is the same for all, so it is in all intervals. All is
        // modulo 2^32, as the timer goes around.
        let left = |at: u64| number.wrapping_sub(u32::try_from(ticks(at) % (1 << 32)).unwrap());
        least = least.max(left(now() + 1).cast_signed());
        most = most.min(left(from.saturating_sub(1)).cast_signed());
        if least > most {
            return false;
        }
        from = asked;
    }
    true
}

#[test]
fn those_of_one_pair_of_ends_follow_the_clock() {
    assert!(follow_the_clock(&attacked(KEYED), 1000));
    // The check can fail.
    assert!(!follow_the_clock(&attacked(Protections::NONE), 1000));
}

/// A machine that connects out again and again, and what it begins with: ports and numbers.
fn connections_out(protections: Protections, count: usize) -> Vec<(u16, u32)> {
    let (cable, plug) = Cable::new();
    let (_, machine) = boot(SETTING, plug, move |machine| {
        machine.protections(protections).run(async move |platform: Platform| {
            let net = platform.net().configured().await.unwrap();
            for _ in 0..count {
                let refused = net.connect(SocketAddr::new(PEER.into(), 80)).await;
                assert_eq!(refused.err(), Some(elone::Error::Refused));
            }
        })
    });
    let raw = Raw { cable, address: PEER };
    let begun = (0..count).map(|_| {
        let (syn, _) = raw.answer_segment(PATIENCE).expect("no SYN");
        assert_eq!((syn.control, syn.ack_number), (TcpControl::Syn, None));
        let reset = TcpRepr {
            src_port: 80,
            dst_port: syn.src_port,
            ack_number: Some(syn.seq_number + 1),
            ..segment(80, TcpControl::Rst, 0)
        };
        raw.segment(MACHINE, &reset);
        (syn.src_port, syn.seq_number.0.cast_unsigned())
    });
    let begun = begun.collect();
    assert_eq!(machine.join().unwrap(), 0);
    begun
}

#[test]
fn connections_out_begin_as_unpredictably() {
    let numbers = |begun: Vec<(u16, u32)>| begun.into_iter().map(|(_, number)| number);
    let plain: Vec<u32> = numbers(connections_out(Protections::NONE, 200)).collect();
    let mut found = Predictor::from_seen(&plain[..4]);
    assert_eq!(found.len(), 1);
    assert!(plain[4..].iter().all(|&number| found[0].next() == number));

    let begun = connections_out(KEYED, 200);
    assert!(begun.iter().all(|&(port, _)| port >= 49_152));
    // Of 200 ports out of 16,384 about one is drawn twice; 20 are once in 10^17.
    let ports: HashSet<u16> = begun.iter().map(|&(port, _)| port).collect();
    assert!(ports.len() > 180, "{} different ports", ports.len());
    let keyed: Vec<u32> = numbers(begun).collect();
    for window in keyed.windows(4).step_by(20) {
        assert_eq!(Predictor::from_seen(window), []);
    }
}

/// With segments looked at from the outside: the numbers of two connections between the same ends,
/// over IPv6.
#[test]
fn ipv6_begins_by_the_clock_too() {
    let start = Instant::now();
    let (cable, plug) = Cable::new();
    let (control, machine) = boot("ip=fd00::15/64", plug, |machine| {
        machine.run(async |platform: Platform| {
            let net = platform.net().configured().await.unwrap();
            let listener = net.bind(7).await.unwrap();
            platform.spawn(async move {
                loop {
                    let (_, mut socket) = listener.accept().await.unwrap();
                    let _ = elone::copy::back(&mut socket, &mut [0; 512]).await;
                }
            });
            platform.shutdown().await;
        })
    });
    let address = IpCidr::Ipv6(Ipv6Cidr::new("fd00::2".parse().unwrap(), 64));
    let mut peer = Peer::at(&cable, address);
    let to: IpAddr = "fd00::15".parse().unwrap();
    peer.device.heard = Some(Vec::new());
    for _ in 0..2 {
        let socket = peer.dial_to(50_000, to, 7);
        assert!(peer.is_connected(socket));
        peer.exchange(socket, &pattern(20_001));
        peer.abort(socket);
        peer.rest(Duration::from_millis(20));
    }
    let between = ticks(u64::try_from(start.elapsed().as_micros()).unwrap() + 1);
    // IPv6, TCP, SYN and ACK.
    let opens =
        |frame: &&Vec<u8>| frame[12..14] == [0x86, 0xdd] && frame[20] == 6 && frame[67] == 0x12;
    let heard = peer.device.heard.take().unwrap();
    let number = |frame: &Vec<u8>| u32::from_be_bytes(frame[58..62].try_into().unwrap());
    let numbers: Vec<u32> = heard.iter().filter(opens).map(number).collect();
    let grown = numbers.last().unwrap().wrapping_sub(numbers[0]);
    assert!(numbers.len() > 1 && u64::from(grown) <= between, "{grown} in {between} ticks");
    control.ask_to_end();
    assert_eq!(machine.join().unwrap(), 0);
}

#[test]
fn a_damaged_syn_begins_nothing() {
    let raw = attacked(KEYED);
    let before = raw.sample(40_000);
    let (near, plug) = Cable::new();
    Raw { cable: near, address: PEER }.segment(MACHINE, &segment(40_000, TcpControl::Syn, 5000));
    let mut frame = plug.frames().remove(0);
    let checksum = frame[50];
    frame[50] ^= 0x41;
    raw.cable.send(frame.clone());
    assert!(raw.packet(Duration::from_millis(200)).is_none());
    frame[50] = checksum;
    raw.cable.send(frame);
    let (answer, _) = raw.answer_segment(PATIENCE).expect("no answer to a SYN");
    assert_eq!(answer.ack_number, Some(TcpSeqNumber(5001)));
    assert_ne!(answer.seq_number.0.cast_unsigned(), before);
}

#[test]
fn queries_have_ids_and_ports_of_their_own() {
    const QUERIES: usize = 500;
    let (cable, plug) = Cable::new();
    let (_, machine) = boot(SETTING, plug, |machine| {
        machine.run(async |platform: Platform| {
            let net = platform.net().configured().await.unwrap();
            for _ in 0..QUERIES {
                assert_eq!(net.resolve("nobody.example").await, Err(elone::Error::NoSuchName));
            }
        })
    });
    let mut peer = Peer::new(&cable);
    let buffer = || udp::PacketBuffer::new(vec![udp::PacketMetadata::EMPTY; 8], vec![0; 4096]);
    let mut socket = udp::Socket::new(buffer(), buffer());
    socket.bind(53).unwrap();
    let handle = peer.sockets.add(socket);
    let (mut asked, mut ids, mut ports) = (HashSet::new(), HashSet::new(), HashSet::new());
    peer.until("the machine", |peer| {
        let socket = peer.sockets.get_mut::<udp::Socket<'_>>(handle);
        while let Ok((query, from)) = socket.recv() {
            let mut answer = query.to_vec();
            let id = u16::from_be_bytes([query[0], query[1]]);
            asked.insert((id, from.endpoint.port));
            ids.insert(id);
            ports.insert(from.endpoint.port);
            (answer[2], answer[3]) = (0x81, 0x83); // no such name
            socket.send_slice(&answer, from.endpoint).unwrap();
        }
        machine.is_finished().then_some(())
    });
    assert_eq!(machine.join().unwrap(), 0);
    // Each name is asked for twice, over A and AAAA. Of 1,000 out of 65,536 about 8 are seen twice;
    // 60 are once in 10^30.
    assert!(asked.len() >= 2 * QUERIES - 1, "{} different ones", asked.len());
    assert!(ids.len() > 2 * QUERIES - 60 && ports.len() > 2 * QUERIES - 60);
    assert!(ports.iter().all(|&port| port > 1024));
}

#[test]
fn without_entropy_it_works_and_says_what_that_means() {
    let (cable, control) = echoing(Machine::without_entropy);
    let mut peer = Peer::new(&cable);
    let socket = peer.connect(7);
    peer.exchange(socket, &pattern(20_000));
    peer.close(socket);
    assert!(control.output().contains("no entropy: "), "{}", control.output());
    // Ports and sequence numbers still differ.
    let raw = Raw { cable, address: PEER };
    let numbers: HashSet<u32> = raw.samples(100).into_iter().collect();
    assert!(numbers.len() > 98);
}
