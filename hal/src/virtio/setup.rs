//! Taking a device over, in the order of virtio 1.2, section 3.1.1, which the types keep, for the
//! first time ([`Transport::begin`](super::Transport::begin)) and again
//! ([`Live::restart`](super::Live::restart)).
//!
//! Both stages are guards: dropped before the end, they mark the device FAILED, so that `?` is
//! always right in a driver's probe.

use core::sync::atomic::{Ordering, fence};

use super::registers::{
    DEVICE_FEATURES, DEVICE_FEATURES_SEL, DRIVER_FEATURES, DRIVER_FEATURES_SEL, GUEST_PAGE_SIZE,
    STATUS, status,
};
use super::transport::Interface;
use super::{Agreed, Config, Features, ProbeError};
use crate::address::PAGE;
use crate::mmio::Window;

/// How often the status is read before a reset counts as stuck. Each read is a trap to the
/// hypervisor of a microsecond or more; no device known takes more than a few.
const RESET_READS: u32 = 10_000;

/// The page that legacy devices are told of: the unit of a queue's place.
pub(super) const LEGACY_PAGE: u32 = 4096;
const _: () = assert!(LEGACY_PAGE as usize == PAGE, "queues are laid out by this page");

/// A device between its reset and DRIVER_OK. Dropped before that, it becomes FAILED.
#[derive(Debug)]
pub(super) struct Unfinished {
    pub(super) window: Window,
    pub(super) interface: Interface,
    status: u32,
}

impl Unfinished {
    /// Sets further bits of the status.
    pub(super) fn advance(&mut self, bits: u32) {
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

/// Resets the device and waits until it says that it is done: only from then on does it leave its
/// queues, and the memory that they named, alone (sections 2.4.1 and 2.4.2).
///
/// One that never says so is marked FAILED all the same, and may be using its memory still.
fn reset(window: Window) -> Result<(), ProbeError> {
    window.write32(STATUS, 0);
    let mut stuck = 0;
    for _ in 0..RESET_READS {
        stuck = window.read32(STATUS);
        if stuck == 0 {
            // What is read and written from here on is read and written after the device's last.
            fence(Ordering::SeqCst);
            return Ok(());
        }
    }
    window.write32(STATUS, stuck | status::FAILED); // no bit is ever cleared (section 2.1.1)
    Err(ProbeError::ResetTimeout)
}

/// A device that knows it has a driver, and waits to hear which features that wants.
#[derive(Debug)]
pub struct Setup {
    device: Unfinished,
    offered: Features,
}

impl Setup {
    /// Reset, ACKNOWLEDGE, DRIVER. It fails only with [`ProbeError::ResetTimeout`].
    pub(super) fn new(window: Window, interface: Interface) -> Result<Self, ProbeError> {
        reset(window)?;
        let mut device = Unfinished { window, interface, status: 0 };
        device.advance(status::ACKNOWLEDGE);
        device.advance(status::DRIVER);
        window.write32(DEVICE_FEATURES_SEL, 0);
        let low = window.read32(DEVICE_FEATURES);
        window.write32(DEVICE_FEATURES_SEL, 1);
        let high = match interface {
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
    pub fn negotiate(self, required: Features, welcome: Features) -> Result<Agreed, ProbeError> {
        let ring = Features::INDIRECT_DESCRIPTORS | Features::EVENT_INDEX;
        let (required, welcome) = match self.device.interface {
            Interface::Legacy => (required, welcome | ring),
            Interface::Modern => {
                (required | Features::VERSION_1, welcome | ring | Features::ACCESS_PLATFORM)
            }
        };
        let features = required | self.offered.common(welcome);
        self.agree(features)
    }

    /// Takes exactly `features`, all of which the device must offer.
    pub(super) fn agree(mut self, features: Features) -> Result<Agreed, ProbeError> {
        let missing = features.without(self.offered);
        if !missing.is_empty() {
            return Err(ProbeError::MissingFeatures(missing));
        }
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
        Ok(Agreed::new(self.device, features))
    }
}
