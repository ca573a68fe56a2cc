//! The queue between an honest device and a driver: notifications, interrupts, the wrap.

use elone_hal::dma::{DmaPool, DmaSpan};
use elone_hal::fake::memory;
use elone_hal::fake::virtio::Virtio;
use elone_hal::virtio::queue::{Lengths, Queue, Tables};
use elone_hal::virtio::{DeviceError, DeviceId, Features, Live};

use crate::common::{ENTROPY, EVENT_INDEX, INDIRECT, LEGACY, MODERN, Shared, open, pool, variants};

/// A queue set up on a device that does nothing by itself, and some memory to point it at.
pub(crate) struct Rig<const CHAINS: usize, const PARTS: usize> {
    pub(crate) device: Shared,
    pub(crate) queue: Queue<CHAINS, PARTS>,
    pub(crate) live: Live,
    pub(crate) span: DmaSpan,
    pub(crate) pool: DmaPool,
}

pub(crate) fn rig<const CHAINS: usize, const PARTS: usize>(
    (version, features): (u32, u64),
    longest: u32,
    tables: Tables,
) -> Rig<CHAINS, PARTS> {
    let (device, transport) = open(Virtio::new(version, ENTROPY, features, &[longest], &[]));
    let mut pool = pool();
    let setup = transport.begin(DeviceId::ENTROPY).expect("a device");
    let mut agreed = setup.negotiate(Features::NONE, Features::NONE).expect("agreed");
    let queue = agreed.queue(0, tables, Lengths::Checked, &mut pool).expect("a queue");
    let span = pool.take(64, 64).expect("room").span(0, 64).expect("within");
    Rig { device, queue, live: agreed.finish(), span, pool }
}

impl<const CHAINS: usize, const PARTS: usize> Rig<CHAINS, PARTS> {
    /// Publishes, and notifies if the device asks for it.
    fn publish(&mut self) -> bool {
        let wanted = self.queue.publish();
        if wanted {
            self.live.notify(self.queue.index());
        }
        wanted
    }
}

#[test]
fn chains_arrive_as_they_were_written_direct_or_indirect() {
    for (variant, tables) in variants().flat_map(|v| [(v, Tables::Never), (v, Tables::Always)]) {
        let mut rig: Rig<8, 3> = rig(variant, 32, tables);
        let region = rig.pool.take(96, 32).expect("room");
        let part = |index: usize, length| region.span(32 * index, length).expect("within");
        memory::write(part(0, 5).address().0, b"hello");
        memory::write(part(1, 3).address().0, b"elf");
        rig.queue.add([part(0, 5), part(1, 3)], [part(2, 32)], 77).expect("room");
        assert_eq!(rig.device.lock().ring(0).waiting(), 0, "nothing before it is published");
        rig.publish();

        let chain = rig.device.lock().pop(0).expect("published");
        assert_eq!(chain.read(), b"helloelf");
        assert_eq!(chain.writable, [(part(2, 32).address().0, 32)]);
        assert_eq!(chain.indirect, tables == Tables::Always && variant.1 & INDIRECT != 0);
        rig.device.lock().push(0, chain.head, chain.write(b"answer"));
        let used = rig.queue.take().expect("honest").expect("completed");
        assert_eq!((used.token, used.written), (77, 6));
        assert_eq!(memory::read(part(2, 6).address().0, 6), b"answer");
        assert_eq!(rig.queue.take(), Ok(None));
    }
}

#[test]
fn a_short_ring_holds_more_chains_with_tables() {
    let direct: Rig<8, 2> = rig((MODERN, INDIRECT), 8, Tables::Never);
    let tables: Rig<8, 2> = rig((MODERN, INDIRECT), 8, Tables::WhenShort);
    let long: Rig<8, 2> = rig((MODERN, INDIRECT), 16, Tables::WhenShort);
    let refused: Rig<8, 2> = rig((MODERN, 0), 8, Tables::Always);
    let chains = [direct.queue.chains(), tables.queue.chains(), long.queue.chains()];
    assert_eq!((chains, refused.queue.chains()), ([4, 8, 8], 4));
    assert_eq!(long.device.lock().ring(0).size, 16);
}

#[test]
fn a_full_queue_refuses_and_takes_again_after_a_completion() {
    for variant in variants() {
        let mut rig: Rig<4, 1> = rig(variant, 4, Tables::Never);
        for token in 0..4 {
            rig.queue.add([], [rig.span], token).expect("room");
        }
        assert_eq!(rig.queue.add([], [rig.span], 4), Err(DeviceError::Full));
        rig.publish();
        let chain = rig.device.lock().pop(0).expect("published");
        rig.device.lock().push(0, chain.head, 0);
        assert!(!rig.queue.has_room() && rig.queue.in_flight() == 4);
        assert_eq!(rig.queue.take().expect("honest").map(|used| used.token), Some(0));
        assert!(rig.queue.has_room() && rig.queue.in_flight() == 3);
        rig.queue.add([], [rig.span], 4).expect("room again");
    }
}

#[test]
fn a_batch_costs_one_notification_and_none_while_the_device_is_awake() {
    for variant in variants() {
        let mut rig: Rig<16, 1> = rig(variant, 16, Tables::Never);
        for token in 0..5 {
            rig.queue.add([], [rig.span], token).expect("room");
        }
        assert!(rig.publish(), "a sleeping device is notified");
        assert!(!rig.publish(), "there is nothing new");
        rig.device.lock().ring(0).stay_awake();
        for token in 5..10 {
            rig.queue.add([], [rig.span], token).expect("room");
        }
        assert!(!rig.publish(), "a device that is awake is let be");
        assert_eq!(rig.device.lock().notifications, [0]);
        assert_eq!(rig.device.lock().ring(0).waiting(), 10);
    }
}

/// Sends `total` chains in batches of changing size through a device that works only when it is
/// notified, and a driver that looks only when it is interrupted: one lost event and both sleep.
fn lose_no_event(variant: (u32, u64), total: u32) {
    let mut rig: Rig<16, 1> = rig(variant, 16, Tables::Never);
    let (mut sent, mut taken, mut batches) = (0_u32, 0_u32, 0_u32);
    while taken < total {
        assert!(!rig.queue.arm(), "everything was taken");
        let batch = 1 + sent % 13;
        for token in 0..batch {
            let token = u16::try_from(token).expect("at most 13");
            rig.queue.add([], [rig.span], token).expect("room");
        }
        assert!(rig.publish(), "{variant:?}: the device sleeps at {sent}");
        batches += 1;
        sent += batch;

        let mut device = rig.device.lock();
        device.ring(0).stay_awake();
        while let Some(chain) = device.pop(0) {
            device.push(0, chain.head, 0);
        }
        assert!(!device.ring(0).sleep(), "nobody else sends");
        assert_eq!(device.interrupt_status, 1, "{variant:?}: the driver sleeps at {sent}");
        device.interrupt_status = 0;
        drop(device);
        while rig.queue.take().expect("honest").is_some() {
            taken += 1;
        }
    }
    assert_eq!((sent, rig.queue.in_flight()), (taken, 0));
    let device = rig.device.lock();
    let events = (u32::try_from(device.notifications.len()).expect("few"), device.interrupts);
    if variant.1 & EVENT_INDEX != 0 {
        assert_eq!(events, (batches, batches), "no more events than needed");
    } else {
        assert_eq!(events.0, batches);
    }
}

#[test]
fn no_event_is_lost_over_the_wrap_of_the_index() {
    let total = if cfg!(miri) { 40 } else { 2 * 65_536 + 1_000 };
    lose_no_event((MODERN, EVENT_INDEX), total);
    lose_no_event((LEGACY, EVENT_INDEX | INDIRECT), total / 2);
    lose_no_event((MODERN, 0), total / 2);
    lose_no_event((LEGACY, 0), total / 20);
}

#[test]
fn a_completion_just_before_arming_is_not_slept_over() {
    for variant in variants() {
        let mut rig: Rig<4, 1> = rig(variant, 4, Tables::Never);
        rig.queue.add([], [rig.span], 1).expect("room");
        rig.publish();
        assert_eq!(rig.queue.take(), Ok(None));
        let chain = rig.device.lock().pop(0).expect("published");
        rig.device.lock().push(0, chain.head, 0);
        assert_eq!(rig.device.lock().interrupts, 0, "not armed, so not interrupted");
        assert!(!rig.queue.is_overdue(), "nobody has asked for an interrupt");
        assert!(rig.queue.arm(), "arming tells of it");
        assert!(rig.queue.is_overdue());
    }
}

/// As where an interrupt is lost: what it would have told of can be seen without it.
#[test]
fn what_an_interrupt_was_asked_for_can_be_looked_for() {
    for variant in variants() {
        let mut rig: Rig<4, 1> = rig(variant, 4, Tables::Never);
        for token in 0..3 {
            rig.queue.add([], [rig.span], token).expect("room");
        }
        rig.publish();
        assert!(!rig.queue.arm_after(1));
        let counts = variant.1 & EVENT_INDEX != 0;
        for done in 1..=2 {
            let chain = rig.device.lock().pop(0).expect("published");
            rig.device.lock().push(0, chain.head, 0);
            assert_eq!(rig.queue.is_overdue(), done > u32::from(counts), "{done}");
        }
        assert!(rig.queue.take().expect("honest").is_some());
        assert!(!rig.queue.is_overdue(), "who takes is awake");
    }
}

#[test]
fn arming_later_lets_completions_pass_where_the_device_counts() {
    let mut rig: Rig<8, 1> = rig((MODERN, EVENT_INDEX), 8, Tables::Never);
    for token in 0..6 {
        rig.queue.add([], [rig.span], token).expect("room");
    }
    rig.publish();
    assert!(!rig.queue.arm_after(2));
    for interrupts in [0, 0, 1, 1] {
        let chain = rig.device.lock().pop(0).expect("published");
        rig.device.lock().push(0, chain.head, 0);
        assert_eq!(rig.device.lock().interrupts, interrupts);
    }
    assert!(!rig.queue.arm_after(4), "four have passed, and they may");
    assert!(rig.queue.arm_after(3));
}

#[test]
fn who_takes_is_not_interrupted() {
    for variant in variants() {
        let mut rig: Rig<8, 1> = rig(variant, 8, Tables::Never);
        for token in 0..3 {
            rig.queue.add([], [rig.span], token).expect("room");
        }
        rig.publish();
        assert!(!rig.queue.arm());
        for _ in 0..3 {
            let chain = rig.device.lock().pop(0).expect("published");
            rig.device.lock().push(0, chain.head, 0);
            assert!(rig.queue.take().expect("honest").is_some());
        }
        assert_eq!(rig.device.lock().interrupts, 1, "only the one that was asked for");
    }
}
