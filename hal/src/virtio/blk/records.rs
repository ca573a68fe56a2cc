//! What the device is told of each request, and what it says of it: in the driver's own memory, out
//! of an application's reach (virtio 1.2, section 5.2.6).

use core::sync::atomic::{AtomicU8, AtomicU64};

use super::{BlockError, Operation};
use crate::dma::{DmaError, DmaPool, DmaRegion, DmaSpan, Shared};

/// A request's header (type, sector) and status, side by side. In bytes.
const RECORD: usize = 32;
const HEADER: u32 = 16;
const STATUS_OFFSET: usize = 16;

/// The status of a request that the device has not completed: none that it would write.
const PENDING: u8 = 0xff;
/// The status of one that is done (`VIRTIO_BLK_S_OK`).
const DONE: u8 = 0;

/// A record each for a number of requests, which a token tells apart.
#[derive(Debug)]
pub(super) struct Records {
    region: DmaRegion,
    headers: Shared<AtomicU64>,
    statuses: Shared<AtomicU8>,
}

impl Records {
    pub(super) fn new(count: usize, dma: &mut DmaPool) -> Result<Self, DmaError> {
        let region = dma.take(count * RECORD, RECORD)?;
        let headers = region.words64(0, region.length() / size_of::<u64>())?;
        let statuses = region.words8(0, region.length())?;
        Ok(Self { region, headers, statuses })
    }

    /// Writes a request down that nobody has answered; returns its header's and its status's place.
    pub(super) fn open(
        &self,
        token: u16,
        operation: Operation,
        sector: u64,
    ) -> Result<(DmaSpan, DmaSpan), DmaError> {
        let record = usize::from(token) * RECORD;
        let header = self.region.span(record, HEADER)?;
        let status = self.region.span(record + STATUS_OFFSET, 1)?;
        let place = record / size_of::<u64>();
        self.headers.store(place, operation.code());
        self.headers.store(place + 1, sector);
        self.statuses.store(record + STATUS_OFFSET, PENDING);
        Ok((header, status))
    }

    /// Marks a request done that the device need not be asked.
    pub(super) fn close(&self, token: u16) {
        self.statuses.store(usize::from(token) * RECORD + STATUS_OFFSET, DONE);
    }

    /// What became of a request that the device has completed.
    pub(super) fn result(&self, token: u16) -> Result<(), BlockError> {
        match self.statuses.load(usize::from(token) * RECORD + STATUS_OFFSET) {
            DONE => Ok(()),
            1 => Err(BlockError::Io),
            2 => Err(BlockError::Unsupported),
            status => Err(BlockError::Unknown(status)),
        }
    }
}
