//! Frames that are broken in every way leave the service unharmed.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod peer;
mod raw;

use std::net::Ipv4Addr;
use std::time::Duration;

use elone::Platform;
use elone::host::Cable;
use peer::{MACHINE, Peer, SETTING, boot, pattern};
use raw::Raw;
use smoltcp::wire::{TcpControl, TcpRepr, TcpSeqNumber};

/// Frames to break. A release sends millions.
const FRAMES: u32 = 30_000;

/// Frames that a decent peer would send: segments with options and data, a datagram, a question for
/// an address, over IPv4 and IPv6.
fn templates() -> Vec<Vec<u8>> {
    // The cable leads nowhere: what is sent is made, and then taken off it again.
    let (cable, plug) = Cable::new();
    let raw = Raw { cable, address: Ipv4Addr::new(10, 0, 2, 99) };
    for (control, payload) in [
        (TcpControl::Syn, &b""[..]),
        (TcpControl::None, b"some data"),
        (TcpControl::Fin, b"the last data"),
        (TcpControl::Rst, b""),
    ] {
        let is_first = control == TcpControl::Syn;
        raw.segment(
            MACHINE,
            &TcpRepr {
                src_port: 45_000,
                dst_port: 7,
                control,
                seq_number: TcpSeqNumber(1000),
                ack_number: (!is_first).then_some(TcpSeqNumber(1)),
                window_len: 500,
                window_scale: is_first.then_some(3),
                max_seg_size: is_first.then_some(1460),
                sack_permitted: is_first,
                sack_ranges: [None; 3],
                timestamp: None,
                payload,
            },
        );
    }
    raw.broadcast((67, 68), &[1; 300]);
    raw.broadcast((53, 5353), &pattern(1200));
    plug.frames()
}

#[test]
fn broken_frames_leave_it_unharmed() {
    let (cable, plug) = Cable::new();
    let (control, machine) = boot(SETTING, plug, |machine| {
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
    let templates = templates();
    assert_eq!(templates.len(), 6);
    let mut chance = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = |below: usize| {
        chance ^= chance << 13;
        chance ^= chance >> 7;
        chance ^= chance << 17;
        usize::try_from(chance >> 8).unwrap() % below
    };
    for number in 0..FRAMES {
        let mut frame = templates[next(templates.len())].clone();
        for _ in 0..=next(6) {
            // Headers, mostly; the rest is data.
            let at = next(frame.len().min(80));
            frame[at] = [0, 0xff, 0x80, u8::try_from(next(256)).unwrap()][next(4)];
        }
        if next(4) == 0 {
            frame.truncate(next(frame.len()));
        }
        if next(50) == 0 {
            frame.resize(next(4000), 0x5a);
        }
        cable.send(frame);
        if number % 200 == 0 {
            std::thread::sleep(Duration::from_millis(1));
            while cable.receive(Duration::ZERO).is_some() {}
        }
    }
    let mut peer = Peer::new(&cable);
    let socket = peer.connect(7);
    peer.exchange(socket, &pattern(50_000));
    peer.close(socket);
    control.ask_to_end();
    assert_eq!(machine.join().unwrap(), 0);
}
