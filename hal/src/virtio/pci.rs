//! The transport over PCI, its modern interface (virtio 1.2, section 4.1).

mod doorbells;
mod find;

pub(crate) use find::is_virtio;

use self::doorbells::{Doorbell, Doorbells};
use super::config::{Config, Generation};
use super::interrupt::Causes;
use super::layout::Rings;
use super::{Features, InterruptPort, ProbeError};
use crate::address::PhysicalAddress;
use crate::mmio::Window;
use crate::pci::Map;

/// The common registers (section 4.1.4.3), by their names there. Offsets in bytes.
mod common {
    pub(super) const DEVICE_FEATURE_SELECT: usize = 0x00;
    pub(super) const DEVICE_FEATURE: usize = 0x04;
    pub(super) const DRIVER_FEATURE_SELECT: usize = 0x08;
    pub(super) const DRIVER_FEATURE: usize = 0x0c;
    pub(super) const CONFIG_MSIX_VECTOR: usize = 0x10;
    pub(super) const DEVICE_STATUS: usize = 0x14;
    pub(super) const CONFIG_GENERATION: usize = 0x15;
    pub(super) const QUEUE_SELECT: usize = 0x16;
    pub(super) const QUEUE_SIZE: usize = 0x18;
    pub(super) const QUEUE_MSIX_VECTOR: usize = 0x1a;
    pub(super) const QUEUE_ENABLE: usize = 0x1c;
    pub(super) const QUEUE_NOTIFY_OFF: usize = 0x1e;
    pub(super) const QUEUE_DESC: usize = 0x20;
    pub(super) const QUEUE_DRIVER: usize = 0x28;
    pub(super) const QUEUE_DEVICE: usize = 0x30;
    /// How many bytes of them there are at least: later versions have more behind these.
    pub(super) const LENGTH: u64 = 0x38;
}

/// How many queues of a device are ever used: no driver here needs a third.
const QUEUES: usize = 2;

/// Which of the table's messages a device sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Vectors {
    /// When its configuration changed.
    pub configuration: u16,
    /// When something in a queue is complete. It may be the same one.
    pub queues: u16,
}

/// The registers of a device on a function. What each operation is for, [`Port`](super::port::Port)
/// says.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pci {
    common: Window,
    /// The device's own configuration, and where in the window it begins.
    config: (Window, usize),
    /// Where what interrupted is read.
    isr: (Window, usize),
    /// Where queues are notified.
    doorbells: Doorbells,
    /// Which of those is each queue's, once it is set up.
    doorbell: [Option<Doorbell>; QUEUES],
    vectors: Option<Vectors>,
}

impl Pci {
    pub(super) const fn use_messages(&mut self, vectors: Vectors) {
        self.vectors = Some(vectors);
    }

    pub(super) fn status(&self) -> u32 {
        self.common.read8(common::DEVICE_STATUS).into()
    }

    pub(super) fn set_status(&self, status: u32) {
        self.common.write8(common::DEVICE_STATUS, (status & 0xff) as u8);
    }

    pub(super) fn offered(&self) -> Features {
        self.common.write32(common::DEVICE_FEATURE_SELECT, 0);
        let low = self.common.read32(common::DEVICE_FEATURE);
        self.common.write32(common::DEVICE_FEATURE_SELECT, 1);
        Features::from_halves(low, self.common.read32(common::DEVICE_FEATURE))
    }

    pub(super) fn take(&self, features: Features) {
        let (low, high) = features.halves();
        self.common.write32(common::DRIVER_FEATURE_SELECT, 0);
        self.common.write32(common::DRIVER_FEATURE, low);
        self.common.write32(common::DRIVER_FEATURE_SELECT, 1);
        self.common.write32(common::DRIVER_FEATURE, high);
    }

    pub(super) const fn config(&self) -> Config {
        let generation = Generation::Byte(self.common, common::CONFIG_GENERATION);
        Config::new(self.config.0, self.config.1, generation)
    }

    pub(super) fn direct_changes(&self) -> Result<(), ProbeError> {
        match self.vectors {
            Some(vectors) => self.direct(common::CONFIG_MSIX_VECTOR, vectors.configuration),
            None => Ok(()),
        }
    }

    /// Has what a register is for announced by a message. The device says whether it can (section
    /// 4.1.5.1.2).
    fn direct(&self, register: usize, vector: u16) -> Result<(), ProbeError> {
        self.common.write16(register, vector);
        if self.common.read16(register) == vector { Ok(()) } else { Err(ProbeError::NoVector) }
    }

    pub(super) fn select(&self, queue: u16) -> Result<u16, ProbeError> {
        self.common.write16(common::QUEUE_SELECT, queue);
        let longest = self.common.read16(common::QUEUE_SIZE);
        if longest == 0 {
            return Err(ProbeError::NoQueue(queue));
        }
        if self.common.read16(common::QUEUE_ENABLE) != 0 {
            return Err(ProbeError::QueueBusy(queue));
        }
        Ok(longest)
    }

    pub(super) fn announce(&mut self, queue: u16, rings: &Rings) -> Result<(), ProbeError> {
        let unit = self.common.read16(common::QUEUE_NOTIFY_OFF);
        let doorbell = self.doorbells.of(unit).ok_or(ProbeError::BadDoorbell(queue))?;
        let place = self.doorbell.get_mut(usize::from(queue));
        *place.ok_or(ProbeError::BadDoorbell(queue))? = Some(doorbell);
        self.common.write16(common::QUEUE_SIZE, rings.size);
        if let Some(vectors) = self.vectors {
            self.direct(common::QUEUE_MSIX_VECTOR, vectors.queues)?;
        }
        // In two halves each: section 4.1.3.1.
        let write = |register, PhysicalAddress(address)| {
            self.common.write32(register, (address & 0xffff_ffff) as u32);
            self.common.write32(register + 4, (address >> 32) as u32);
        };
        write(common::QUEUE_DESC, rings.descriptors_at);
        write(common::QUEUE_DRIVER, rings.available_at);
        write(common::QUEUE_DEVICE, rings.used_at);
        self.common.write16(common::QUEUE_ENABLE, 1);
        Ok(())
    }

    /// Whether its doorbells are mapped: they are, unless there are very many.
    pub(super) const fn has_doorbells(&self) -> bool {
        self.doorbells.is_mapped()
    }

    /// Maps the doorbells of the queues that are used, wherever the device, which is fresh from its
    /// reset, has them: the numbers of queues say nothing of that. What cannot be so is found out when
    /// the queue is set up; it may never be.
    pub(super) fn map_doorbells(&mut self, map: &mut Map<'_>) -> Result<(), ProbeError> {
        for queue in (0..).take(QUEUES) {
            if self.select(queue).is_ok() {
                let unit = self.common.read16(common::QUEUE_NOTIFY_OFF);
                self.doorbells.map(unit, map)?;
            }
        }
        Ok(())
    }

    #[inline]
    pub(super) fn notify(&self, queue: u16) {
        if let Some(Some(doorbell)) = self.doorbell.get(usize::from(queue)) {
            doorbell.ring(queue);
        }
    }

    /// Of messages, that of the queues: for the other one there is a port of its own.
    pub(super) const fn interrupt_port(&self) -> InterruptPort {
        match self.vectors {
            None => InterruptPort::isr(self.isr.0, self.isr.1),
            Some(Vectors { configuration, queues }) if configuration == queues => {
                InterruptPort::message(Causes::ANY)
            }
            Some(_) => InterruptPort::message(Causes::USED_BUFFERS),
        }
    }
}
