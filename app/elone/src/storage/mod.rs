//! Disks: sectors of 512 bytes, read, written and flushed, without waiting in the core.
//!
//! An adapter to the traits of `embedded-storage-async` is left to the layer that needs one: those
//! describe flash that is erased before it is written, which a disk is not, and what to pretend
//! (erase size, what an erased sector reads as) is that layer's to decide.

mod queue;

use core::cell::RefCell;
use core::future::poll_fn;
use core::task::Poll;

use alloc::boxed::Box;
use elone_gate::{
    self as gate, BlockOperation, BlockRequest, Buffer, DeviceClass, DeviceInfo, calls,
};

use crate::Error;
use crate::run;
use crate::shared::Shared;
use crate::wakers::Wakers;
use queue::{Answer, Inner, Queue, Request, Running};

/// Bytes in a sector.
pub const SECTOR: usize = 512;

/// A device that is read and written in sectors.
#[expect(async_fn_in_trait, reason = "nothing here is `Send`: one core, one thread")]
pub trait BlockDevice {
    /// Its size in sectors.
    fn sectors(&self) -> u64;

    /// Reads whole sectors, from `sector` on.
    ///
    /// # Errors
    /// [`gate::Error::OutOfRange`] for sectors that it does not have, or bytes that are no whole
    /// number of sectors; [`gate::Error::Broken`] where the device failed.
    async fn read(&self, sector: u64, bytes: &mut [u8]) -> Result<(), Error>;

    /// Writes whole sectors, from `sector` on. They survive a loss of power once flushed.
    ///
    /// # Errors
    /// As for reading, and [`gate::Error::Unsupported`] where it is read-only.
    async fn write(&self, sector: u64, bytes: &[u8]) -> Result<(), Error>;

    /// Makes all that was written survive a loss of power.
    ///
    /// # Errors
    /// [`gate::Error::Broken`], [`gate::Error::Unsupported`].
    async fn flush(&self) -> Result<(), Error>;
}

/// A claimed disk. A handle: copies are the same disk, and may be used by several tasks at once.
#[derive(Clone, Copy, Debug)]
pub struct Disk(&'static Queue);

impl Disk {
    pub(crate) fn claim(index: u8) -> Result<Self, Error> {
        let DeviceInfo::Block(info) = calls::device(DeviceClass::Block, index)? else {
            return Err(gate::Error::NoSuchDevice.into());
        };
        let (shared, free) = Shared::claim(info.area);
        let requests = free.iter().map(|_| Request::None).collect();
        let inner =
            RefCell::new(Inner { shared, free, requests, waiting: Wakers::new(), lost: None });
        let queue = Box::leak(Box::new(Queue { info, inner }));
        run::add(queue);
        Ok(Self(queue))
    }

    /// Whether it refuses writes.
    #[must_use]
    pub const fn is_read_only(&self) -> bool {
        self.0.info.read_only
    }

    /// Checks what is asked for as a whole, so that nothing is done of what cannot be done.
    fn check(&self, sector: u64, length: usize) -> Result<(), Error> {
        let sectors = (length / SECTOR) as u64;
        let end = sector.checked_add(sectors);
        let inside = end.is_some_and(|end| end <= self.0.info.sectors);
        if inside && length.is_multiple_of(SECTOR) {
            Ok(())
        } else {
            Err(gate::Error::OutOfRange.into())
        }
    }

    /// As much as one request can move.
    fn piece(&self) -> usize {
        let size = usize::from(self.0.info.area.size());
        size - size % SECTOR
    }

    async fn buffer(&self) -> Result<Buffer, Error> {
        poll_fn(|context| self.0.inner.borrow_mut().buffer(context)).await
    }

    async fn request(
        &self,
        operation: BlockOperation,
        sector: u64,
        buffer: Buffer,
    ) -> Result<Answer, Error> {
        let handle = self.0.info.handle;
        let length = u32::try_from(buffer.len()).unwrap_or(u32::MAX);
        let id = self.0.inner.borrow_mut().shared.lend(buffer);
        let mut running = Running { queue: self.0, id, submitted: false };
        poll_fn(|context| {
            let request = BlockRequest { operation, sector, buffer: id, length };
            match calls::block_submit(handle, request) {
                Err(gate::Error::Full) => self.0.inner.borrow_mut().wait(context),
                result => Poll::Ready(result),
            }
        })
        .await?;
        running.submitted = true;
        *self.0.inner.borrow_mut().request(id) = Request::Running(None);
        let (buffer, result) = poll_fn(|context| self.0.poll(id, context)).await;
        let answer = Answer { queue: self.0, buffer };
        result?;
        Ok(answer)
    }
}

impl BlockDevice for Disk {
    fn sectors(&self) -> u64 {
        self.0.info.sectors
    }

    async fn read(&self, sector: u64, bytes: &mut [u8]) -> Result<(), Error> {
        self.check(sector, bytes.len())?;
        let mut at = sector;
        for piece in bytes.chunks_mut(self.piece()) {
            let mut buffer = self.buffer().await?;
            buffer.set_length(u16::try_from(piece.len()).unwrap_or(u16::MAX));
            let answer = self.request(BlockOperation::Read, at, buffer).await?;
            piece.copy_from_slice(answer.bytes(piece.len())?);
            at += (piece.len() / SECTOR) as u64;
        }
        Ok(())
    }

    async fn write(&self, sector: u64, bytes: &[u8]) -> Result<(), Error> {
        if self.is_read_only() {
            return Err(gate::Error::Unsupported.into());
        }
        self.check(sector, bytes.len())?;
        let mut at = sector;
        for piece in bytes.chunks(self.piece()) {
            let mut buffer = self.buffer().await?;
            buffer.set_length(u16::try_from(piece.len()).unwrap_or(u16::MAX));
            buffer.copy_from_slice(piece);
            self.request(BlockOperation::Write, at, buffer).await?;
            at += (piece.len() / SECTOR) as u64;
        }
        Ok(())
    }

    async fn flush(&self) -> Result<(), Error> {
        let buffer = self.buffer().await?;
        self.request(BlockOperation::Flush, 0, buffer).await.map(drop)
    }
}
