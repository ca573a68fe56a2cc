//! The memory-mapped transport (virtio 1.2, section 4.2), and its legacy interface (4.2.4).

use super::config::{Config, Generation};
use super::layout::Rings;
use super::registers::{
    CONFIG, CONFIG_GENERATION, DEVICE_FEATURES, DEVICE_FEATURES_SEL, DRIVER_FEATURES,
    DRIVER_FEATURES_SEL, GUEST_PAGE_SIZE, INTERRUPT_ACK, INTERRUPT_STATUS, QUEUE_ALIGN,
    QUEUE_DESC_HIGH, QUEUE_DESC_LOW, QUEUE_DEVICE_HIGH, QUEUE_DEVICE_LOW, QUEUE_DRIVER_HIGH,
    QUEUE_DRIVER_LOW, QUEUE_NOTIFY, QUEUE_NUM, QUEUE_NUM_MAX, QUEUE_PFN, QUEUE_READY, QUEUE_SEL,
    STATUS,
};
use super::{Features, ProbeError};
use crate::address::{PAGE, PhysicalAddress};
use crate::dma::DmaError;
use crate::mmio::Window;

/// The page that legacy devices are told of: the unit of a queue's place.
const LEGACY_PAGE: u32 = 4096;
const _: () = assert!(LEGACY_PAGE as usize == PAGE, "queues are laid out by this page");

/// Which of the two interfaces a device speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Interface {
    /// Version 1: before virtio 1.0 (section 4.2.4).
    Legacy,
    /// Version 2: virtio 1.0 and later.
    Modern,
}

/// The registers of a device in a slot. What each operation is for, [`Port`](super::port::Port) says.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mapped {
    pub(super) window: Window,
    pub(super) interface: Interface,
}

impl Mapped {
    pub(super) const fn is_legacy(&self) -> bool {
        matches!(self.interface, Interface::Legacy)
    }

    pub(super) fn status(&self) -> u32 {
        self.window.read32(STATUS)
    }

    pub(super) fn set_status(&self, status: u32) {
        self.window.write32(STATUS, status);
    }

    pub(super) fn offered(&self) -> Features {
        self.window.write32(DEVICE_FEATURES_SEL, 0);
        let low = self.window.read32(DEVICE_FEATURES);
        self.window.write32(DEVICE_FEATURES_SEL, 1);
        let high = match self.interface {
            Interface::Modern => self.window.read32(DEVICE_FEATURES),
            Interface::Legacy => 0, // there are 32 (section 6.3)
        };
        Features::from_halves(low, high)
    }

    pub(super) fn take(&self, features: Features) {
        let (low, high) = features.halves();
        self.window.write32(DRIVER_FEATURES_SEL, 0);
        self.window.write32(DRIVER_FEATURES, low);
        match self.interface {
            Interface::Legacy => self.window.write32(GUEST_PAGE_SIZE, LEGACY_PAGE),
            Interface::Modern => {
                self.window.write32(DRIVER_FEATURES_SEL, 1);
                self.window.write32(DRIVER_FEATURES, high);
            }
        }
    }

    pub(super) const fn config(&self) -> Config {
        let generation = match self.interface {
            Interface::Legacy => Generation::None,
            Interface::Modern => Generation::Word(self.window, CONFIG_GENERATION),
        };
        Config::new(self.window, CONFIG, generation)
    }

    pub(super) fn select(&self, queue: u16) -> Result<u16, ProbeError> {
        self.window.write32(QUEUE_SEL, u32::from(queue));
        let in_use = match self.interface {
            Interface::Legacy => QUEUE_PFN,
            Interface::Modern => QUEUE_READY,
        };
        if self.window.read32(in_use) != 0 {
            return Err(ProbeError::QueueBusy(queue));
        }
        match self.window.read32(QUEUE_NUM_MAX) {
            0 => Err(ProbeError::NoQueue(queue)),
            longest => Ok(u16::try_from(longest).unwrap_or(u16::MAX)),
        }
    }

    pub(super) fn announce(&self, rings: &Rings) -> Result<(), ProbeError> {
        let window = self.window;
        window.write32(QUEUE_NUM, u32::from(rings.size));
        match self.interface {
            Interface::Legacy => {
                let page = rings.descriptors_at.0 / u64::from(LEGACY_PAGE);
                let page = u32::try_from(page).map_err(|_| DmaError::OutOfReach)?;
                window.write32(QUEUE_ALIGN, LEGACY_PAGE);
                window.write32(QUEUE_PFN, page);
            }
            Interface::Modern => {
                let write = |low, high, PhysicalAddress(address)| {
                    window.write32(low, (address & 0xffff_ffff) as u32);
                    window.write32(high, (address >> 32) as u32);
                };
                write(QUEUE_DESC_LOW, QUEUE_DESC_HIGH, rings.descriptors_at);
                write(QUEUE_DRIVER_LOW, QUEUE_DRIVER_HIGH, rings.available_at);
                write(QUEUE_DEVICE_LOW, QUEUE_DEVICE_HIGH, rings.used_at);
                window.write32(QUEUE_READY, 1);
            }
        }
        Ok(())
    }

    #[inline]
    pub(super) fn notify(&self, queue: u16) {
        self.window.write32(QUEUE_NOTIFY, u32::from(queue));
    }

    /// Reads the cause of an interrupt and writes it back, which is what the specification asks for
    /// (section 4.2.3.4.1).
    #[inline]
    pub(super) fn acknowledge(window: Window) -> u32 {
        let causes = window.read32(INTERRUPT_STATUS);
        window.write32(INTERRUPT_ACK, causes);
        causes
    }
}
