//! The network interface (virtio 1.2, section 5.1): frames in shared buffers, never copied.
//!
//! Each buffer is the application's, offered to the device, or being sent; the driver keeps which
//! (`Owner`) and refuses what does not fit. The device's header of a frame is a descriptor of its
//! own in the driver's memory, never in a shared buffer: the application cannot forge it, and
//! legacy devices that want just that framing (section 5.1.6.1) get it.
//!
//! A service that answers a request with one frame costs one notification and one interrupt:
//! buffers are offered without notifying unless the device asks for it, and nobody asks for an
//! interrupt when a frame has left, unless the application is about to run out of buffers.

use super::queue::{Lengths, Queue, Tables};
use super::{
    Config, DeviceError, DeviceId, Fault, Features, InterruptPort, Live, ProbeError, Transport,
};
use crate::dma::{DmaBuffers, DmaPool, DmaSpan};

/// How many buffers there are at most.
pub const BUFFERS: u16 = 128;
/// The size of a buffer in bytes.
pub const BUFFER_SIZE: u16 = 2048;

/// How many frames can be waited for at most, and how many be under way.
const DEPTH: usize = 64;
/// A chain is a header and a frame.
const PARTS: usize = 2;
const RECEIVE: u16 = 0;
const TRANSMIT: u16 = 1;

/// The device says what its largest packet is.
const MTU: Features = Features::bit(3);
/// The device has a hardware address of its own.
const MAC: Features = Features::bit(5);

/// An Ethernet header's size in bytes: the shortest frame.
const ETHERNET: u16 = 14;
/// The largest packet of Ethernet, where the device does not say.
const ETHERNET_MTU: u16 = 1500;
/// The least that a device may say (section 5.1.4.1), and the most that fits into a buffer.
const MTU_RANGE: core::ops::RangeInclusive<u16> = 68..=BUFFER_SIZE - ETHERNET;

/// With fewer buffers than this, the application waits for frames to leave.
const FEW: u16 = 4;

/// Whose a buffer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Owner {
    Application,
    /// To be filled: the device's, or waiting for room in its queue.
    Offered,
    Sending,
}

/// A network interface at work.
#[derive(Debug)]
pub struct Net {
    live: Live,
    receive: Queue<DEPTH, PARTS>,
    transmit: Queue<DEPTH, PARTS>,
    buffers: DmaBuffers,
    /// What precedes each frame that is sent: all zero, as no offload is negotiated.
    header: DmaSpan,
    /// Where the device writes the header of each frame that it received. None of its fields means
    /// anything with what is negotiated, so nobody reads it, and one place does for all.
    sink: DmaSpan,
    owners: [Owner; BUFFERS as usize],
    /// Offered buffers for which the device's queue had no room yet.
    waiting: heapless::Vec<u16, { BUFFERS as usize }>,
    /// How many buffers the application has.
    held: u16,
    /// Whether a frame was refused because the queue was full.
    refused: bool,
    mac: Option<[u8; 6]>,
    mtu: u16,
}

impl Net {
    /// Takes over the network interface behind `transport`. All buffers are the application's.
    ///
    /// # Errors
    /// Any [`ProbeError`]; the device is then marked FAILED.
    pub fn probe(transport: Transport, dma: &mut DmaPool) -> Result<Self, ProbeError> {
        let legacy = transport.is_legacy();
        let setup = transport.begin(DeviceId::NET)?;
        // Who takes the MTU must have buffers that hold it (section 5.1.4.2), so look before.
        let offered_mtu =
            setup.offered().contains(MTU).then(|| setup.read_config(mtu)).transpose()?;
        let mtu = offered_mtu.filter(|mtu| MTU_RANGE.contains(mtu));
        let welcome = if mtu.is_some() { MAC | MTU } else { MAC };
        let mut agreed = setup.negotiate(Features::NONE, welcome)?;

        let receive: Queue<DEPTH, PARTS> =
            agreed.queue(RECEIVE, Tables::WhenShort, Lengths::Checked, dma)?;
        let transmit: Queue<DEPTH, PARTS> =
            agreed.queue(TRANSMIT, Tables::WhenShort, Lengths::Ignored, dma)?;
        let has_mac = agreed.features().contains(MAC);
        let mac = has_mac.then(|| agreed.read_config(|config| config.bytes(0))).transpose()?;

        let header_length = if legacy { 10 } else { 12 }; // section 5.1.6.1
        let headers = dma.take(64, 64)?;
        // Enough to fill both queues, and as many again for the application, where it is few.
        let count = (2 * (receive.chains() + transmit.chains())).min(BUFFERS);
        let buffers = dma.take_buffers(count, BUFFER_SIZE)?;
        Ok(Self {
            live: agreed.finish(),
            receive,
            transmit,
            buffers,
            header: headers.span(0, header_length)?,
            sink: headers.span(32, header_length)?,
            owners: [Owner::Application; BUFFERS as usize],
            waiting: heapless::Vec::new(),
            held: count,
            refused: false,
            mac,
            mtu: mtu.unwrap_or(ETHERNET_MTU),
        })
    }

    /// The device's own hardware address, if it has one.
    #[must_use]
    pub const fn mac(&self) -> Option<[u8; 6]> {
        self.mac
    }

    /// The largest packet in bytes, without the Ethernet header.
    #[must_use]
    pub const fn mtu(&self) -> u16 {
        self.mtu
    }

    /// The memory that frames are read from and written to.
    #[must_use]
    pub const fn area(&self) -> &DmaBuffers {
        &self.buffers
    }

    /// What the device's interrupt handler needs.
    #[must_use]
    pub const fn interrupt_port(&self) -> InterruptPort {
        self.live.interrupt_port()
    }

    /// Whether a buffer is the application's: what [`Self::offer`] and [`Self::send`] ask of it.
    #[must_use]
    pub fn is_held(&self, buffer: u16) -> bool {
        buffer < self.buffers.count()
            && self.owners.get(usize::from(buffer)) == Some(&Owner::Application)
    }

    /// Passes a buffer on. The caller has checked that it exists.
    fn pass(&mut self, buffer: u16, owner: Owner) {
        if let Some(place) = self.owners.get_mut(usize::from(buffer)) {
            *place = owner;
            self.held = match owner {
                Owner::Application => self.held.saturating_add(1),
                Owner::Offered | Owner::Sending => self.held.saturating_sub(1),
            };
        }
    }

    /// Offers a buffer to be filled with a frame. It takes effect with the next [`Self::flush`].
    ///
    /// # Errors
    /// [`DeviceError::BadBuffer`], [`DeviceError::Broken`].
    #[inline]
    pub fn offer(&mut self, buffer: u16) -> Result<(), DeviceError> {
        self.live.working()?;
        if !self.is_held(buffer) {
            return Err(DeviceError::BadBuffer);
        }
        // There is room for all buffers, and each is in it at most once.
        self.waiting.push(buffer).map_err(|_| DeviceError::BadBuffer)?;
        self.pass(buffer, Owner::Offered);
        Ok(())
    }

    /// Queues the frame in the first `length` bytes of a buffer. It leaves with the next
    /// [`Self::flush`].
    ///
    /// # Errors
    /// [`DeviceError::OutOfRange`] for a length under 14 or over the buffer's,
    /// [`DeviceError::BadBuffer`], [`DeviceError::Full`], [`DeviceError::Broken`].
    #[inline]
    pub fn send(&mut self, buffer: u16, length: u16) -> Result<(), DeviceError> {
        self.live.working()?;
        if !self.is_held(buffer) {
            return Err(DeviceError::BadBuffer);
        }
        let frame = self.buffers.span(buffer, length).ok_or(DeviceError::OutOfRange)?;
        if length < ETHERNET {
            return Err(DeviceError::OutOfRange);
        }
        if let Err(full) = self.transmit.add([self.header, frame], [], buffer) {
            self.refused = true;
            return Err(full);
        }
        self.pass(buffer, Owner::Sending);
        Ok(())
    }

    /// Lets the device see what was offered and queued. Notifies it at most once a queue, and only
    /// if it asks for that.
    #[inline]
    pub fn flush(&mut self) {
        if self.live.working().is_err() {
            return;
        }
        while self.receive.has_room()
            && let Some(buffer) = self.waiting.pop()
        {
            let Some(frame) = self.buffers.span(buffer, BUFFER_SIZE) else { continue };
            // There is room, so this is not refused.
            let _ = self.receive.add([], [self.sink, frame], buffer);
        }
        if self.receive.publish() {
            self.live.notify(RECEIVE);
        }
        if self.transmit.publish() {
            self.live.notify(TRANSMIT);
        }
    }

    /// Takes the next frame that arrived: its buffer, the application's from now on, and its
    /// length in bytes, which may be anything from 0 to the buffer's.
    ///
    /// # Errors
    /// [`DeviceError::Broken`].
    #[inline]
    pub fn received(&mut self) -> Result<Option<(u16, u16)>, DeviceError> {
        self.live.working()?;
        let used = match self.receive.take() {
            Ok(Some(used)) => used,
            Ok(None) => return Ok(None),
            Err(fault) => return Err(self.live.fail(fault)),
        };
        let length = used.written.checked_sub(self.sink.length());
        let Some(length) = length.and_then(|length| u16::try_from(length).ok()) else {
            return Err(self.live.fail(Fault::TooShort(used.written)));
        };
        self.pass(used.token, Owner::Application);
        Ok(Some((used.token, length)))
    }

    /// Takes back the next buffer whose frame has left.
    ///
    /// # Errors
    /// [`DeviceError::Broken`].
    #[inline]
    pub fn sent(&mut self) -> Result<Option<u16>, DeviceError> {
        self.live.working()?;
        match self.transmit.take() {
            Ok(Some(used)) => {
                self.refused = false;
                self.pass(used.token, Owner::Application);
                Ok(Some(used.token))
            }
            Ok(None) => Ok(None),
            Err(fault) => Err(self.live.fail(fault)),
        }
    }

    /// Asks for an interrupt when a frame arrives and, if the application is short of buffers or
    /// was refused one, when half of what is being sent has left. Returns whether there is
    /// something already: then do not sleep. Flush before.
    ///
    /// Interrupts are asked for until [`Self::received`] or [`Self::sent`] is called.
    pub fn arm(&mut self) -> bool {
        if self.live.working().is_err() {
            return false;
        }
        let sending = self.transmit.in_flight();
        let wanted = sending > 0 && (self.refused || self.held < FEW);
        let left = wanted && self.transmit.arm_after(sending / 2);
        self.receive.arm() || left
    }

    /// To be called after an interrupt with the cause [`configuration`](super::Causes::configuration).
    ///
    /// # Errors
    /// [`DeviceError::Broken`] if the device needs a reset.
    pub fn configuration_changed(&mut self) -> Result<(), DeviceError> {
        self.live.check_status()
    }
}

/// The configuration's `mtu` (section 5.1.4).
fn mtu(config: Config) -> u16 {
    config.field16(10)
}
