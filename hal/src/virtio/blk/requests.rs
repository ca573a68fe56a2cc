//! Requests: started and completed, and whose each buffer is.

use super::{Blk, Completion, FLUSH, Operation, QUEUE, SCRATCH, SECTOR};
use crate::dma::DmaSpan;
use crate::virtio::DeviceError;

impl Blk {
    /// Whether a buffer is the application's: what [`Self::submit`] asks of it.
    #[must_use]
    pub fn is_held(&self, buffer: u16) -> bool {
        self.held & bit(buffer) != 0
    }

    /// Starts a request on `length` bytes from `sector` on, and notifies the device if it asks for
    /// that. The buffer is the device's until it is [`completed`](Self::completed).
    ///
    /// # Errors
    /// [`DeviceError::BadBuffer`]; [`DeviceError::Unsupported`] for a write to a read-only disk;
    /// [`DeviceError::OutOfRange`] for a length of 0, over the buffer's or no multiple of 512, or
    /// sectors that the disk does not have; [`DeviceError::Full`] while the kernel's own request
    /// takes the last place; [`DeviceError::Broken`].
    pub fn submit(
        &mut self,
        operation: Operation,
        sector: u64,
        buffer: u16,
        length: u32,
    ) -> Result<(), DeviceError> {
        self.live.working()?;
        if !self.is_held(buffer) {
            return Err(DeviceError::BadBuffer);
        }
        if operation == Operation::Flush {
            if self.has_cache() {
                self.start(operation, 0, buffer, None)?; // sector 0 (section 5.2.6.1)
            } else {
                self.records.close(buffer); // what is complete is safe (section 5.2.6.2)
                self.finished |= bit(buffer);
            }
            self.held &= !bit(buffer);
            return Ok(());
        }
        self.check(operation, sector, u64::from(length))?;
        let length = u16::try_from(length).map_err(|_| DeviceError::OutOfRange)?;
        let data = self.buffers.span(buffer, length).ok_or(DeviceError::OutOfRange)?;
        self.start(operation, sector, buffer, Some(data))?;
        self.held &= !bit(buffer);
        Ok(())
    }

    /// Whether writes may be in a cache, and have to be flushed.
    pub(super) const fn has_cache(&self) -> bool {
        self.live.features().contains(FLUSH)
    }

    /// Whether the disk can do this to all of `length` bytes from `sector` on.
    pub(super) fn check(
        &self,
        operation: Operation,
        sector: u64,
        length: u64,
    ) -> Result<(), DeviceError> {
        if operation == Operation::Write && self.is_read_only() {
            return Err(DeviceError::Unsupported);
        }
        let size = u64::from(SECTOR);
        let end = sector.checked_add(length / size).ok_or(DeviceError::OutOfRange)?;
        if length == 0 || !length.is_multiple_of(size) || end > self.sectors {
            return Err(DeviceError::OutOfRange);
        }
        Ok(())
    }

    /// Makes a request the device's.
    pub(super) fn start(
        &mut self,
        operation: Operation,
        sector: u64,
        token: u16,
        data: Option<DmaSpan>,
    ) -> Result<(), DeviceError> {
        let request = self.records.open(token, operation, sector);
        let (header, status) = request.map_err(|_| DeviceError::BadBuffer)?;
        match (operation, data) {
            (Operation::Read, Some(data)) => self.queue.add([header], [data, status], token)?,
            (Operation::Write, Some(data)) => self.queue.add([header, data], [status], token)?,
            (_, None) | (Operation::Flush, _) => self.queue.add([header], [status], token)?,
        }
        if self.queue.publish() {
            self.live.notify(QUEUE);
        }
        Ok(())
    }

    /// Takes the next request that is complete, in whatever order the device completed them.
    ///
    /// # Errors
    /// [`DeviceError::Broken`].
    pub fn completed(&mut self) -> Result<Option<Completion>, DeviceError> {
        self.live.working()?;
        while self.finished == 0 {
            if !self.note_next()? {
                return Ok(None);
            }
        }
        let buffer = (self.finished.trailing_zeros() & 0xff) as u16;
        self.finished &= self.finished - 1;
        self.held |= bit(buffer);
        Ok(Some((buffer, self.records.result(buffer))))
    }

    /// Notes the next request that the device has completed; returns whether there was one.
    pub(super) fn note_next(&mut self) -> Result<bool, DeviceError> {
        match self.queue.take() {
            Ok(Some(used)) if used.token == SCRATCH => self.scratch.take_back(),
            Ok(Some(used)) => self.finished |= bit(used.token),
            Ok(None) => return Ok(false),
            Err(fault) => return Err(self.live.fail(fault)),
        }
        Ok(true)
    }

    /// Asks for an interrupt at the next completion. Returns whether there is one already: then do
    /// not sleep. Interrupts are asked for until [`Self::completed`] is called.
    pub fn arm(&mut self) -> bool {
        self.live.working().is_ok() && (self.queue.arm() || self.finished != 0)
    }

    /// Whether there is what an interrupt was asked for ([`arm`](Self::arm)).
    #[must_use]
    pub fn is_overdue(&self) -> bool {
        self.queue.is_overdue()
    }
}

/// A buffer's bit; none for a number that no buffer has.
const fn bit(buffer: u16) -> u16 {
    match 1_u16.checked_shl(buffer as u32) {
        Some(bit) => bit,
        None => 0,
    }
}
