//! The second half of taking a device over: its queues, then DRIVER_OK.

use core::sync::atomic::{Ordering, fence};

use super::layout::{Place, Rings, Tables};
use super::queue::{Lengths, Queue};
use super::registers::{
    QUEUE_ALIGN, QUEUE_DESC_HIGH, QUEUE_DESC_LOW, QUEUE_DEVICE_HIGH, QUEUE_DEVICE_LOW,
    QUEUE_DRIVER_HIGH, QUEUE_DRIVER_LOW, QUEUE_NUM, QUEUE_NUM_MAX, QUEUE_PFN, QUEUE_READY,
    QUEUE_SEL, status,
};
use super::setup::{LEGACY_PAGE, Unfinished};
use super::transport::Interface;
use super::{Config, Features, Live, ProbeError};
use crate::address::PhysicalAddress;
use crate::dma::{DmaError, DmaPool};

/// A device with which the features are agreed: its queues can be set up.
#[derive(Debug)]
pub struct Agreed {
    device: Unfinished,
    features: Features,
}

impl Agreed {
    pub(super) const fn new(device: Unfinished, features: Features) -> Self {
        Self { device, features }
    }

    /// What was agreed on.
    #[must_use]
    pub const fn features(&self) -> Features {
        self.features
    }

    /// Reads the device's configuration.
    ///
    /// # Errors
    /// [`ProbeError::ConfigUnstable`].
    pub fn read_config<T: PartialEq>(&self, read: impl Fn(Config) -> T) -> Result<T, ProbeError> {
        Config::new(self.device.window, self.device.interface).read(read)
    }

    /// Sets the queue `index` up for up to `CHAINS` chains of up to `PARTS` parts: as many as the
    /// device's queue is long enough for, and at least one.
    ///
    /// # Errors
    /// [`ProbeError::NoQueue`], [`ProbeError::QueueBusy`], [`ProbeError::QueueTooSmall`],
    /// [`ProbeError::Memory`].
    pub fn queue<const CHAINS: usize, const PARTS: usize>(
        &mut self,
        index: u16,
        tables: Tables,
        lengths: Lengths,
        dma: &mut DmaPool,
    ) -> Result<Queue<CHAINS, PARTS>, ProbeError> {
        let rings = self.rings(index, (CHAINS, PARTS), tables, dma)?;
        Ok(Queue::new(index, rings, self.features, lengths))
    }

    /// The part of [`Self::queue`] that is the same whatever its numbers of chains and parts.
    fn rings(
        &mut self,
        index: u16,
        (chains, parts): (usize, usize),
        tables: Tables,
        dma: &mut DmaPool,
    ) -> Result<Rings, ProbeError> {
        let longest = self.select(index)?;
        let place = match self.device.interface {
            Interface::Legacy => Place::Legacy,
            Interface::Modern => Place::Modern,
        };
        let tables = if self.features.contains(Features::INDIRECT_DESCRIPTORS) {
            tables
        } else {
            Tables::Never
        };
        let rings = Rings::new(place, chains, parts, longest, tables, dma)?
            .ok_or(ProbeError::QueueTooSmall(index))?;
        self.announce(&rings)?;
        Ok(rings)
    }

    /// Sets a queue up that the device had before it was reset, empty, where it was: it takes no
    /// memory. Nothing that was in it is in flight any more.
    ///
    /// # Errors
    /// [`ProbeError::NoQueue`], [`ProbeError::QueueBusy`]; [`ProbeError::QueueTooSmall`] if the
    /// device no longer takes one of this length.
    pub fn queue_again<const CHAINS: usize, const PARTS: usize>(
        &mut self,
        queue: &mut Queue<CHAINS, PARTS>,
    ) -> Result<(), ProbeError> {
        let longest = self.select(queue.index())?;
        if longest < queue.rings().size {
            return Err(ProbeError::QueueTooSmall(queue.index()));
        }
        queue.start_over();
        self.announce(queue.rings())
    }

    /// Selects a queue that is not set up; returns how long it can be.
    fn select(&self, index: u16) -> Result<u16, ProbeError> {
        let window = self.device.window;
        window.write32(QUEUE_SEL, u32::from(index));
        let in_use = match self.device.interface {
            Interface::Legacy => QUEUE_PFN,
            Interface::Modern => QUEUE_READY,
        };
        if window.read32(in_use) != 0 {
            return Err(ProbeError::QueueBusy(index));
        }
        match window.read32(QUEUE_NUM_MAX) {
            0 => Err(ProbeError::NoQueue(index)),
            longest => Ok(u16::try_from(longest).unwrap_or(u16::MAX)),
        }
    }

    /// Tells the device where the selected queue is.
    fn announce(&self, rings: &Rings) -> Result<(), ProbeError> {
        let window = self.device.window;
        fence(Ordering::SeqCst); // the rings are empty before the device knows of them
        window.write32(QUEUE_NUM, u32::from(rings.size));
        match self.device.interface {
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

    /// Sets the device going: DRIVER_OK.
    #[must_use]
    pub fn finish(mut self) -> Live {
        self.device.advance(status::DRIVER_OK);
        Live::new(self.device.window, self.device.interface, self.features)
    }
}
