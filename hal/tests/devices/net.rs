//! The network interface.

use elone_hal::fake::honest;
use elone_hal::fake::virtio::Virtio;
use elone_hal::virtio::DeviceError;
use elone_hal::virtio::net::Net;

use crate::common::{
    EVENT_INDEX, LEGACY, MODERN, NET, Shared, open, open_serving, pool, read, variants, write,
};

const MAC: u64 = 1 << 5;
const MTU: u64 = 1 << 3;

/// Address 02:00:00:00:00:01, status, pairs, MTU 1400.
const CONFIG: [u8; 12] = [2, 0, 0, 0, 0, 1, 1, 0, 1, 0, 0x78, 0x05];

pub(crate) fn header(version: u32) -> usize {
    if version == LEGACY { 10 } else { 12 }
}

/// A network that sends everything back, with queues of `longest`.
pub(crate) fn echo((version, features): (u32, u64), longest: u32) -> (Shared, Net) {
    let device = Virtio::new(version, NET, features | MAC, &[longest, longest], &CONFIG);
    let (device, transport) = open_serving(device, honest::echo(header(version)));
    (device, Net::probe(transport, &mut pool()).expect("a network"))
}

/// A network that does nothing by itself.
pub(crate) fn silent(variant: (u32, u64), longest: u32) -> (Shared, Net) {
    let (device, net) = echo(variant, longest);
    device.lock().service = None;
    (device, net)
}

#[test]
fn frames_go_out_and_come_back_unchanged() {
    for variant in variants() {
        for longest in [256, 16] {
            let (_, mut net) = echo(variant, longest);
            for buffer in 0..4 {
                net.offer(buffer).expect("held");
            }
            for (buffer, length) in [(4, 14), (5, 60), (6, 1514), (7, 2048)] {
                write(net.area(), buffer, &vec![b'a' + (buffer & 0xff) as u8; usize::from(length)]);
                net.send(buffer, length).expect("held");
            }
            net.flush();
            let mut lengths = vec![];
            while let Some((buffer, length)) = net.received().expect("honest") {
                let bytes = read(net.area(), buffer, usize::from(length));
                assert!(bytes.iter().all(|byte| *byte == bytes[0]), "unchanged");
                assert!(net.is_held(buffer));
                lengths.push((bytes[0] - b'a', length));
            }
            assert_eq!(lengths, [(4, 14), (5, 60), (6, 1514), (7, 2048)], "{variant:?}");
            let sent = [net.sent(), net.sent(), net.sent(), net.sent(), net.sent()];
            assert_eq!(sent, [Ok(Some(4)), Ok(Some(5)), Ok(Some(6)), Ok(Some(7)), Ok(None)]);
        }
    }
}

#[test]
fn the_header_is_in_a_descriptor_of_its_own_outside_of_the_shared_buffers() {
    for (version, length) in [(LEGACY, 10), (MODERN, 12)] {
        let (device, mut net) = silent((version, 0), 256);
        let area = net.area().span(0, 0).expect("a buffer").address().0;
        let end = area + u64::from(net.area().count()) * u64::from(net.area().size());
        net.send(3, 100).expect("held");
        net.offer(5).expect("held");
        net.flush();
        let mut device = device.lock();
        let (sent, offered) = (device.pop(1).expect("sent"), device.pop(0).expect("offered"));
        assert_eq!((sent.readable[0].1, offered.writable[0].1), (length, length));
        assert_eq!((sent.readable[1], sent.readable.len()), ((area + 3 * 2048, 100), 2));
        assert_eq!((offered.writable[1], offered.writable.len()), ((area + 5 * 2048, 2048), 2));
        for at in [sent.readable[0].0, offered.writable[0].0] {
            assert!(at < area || at >= end);
        }
        assert_eq!(sent.read()[..length as usize], vec![0; length as usize]);
    }
}

#[test]
fn the_address_and_the_packet_size_are_the_devices_own() {
    let probe = |features, config: &[u8]| {
        let (device, transport) = open(Virtio::new(MODERN, NET, features, &[256, 256], config));
        let net = Net::probe(transport, &mut pool()).expect("a network");
        let accepted = device.lock().accepted & (MAC | MTU);
        (net.mac(), net.mtu(), accepted)
    };
    let mac = Some([2, 0, 0, 0, 0, 1]);
    assert_eq!(probe(MAC | MTU, &CONFIG), (mac, 1400, MAC | MTU));
    assert_eq!(probe(0, &CONFIG), (None, 1500, 0));
    let mut config = CONFIG;
    for [low, high] in [[67, 0], [0xf3, 0x07], [0xff, 0xff]] {
        config[10..].copy_from_slice(&[low, high]);
        assert_eq!(probe(MAC | MTU, &config), (mac, 1500, MAC), "no buffer holds that");
    }
}

#[test]
fn a_buffer_has_one_owner_at_a_time() {
    let (device, mut net) = silent((MODERN, EVENT_INDEX), 256);
    let beyond = net.area().count();
    for buffer in [beyond, u16::MAX] {
        assert_eq!(net.offer(buffer), Err(DeviceError::BadBuffer));
        assert_eq!(net.send(buffer, 64), Err(DeviceError::BadBuffer));
    }
    net.offer(0).expect("held");
    net.send(1, 64).expect("held");
    for buffer in [0, 1] {
        assert_eq!(net.offer(buffer), Err(DeviceError::BadBuffer));
        assert_eq!(net.send(buffer, 64), Err(DeviceError::BadBuffer));
    }
    net.flush();
    let chain = device.lock().pop(1).expect("sent");
    assert_eq!(net.send(1, 64), Err(DeviceError::BadBuffer), "the device may still read it");
    device.lock().push(1, chain.head, 0);
    assert_eq!(net.send(1, 64), Err(DeviceError::BadBuffer), "it was not yet taken back");
    assert_eq!(net.sent(), Ok(Some(1)));
    net.send(1, 64).expect("held again");
}

#[test]
fn a_length_that_is_no_frame_is_refused() {
    let (_, mut net) = silent((MODERN, 0), 256);
    for length in [0, 13, 2049, u16::MAX] {
        assert_eq!(net.send(0, length), Err(DeviceError::OutOfRange));
    }
    net.send(0, 14).expect("an empty frame");
}

#[test]
fn a_full_queue_refuses_frames_and_an_interrupt_says_when_it_is_not() {
    for variant in variants() {
        let (device, mut net) = silent(variant, 16);
        let depth = if variant.1 & crate::common::INDIRECT == 0 { 8 } else { 16 };
        for buffer in 0..depth {
            net.send(buffer, 64).expect("room");
        }
        assert_eq!(net.send(depth, 64), Err(DeviceError::Full));
        net.flush();
        assert!(!net.arm());
        let chains: Vec<_> = std::iter::from_fn(|| device.lock().pop(1)).collect();
        for chain in &chains {
            device.lock().push(1, chain.head, 0);
        }
        assert_eq!(device.lock().interrupt_status, 1);
        assert_eq!(net.sent(), Ok(Some(0)));
        net.send(depth, 64).expect("room again");
    }
}

#[test]
fn more_buffers_than_the_queue_holds_wait_for_their_turn() {
    let (device, mut net) = silent((MODERN, 0), 16);
    let count = net.area().count();
    assert_eq!(count, 32);
    for buffer in 0..count {
        net.offer(buffer).expect("held");
    }
    net.flush();
    for _ in 0..count {
        let chain = device.lock().pop(0).expect("refilled");
        device.lock().push(0, chain.head, 12 + 20);
        assert!(matches!(net.received(), Ok(Some((_, 20)))));
        net.flush();
    }
    assert!(device.lock().pop(0).is_none(), "all were used once");
}

#[test]
fn an_answered_request_costs_one_interrupt_and_one_notification() {
    let (device, mut net) = silent((MODERN, EVENT_INDEX), 256);
    for buffer in 0..64 {
        net.offer(buffer).expect("held");
    }
    net.flush();
    device.lock().notifications.clear();
    let requests = if cfg!(miri) { 10 } else { 100 };
    for _ in 0..requests {
        assert!(!net.arm());
        let request = device.lock().pop(0).expect("offered");
        device.lock().ring(0).stay_awake();
        device.lock().push(0, request.head, 12 + 60);
        while let Some((buffer, _)) = net.received().expect("honest") {
            net.offer(buffer).expect("held");
        }
        let free = (64..128).find(|&buffer| net.is_held(buffer)).expect("one is free");
        net.send(free, 100).expect("room");
        net.flush();
        let answer = device.lock().pop(1).expect("sent");
        device.lock().push(1, answer.head, 0);
        device.lock().ring(1).sleep();
        while net.sent().expect("honest").is_some() {}
    }
    assert_eq!(device.lock().notifications, vec![1; requests]);
    assert_eq!(device.look(|device| device.interrupts as usize), requests);
}

#[test]
fn an_application_short_of_buffers_is_told_when_frames_have_left() {
    let (device, mut net) = silent((MODERN, EVENT_INDEX), 256);
    for buffer in 0..64 {
        net.offer(buffer).expect("held");
    }
    for buffer in 64..127 {
        net.send(buffer, 64).expect("room");
    }
    net.flush();
    assert!(!net.arm(), "one buffer is left");
    for _ in 0..63 {
        let chain = device.lock().pop(1).expect("sent");
        device.lock().push(1, chain.head, 0);
    }
    assert_eq!(device.lock().interrupts, 1, "one, when half have left");
    assert!(net.arm(), "there is something to take back");
}

#[test]
fn a_length_on_a_sent_frame_means_nothing() {
    let (device, mut net) = silent((MODERN, 0), 256);
    net.send(9, 64).expect("held");
    net.flush();
    let chain = device.lock().pop(1).expect("sent");
    device.lock().push(1, chain.head, 76); // as kvmtool does
    assert_eq!(net.sent(), Ok(Some(9)));
}
