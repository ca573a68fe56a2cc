//! The registers of a virtio device on memory-mapped transport, legacy or modern, honest or not.

mod reset;

use std::fmt;
use std::sync::{Arc, Mutex};

pub use self::reset::Quirks;
use super::bus::{self, Registers, Width};
use super::ring::{Chain, Ring};
use crate::mmio::Window;

/// What a device does when it is notified of a queue.
pub type Service = Box<dyn FnMut(&mut Virtio, u16) + Send>;

/// A virtio device.
pub struct Virtio {
    /// What the magic value reads as.
    pub magic: u32,
    /// The transport's version: 1 is legacy, 2 is modern.
    pub version: u32,
    /// What kind of device it is; 0 is none.
    pub id: u32,
    /// What it offers.
    pub offered: u64,
    /// What the driver took.
    pub accepted: u64,
    /// The device's own configuration.
    pub config: Vec<u8>,
    /// Its queues.
    pub queues: Vec<Ring>,
    /// What it does wrong.
    pub quirks: Quirks,
    /// What it still writes to memory, by address, before a slow reset ends.
    pub last_words: Vec<(u64, Vec<u8>)>,
    /// What it does when it is notified.
    pub service: Option<Service>,
    /// Which queues it was notified of, in order.
    pub notifications: Vec<u16>,
    /// How often it interrupted.
    pub interrupts: u32,
    /// Which interrupts are pending.
    pub interrupt_status: u32,
    /// How often it was reset.
    pub resets: u32,
    /// How often any register was read or written.
    pub accesses: u32,
    /// The status register.
    pub status: u32,
    /// Reads of the status until the reset that was begun ends.
    resetting: Option<u32>,
    generation: u32,
    device_features_half: u32,
    driver_features_half: u32,
    page_size: u32,
    align: u32,
    selected: usize,
}

impl fmt::Debug for Virtio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Virtio(version {}, id {}, {:?})", self.version, self.id, self.queues)
    }
}

/// Bits of the status.
const DRIVER_OK: u32 = 4;
const FEATURES_OK: u32 = 8;
const NEEDS_RESET: u32 = 64;
const FAILED: u32 = 128;

/// Feature bits that the ring is about.
const EVENT_INDEX: u64 = 1 << 29;
/// Feature bit of every modern device.
const VERSION_1: u64 = 1 << 32;

impl Virtio {
    /// A device with queues of at most `longest` each, that offers `features` and, if it is
    /// modern (version 2), VERSION_1.
    #[must_use]
    pub fn new(version: u32, id: u32, features: u64, longest: &[u32], config: &[u8]) -> Self {
        let ring = |&max| Ring { max, ..Ring::default() };
        Self {
            magic: 0x7472_6976,
            version,
            id,
            offered: features | if version == 2 { VERSION_1 } else { 0 },
            accepted: 0,
            config: config.to_vec(),
            queues: longest.iter().map(ring).collect(),
            quirks: Quirks::default(),
            last_words: vec![],
            service: None,
            notifications: vec![],
            interrupts: 0,
            interrupt_status: 0,
            resets: 0,
            accesses: 0,
            status: 0,
            resetting: None,
            generation: 0,
            device_features_half: 0,
            driver_features_half: 0,
            page_size: 0,
            align: 0,
            selected: 0,
        }
    }

    /// Puts the device on the bus.
    #[must_use]
    pub fn place(self) -> (Arc<Mutex<Self>>, Window) {
        let device = Arc::new(Mutex::new(self));
        let window = bus::place(&device, 0x200);
        (device, window)
    }

    /// Takes the next chain of a queue.
    pub fn pop(&mut self, queue: u16) -> Option<Chain> {
        self.ring(queue).pop()
    }

    /// Completes a chain, and interrupts if the driver wants that.
    pub fn push(&mut self, queue: u16, id: u16, length: u32) {
        if self.ring(queue).push(u32::from(id), length) {
            self.interrupt(1);
        }
    }

    /// Interrupts: 1 for used buffers, 2 for a change of configuration.
    pub fn interrupt(&mut self, cause: u32) {
        self.interrupt_status |= cause;
        self.interrupts += 1;
    }

    /// Says that it needs a reset, as section 2.1.2 asks of a device.
    pub fn need_reset(&mut self) {
        self.status |= NEEDS_RESET;
        self.interrupt(2);
    }

    /// Changes the configuration.
    pub fn set_config(&mut self, config: &[u8]) {
        self.config = config.to_vec();
        self.generation += 1;
        self.interrupt(2);
    }

    /// The queue of this number.
    ///
    /// # Panics
    /// When there is none.
    pub fn ring(&mut self, queue: u16) -> &mut Ring {
        &mut self.queues[usize::from(queue)]
    }

    fn is_modern(&self) -> bool {
        self.version == 2
    }

    fn set_status(&mut self, status: u32) {
        if status == 0 {
            return self.begin_reset();
        }
        if self.resetting.is_some() {
            assert!(status & FAILED != 0, "a driver waits for the end of a reset (2.4.2)");
            self.status |= status;
            return;
        }
        assert_eq!(self.status & !status & !NEEDS_RESET, 0, "a driver clears no bits (2.1.1)");
        self.status = status;
        if self.quirks.refuses_features || self.accepted & !self.offered != 0 {
            self.status &= !FEATURES_OK;
        }
        if self.status & DRIVER_OK != 0 {
            assert!(!self.is_modern() || self.status & FEATURES_OK != 0, "features come first");
        }
        let event_index = self.accepted & EVENT_INDEX != 0;
        self.queues.iter_mut().for_each(|queue| queue.event_index = event_index);
    }

    /// A legacy queue's rings follow from where its first page is (section 2.7.2, legacy).
    fn set_page(&mut self, page: u32) {
        assert_eq!((self.page_size, self.align), (4096, 4096), "set before the queue's page");
        let align = u64::from(self.align);
        let queue = &mut self.queues[self.selected];
        queue.ready = page != 0;
        queue.descriptors = u64::from(page) * 4096;
        queue.available = queue.descriptors + 16 * u64::from(queue.size);
        queue.used = (queue.available + 6 + 2 * u64::from(queue.size)).next_multiple_of(align);
    }

    fn set_modern_queue(&mut self, offset: usize, value: u32) {
        assert!(self.status & FEATURES_OK != 0, "features come before queues (3.1.1)");
        let value = u64::from(value);
        let queue = &mut self.queues[self.selected];
        let low = |address: &mut u64| *address = *address & !0xffff_ffff | value;
        let high = |address: &mut u64| *address = *address & 0xffff_ffff | value << 32;
        match offset {
            0x044 => queue.ready = value == 1,
            0x080 => low(&mut queue.descriptors),
            0x084 => high(&mut queue.descriptors),
            0x090 => low(&mut queue.available),
            0x094 => high(&mut queue.available),
            0x0a0 => low(&mut queue.used),
            _ => high(&mut queue.used),
        }
        if queue.ready {
            assert!(queue.descriptors.is_multiple_of(16) && queue.used.is_multiple_of(4));
            assert!(queue.size.is_power_of_two() && queue.size <= queue.max);
        }
    }

    fn notify(&mut self, queue: u16) {
        assert!(self.status & DRIVER_OK != 0, "no notification before DRIVER_OK (3.1.1)");
        self.notifications.push(queue);
        if let Some(mut service) = self.service.take() {
            service(self, queue);
            self.service = Some(service);
        }
    }

    fn read_config(&mut self, offset: usize, width: Width) -> u32 {
        let count = [1, 2, 4][width as usize];
        let mut bytes = [0; 4];
        for (byte, value) in bytes[..count].iter_mut().zip(self.config.iter().skip(offset)) {
            *byte = *value;
        }
        if self.quirks.config_changes > 0 {
            self.quirks.config_changes -= 1;
            self.generation += 1;
            self.config.iter_mut().for_each(|byte| *byte = byte.wrapping_add(1));
        }
        u32::from_le_bytes(bytes)
    }
}

impl Registers for Virtio {
    fn read(&mut self, offset: usize, width: Width) -> u32 {
        self.accesses += 1;
        if let Some(offset) = offset.checked_sub(0x100) {
            return self.read_config(offset, width);
        }
        assert_eq!(width, Width::Bits32, "registers have 32 bits (4.2.2.2)");
        let selected = self.queues.get(self.selected);
        match offset {
            0x000 => self.magic,
            0x004 => self.version,
            0x008 => self.id,
            0x00c => 0x554d_4551,
            0x010 if self.device_features_half == 0 => (self.offered & 0xffff_ffff) as u32,
            0x010 if self.is_modern() => (self.offered >> 32) as u32,
            0x034 => selected.map_or(0, |queue| queue.max),
            0x040 if !self.is_modern() => {
                selected.map_or(0, |queue| if queue.ready { 1 } else { 0 })
            }
            0x044 if self.is_modern() => selected.map_or(0, |queue| u32::from(queue.ready)),
            0x060 => self.interrupt_status,
            0x070 => self.read_status(),
            0x0fc if self.is_modern() => self.generation,
            _ => panic!("read of register {offset:#x}"),
        }
    }

    fn write(&mut self, offset: usize, width: Width, value: u32) {
        self.accesses += 1;
        assert_eq!(width, Width::Bits32, "registers have 32 bits (4.2.2.2)");
        let accepted = halves(self.accepted);
        match offset {
            0x014 => self.device_features_half = value,
            0x020 if self.driver_features_half == 0 => {
                self.accepted = u64::from(value) | u64::from(accepted.1) << 32;
            }
            0x020 => self.accepted = u64::from(accepted.0) | u64::from(value) << 32,
            0x024 => self.driver_features_half = value,
            0x028 if !self.is_modern() => self.page_size = value,
            0x030 => self.selected = value as usize,
            0x038 => self.queues[self.selected].size = value,
            0x03c if !self.is_modern() => self.align = value,
            0x040 if !self.is_modern() => self.set_page(value),
            0x044 | 0x080..=0x0a4 if self.is_modern() => self.set_modern_queue(offset, value),
            0x050 => self.notify((value & 0xffff) as u16),
            0x064 => self.interrupt_status &= !value,
            0x070 => self.set_status(value),
            _ => panic!("write of {value:#x} to register {offset:#x}"),
        }
    }
}

/// The low and the high half.
const fn halves(value: u64) -> (u32, u32) {
    ((value & 0xffff_ffff) as u32, (value >> 32) as u32)
}
