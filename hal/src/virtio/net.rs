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

mod frames;

use super::queue::{Lengths, Queue, Tables};
use super::{Config, DeviceError, DeviceId, Features, InterruptPort, Live, ProbeError, Transport};
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

    /// Takes the interface over again, in place and without taking memory: all buffers are the
    /// application's afterwards, nothing is in flight, and what was not yet received or sent is
    /// gone. For when an application dies and is started again, and for a device that is broken.
    ///
    /// Hardware address and packet size stay what they were: it is the same interface to whoever
    /// comes next.
    ///
    /// # Errors
    /// Any [`ProbeError`] but those of memory. The device is then marked FAILED, every call gets
    /// [`DeviceError::Broken`], and no buffer changes hands: after [`ProbeError::ResetTimeout`] the
    /// device may still write to those that are not [held](Self::is_held). It may be tried again.
    pub fn restart(&mut self) -> Result<(), ProbeError> {
        let mut agreed = self.live.restart()?;
        agreed.queue_again(&mut self.receive)?;
        agreed.queue_again(&mut self.transmit)?;
        self.live = agreed.finish();
        self.owners.fill(Owner::Application);
        self.waiting.clear();
        self.held = self.buffers.count();
        self.refused = false;
        Ok(())
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
