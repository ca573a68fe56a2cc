//! The entropy source (virtio 1.2, section 5.4): one queue, one buffer, one request at a time.

use core::sync::atomic::AtomicU8;

use super::queue::{Lengths, Queue, Tables};
use super::{DeviceError, DeviceId, Features, InterruptPort, Live, ProbeError, Transport};
use crate::dma::{DmaPool, DmaSpan, Shared};

const REQUESTS: u16 = 0;

/// How many bytes are asked for at a time.
const REQUEST: u32 = 64;

/// An entropy source at work.
#[derive(Debug)]
pub struct Rng {
    live: Live,
    queue: Queue<1, 1>,
    span: DmaSpan,
    bytes: Shared<AtomicU8>,
}

impl Rng {
    /// Takes over the entropy source behind `transport`.
    ///
    /// # Errors
    /// Any [`ProbeError`]; the device is then marked FAILED.
    pub fn probe(transport: Transport, dma: &mut DmaPool) -> Result<Self, ProbeError> {
        let setup = transport.begin(DeviceId::ENTROPY)?;
        let mut agreed = setup.negotiate(Features::NONE, Features::NONE)?;
        let queue = agreed.queue(REQUESTS, Tables::Never, Lengths::Checked, dma)?;
        let region = dma.take(REQUEST as usize, REQUEST as usize)?;
        let (span, bytes) = (region.span(0, REQUEST)?, region.words8(0, region.length())?);
        Ok(Self { live: agreed.finish(), queue, span, bytes })
    }

    /// What the device's interrupt handler needs.
    #[must_use]
    pub const fn interrupt_port(&self) -> InterruptPort {
        self.live.interrupt_port()
    }

    /// Asks the device for bytes, unless it is at it already.
    ///
    /// # Errors
    /// [`DeviceError::Broken`].
    pub fn request(&mut self) -> Result<(), DeviceError> {
        self.live.working()?;
        if self.queue.has_room() {
            self.queue.add([], [self.span], 0)?;
            if self.queue.publish() {
                self.live.notify(REQUESTS);
            }
        }
        Ok(())
    }

    /// Takes what the device has produced since [`Self::request`], as much as fits; the rest is
    /// wiped with it. `None` if it has not answered yet; it may answer with 0 bytes.
    ///
    /// # Errors
    /// [`DeviceError::Broken`].
    pub fn take(&mut self, target: &mut [u8]) -> Result<Option<usize>, DeviceError> {
        self.live.working()?;
        let used = match self.queue.take() {
            Ok(Some(used)) => used,
            Ok(None) => return Ok(None),
            Err(fault) => return Err(self.live.fail(fault)),
        };
        let mut taken = 0;
        for (index, byte) in (0..used.written as usize).zip(target) {
            *byte = self.bytes.load(index);
            taken = index + 1;
        }
        for index in 0..REQUEST as usize {
            self.bytes.store(index, 0);
        }
        Ok(Some(taken))
    }

    /// Fills `target`, for as long as `patient` says so: it is asked each time that the device has
    /// not answered, or answered with nothing.
    ///
    /// # Errors
    /// [`DeviceError::Silent`] when patience ends before `target` is full; what was filled is
    /// random, the rest as it was, and the device may be asked again. [`DeviceError::Broken`].
    pub fn fill(
        &mut self,
        target: &mut [u8],
        mut patient: impl FnMut() -> bool,
    ) -> Result<(), DeviceError> {
        let mut filled = 0;
        while let Some(rest) = target.get_mut(filled..)
            && !rest.is_empty()
        {
            self.request()?;
            match self.take(rest)? {
                Some(taken) if taken > 0 => filled += taken,
                _ if patient() => core::hint::spin_loop(),
                _ => return Err(DeviceError::Silent),
            }
        }
        Ok(())
    }

    /// Asks for an interrupt when the request is answered. Returns whether it is already.
    pub fn arm(&mut self) -> bool {
        self.live.working().is_ok() && self.queue.arm()
    }

    /// To be called after an interrupt with the cause [`configuration`](super::Causes::configuration).
    ///
    /// # Errors
    /// [`DeviceError::Broken`] if the device needs a reset.
    pub fn configuration_changed(&mut self) -> Result<(), DeviceError> {
        self.live.check_status()
    }
}
