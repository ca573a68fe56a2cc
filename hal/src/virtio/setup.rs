//! Taking a device over, in the order of virtio 1.2, section 3.1.1, which the types keep, for the
//! first time ([`Transport::begin`](super::Transport::begin)) and again
//! ([`Live::restart`](super::Live::restart)).
//!
//! Both stages are guards: dropped before the end, they mark the device FAILED, so that `?` is
//! always right in a driver's probe.

use super::port::Port;
use super::registers::status;
use super::{Agreed, Config, Features, ProbeError, order};

/// How often the status is read before a reset counts as stuck. Each read is a trap to the
/// hypervisor of a microsecond or more; no device known takes more than a few.
const RESET_READS: u32 = 10_000;

/// A device between its reset and DRIVER_OK. Dropped before that, it becomes FAILED.
#[derive(Debug)]
pub(super) struct Unfinished {
    pub(super) port: Port,
    status: u32,
}

impl Unfinished {
    /// Sets further bits of the status.
    pub(super) fn advance(&mut self, bits: u32) {
        self.status |= bits;
        self.port.set_status(self.status);
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
pub(super) fn reset(port: &Port) -> Result<(), ProbeError> {
    port.set_status(0);
    let mut stuck = 0;
    for _ in 0..RESET_READS {
        stuck = port.status();
        if stuck == 0 {
            // What is read and written from here on is read and written after the device's last.
            order::full();
            return Ok(());
        }
    }
    port.set_status(stuck | status::FAILED); // no bit is ever cleared (section 2.1.1)
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
    pub(super) fn new(port: Port) -> Result<Self, ProbeError> {
        reset(&port)?;
        let mut device = Unfinished { port, status: 0 };
        device.advance(status::ACKNOWLEDGE);
        device.advance(status::DRIVER);
        Ok(Self { device, offered: port.offered() })
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
        self.device.port.config().read(read)
    }

    /// Takes what is `required` and, of what is `welcome`, what the device offers.
    ///
    /// The features of the transport and its queues are this layer's own business and added here.
    ///
    /// # Errors
    /// [`ProbeError::MissingFeatures`], [`ProbeError::FeaturesRefused`], [`ProbeError::NoVector`].
    pub fn negotiate(self, required: Features, welcome: Features) -> Result<Agreed, ProbeError> {
        let ring = Features::INDIRECT_DESCRIPTORS | Features::EVENT_INDEX;
        let (required, welcome) = if self.device.port.is_legacy() {
            (required, welcome | ring)
        } else {
            // A device may fail without the one of the order (section 6.2).
            let platform = Features::ACCESS_PLATFORM | Features::ORDER_PLATFORM;
            (required | Features::VERSION_1, welcome | ring | platform)
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
        self.device.port.take(features);
        if !self.device.port.is_legacy() {
            self.device.advance(status::FEATURES_OK);
            if self.device.port.status() & status::FEATURES_OK == 0 {
                return Err(ProbeError::FeaturesRefused);
            }
        }
        self.device.port.direct_changes()?;
        Ok(Agreed::new(self.device, features))
    }
}
