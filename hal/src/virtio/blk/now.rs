//! The disk used by the kernel itself: by polling, with interrupts off if need be, when there is
//! nobody left to wait for an interrupt. The fault report goes to the disk this way.
//!
//! The bytes go through a buffer that only the driver knows of. An application's buffers are its
//! own, whatever happens, and may all be under way at the time; this one is there for the kernel
//! even then, and copying costs nothing beside a disk.

use core::sync::atomic::AtomicU8;

use super::{BUFFER_SIZE, Blk, NowError, Operation, SCRATCH, SECTOR};
use crate::dma::{DmaError, DmaPool, DmaRegion, DmaSpan, Shared};
use crate::virtio::DeviceError;

/// How many bytes are written or read at a time.
const CHUNK: usize = BUFFER_SIZE as usize;
const CHUNK_SECTORS: u64 = BUFFER_SIZE as u64 / SECTOR as u64;

/// The driver's own buffer, with at most one request at a time.
#[derive(Debug)]
pub(super) struct Scratch {
    region: DmaRegion,
    bytes: Shared<AtomicU8>,
    under_way: bool,
}

impl Scratch {
    pub(super) fn new(dma: &mut DmaPool) -> Result<Self, DmaError> {
        let region = dma.take(CHUNK, usize::from(SECTOR))?;
        let bytes = region.words8(0, CHUNK)?;
        Ok(Self { region, bytes, under_way: false })
    }

    /// Its request is complete, or forgotten by a reset.
    pub(super) const fn take_back(&mut self) {
        self.under_way = false;
    }

    /// Its first `length` bytes, to tell the device of.
    fn span(&self, length: usize) -> Result<DmaSpan, DeviceError> {
        let length = u32::try_from(length).map_err(|_| DeviceError::OutOfRange)?;
        self.region.span(0, length).map_err(|_| DeviceError::OutOfRange)
    }
}

impl Blk {
    /// Writes `bytes`, a multiple of 512, to the disk from `sector` on, and waits until that is
    /// done: for as long as `patience` says so, which is asked each time that there is nothing new.
    ///
    /// The disk may keep it in a cache ([`Self::flush_now`]). No buffer of the area is touched;
    /// what an application has under way goes on and is told to it as ever.
    ///
    /// # Errors
    /// [`DeviceError::OutOfRange`] and [`DeviceError::Unsupported`] as [`Self::submit`], with
    /// nothing written. [`DeviceError::Silent`] when patience ends: what was to be written may yet
    /// be, and the next such call waits for that first. [`DeviceError::Broken`]; any
    /// [`BlockError`](super::BlockError). In the last three cases a part may have been written.
    pub fn write_now(
        &mut self,
        sector: u64,
        bytes: &[u8],
        mut patience: impl FnMut() -> bool,
    ) -> Result<(), NowError> {
        self.live.working()?;
        self.check(Operation::Write, sector, bytes.len() as u64)?;
        for (index, chunk) in (0..).zip(bytes.chunks(CHUNK)) {
            self.wait_for_turn(&mut patience)?;
            self.scratch.bytes.write(chunk);
            let data = Some(self.scratch.span(chunk.len())?);
            self.run(Operation::Write, sector + index * CHUNK_SECTORS, data, &mut patience)?;
        }
        Ok(())
    }

    /// Reads `bytes`, a multiple of 512, from the disk from `sector` on, as [`Self::write_now`]
    /// writes.
    ///
    /// # Errors
    /// As [`Self::write_now`]. What `bytes` holds then is not data.
    pub fn read_now(
        &mut self,
        sector: u64,
        bytes: &mut [u8],
        mut patience: impl FnMut() -> bool,
    ) -> Result<(), NowError> {
        self.live.working()?;
        self.check(Operation::Read, sector, bytes.len() as u64)?;
        for (index, chunk) in (0..).zip(bytes.chunks_mut(CHUNK)) {
            self.wait_for_turn(&mut patience)?;
            let data = Some(self.scratch.span(chunk.len())?);
            self.run(Operation::Read, sector + index * CHUNK_SECTORS, data, &mut patience)?;
            self.scratch.bytes.read(chunk);
        }
        Ok(())
    }

    /// Makes all that was written survive a loss of power, and waits for it as [`Self::write_now`]
    /// does. Done at once where the disk has no cache.
    ///
    /// # Errors
    /// [`DeviceError::Silent`], [`DeviceError::Broken`]; any [`BlockError`](super::BlockError).
    pub fn flush_now(&mut self, mut patience: impl FnMut() -> bool) -> Result<(), NowError> {
        self.live.working()?;
        if !self.has_cache() {
            return Ok(());
        }
        self.wait_for_turn(&mut patience)?;
        self.run(Operation::Flush, 0, None, &mut patience)
    }

    /// Waits until the scratch buffer is the driver's and there is room for a request: one that
    /// was given up earlier may still be under way, and an application's may take all places.
    fn wait_for_turn(&mut self, patience: &mut impl FnMut() -> bool) -> Result<(), DeviceError> {
        self.wait_until(patience, |blk| !blk.scratch.under_way && blk.queue.has_room())
    }

    /// Starts the scratch buffer's request and waits for its end.
    fn run(
        &mut self,
        operation: Operation,
        sector: u64,
        data: Option<DmaSpan>,
        patience: &mut impl FnMut() -> bool,
    ) -> Result<(), NowError> {
        self.start(operation, sector, SCRATCH, data)?;
        self.scratch.under_way = true;
        self.wait_until(patience, |blk| !blk.scratch.under_way)?;
        Ok(self.records.result(SCRATCH)?)
    }

    /// Polls until something is so, or patience ends ([`DeviceError::Silent`]), or the device
    /// breaks. Nobody may be there to take its interrupt, so it is asked whether it needs a reset.
    pub(super) fn wait_until(
        &mut self,
        patience: &mut impl FnMut() -> bool,
        is_so: impl Fn(&Self) -> bool,
    ) -> Result<(), DeviceError> {
        self.live.working()?;
        while !is_so(self) {
            if self.note_next()? {
                continue;
            }
            self.live.check_status()?;
            if !patience() {
                return Err(DeviceError::Silent);
            }
            core::hint::spin_loop();
        }
        Ok(())
    }
}
