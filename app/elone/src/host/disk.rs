//! A disk whose sectors are bytes in memory or in a file.
#![expect(unsafe_code, reason = "stands in for a device, which reaches buffers by number")]

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::sync::{Arc, Mutex, PoisonError};
use std::vec::Vec;

use elone_gate::{BlockCompletion, BlockInfo, BlockOperation, BlockRequest, Error, Events, Handle};

use super::gate::area;
use super::machine::Signals;

const BUFFERS: u16 = 8;
const SIZE: u16 = 4096;
const SECTOR: u64 = 512;

/// What a disk holds.
#[derive(Debug)]
pub struct Image {
    content: Content,
    is_read_only: bool,
}

#[derive(Debug)]
enum Content {
    Memory(Arc<Mutex<Vec<u8>>>),
    File(File),
}

impl Image {
    /// A disk in memory, which the test may look at while it is used. What is left of a sector at
    /// the end does not count.
    #[must_use]
    pub const fn memory(bytes: Arc<Mutex<Vec<u8>>>) -> Self {
        Self { content: Content::Memory(bytes), is_read_only: false }
    }

    /// A disk in a file, which must be open for reading, and for writing unless it is read-only.
    #[must_use]
    pub const fn file(file: File) -> Self {
        Self { content: Content::File(file), is_read_only: false }
    }

    /// The same, but writes are refused.
    #[must_use]
    pub fn read_only(mut self) -> Self {
        self.is_read_only = true;
        self
    }

    fn length(&self) -> u64 {
        match &self.content {
            Content::Memory(bytes) => lock(bytes).len() as u64,
            Content::File(file) => file.metadata().map_or(0, |metadata| metadata.len()),
        }
    }

    fn transfer(&mut self, operation: BlockOperation, at: u64, bytes: &mut [u8]) -> io::Result<()> {
        let start = usize::try_from(at).unwrap_or(usize::MAX);
        match (&mut self.content, operation) {
            (Content::Memory(disk), BlockOperation::Read) => {
                bytes.copy_from_slice(&lock(disk)[start..start + bytes.len()]);
            }
            (Content::Memory(disk), BlockOperation::Write) => {
                lock(disk)[start..start + bytes.len()].copy_from_slice(bytes);
            }
            (Content::Memory(_), BlockOperation::Flush) => {}
            (Content::File(file), BlockOperation::Read) => {
                file.seek(SeekFrom::Start(at))?;
                file.read_exact(bytes)?;
            }
            (Content::File(file), BlockOperation::Write) => {
                file.seek(SeekFrom::Start(at))?;
                file.write_all(bytes)?;
            }
            (Content::File(file), BlockOperation::Flush) => file.sync_data()?,
        }
        Ok(())
    }
}

fn lock(bytes: &Mutex<Vec<u8>>) -> std::sync::MutexGuard<'_, Vec<u8>> {
    bytes.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One disk of a running machine.
pub(super) struct Disk {
    info: BlockInfo,
    signals: Arc<Signals>,
    pub(super) is_claimed: Cell<bool>,
    image: RefCell<Image>,
    complete: RefCell<VecDeque<BlockCompletion>>,
}

impl Disk {
    pub(super) fn new(image: Image, handle: u8, signals: &Arc<Signals>) -> Self {
        let info = BlockInfo {
            handle: Handle(handle),
            sectors: image.length() / SECTOR,
            read_only: image.is_read_only,
            area: area(BUFFERS, SIZE),
        };
        Self {
            info,
            signals: Arc::clone(signals),
            is_claimed: Cell::new(false),
            image: RefCell::new(image),
            complete: RefCell::default(),
        }
    }

    pub(super) const fn info(&self) -> BlockInfo {
        self.info
    }

    pub(super) fn submit(&self, request: BlockRequest) -> Result<(), Error> {
        let length = match request.operation {
            BlockOperation::Flush => 0,
            _ => u16::try_from(request.length).map_err(|_| Error::OutOfRange)?,
        };
        if request.operation == BlockOperation::Write && self.info.read_only {
            return Err(Error::Unsupported);
        }
        let sectors = u64::from(length) / SECTOR;
        let fits = request.sector.checked_add(sectors).is_some_and(|end| end <= self.info.sectors);
        let is_whole = length > 0 && u64::from(length).is_multiple_of(SECTOR);
        if request.operation != BlockOperation::Flush && !(fits && is_whole) {
            return Err(Error::OutOfRange);
        }
        // SAFETY: the area is this device's, and the application gave up the buffer with the request.
        let buffer = unsafe { self.info.area.take(request.buffer, length) };
        let mut buffer = buffer.ok_or(Error::BadBuffer)?;
        let at = request.sector * SECTOR;
        let result = self.image.borrow_mut().transfer(request.operation, at, &mut buffer);
        let result = result.map_err(|_| Error::Broken);
        self.complete.borrow_mut().push_back(BlockCompletion { buffer: request.buffer, result });
        self.signals.raise(Events::device(self.info.handle));
        Ok(())
    }

    pub(super) fn complete(&self, completions: &mut [BlockCompletion]) -> usize {
        let mut complete = self.complete.borrow_mut();
        let count = complete.len().min(completions.len());
        completions.iter_mut().zip(complete.drain(..count)).for_each(|(slot, one)| *slot = one);
        count
    }
}
