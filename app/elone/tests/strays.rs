//! Segments of connections that the machine does not know are answered with a reset, the first one
//! already (RFC 9293, section 3.10.7.1): so a peer learns at once that it was started again.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod peer;
mod raw;

use std::net::Ipv4Addr;
use std::time::Duration;

use elone::Platform;
use elone::host::Cable;
use peer::{MACHINE, PATIENCE, PEER, Peer, SETTING, boot, pattern};
use raw::Raw;
use smoltcp::socket::tcp::State;
use smoltcp::wire::{TcpControl, TcpRepr, TcpSeqNumber};

/// Long enough for an answer that must not come.
const SILENCE: Duration = Duration::from_millis(200);

/// A machine that echoes on port 7 and has not exchanged a word with anybody.
fn fresh() -> Cable {
    let (cable, plug) = Cable::new();
    let _ = boot(SETTING, plug, |machine| {
        machine.run(async |platform: Platform| {
            let net = platform.net().configured().await.unwrap();
            let listener = net.bind(7).await.unwrap();
            while let Ok((_, mut socket)) = listener.accept().await {
                let _ = elone::copy::back(&mut socket, &mut [0; 512]).await;
            }
        })
    });
    cable
}

fn raw() -> Raw {
    Raw { cable: fresh(), address: PEER }
}

fn stray(control: TcpControl, acknowledges: Option<i32>, payload: &[u8]) -> TcpRepr<'_> {
    TcpRepr {
        src_port: 40_000,
        dst_port: 7,
        control,
        seq_number: TcpSeqNumber(i32::MAX),
        ack_number: acknowledges.map(TcpSeqNumber),
        window_len: 8000,
        window_scale: None,
        max_seg_size: None,
        sack_permitted: false,
        sack_ranges: [None; 3],
        timestamp: None,
        payload,
    }
}

/// What the reset must be to be believed: in the peer's window, so with the numbers that the segment
/// itself has given away.
#[test]
fn the_first_stray_is_reset_with_its_own_numbers() {
    for (control, acknowledges, payload, sequence, acknowledged) in [
        (TcpControl::None, Some(77), &b"GET /"[..], 77, None),
        (TcpControl::Psh, Some(-5), b"x", -5, None),
        (TcpControl::Fin, Some(77), b"", 77, None),
        (TcpControl::Syn, Some(77), b"", 77, None),
        (TcpControl::None, None, b"GET /", 0, Some(i32::MIN + 4)),
        (TcpControl::Fin, None, b"GET /", 0, Some(i32::MIN + 5)),
    ] {
        let raw = raw();
        raw.segment(MACHINE, &stray(control, acknowledges, payload));
        let answer = raw.answer_segment(PATIENCE);
        let (answer, length) = answer.unwrap_or_else(|| panic!("{control:?}: no answer"));
        assert_eq!((answer.control, length), (TcpControl::Rst, 0));
        assert_eq!((answer.src_port, answer.dst_port), (7, 40_000));
        assert_eq!(answer.seq_number, TcpSeqNumber(sequence), "{control:?} {acknowledges:?}");
        assert_eq!(answer.ack_number, acknowledged.map(TcpSeqNumber), "{control:?}");
        assert!(raw.answer_segment(SILENCE).is_none(), "{control:?}: a second answer");
    }
}

#[test]
fn a_port_that_nobody_listens_on_is_refused_at_once() {
    let raw = raw();
    raw.segment(MACHINE, &TcpRepr { dst_port: 9, ..stray(TcpControl::Syn, None, b"") });
    let (answer, _) = raw.answer_segment(PATIENCE).unwrap();
    assert_eq!((answer.control, answer.seq_number), (TcpControl::Rst, TcpSeqNumber(0)));
    assert_eq!(answer.ack_number, Some(TcpSeqNumber(i32::MIN)));
}

/// A reset that answers a reset would never end, and one for somebody else is not ours to send.
#[test]
fn what_must_not_be_answered_is_not() {
    let raw = raw();
    raw.segment(MACHINE, &stray(TcpControl::Rst, Some(77), b""));
    raw.segment(MACHINE, &stray(TcpControl::Rst, None, b""));
    for to in [Ipv4Addr::new(10, 0, 2, 16), Ipv4Addr::new(10, 0, 2, 255), Ipv4Addr::BROADCAST] {
        raw.segment(to, &stray(TcpControl::None, Some(77), b"x"));
    }
    for from in [Ipv4Addr::UNSPECIFIED, Ipv4Addr::BROADCAST, Ipv4Addr::new(224, 0, 0, 1), MACHINE] {
        let liar = Raw { cable: raw.cable.clone(), address: from };
        liar.segment(MACHINE, &stray(TcpControl::None, Some(77), b"x"));
    }
    assert!(raw.packet(SILENCE).is_none());
    // One that was damaged on the way, in each of its parts; then one that was not.
    for at in [0, 6, 22, 30, 40, 48, 54] {
        let (near, plug) = Cable::new();
        let maker = Raw { cable: near, address: PEER };
        maker.segment(MACHINE, &stray(TcpControl::None, Some(77), b"x"));
        let mut frame = plug.frames().remove(0);
        frame[at] ^= 0x41;
        raw.cable.send(frame);
    }
    assert!(raw.packet(SILENCE).is_none());
    raw.segment(MACHINE, &stray(TcpControl::None, Some(77), b"x"));
    assert_eq!(raw.answer_segment(PATIENCE).unwrap().0.control, TcpControl::Rst);
}

/// As its peer sees it: the connection was open, and the machine is another one.
#[test]
fn a_machine_started_anew_resets_what_it_has_forgotten() {
    let mut peer = Peer::new(&fresh());
    let (served, idle) = (peer.connect(7), peer.connect(7));
    peer.exchange(served, &pattern(3000));
    peer.device.cable = fresh();
    for forgotten in [served, idle] {
        peer.tcp(forgotten).send_slice(b"still there?").unwrap();
        peer.until("a reset", |peer| (peer.tcp(forgotten).state() == State::Closed).then_some(()));
    }
    let anew = peer.connect(7);
    peer.exchange(anew, &pattern(3000));
}
