//! A peer that uses a port again soon, and one that forgot its connection (RFC 9293, section 3.6.1).
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod raw;

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use elone::Platform;
use elone::host::{Cable, Machine};
use raw::Raw;
use smoltcp::wire::{TcpControl, TcpRepr, TcpSeqNumber};

const MACHINE: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 15);
const SOON: Duration = Duration::from_millis(500);

/// A machine that closes every connection as soon as it is open, and a peer with one port.
fn boot() -> Raw {
    let (cable, plug) = Cable::new();
    std::thread::spawn(move || {
        Machine::new("ip=10.0.2.15/24").net(plug).run(async |platform: Platform| {
            let net = platform.net().configured().await.unwrap();
            let listener = net.bind(7).await.unwrap();
            while let Ok((_, socket)) = listener.accept().await {
                drop(socket);
            }
        })
    });
    let raw = Raw { cable, address: Ipv4Addr::new(10, 0, 2, 2) };
    raw.introduce();
    raw
}

impl Raw {
    /// Makes the machine ask for this end's hardware address, and waits until it is up.
    fn introduce(&self) {
        let end = Instant::now() + Duration::from_secs(10);
        loop {
            // A port that nobody listens on.
            self.segment(MACHINE, &segment(TcpControl::Syn, 1, None, 9));
            if let Some((answer, _)) = self.answer_segment(Duration::from_millis(50)) {
                assert_eq!(answer.control, TcpControl::Rst);
                break;
            }
            assert!(Instant::now() < end, "the machine is silent");
        }
        while self.answer_segment(Duration::from_millis(100)).is_some() {}
    }

    fn say(&self, control: TcpControl, sequence: i32, acknowledges: Option<TcpSeqNumber>) {
        self.segment(MACHINE, &segment(control, sequence, acknowledges, 7));
    }

    /// Opens a connection from `sequence` on and lets it be closed, up to TIME-WAIT; returns the
    /// machine's last sequence number.
    fn open_and_close(&self, sequence: i32) -> TcpSeqNumber {
        self.say(TcpControl::Syn, sequence, None);
        let (answer, _) = self.answer_segment(SOON).expect("no answer to a SYN");
        assert_eq!(answer.control, TcpControl::Syn, "{answer:?}");
        assert_eq!(answer.ack_number, Some(TcpSeqNumber(sequence) + 1));
        let next = answer.seq_number + 1;
        self.say(TcpControl::None, sequence.wrapping_add(1), Some(next));
        let (closing, _) = self.answer_segment(SOON).expect("no FIN");
        assert_eq!(closing.control, TcpControl::Fin);
        self.say(TcpControl::Fin, sequence.wrapping_add(1), Some(next + 1));
        let (last, _) = self.answer_segment(SOON).expect("the FIN was not acknowledged");
        assert_eq!(
            (last.control, last.ack_number),
            (TcpControl::None, Some(TcpSeqNumber(sequence) + 2))
        );
        next + 1
    }
}

fn segment(
    control: TcpControl,
    sequence: i32,
    acknowledges: Option<TcpSeqNumber>,
    port: u16,
) -> TcpRepr<'static> {
    TcpRepr {
        src_port: 40_000,
        dst_port: port,
        control,
        seq_number: TcpSeqNumber(sequence),
        ack_number: acknowledges,
        window_len: 8000,
        window_scale: None,
        max_seg_size: None,
        sack_permitted: false,
        sack_ranges: [None; 3],
        timestamp: None,
        payload: &[],
    }
}

#[test]
fn a_port_is_used_again_at_once_with_higher_sequence_numbers() {
    let raw = boot();
    // Across the sign, where a naive comparison goes wrong.
    for round in 0..50_i32 {
        raw.open_and_close(i32::MAX.wrapping_sub(40_000).wrapping_add(round.wrapping_mul(2000)));
    }
}

#[test]
fn an_old_segment_opens_nothing_in_time_wait() {
    let raw = boot();
    raw.open_and_close(1_000_000);
    raw.say(TcpControl::Syn, 5, None);
    if let Some((answer, _)) = raw.answer_segment(Duration::from_millis(200)) {
        assert_eq!(answer.control, TcpControl::None, "an old SYN opened a connection");
    }
    // The end that was lost and is sent again is acknowledged again, or not at all; never reset.
    raw.say(TcpControl::Fin, 1_000_001, Some(TcpSeqNumber(0)));
    if let Some((answer, _)) = raw.answer_segment(Duration::from_millis(200)) {
        assert_ne!(answer.control, TcpControl::Rst);
    }
    raw.open_and_close(2_000_000);
}

#[test]
fn a_peer_that_forgot_that_it_was_opening_may_begin_anew() {
    let raw = boot();
    raw.say(TcpControl::Syn, 100, None);
    let (answer, _) = raw.answer_segment(SOON).unwrap();
    assert_eq!(answer.control, TcpControl::Syn);
    raw.open_and_close(77_000);
}

#[test]
fn a_peer_that_lost_its_memory_gets_in_again() {
    let (cable, plug) = Cable::new();
    std::thread::spawn(move || {
        Machine::new("ip=10.0.2.15/24").net(plug).run(async |platform: Platform| {
            let net = platform.net().configured().await.unwrap();
            let listener = net.bind(7).await.unwrap();
            let mut all = Vec::new();
            while let Ok(one) = listener.accept().await {
                all.push(one);
            }
        })
    });
    let raw = Raw { cable, address: Ipv4Addr::new(10, 0, 2, 2) };
    raw.introduce();
    raw.say(TcpControl::Syn, 100, None);
    let (answer, _) = raw.answer_segment(SOON).unwrap();
    raw.say(TcpControl::None, 101, Some(answer.seq_number + 1));
    // It boots again, and knows nothing of that.
    raw.say(TcpControl::Syn, 5000, None);
    let (challenge, _) = raw.answer_segment(SOON).expect("no challenge");
    assert_eq!(
        (challenge.control, challenge.ack_number),
        (TcpControl::None, Some(TcpSeqNumber(101)))
    );
    raw.say(TcpControl::Rst, 101, None);
    raw.say(TcpControl::Syn, 5000, None);
    let (answer, _) = raw.answer_segment(SOON).expect("kept out");
    assert_eq!((answer.control, answer.ack_number), (TcpControl::Syn, Some(TcpSeqNumber(5001))));
}

#[test]
fn half_open_connections_do_not_keep_others_out() {
    let raw = boot();
    for port in 0..5000_u16 {
        let mut syn = segment(TcpControl::Syn, 1, None, 7);
        syn.src_port = 1000 + port;
        raw.segment(MACHINE, &syn);
        if port % 64 == 0 {
            while raw.answer_segment(Duration::from_millis(1)).is_some() {}
        }
    }
    while raw.answer_segment(Duration::from_millis(50)).is_some() {}
    raw.segment(MACHINE, &segment(TcpControl::Syn, 9, None, 7));
    let end = Instant::now() + SOON;
    let opened = loop {
        // Answers to the flood are sent again meanwhile.
        let (answer, _) = raw.answer_segment(SOON).expect("kept out");
        if answer.dst_port == 40_000 {
            break answer;
        }
        assert!(Instant::now() < end, "kept out");
    };
    assert_eq!(opened.control, TcpControl::Syn);
}
