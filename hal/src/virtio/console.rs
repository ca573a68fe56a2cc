//! The console (virtio 1.2, section 5.3): its first port, bytes in and bytes out.
//!
//! Bytes are copied through buffers of the driver's: a console is slow, and its callers have their
//! bytes anywhere.

use core::sync::atomic::AtomicU8;

use super::queue::{Lengths, Queue, Tables};
use super::{DeviceError, DeviceId, Features, InterruptPort, Live, ProbeError, Transport};
use crate::dma::{DmaPool, DmaRegion, Shared};

const RECEIVE: u16 = 0;
const TRANSMIT: u16 = 1;

/// How many buffers there are each way, and the size of each in bytes.
const BUFFERS: usize = 4;
const SIZE: u16 = 256;

/// What arrived and is not yet read: a buffer, and which of its bytes.
#[derive(Clone, Copy, Debug)]
struct Unread {
    buffer: u16,
    next: u16,
    end: u16,
}

/// A console at work.
#[derive(Debug)]
pub struct Console {
    live: Live,
    receive: Queue<BUFFERS, 1>,
    transmit: Queue<BUFFERS, 1>,
    /// The buffers: first those to receive into, then those to send from.
    region: DmaRegion,
    bytes: Shared<AtomicU8>,
    /// Which of the buffers to send from are free: a bit each.
    free: u8,
    unread: Option<Unread>,
}

impl Console {
    /// Takes over the console behind `transport`.
    ///
    /// # Errors
    /// Any [`ProbeError`]; the device is then marked FAILED.
    pub fn probe(transport: Transport, dma: &mut DmaPool) -> Result<Self, ProbeError> {
        let setup = transport.begin(DeviceId::CONSOLE)?;
        let mut agreed = setup.negotiate(Features::NONE, Features::NONE)?;
        let receive: Queue<BUFFERS, 1> =
            agreed.queue(RECEIVE, Tables::Never, Lengths::Checked, dma)?;
        let transmit: Queue<BUFFERS, 1> =
            agreed.queue(TRANSMIT, Tables::Never, Lengths::Ignored, dma)?;
        let region = dma.take(2 * BUFFERS * usize::from(SIZE), usize::from(SIZE))?;
        let bytes = region.words8(0, region.length())?;
        let free = (1 << transmit.chains()) - 1;
        let live = agreed.finish();
        let mut console = Self { live, receive, transmit, region, bytes, free, unread: None };
        for buffer in 0..console.receive.chains() {
            console.offer(buffer);
        }
        console.publish_offers();
        Ok(console)
    }

    /// What the device's interrupt handler needs.
    #[must_use]
    pub const fn interrupt_port(&self) -> InterruptPort {
        self.live.interrupt_port()
    }

    /// Writes `bytes`, waiting for room as long as `patient` says so; returns how many were taken.
    /// The rest is the caller's to drop: a console that nobody reads must not stop the machine.
    ///
    /// # Errors
    /// [`DeviceError::Broken`].
    pub fn write(
        &mut self,
        bytes: &[u8],
        mut patient: impl FnMut() -> bool,
    ) -> Result<usize, DeviceError> {
        self.live.working()?;
        let mut written = 0;
        for chunk in bytes.chunks(usize::from(SIZE)) {
            self.reclaim()?;
            while self.free == 0 {
                if !patient() {
                    return Ok(written);
                }
                core::hint::spin_loop();
                self.reclaim()?;
            }
            self.send(chunk)?;
            written += chunk.len();
        }
        Ok(written)
    }

    /// Sends a chunk in a free buffer, of which there is one.
    fn send(&mut self, chunk: &[u8]) -> Result<(), DeviceError> {
        let buffer = (self.free.trailing_zeros() & 0xff) as u16;
        let start = (BUFFERS + usize::from(buffer)) * usize::from(SIZE);
        for (offset, &byte) in chunk.iter().enumerate() {
            self.bytes.store(start + offset, byte);
        }
        let length = u32::try_from(chunk.len()).map_err(|_| DeviceError::OutOfRange)?;
        let part = self.region.span(start, length).map_err(|_| DeviceError::OutOfRange)?;
        self.transmit.add([part], [], buffer)?;
        self.free &= self.free - 1;
        if self.transmit.publish() {
            self.live.notify(TRANSMIT);
        }
        Ok(())
    }

    /// Takes back the buffers that have been sent.
    fn reclaim(&mut self) -> Result<(), DeviceError> {
        loop {
            match self.transmit.take() {
                Ok(Some(used)) => self.free |= 1_u8.checked_shl(used.token.into()).unwrap_or(0),
                Ok(None) => return Ok(()),
                Err(fault) => return Err(self.live.fail(fault)),
            }
        }
    }

    /// Takes what arrived, as much as fits; returns how many bytes that was.
    ///
    /// # Errors
    /// [`DeviceError::Broken`].
    pub fn read(&mut self, target: &mut [u8]) -> Result<usize, DeviceError> {
        self.live.working()?;
        let mut count = 0;
        while let Some(place) = target.get_mut(count) {
            let Some(byte) = self.next_byte()? else { break };
            *place = byte;
            count += 1;
        }
        self.publish_offers();
        Ok(count)
    }

    /// The next byte that arrived. A buffer that is empty then is offered again.
    fn next_byte(&mut self) -> Result<Option<u8>, DeviceError> {
        loop {
            if let Some(Unread { buffer, next, end }) = self.unread {
                if next < end {
                    self.unread = Some(Unread { buffer, next: next + 1, end });
                    return Ok(Some(self.bytes.load(usize::from(buffer * SIZE + next))));
                }
                self.offer(buffer);
                self.unread = None;
            }
            match self.receive.take() {
                Ok(Some(used)) => {
                    let end = u16::try_from(used.written).unwrap_or(SIZE);
                    self.unread = Some(Unread { buffer: used.token, next: 0, end });
                }
                Ok(None) => return Ok(None),
                Err(fault) => return Err(self.live.fail(fault)),
            }
        }
    }

    /// Offers a buffer to be filled.
    fn offer(&mut self, buffer: u16) {
        if let Ok(part) = self.region.span(usize::from(buffer * SIZE), u32::from(SIZE)) {
            // There are as many chains as buffers, so this is not refused.
            let _ = self.receive.add([], [part], buffer);
        }
    }

    fn publish_offers(&mut self) {
        if self.receive.publish() {
            self.live.notify(RECEIVE);
        }
    }

    /// Asks for an interrupt when bytes arrive. Returns whether there are some already: then do
    /// not sleep. Interrupts are asked for until [`Self::read`] is called.
    pub fn arm(&mut self) -> bool {
        let unread = self.unread.is_some_and(|unread| unread.next < unread.end);
        self.live.working().is_ok() && (self.receive.arm() || unread)
    }

    /// To be called after an interrupt with the cause [`configuration`](super::Causes::configuration).
    ///
    /// # Errors
    /// [`DeviceError::Broken`] if the device needs a reset.
    pub fn configuration_changed(&mut self) -> Result<(), DeviceError> {
        self.live.check_status()
    }
}
