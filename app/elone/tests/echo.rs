//! The echo application, whole, against a peer on a cable.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod peer;

#[path = "../../echo/src/main.rs"]
#[allow(unused_attributes, reason = "its crate attributes stand in a module here")]
mod echo;

use elone::host::{Cable, Faults};
use peer::{Peer, SETTING, boot, pattern};

const PORT: u16 = 7;

fn echoing(faults: Faults) -> Peer {
    let (cable, plug) = Cable::with(faults);
    // Left to run: an echo server has no end.
    let _ = boot(SETTING, plug, |machine| machine.start(echo::__elone_application));
    Peer::new(&cable)
}

#[test]
fn ten_mebibytes_come_back_unchanged() {
    let mut peer = echoing(Faults::default());
    let socket = peer.connect(PORT);
    peer.exchange(socket, &pattern(10 << 20));
    peer.close(socket);
}

#[test]
fn many_clients_are_served_at_a_time() {
    let mut peer = echoing(Faults::default());
    // Eight are served at a time, the others wait for their turn.
    let sockets: Vec<_> = (0..40).map(|_| peer.connect(PORT)).collect();
    for (index, socket) in sockets.into_iter().enumerate() {
        peer.exchange(socket, &pattern(3000 + index));
        peer.close(socket);
    }
}

#[test]
fn a_reset_midway_does_not_end_it() {
    let mut peer = echoing(Faults::default());
    for _ in 0..100 {
        let socket = peer.connect(PORT);
        peer.tcp(socket).send_slice(&pattern(5000)).unwrap();
        peer.rest(std::time::Duration::from_micros(300));
        peer.abort(socket);
    }
    let socket = peer.connect(PORT);
    peer.exchange(socket, b"still there");
}

#[test]
fn frames_lost_doubled_and_out_of_order_change_nothing() {
    for seed in [1, 0xdead_beef, 0x1234_5678_9abc] {
        let mut peer = echoing(Faults { seed, lost: 10, doubled: 10, delayed: 20 });
        let socket = peer.connect(PORT);
        peer.exchange(socket, &pattern(200_000));
    }
}

#[test]
fn a_half_closed_client_gets_its_answer() {
    let mut peer = echoing(Faults::default());
    let socket = peer.connect(PORT);
    peer.tcp(socket).send_slice(b"last words").unwrap();
    peer.tcp(socket).close();
    let answer = peer.until("the answer", |peer| {
        let socket = peer.tcp(socket);
        let mut bytes = [0; 64];
        let length = if socket.can_recv() { socket.recv_slice(&mut bytes).unwrap() } else { 0 };
        (length > 0).then(|| bytes[..length].to_vec())
    });
    assert_eq!(answer, b"last words");
    peer.close(socket);
}
