//! Taking a device over, in the order of virtio 1.2, section 3.1.1, which the types keep.
//!
//! Both stages are guards: dropped before the end, they mark the device FAILED, so that `?` is
//! always right in a driver's probe.

use super::layout::{Place, Rings, Tables};
use super::queue::{Lengths, Queue};
use super::registers::{
    CONFIG, CONFIG_GENERATION, DEVICE_FEATURES, DEVICE_FEATURES_SEL, DRIVER_FEATURES,
    DRIVER_FEATURES_SEL, GUEST_PAGE_SIZE, QUEUE_ALIGN, QUEUE_DESC_HIGH, QUEUE_DESC_LOW,
    QUEUE_DEVICE_HIGH, QUEUE_DEVICE_LOW, QUEUE_DRIVER_HIGH, QUEUE_DRIVER_LOW, QUEUE_NUM,
    QUEUE_NUM_MAX, QUEUE_PFN, QUEUE_READY, QUEUE_SEL, STATUS, status,
};
use super::transport::Interface;
use super::{Features, Live, ProbeError, Transport};
use crate::address::{PAGE, PhysicalAddress};
use crate::dma::{DmaError, DmaPool};
use crate::mmio::Window;

/// How often the status is read before a reset counts as stuck. Each read is a trap to the
/// hypervisor of a microsecond or more; no device known takes more than a few.
const RESET_READS: u32 = 10_000;

/// The page that legacy devices are told of: the unit of a queue's place.
const LEGACY_PAGE: u32 = 4096;
const _: () = assert!(LEGACY_PAGE as usize == PAGE, "queues are laid out by this page");

/// How often the configuration is read before it counts as unstable.
const CONFIG_READS: u32 = 16;

/// A device between its reset and DRIVER_OK. Dropped before that, it becomes FAILED.
#[derive(Debug)]
struct Unfinished {
    window: Window,
    interface: Interface,
    status: u32,
}

impl Unfinished {
    /// Sets further bits of the status.
    fn advance(&mut self, bits: u32) {
        self.status |= bits;
        self.window.write32(STATUS, self.status);
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if self.status & status::DRIVER_OK == 0 {
            self.advance(status::FAILED);
        }
    }
}

/// A device that knows it has a driver, and waits to hear which features that wants.
#[derive(Debug)]
pub struct Setup {
    device: Unfinished,
    offered: Features,
}

impl Setup {
    pub(super) fn new(transport: &Transport) -> Result<Self, ProbeError> {
        let window = transport.window;
        reset(window)?; // one that does not end leaves nobody to mark FAILED
        let mut device = Unfinished { window, interface: transport.interface, status: 0 };
        device.advance(status::ACKNOWLEDGE);
        device.advance(status::DRIVER);
        window.write32(DEVICE_FEATURES_SEL, 0);
        let low = window.read32(DEVICE_FEATURES);
        window.write32(DEVICE_FEATURES_SEL, 1);
        let high = match device.interface {
            Interface::Modern => window.read32(DEVICE_FEATURES),
            Interface::Legacy => 0, // there are 32 (section 6.3)
        };
        Ok(Self { device, offered: Features::from_halves(low, high) })
    }

    /// What the device offers.
    #[must_use]
    pub const fn offered(&self) -> Features {
        self.offered
    }

    /// Reads the device's configuration, which may decide which features are welcome.
    ///
    /// # Errors
    /// [`ProbeError::ConfigUnstable`].
    pub fn read_config<T: PartialEq>(&self, read: impl Fn(Config) -> T) -> Result<T, ProbeError> {
        Config::new(self.device.window, self.device.interface).read(read)
    }

    /// Takes what is `required` and, of what is `welcome`, what the device offers.
    ///
    /// The features of the transport and its queues are this layer's own business and added here.
    ///
    /// # Errors
    /// [`ProbeError::MissingFeatures`], [`ProbeError::FeaturesRefused`].
    pub fn negotiate(
        mut self,
        required: Features,
        welcome: Features,
    ) -> Result<Agreed, ProbeError> {
        let ring = Features::INDIRECT_DESCRIPTORS | Features::EVENT_INDEX;
        let (required, welcome) = match self.device.interface {
            Interface::Legacy => (required, welcome | ring),
            Interface::Modern => {
                (required | Features::VERSION_1, welcome | ring | Features::ACCESS_PLATFORM)
            }
        };
        let missing = required.without(self.offered);
        if !missing.is_empty() {
            return Err(ProbeError::MissingFeatures(missing));
        }
        let features = self.offered.common(required | welcome);
        let (low, high) = features.halves();
        let window = self.device.window;
        window.write32(DRIVER_FEATURES_SEL, 0);
        window.write32(DRIVER_FEATURES, low);
        match self.device.interface {
            Interface::Legacy => window.write32(GUEST_PAGE_SIZE, LEGACY_PAGE),
            Interface::Modern => {
                window.write32(DRIVER_FEATURES_SEL, 1);
                window.write32(DRIVER_FEATURES, high);
                self.device.advance(status::FEATURES_OK);
                if window.read32(STATUS) & status::FEATURES_OK == 0 {
                    return Err(ProbeError::FeaturesRefused);
                }
            }
        }
        Ok(Agreed { device: self.device, features })
    }
}

/// A device with which the features are agreed: its queues can be set up.
#[derive(Debug)]
pub struct Agreed {
    device: Unfinished,
    features: Features,
}

impl Agreed {
    /// What was agreed on.
    #[must_use]
    pub const fn features(&self) -> Features {
        self.features
    }

    /// Reads the device's configuration.
    ///
    /// # Errors
    /// [`ProbeError::ConfigUnstable`].
    pub fn read_config<T: PartialEq>(&self, read: impl Fn(Config) -> T) -> Result<T, ProbeError> {
        Config::new(self.device.window, self.device.interface).read(read)
    }

    /// Sets the queue `index` up for up to `CHAINS` chains of up to `PARTS` parts: as many as the
    /// device's queue is long enough for, and at least one.
    ///
    /// # Errors
    /// [`ProbeError::NoQueue`], [`ProbeError::QueueBusy`], [`ProbeError::QueueTooSmall`],
    /// [`ProbeError::Memory`].
    pub fn queue<const CHAINS: usize, const PARTS: usize>(
        &mut self,
        index: u16,
        tables: Tables,
        lengths: Lengths,
        dma: &mut DmaPool,
    ) -> Result<Queue<CHAINS, PARTS>, ProbeError> {
        let window = self.device.window;
        window.write32(QUEUE_SEL, u32::from(index));
        let (in_use, place) = match self.device.interface {
            Interface::Legacy => (QUEUE_PFN, Place::Legacy),
            Interface::Modern => (QUEUE_READY, Place::Modern),
        };
        if window.read32(in_use) != 0 {
            return Err(ProbeError::QueueBusy(index));
        }
        let longest = u16::try_from(window.read32(QUEUE_NUM_MAX)).unwrap_or(u16::MAX);
        if longest == 0 {
            return Err(ProbeError::NoQueue(index));
        }
        let tables = if self.features.contains(Features::INDIRECT_DESCRIPTORS) {
            tables
        } else {
            Tables::Never
        };
        let rings = Rings::new(place, CHAINS, PARTS, longest, tables, dma)?
            .ok_or(ProbeError::QueueTooSmall(index))?;
        self.announce(&rings)?;
        Ok(Queue::new(index, rings, self.features, lengths))
    }

    /// Tells the device where the selected queue is.
    fn announce(&self, rings: &Rings) -> Result<(), ProbeError> {
        let window = self.device.window;
        window.write32(QUEUE_NUM, u32::from(rings.size));
        match self.device.interface {
            Interface::Legacy => {
                let page = rings.descriptors_at.0 / u64::from(LEGACY_PAGE);
                let page = u32::try_from(page).map_err(|_| DmaError::OutOfReach)?;
                window.write32(QUEUE_ALIGN, LEGACY_PAGE);
                window.write32(QUEUE_PFN, page);
            }
            Interface::Modern => {
                let write = |low, high, PhysicalAddress(address)| {
                    window.write32(low, (address & 0xffff_ffff) as u32);
                    window.write32(high, (address >> 32) as u32);
                };
                write(QUEUE_DESC_LOW, QUEUE_DESC_HIGH, rings.descriptors_at);
                write(QUEUE_DRIVER_LOW, QUEUE_DRIVER_HIGH, rings.available_at);
                write(QUEUE_DEVICE_LOW, QUEUE_DEVICE_HIGH, rings.used_at);
                window.write32(QUEUE_READY, 1);
            }
        }
        Ok(())
    }

    /// Sets the device going: DRIVER_OK.
    #[must_use]
    pub fn finish(mut self) -> Live {
        self.device.advance(status::DRIVER_OK);
        Live::new(self.device.window, self.device.interface)
    }
}

/// Resets the device and waits until it says that it is done (section 4.2.3.1.1 and 2.1.2).
fn reset(window: Window) -> Result<(), ProbeError> {
    window.write32(STATUS, 0);
    for _ in 0..RESET_READS {
        if window.read32(STATUS) == 0 {
            return Ok(());
        }
    }
    Err(ProbeError::ResetTimeout)
}

/// A device's configuration (section 2.5), as it is being read. Offsets in bytes from its start;
/// what the device does not have reads as 0.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    window: Window,
    interface: Interface,
}

impl Config {
    pub(super) const fn new(window: Window, interface: Interface) -> Self {
        Self { window, interface }
    }

    /// Reads with `read` until nothing changed meanwhile: the generation of a modern device, the
    /// values themselves of a legacy one, which has none (section 2.5.4).
    pub(super) fn read<T: PartialEq>(self, read: impl Fn(Self) -> T) -> Result<T, ProbeError> {
        for _ in 0..CONFIG_READS {
            let before = self.generation();
            let value = read(self);
            let stable = match self.interface {
                Interface::Legacy => read(self) == value,
                Interface::Modern => self.generation() == before,
            };
            if stable {
                return Ok(value);
            }
        }
        Err(ProbeError::ConfigUnstable)
    }

    fn generation(self) -> u32 {
        match self.interface {
            Interface::Legacy => 0,
            Interface::Modern => self.window.read32(CONFIG_GENERATION),
        }
    }

    /// The bytes from `offset` on.
    #[must_use]
    pub fn bytes<const N: usize>(self, offset: usize) -> [u8; N] {
        core::array::from_fn(|index| self.window.read8(CONFIG + offset + index))
    }

    /// The 16-bit field at `offset`.
    #[must_use]
    pub fn field16(self, offset: usize) -> u16 {
        u16::from_le(self.window.read16(CONFIG + offset))
    }

    /// The 32-bit field at `offset`.
    #[must_use]
    pub fn field32(self, offset: usize) -> u32 {
        u32::from_le(self.window.read32(CONFIG + offset))
    }

    /// The 64-bit field at `offset`, in two halves (section 4.2.2.2).
    #[must_use]
    pub fn field64(self, offset: usize) -> u64 {
        u64::from(self.field32(offset)) | u64::from(self.field32(offset + 4)) << 32
    }
}
