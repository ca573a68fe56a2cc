//! The second half of taking a device over: its queues, then DRIVER_OK.

use super::layout::{Rings, Tables};
use super::queue::{Lengths, Queue};
use super::registers::status;
use super::setup::Unfinished;
use super::{Config, Features, Live, ProbeError};
use crate::dma::DmaPool;

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
        self.device.port.config().read(read)
    }

    /// Sets the queue `index` up for up to `CHAINS` chains of up to `PARTS` parts: as many as the
    /// device's queue is long enough for, and at least one.
    ///
    /// # Errors
    /// [`ProbeError::NoQueue`], [`ProbeError::QueueBusy`], [`ProbeError::QueueTooSmall`],
    /// [`ProbeError::Memory`], [`ProbeError::BadDoorbell`], [`ProbeError::NoVector`].
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
        let port = &mut self.device.port;
        let longest = port.select(index)?;
        let tables = if self.features.contains(Features::INDIRECT_DESCRIPTORS) {
            tables
        } else {
            Tables::Never
        };
        let rings = Rings::new(port.place(), chains, parts, longest, tables, dma)?
            .ok_or(ProbeError::QueueTooSmall(index))?;
        port.announce(index, &rings)?;
        Ok(rings)
    }

    /// Sets a queue up that the device had before it was reset, empty, where it was: it takes no
    /// memory. Nothing that was in it is in flight any more.
    ///
    /// # Errors
    /// As [`Self::queue`], bar those of memory; [`ProbeError::QueueTooSmall`] if the device no longer
    /// takes one of this length.
    pub fn queue_again<const CHAINS: usize, const PARTS: usize>(
        &mut self,
        queue: &mut Queue<CHAINS, PARTS>,
    ) -> Result<(), ProbeError> {
        let longest = self.device.port.select(queue.index())?;
        if longest < queue.rings().size {
            return Err(ProbeError::QueueTooSmall(queue.index()));
        }
        queue.start_over();
        self.device.port.announce(queue.index(), queue.rings())
    }

    /// Sets the device going: DRIVER_OK.
    #[must_use]
    pub fn finish(mut self) -> Live {
        self.device.advance(status::DRIVER_OK);
        Live::new(self.device.port, self.features)
    }
}
