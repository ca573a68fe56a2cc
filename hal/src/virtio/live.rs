//! A device at work: what a driver tells it outside of the queues.

use super::port::Port;
use super::registers::status;
use super::{Agreed, Config, DeviceError, Fault, Features, InterruptPort, ProbeError, Setup};

/// A device after DRIVER_OK, until it breaks its protocol.
#[derive(Debug)]
pub struct Live {
    port: Port,
    features: Features,
    fault: Option<Fault>,
}

impl Live {
    pub(super) const fn new(port: Port, features: Features) -> Self {
        Self { port, features, fault: None }
    }

    /// What was agreed on with the device.
    #[must_use]
    pub const fn features(&self) -> Features {
        self.features
    }

    /// Whether the device can still be used.
    ///
    /// # Errors
    /// [`DeviceError::Broken`] from [`Self::fail`] to the end of a [`Self::restart`].
    #[inline]
    pub const fn working(&self) -> Result<(), DeviceError> {
        match self.fault {
            None => Ok(()),
            Some(fault) => Err(DeviceError::Broken(fault)),
        }
    }

    /// Resets the device because of `fault`; returns what to tell the caller.
    ///
    /// It is not waited for: its memory is used for nothing else before a [`Self::restart`], which
    /// waits, so nothing depends on when a broken device lets go of it.
    #[cold]
    pub fn fail(&mut self, fault: Fault) -> DeviceError {
        self.port.set_status(0);
        self.fault = Some(fault);
        DeviceError::Broken(fault)
    }

    /// Takes the device over again, broken or not: waits until a reset has made it let go of all
    /// its memory, then agrees on the features that it had. Next come all its queues, by
    /// [`Agreed::queue_again`]; what [`Agreed::finish`] returns replaces this.
    ///
    /// Until then the device counts as broken, so that a restart that fails midway leaves no driver
    /// half alive. Interrupt ports stay valid; interrupts from before the reset are gone.
    ///
    /// # Errors
    /// [`ProbeError::ResetTimeout`]: the device may use its memory still ([`Fault::StuckInReset`]).
    /// [`ProbeError::MissingFeatures`], [`ProbeError::FeaturesRefused`]: it has let go of it
    /// ([`Fault::NotRestarted`]). In all cases it is marked FAILED, and may be restarted again.
    pub fn restart(&mut self) -> Result<Agreed, ProbeError> {
        self.fault = Some(Fault::StuckInReset);
        let setup = Setup::new(self.port)?;
        self.fault = Some(Fault::NotRestarted);
        // A reset clears these (section 4.2.2.1); a device that forgets to would interrupt once more.
        let _stale = self.interrupt_port().acknowledge();
        setup.agree(self.features)
    }

    /// Tells the device that there is something in a queue. What is there was made visible before:
    /// [`publish`](super::queue::Queue::publish) ends with a full barrier (section 2.7.13.4).
    #[inline]
    pub fn notify(&self, queue: u16) {
        self.port.notify(queue);
    }

    /// What an interrupt handler needs of the device.
    #[must_use]
    pub const fn interrupt_port(&self) -> InterruptPort {
        self.port.interrupt_port()
    }

    /// Looks at what a configuration interrupt announced: DEVICE_NEEDS_RESET comes this way too.
    ///
    /// # Errors
    /// [`DeviceError::Broken`].
    pub fn check_status(&mut self) -> Result<(), DeviceError> {
        self.working()?;
        if self.port.status() & status::DEVICE_NEEDS_RESET == 0 {
            return Ok(());
        }
        Err(self.fail(Fault::NeedsReset))
    }

    /// Reads the device's configuration.
    ///
    /// # Errors
    /// [`ProbeError::ConfigUnstable`].
    pub fn read_config<T: PartialEq>(&self, read: impl Fn(Config) -> T) -> Result<T, ProbeError> {
        self.port.config().read(read)
    }
}
