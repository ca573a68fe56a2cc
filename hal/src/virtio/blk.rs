//! The disk (virtio 1.2, section 5.2): sectors in shared buffers, several requests at a time.
//!
//! A buffer names its request: each can have one at a time, for which it is the device's. The
//! request's header and status lie in the driver's memory. Lengths that the device reports are not
//! used (some report what they read); the status byte says whether the request was done.

use core::sync::atomic::AtomicU8;
use core::sync::atomic::AtomicU64;

use super::queue::{Lengths, Queue, Tables};
use super::{Config, DeviceError, DeviceId, Features, InterruptPort, Live, ProbeError, Transport};
use crate::dma::{DmaBuffers, DmaPool, DmaRegion, Shared};

/// How many buffers there are, and requests at a time.
pub const BUFFERS: usize = 16;
/// The size of a buffer in bytes.
pub const BUFFER_SIZE: u16 = 4096;
/// The size of a sector in bytes, whatever the disk's own (section 5.2.6).
pub const SECTOR: u16 = 512;

/// A chain is a header, data and a status.
const PARTS: usize = 3;
const REQUESTS: u16 = 0;

/// The device refuses writes.
const READ_ONLY: Features = Features::bit(5);
/// The device may keep writes in a cache until it is told to flush.
const FLUSH: Features = Features::bit(9);

/// A request's header and status in the driver's memory, side by side (section 5.2.6).
const RECORD: usize = 32;
const HEADER: u32 = 16;
const STATUS_OFFSET: usize = 16;

/// The status of a request that the device has not completed: none that it would write.
const PENDING: u8 = 0xff;

/// What to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Read sectors into the buffer.
    Read,
    /// Write sectors from the buffer.
    Write,
    /// Make completed writes survive a loss of power. Sector and length are ignored.
    Flush,
}

impl Operation {
    /// The request's type (section 5.2.6).
    const fn code(self) -> u64 {
        match self {
            Self::Read => 0,
            Self::Write => 1,
            Self::Flush => 4,
        }
    }
}

/// Why a request failed. The disk as a whole still works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BlockError {
    /// The medium failed. What the buffer holds after a read is not data.
    Io,
    /// The device does not know this operation.
    Unsupported,
    /// The device answered with this status, which the specification does not have.
    Unknown(u8),
}

impl core::fmt::Display for BlockError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Io => f.write_str("the disk reported an error"),
            Self::Unsupported => f.write_str("the disk does not know this operation"),
            Self::Unknown(status) => write!(f, "the disk answered with unknown status {status}"),
        }
    }
}

impl core::error::Error for BlockError {}

/// A completed request: its buffer, the application's again, and what became of it.
pub type Completion = (u16, Result<(), BlockError>);

/// A disk at work.
#[derive(Debug)]
pub struct Blk {
    live: Live,
    queue: Queue<BUFFERS, PARTS>,
    buffers: DmaBuffers,
    records: DmaRegion,
    headers: Shared<AtomicU64>,
    statuses: Shared<AtomicU8>,
    /// Which buffers are the application's: a bit each.
    held: u16,
    /// Flushes that were done before they were asked for, as the disk has no cache.
    flushed: u16,
    sectors: u64,
    features: Features,
}

impl Blk {
    /// Takes over the disk behind `transport`. All buffers are the application's.
    ///
    /// # Errors
    /// Any [`ProbeError`]; the device is then marked FAILED.
    pub fn probe(transport: Transport, dma: &mut DmaPool) -> Result<Self, ProbeError> {
        let setup = transport.begin(DeviceId::BLOCK)?;
        let mut agreed = setup.negotiate(Features::NONE, READ_ONLY | FLUSH)?;
        let queue: Queue<BUFFERS, PARTS> =
            agreed.queue(REQUESTS, Tables::Always, Lengths::Ignored, dma)?;
        let sectors = agreed.read_config(capacity)?;
        let records = dma.take(BUFFERS * RECORD, RECORD)?;
        let count = queue.chains();
        let buffers = dma.take_buffers(count, BUFFER_SIZE)?;
        Ok(Self {
            headers: records.words64(0, records.length() / size_of::<u64>())?,
            statuses: records.words8(0, records.length())?,
            features: agreed.features(),
            live: agreed.finish(),
            held: u16::MAX >> (u16::BITS - u32::from(count)),
            flushed: 0,
            queue,
            buffers,
            records,
            sectors,
        })
    }

    /// The disk's size in sectors of 512 bytes. It may be 0, and change
    /// ([`Self::configuration_changed`]).
    #[must_use]
    pub const fn sectors(&self) -> u64 {
        self.sectors
    }

    /// Whether the disk refuses writes.
    #[must_use]
    pub const fn is_read_only(&self) -> bool {
        self.features.contains(READ_ONLY)
    }

    /// The memory that sectors are read into and written from.
    #[must_use]
    pub const fn area(&self) -> &DmaBuffers {
        &self.buffers
    }

    /// What the device's interrupt handler needs.
    #[must_use]
    pub const fn interrupt_port(&self) -> InterruptPort {
        self.live.interrupt_port()
    }

    /// Starts a request on `length` bytes from `sector` on, and notifies the device if it asks for
    /// that. The buffer is the device's until it is [`completed`](Self::completed).
    ///
    /// # Errors
    /// [`DeviceError::BadBuffer`]; [`DeviceError::Unsupported`] for a write to a read-only disk;
    /// [`DeviceError::OutOfRange`] for a length of 0, over the buffer's or no multiple of 512, or
    /// sectors that the disk does not have; [`DeviceError::Broken`].
    pub fn submit(
        &mut self,
        operation: Operation,
        sector: u64,
        buffer: u16,
        length: u32,
    ) -> Result<(), DeviceError> {
        self.live.working()?;
        let bit = 1_u16.checked_shl(u32::from(buffer)).unwrap_or(0);
        if self.held & bit == 0 {
            return Err(DeviceError::BadBuffer);
        }
        let sector = match operation {
            Operation::Flush => 0, // section 5.2.6.1
            Operation::Write if self.is_read_only() => return Err(DeviceError::Unsupported),
            Operation::Read | Operation::Write => self.check_range(sector, length)?,
        };
        if operation == Operation::Flush && !self.features.contains(FLUSH) {
            self.held &= !bit; // without the feature, what is complete is safe (section 5.2.6.2)
            self.flushed |= bit;
            return Ok(());
        }
        self.enqueue(operation, sector, buffer, length)?;
        self.held &= !bit;
        if self.queue.publish() {
            self.live.notify(REQUESTS);
        }
        Ok(())
    }

    /// The sector, if the disk has all that the request touches.
    fn check_range(&self, sector: u64, length: u32) -> Result<u64, DeviceError> {
        let sectors = u64::from(length / u32::from(SECTOR));
        let end = sector.checked_add(sectors).ok_or(DeviceError::OutOfRange)?;
        let whole = length.is_multiple_of(u32::from(SECTOR));
        if sectors == 0 || !whole || length > u32::from(BUFFER_SIZE) || end > self.sectors {
            return Err(DeviceError::OutOfRange);
        }
        Ok(sector)
    }

    /// Writes the request down.
    fn enqueue(
        &mut self,
        operation: Operation,
        sector: u64,
        buffer: u16,
        length: u32,
    ) -> Result<(), DeviceError> {
        let record = usize::from(buffer) * RECORD;
        let outside = |_| DeviceError::BadBuffer;
        let header = self.records.span(record, HEADER).map_err(outside)?;
        let status = self.records.span(record + STATUS_OFFSET, 1).map_err(outside)?;
        let length = u16::try_from(length).unwrap_or(u16::MAX);
        let place = record / size_of::<u64>();
        self.headers.store(place, operation.code());
        self.headers.store(place + 1, sector);
        self.statuses.store(record + STATUS_OFFSET, PENDING);
        if operation == Operation::Flush {
            return self.queue.add([header], [status], buffer);
        }
        let data = self.buffers.span(buffer, length).ok_or(DeviceError::OutOfRange)?;
        match operation {
            Operation::Write => self.queue.add([header, data], [status], buffer),
            Operation::Read | Operation::Flush => self.queue.add([header], [data, status], buffer),
        }
    }

    /// Takes the next request that is complete, in whatever order the device completed them.
    ///
    /// # Errors
    /// [`DeviceError::Broken`].
    pub fn completed(&mut self) -> Result<Option<Completion>, DeviceError> {
        self.live.working()?;
        if self.flushed != 0 {
            let buffer = self.flushed.trailing_zeros();
            self.flushed &= self.flushed - 1;
            self.held |= 1 << buffer;
            return Ok(Some(((buffer & 0xffff) as u16, Ok(()))));
        }
        let buffer = match self.queue.take() {
            Ok(Some(used)) => used.token,
            Ok(None) => return Ok(None),
            Err(fault) => return Err(self.live.fail(fault)),
        };
        self.held |= 1_u16.checked_shl(u32::from(buffer)).unwrap_or(0);
        let result = match self.statuses.load(usize::from(buffer) * RECORD + STATUS_OFFSET) {
            0 => Ok(()),
            1 => Err(BlockError::Io),
            2 => Err(BlockError::Unsupported),
            status => Err(BlockError::Unknown(status)),
        };
        Ok(Some((buffer, result)))
    }

    /// Asks for an interrupt at the next completion. Returns whether there is one already: then do
    /// not sleep. Interrupts are asked for until [`Self::completed`] is called.
    pub fn arm(&mut self) -> bool {
        self.live.working().is_ok() && (self.queue.arm() || self.flushed != 0)
    }

    /// To be called after an interrupt with the cause [`configuration`](super::Causes::configuration):
    /// the disk may have another size now.
    ///
    /// # Errors
    /// [`DeviceError::Broken`] if the device needs a reset; [`DeviceError::Silent`] if it does not
    /// stop changing, with the old size kept.
    pub fn configuration_changed(&mut self) -> Result<(), DeviceError> {
        self.live.check_status()?;
        self.sectors = self.live.read_config(capacity).map_err(|_| DeviceError::Silent)?;
        Ok(())
    }
}

/// The configuration's `capacity` (section 5.2.4).
fn capacity(config: Config) -> u64 {
    config.field64(0)
}
