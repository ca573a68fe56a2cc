//! The disk (virtio 1.2, section 5.2): sectors in shared buffers, several requests at a time.
//!
//! A buffer names its request: each can have one at a time, for which it is the device's. The
//! request's header and status lie in the driver's memory. Lengths that the device reports are not
//! used (some report what they read); the status byte says whether the request was done.
//!
//! Besides, the kernel can use a disk by itself, waiting for each request, through a scratch buffer
//! that is the driver's alone ([`Blk::read_now`], [`Blk::write_now`]).

mod now;
mod operation;
mod records;
mod requests;

use self::now::Scratch;
pub use self::operation::{BlockError, Completion, NowError, Operation};
use self::records::Records;
use super::queue::{Lengths, Queue, Tables};
use super::{
    Config, DeviceError, DeviceId, Fault, Features, InterruptPort, Live, ProbeError, Transport,
};
use crate::dma::{DmaBuffers, DmaPool};

/// How many buffers there are, and requests at a time.
pub const BUFFERS: usize = 16;
/// The size of a buffer in bytes.
pub const BUFFER_SIZE: u16 = 4096;
/// The size of a sector in bytes, whatever the disk's own (section 5.2.6).
pub const SECTOR: u16 = 512;

/// The device's one queue, and how many requests can be in it at a time.
const QUEUE: u16 = 0;
const REQUESTS: usize = BUFFERS;
/// A chain is a header, data and a status.
const PARTS: usize = 3;

/// What the request of the scratch buffer is named by: the number after the last buffer's.
#[expect(clippy::cast_possible_truncation, reason = "asserted: there is a bit for each buffer")]
const SCRATCH: u16 = {
    assert!(BUFFERS == u16::BITS as usize);
    BUFFERS as u16
};

/// The device refuses writes.
const READ_ONLY: Features = Features::bit(5);
/// The device may keep writes in a cache until it is told to flush.
const FLUSH: Features = Features::bit(9);

/// A disk at work.
#[derive(Debug)]
pub struct Blk {
    live: Live,
    queue: Queue<REQUESTS, PARTS>,
    buffers: DmaBuffers,
    records: Records,
    scratch: Scratch,
    /// Which buffers are the application's: a bit each.
    held: u16,
    /// Which buffers' requests are complete without the application having been told: a bit each.
    finished: u16,
    sectors: u64,
}

impl Blk {
    /// Takes over the disk behind `transport`. All buffers are the application's.
    ///
    /// # Errors
    /// Any [`ProbeError`]; the device is then marked FAILED.
    pub fn probe(transport: Transport, dma: &mut DmaPool) -> Result<Self, ProbeError> {
        let setup = transport.begin(DeviceId::BLOCK)?;
        let mut agreed = setup.negotiate(Features::NONE, READ_ONLY | FLUSH)?;
        let queue: Queue<REQUESTS, PARTS> =
            agreed.queue(QUEUE, Tables::Always, Lengths::Ignored, dma)?;
        let sectors = agreed.read_config(capacity)?;
        let records = Records::new(BUFFERS + 1, dma)?;
        let scratch = Scratch::new(dma)?;
        let buffers = dma.take_buffers(queue.chains(), BUFFER_SIZE)?;
        Ok(Self {
            live: agreed.finish(),
            held: all(&buffers),
            finished: 0,
            queue,
            buffers,
            records,
            scratch,
            sectors,
        })
    }

    /// Takes the disk over again, in place and without taking memory: all buffers are the
    /// application's afterwards, and nothing is in flight. For when an application dies and is
    /// started again, and for a device that is broken.
    ///
    /// Requests that are under way are done, half done or not at all: [`drain`](Self::drain) before.
    ///
    /// # Errors
    /// Any [`ProbeError`] but those of memory. The device is then marked FAILED, every call gets
    /// [`DeviceError::Broken`], and no buffer changes hands: after [`ProbeError::ResetTimeout`] the
    /// device may still write to those that are not [held](Self::is_held). It may be tried again.
    pub fn restart(&mut self) -> Result<(), ProbeError> {
        let mut agreed = self.live.restart()?;
        agreed.queue_again(&mut self.queue)?;
        self.sectors = agreed.read_config(capacity)?;
        self.live = agreed.finish();
        self.held = all(&self.buffers);
        self.finished = 0;
        self.scratch.take_back();
        Ok(())
    }

    /// Resets the disk, for good: it does nothing any more. Nobody may be waiting for it.
    pub fn leave(mut self) {
        let _broken = self.live.fail(Fault::NotRestarted);
    }

    /// Lets what is under way finish, by polling, for as long as `patience` says so: it is asked
    /// each time that there is nothing new. Returns whether nothing is under way any more; `false`
    /// also if the device breaks, for then nothing more comes.
    ///
    /// What was completed meanwhile is still to be had from [`Self::completed`].
    pub fn drain(&mut self, mut patience: impl FnMut() -> bool) -> bool {
        self.wait_until(&mut patience, |blk| blk.queue.in_flight() == 0).is_ok()
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
        self.live.features().contains(READ_ONLY)
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

/// The bits of all buffers, of which there are 1 to 16.
const fn all(buffers: &DmaBuffers) -> u16 {
    u16::MAX >> (u16::BITS - buffers.count() as u32)
}

/// The configuration's `capacity` (section 5.2.4).
fn capacity(config: Config) -> u64 {
    config.field64(0)
}
