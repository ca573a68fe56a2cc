//! A device's registers (virtio 1.2, section 4.2.2), and the driver's way through its states.

use virtio_bindings::virtio_config::{
    VIRTIO_CONFIG_S_DRIVER, VIRTIO_CONFIG_S_DRIVER_OK, VIRTIO_CONFIG_S_FEATURES_OK,
    VIRTIO_CONFIG_S_NEEDS_RESET, VIRTIO_F_VERSION_1,
};
use virtio_bindings::virtio_mmio::*;
use virtio_bindings::virtio_ring::{VIRTIO_RING_F_EVENT_IDX, VIRTIO_RING_F_INDIRECT_DESC};
use virtio_queue::{Queue, QueueT as _};

use super::queue::{Broken, Served};
use crate::bell::Bell;
use crate::bus::Device;
use crate::line::Signal;
use crate::memory::Ram;
use crate::outlet::complain;

/// How many requests a queue can hold.
pub(super) const QUEUE_SIZE: u16 = 256;
/// What every device here can do.
const COMMON: u64 =
    1 << VIRTIO_F_VERSION_1 | 1 << VIRTIO_RING_F_EVENT_IDX | 1 << VIRTIO_RING_F_INDIRECT_DESC;
/// `virt`, the version without legacy, and a vendor: "elon".
const MAGIC: u32 = u32::from_le_bytes(*b"virt");
const VERSION: u32 = 2;
const VENDOR: u32 = u32::from_le_bytes(*b"elon");

/// What is behind a transport.
pub trait Model: Send {
    /// Its kind (section 5); 0 is none.
    fn id(&self) -> u32;
    /// What it can do beyond what all can, as bits.
    fn features(&self) -> u64 {
        0
    }
    /// How many queues it has.
    fn queues(&self) -> usize;
    /// Its configuration, as the driver reads it.
    fn configuration(&self) -> &[u8] {
        &[]
    }
    /// Answers what is in a queue, or as much of it as goes at once.
    ///
    /// # Errors
    /// The driver has broken the rules.
    fn serve(&mut self, index: usize, queue: &mut Queue, ram: &Ram) -> Result<Served, Broken>;
    /// The queue to serve when the file behind the device has become readable.
    fn attends(&self) -> Option<usize> {
        None
    }
}

/// A slot in which nothing is.
#[derive(Clone, Copy, Debug)]
pub struct Empty;

impl Model for Empty {
    fn id(&self) -> u32 {
        0
    }

    fn queues(&self) -> usize {
        0
    }

    fn serve(&mut self, _: usize, _: &mut Queue, _: &Ram) -> Result<Served, Broken> {
        Err(Broken)
    }
}

/// A device, as its driver sees it.
pub struct Transport {
    model: Box<dyn Model>,
    ram: Ram,
    signal: Signal,
    /// What is rung for the queues that are in `unfinished`, a bit each.
    bell: Bell,
    unfinished: u32,
    queues: Vec<Queue>,
    status: u32,
    interrupts: u32,
    accepted: u64,
    /// Which half of the features is read, which written, and which queue is meant.
    offered_half: u32,
    accepted_half: u32,
    selected: usize,
    /// Whether it was said that the driver breaks the rules: a driver could do so for ever.
    has_complained: bool,
}

impl Transport {
    /// A device that has just been switched on.
    #[must_use]
    pub fn new(model: Box<dyn Model>, ram: Ram, signal: Signal, bell: Bell) -> Self {
        // It fails only for sizes that are no powers of two.
        let queues = (0..model.queues()).filter_map(|_| Queue::new(QUEUE_SIZE).ok()).collect();
        let (status, interrupts, accepted) = (0, 0, 0);
        let (offered_half, accepted_half, selected) = (0, 0, 0);
        Self {
            model,
            ram,
            signal,
            bell,
            unfinished: 0,
            queues,
            status,
            interrupts,
            accepted,
            offered_half,
            accepted_half,
            selected,
            has_complained: false,
        }
    }

    fn offered(&self) -> u64 {
        COMMON | self.model.features()
    }

    fn is(&self, state: u32) -> bool {
        self.status & state != 0
    }

    fn register(&self, offset: u32) -> u32 {
        let queue = self.queues.get(self.selected);
        match offset {
            VIRTIO_MMIO_MAGIC_VALUE => MAGIC,
            VIRTIO_MMIO_VERSION => VERSION,
            VIRTIO_MMIO_DEVICE_ID => self.model.id(),
            VIRTIO_MMIO_VENDOR_ID => VENDOR,
            VIRTIO_MMIO_DEVICE_FEATURES => half(self.offered(), self.offered_half),
            VIRTIO_MMIO_QUEUE_NUM_MAX => queue.map_or(0, |queue| queue.max_size().into()),
            VIRTIO_MMIO_QUEUE_READY => queue.map_or(0, |queue| queue.ready().into()),
            VIRTIO_MMIO_INTERRUPT_STATUS => self.interrupts,
            VIRTIO_MMIO_STATUS => self.status,
            // The configuration never changes; there is no shared memory, which has the length -1.
            VIRTIO_MMIO_SHM_LEN_LOW..=VIRTIO_MMIO_SHM_BASE_HIGH => u32::MAX,
            _ => 0,
        }
    }

    fn set(&mut self, offset: u32, value: u32) {
        match offset {
            VIRTIO_MMIO_DEVICE_FEATURES_SEL => self.offered_half = value,
            VIRTIO_MMIO_DRIVER_FEATURES_SEL => self.accepted_half = value,
            VIRTIO_MMIO_DRIVER_FEATURES if !self.is(VIRTIO_CONFIG_S_FEATURES_OK) => {
                match self.accepted_half {
                    0 => self.accepted = self.accepted & !0xffff_ffff | u64::from(value),
                    1 => self.accepted = self.accepted & 0xffff_ffff | u64::from(value) << 32,
                    _ => {}
                }
            }
            VIRTIO_MMIO_QUEUE_SEL => self.selected = usize::try_from(value).unwrap_or(usize::MAX),
            VIRTIO_MMIO_QUEUE_NOTIFY => self.serve(usize::try_from(value).unwrap_or(usize::MAX)),
            VIRTIO_MMIO_INTERRUPT_ACK => {
                self.interrupts &= !value;
                self.signal.settle(self.interrupts != 0);
            }
            VIRTIO_MMIO_STATUS => self.set_status(value),
            _ => self.set_up_queue(offset, value),
        }
    }

    /// Takes what the driver says of the selected queue, as long as it may still say it.
    fn set_up_queue(&mut self, offset: u32, value: u32) {
        let settled = self.is(VIRTIO_CONFIG_S_DRIVER_OK) || !self.is(VIRTIO_CONFIG_S_FEATURES_OK);
        let events = self.accepted & 1 << VIRTIO_RING_F_EVENT_IDX != 0;
        let Some(queue) = self.queues.get_mut(self.selected).filter(|_| !settled) else { return };
        match offset {
            VIRTIO_MMIO_QUEUE_NUM => queue.set_size(u16::try_from(value).unwrap_or(0)),
            VIRTIO_MMIO_QUEUE_DESC_LOW => queue.set_desc_table_address(Some(value), None),
            VIRTIO_MMIO_QUEUE_DESC_HIGH => queue.set_desc_table_address(None, Some(value)),
            VIRTIO_MMIO_QUEUE_AVAIL_LOW => queue.set_avail_ring_address(Some(value), None),
            VIRTIO_MMIO_QUEUE_AVAIL_HIGH => queue.set_avail_ring_address(None, Some(value)),
            VIRTIO_MMIO_QUEUE_USED_LOW => queue.set_used_ring_address(Some(value), None),
            VIRTIO_MMIO_QUEUE_USED_HIGH => queue.set_used_ring_address(None, Some(value)),
            VIRTIO_MMIO_QUEUE_READY => {
                queue.set_event_idx(events);
                queue.set_ready(value == 1);
            }
            _ => {}
        }
    }

    fn set_status(&mut self, value: u32) {
        if value == 0 {
            self.queues.iter_mut().for_each(Queue::reset);
            (self.status, self.interrupts, self.accepted) = (0, 0, 0);
            self.unfinished = 0;
            return self.signal.settle(false);
        }
        let mut value = value | self.status & VIRTIO_CONFIG_S_NEEDS_RESET;
        let known = self.accepted & !self.offered() == 0;
        let modern = self.accepted & 1 << VIRTIO_F_VERSION_1 != 0;
        // What cannot be is not accepted: the driver reads that back (section 3.1.1, step 6).
        if !(known && modern && value & VIRTIO_CONFIG_S_DRIVER != 0) {
            value &= !VIRTIO_CONFIG_S_FEATURES_OK;
        }
        if value & VIRTIO_CONFIG_S_FEATURES_OK == 0 {
            value &= !VIRTIO_CONFIG_S_DRIVER_OK;
        }
        self.status = value;
        if self.is(VIRTIO_CONFIG_S_DRIVER_OK) {
            let ready = |queue: &Queue| !queue.ready() || queue.is_valid(&self.ram);
            if !self.queues.iter().all(ready) {
                self.give_up();
            }
        }
    }

    fn serve(&mut self, index: usize) {
        if !self.is(VIRTIO_CONFIG_S_DRIVER_OK) || self.is(VIRTIO_CONFIG_S_NEEDS_RESET) {
            return;
        }
        let Some(queue) = self.queues.get_mut(index).filter(|queue| queue.ready()) else { return };
        match self.model.serve(index, queue, &self.ram) {
            Ok(served) => {
                if served.unfinished {
                    self.unfinished |= 1 << index;
                    self.bell.ring();
                }
                if served.interrupt {
                    self.interrupt(VIRTIO_MMIO_INT_VRING);
                }
            }
            Err(Broken) => self.give_up(),
        }
    }

    /// Tells the driver that nothing more will come until it has reset the device (section 2.1.2).
    fn give_up(&mut self) {
        if !self.has_complained {
            let id = self.model.id();
            complain(&format!("monitor: virtio device {id}: its driver breaks the rules"));
            self.has_complained = true;
        }
        self.status |= VIRTIO_CONFIG_S_NEEDS_RESET;
        self.interrupt(VIRTIO_MMIO_INT_CONFIG);
    }

    fn interrupt(&mut self, why: u32) {
        self.interrupts |= why;
        self.signal.raise();
    }
}

fn half(features: u64, which: u32) -> u32 {
    let bytes = features.to_le_bytes();
    let [a, b, c, d, e, f, g, h] = bytes;
    match which {
        0 => u32::from_le_bytes([a, b, c, d]),
        1 => u32::from_le_bytes([e, f, g, h]),
        _ => 0,
    }
}

impl Device for Transport {
    fn read(&mut self, offset: u64, data: &mut [u8]) {
        let Ok(offset) = u32::try_from(offset) else { return };
        if let Some(at) = offset.checked_sub(VIRTIO_MMIO_CONFIG) {
            let configuration = self.model.configuration();
            let rest = usize::try_from(at).ok().and_then(|at| configuration.get(at..));
            let rest = rest.unwrap_or_default();
            let length = rest.len().min(data.len());
            data[..length].copy_from_slice(&rest[..length]);
        } else if let Ok(word) = <&mut [u8; 4]>::try_from(data) {
            *word = self.register(offset).to_le_bytes();
        }
    }

    fn write(&mut self, offset: u64, data: &[u8]) {
        // No configuration here can be written.
        if let (Ok(offset), Ok(word)) = (u32::try_from(offset), data.try_into()) {
            self.set(offset, u32::from_le_bytes(word));
        }
    }

    fn attend(&mut self) {
        if let Some(index) = self.model.attends() {
            self.serve(index);
        }
    }

    fn carry_on(&mut self) {
        let unfinished = std::mem::take(&mut self.unfinished);
        for index in (0..self.queues.len()).filter(|index| unfinished & 1 << index != 0) {
            self.serve(index);
        }
    }
}

impl std::fmt::Debug for Transport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (id, status) = (self.model.id(), self.status);
        f.debug_struct("Transport")
            .field("id", &id)
            .field("status", &status)
            .finish_non_exhaustive()
    }
}
