//! Devices taken over again, in place, as when an application dies and is started again.

use elone_hal::fake::honest;
use elone_hal::fake::virtio::Virtio;
use elone_hal::virtio::blk::{Blk, Operation};
use elone_hal::virtio::net::Net;
use elone_hal::virtio::{DeviceError, Fault};

use crate::common::{
    BLOCK, EVENT_INDEX, LEGACY, MODERN, NET, Shared, open_serving, pool, read, variants, write,
};
use crate::net::header;
use crate::{blk, net};

const DRIVER_OK: u32 = 4;

/// How often a device is restarted.
const OFTEN: u32 = if cfg!(miri) { 2 } else { 1_000 };

/// What the driver told the device: features, then size and place of each queue.
fn told(device: &Shared) -> (u64, Vec<(u32, u64, u64, u64)>) {
    let device = device.lock();
    let place = |queue: &elone_hal::fake::ring::Ring| {
        (queue.size, queue.descriptors, queue.available, queue.used)
    };
    (device.accepted, device.queues.iter().map(place).collect())
}

/// Whether every buffer is the application's.
pub(crate) fn all_held(net: &Net) -> bool {
    (0..net.area().count()).all(|buffer| net.is_held(buffer))
}

/// A frame goes out and comes back from an honest device.
fn exchange(net: &mut Net, fill: u8) {
    net.offer(0).expect("held");
    write(net.area(), 1, &[fill; 60]);
    net.send(1, 60).expect("held");
    net.flush();
    assert_eq!(net.received(), Ok(Some((0, 60))));
    assert_eq!(read(net.area(), 0, 60), [fill; 60]);
    assert_eq!((net.sent(), net.received(), net.sent()), (Ok(Some(1)), Ok(None), Ok(None)));
}

#[test]
fn a_network_restarted_amid_its_traffic_has_all_its_buffers_and_none_of_the_traffic() {
    let lengths: &[u32] = if cfg!(miri) { &[16] } else { &[16, 256] };
    for (variant, &longest) in variants().flat_map(|v| lengths.iter().map(move |l| (v, l))) {
        let (device, mut net) = net::silent(variant, longest);
        let before = told(&device);
        for buffer in 0..24 {
            net.offer(buffer).expect("held"); // more than the short queue has room for
        }
        for buffer in 24..28 {
            net.send(buffer, 64).expect("room");
        }
        net.flush();
        for queue in [0, 0, 1, 1] {
            let chain = device.lock().pop(queue).expect("published");
            device.lock().push(queue, chain.head, if queue == 0 { 12 + 20 } else { 0 });
        }
        assert!(matches!((net.received(), net.sent()), (Ok(Some(_)), Ok(Some(_)))));
        net.offer(28).expect("held");
        net.send(29, 64).expect("room"); // neither is flushed

        let port = net.interrupt_port();
        net.restart().expect("an honest device");
        assert!(all_held(&net));
        assert_eq!((net.received(), net.sent()), (Ok(None), Ok(None)));
        assert_eq!(told(&device), before, "the same features, and queues where they were");
        assert_eq!(device.lock().status & DRIVER_OK, DRIVER_OK);
        net.flush();
        assert!(device.lock().pop(0).is_none() && device.lock().pop(1).is_none());
        let causes = port.acknowledge();
        assert!(!causes.used_buffers() && !causes.configuration());

        device.lock().service = Some(honest::echo(header(variant.0)));
        exchange(&mut net, b'a');
    }
}

#[test]
fn events_are_counted_from_the_start_again() {
    for variant in variants() {
        let (device, mut net) = net::silent(variant, 256);
        for round in 1..=3 {
            for buffer in 0..5 {
                net.offer(buffer).expect("held");
            }
            device.lock().notifications.clear();
            device.lock().interrupts = 0;
            net.flush();
            assert_eq!(device.lock().notifications, [0], "{variant:?} {round}");
            for arrived in 1..=3 {
                assert!(!net.arm());
                let chain = device.lock().pop(0).expect("offered");
                device.lock().push(0, chain.head, 12 + 60);
                assert_eq!(device.lock().interrupts, arrived, "{variant:?} {round}");
                assert!(matches!(net.received(), Ok(Some(_))));
            }
            net.restart().expect("an honest device");
        }
    }
}

#[test]
fn an_application_short_of_buffers_before_is_not_short_of_them_after() {
    let (device, mut net) = net::silent((MODERN, EVENT_INDEX), 256);
    for buffer in 0..64 {
        net.send(buffer, 64).expect("room");
    }
    for buffer in 64..127 {
        net.offer(buffer).expect("held");
    }
    assert_eq!(net.send(127, 64), Err(DeviceError::Full));
    net.restart().expect("an honest device");
    for buffer in 0..2 {
        net.send(buffer, 64).expect("room");
    }
    net.flush();
    assert!(!net.arm());
    for _ in 0..2 {
        let chain = device.lock().pop(1).expect("sent");
        device.lock().push(1, chain.head, 0);
    }
    assert_eq!(device.lock().interrupts, 0, "nobody waits for frames to leave");
}

#[test]
fn a_thousand_restarts_take_no_memory() {
    for version in [LEGACY, MODERN] {
        let device = Virtio::new(version, NET, EVENT_INDEX, &[256, 256], &[]);
        let (device, transport) = open_serving(device, honest::echo(header(version)));
        let mut pool = pool();
        let mut net = Net::probe(transport, &mut pool).expect("a network");
        let (left, resets) = (pool.left(), device.lock().resets);
        for round in 0..OFTEN {
            exchange(&mut net, (round & 0xff) as u8);
            net.offer(7).expect("held");
            net.flush();
            net.restart().expect("an honest device");
            assert!(all_held(&net));
        }
        assert_eq!((pool.left(), device.lock().resets - resets), (left, OFTEN));
    }
}

#[test]
fn a_disk_is_restarted_as_often_and_keeps_what_was_written() {
    for version in [LEGACY, MODERN] {
        let device = Virtio::new(version, BLOCK, EVENT_INDEX, &[64], &8_u64.to_le_bytes());
        let (_, transport) = open_serving(device, honest::disk(vec![0; 8 * 512]));
        let mut pool = pool();
        let mut blk = Blk::probe(transport, &mut pool).expect("a disk");
        let left = pool.left();
        for round in 0..OFTEN {
            let fill = (round & 0xff) as u8;
            write(blk.area(), 3, &[fill; 512]);
            blk.submit(Operation::Write, u64::from(round % 8), 3, 512).expect("room");
            assert!(blk.drain(|| false), "the disk has done it at once");
            blk.restart().expect("an honest device");
            assert!((0..16).all(|buffer| blk.is_held(buffer)));
            assert_eq!(blk.completed(), Ok(None), "what was before is nobody's now");
            blk.submit(Operation::Read, u64::from(round % 8), 4, 512).expect("room");
            assert_eq!(blk.completed(), Ok(Some((4, Ok(())))));
            assert_eq!(read(blk.area(), 4, 512), [fill; 512]);
        }
        assert_eq!(pool.left(), left);
    }
}

#[test]
fn requests_under_way_are_gone_after_a_restart() {
    for variant in variants() {
        let (device, mut blk) = blk::silent(variant, 100);
        for buffer in 0..16 {
            blk.submit(Operation::Read, 0, buffer, 512).expect("room");
        }
        let chain = device.lock().pop(0).expect("submitted");
        device.lock().push(0, chain.head, 513);
        blk.restart().expect("an honest device");
        assert_eq!((blk.completed(), blk.arm()), (Ok(None), false));
        assert!(device.lock().pop(0).is_none());
        for buffer in 0..16 {
            blk.submit(Operation::Read, 0, buffer, 512).expect("all buffers, and room for all");
        }
    }
}

#[test]
fn a_flush_done_before_the_restart_is_not_told_after_it() {
    let (_, mut blk) = blk::silent((MODERN, 0), 100);
    blk.submit(Operation::Flush, 0, 3, 0).expect("held");
    blk.restart().expect("an honest device");
    assert_eq!((blk.is_held(3), blk.completed()), (true, Ok(None)));
}

#[test]
fn a_disk_that_grew_meanwhile_has_its_new_size() {
    let (device, mut blk) = blk::silent((MODERN, 0), 100);
    device.lock().set_config(&200_u64.to_le_bytes());
    blk.restart().expect("an honest device");
    assert_eq!(blk.sectors(), 200);
}

#[test]
fn interrupts_of_before_are_gone_and_the_port_is_the_same() {
    for keeps_interrupts in [false, true] {
        let (device, mut net) = net::silent((MODERN, 0), 256);
        let port = net.interrupt_port();
        device.lock().quirks.keeps_interrupts = keeps_interrupts;
        device.lock().interrupt(3);
        net.restart().expect("an honest device");
        assert_eq!(device.lock().interrupt_status, 0);
        device.lock().interrupt(1);
        assert!(port.acknowledge().used_buffers());
        assert_eq!(device.lock().interrupt_status, 0);
    }
}

#[test]
fn a_broken_device_works_again() {
    for variant in variants() {
        let (device, mut net) = net::silent(variant, 256);
        net.offer(0).expect("held");
        net.flush();
        device.lock().ring(0).write_used_index(9);
        assert_eq!(net.received(), Err(DeviceError::Broken(Fault::IndexJump(9))));
        net.restart().expect("it comes up");
        device.lock().service = Some(honest::echo(header(variant.0)));
        exchange(&mut net, b'b');

        device.lock().need_reset();
        let error = DeviceError::Broken(Fault::NeedsReset);
        assert_eq!(net.configuration_changed(), Err(error));
        net.restart().expect("it comes up");
        net.configuration_changed().expect("it needs no reset any more");
        exchange(&mut net, b'c');
    }
}
