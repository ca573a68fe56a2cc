//! A device's registers on whichever transport, in the words of virtio 1.2, chapter 2: what all of
//! this layer but the transports themselves knows of them.

use super::layout::{Place, Rings};
use super::mapped::Mapped;
use super::pci::Pci;
use super::{Config, Features, InterruptPort, ProbeError, order};

/// The registers of a device.
#[derive(Clone, Copy, Debug)]
pub(super) enum Port {
    Mapped(Mapped),
    Pci(Pci),
}

/// Has both transports do what one is asked.
macro_rules! either {
    ($port:expr, $registers:ident => $answer:expr) => {
        match $port {
            Self::Mapped($registers) => $answer,
            Self::Pci($registers) => $answer,
        }
    };
}

impl Port {
    /// Whether the device speaks the legacy interface only.
    pub(super) const fn is_legacy(&self) -> bool {
        match self {
            Self::Mapped(registers) => registers.is_legacy(),
            Self::Pci(_) => false,
        }
    }

    /// How its queues lie in memory.
    pub(super) const fn place(&self) -> Place {
        if self.is_legacy() { Place::Legacy } else { Place::Modern }
    }

    /// The device's status (section 2.1).
    pub(super) fn status(&self) -> u32 {
        either!(self, registers => registers.status())
    }

    pub(super) fn set_status(&self, status: u32) {
        either!(self, registers => registers.set_status(status));
    }

    /// What the device offers.
    pub(super) fn offered(&self) -> Features {
        either!(self, registers => registers.offered())
    }

    /// Tells it what is taken of that.
    pub(super) fn take(&self, features: Features) {
        either!(self, registers => registers.take(features));
    }

    /// The device's own configuration.
    pub(super) fn config(&self) -> Config {
        either!(self, registers => registers.config())
    }

    /// Tells it how changes of that are to be announced, where there is a choice.
    ///
    /// # Errors
    /// [`ProbeError::NoVector`].
    pub(super) fn direct_changes(&self) -> Result<(), ProbeError> {
        match self {
            Self::Mapped(_) => Ok(()),
            Self::Pci(registers) => registers.direct_changes(),
        }
    }

    /// Selects a queue that is not set up; returns how long it can be.
    ///
    /// # Errors
    /// [`ProbeError::NoQueue`], [`ProbeError::QueueBusy`].
    pub(super) fn select(&self, queue: u16) -> Result<u16, ProbeError> {
        either!(self, registers => registers.select(queue))
    }

    /// Tells the device where the selected queue, which is `queue`, lies.
    ///
    /// # Errors
    /// [`ProbeError::Memory`] if it is out of the device's reach; [`ProbeError::BadDoorbell`],
    /// [`ProbeError::NoVector`].
    pub(super) fn announce(&mut self, queue: u16, rings: &Rings) -> Result<(), ProbeError> {
        order::full(); // the rings are empty before the device knows of them
        match self {
            Self::Mapped(registers) => registers.announce(rings),
            Self::Pci(registers) => registers.announce(queue, rings),
        }
    }

    /// Tells the device that there is something in a queue.
    #[inline]
    pub(super) fn notify(&self, queue: u16) {
        either!(self, registers => registers.notify(queue));
    }

    /// What an interrupt handler needs of the device.
    pub(super) const fn interrupt_port(&self) -> InterruptPort {
        match self {
            Self::Mapped(registers) => InterruptPort::mapped(registers.window),
            Self::Pci(registers) => registers.interrupt_port(),
        }
    }
}
