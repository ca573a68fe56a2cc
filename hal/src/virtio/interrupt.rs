//! What an interrupt handler needs of a device: to ask it what for, and to make it stop.

use super::mapped::Mapped;
use crate::mmio::Window;

/// Why a device interrupted (virtio 1.2, section 4.2.2, `InterruptStatus`; 4.1.4.5 has the same bits).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Causes(u32);

impl Causes {
    /// Something in a queue.
    pub(super) const USED_BUFFERS: Self = Self(1);
    /// Something about the configuration.
    pub(super) const CONFIGURATION: Self = Self(2);
    /// Either.
    pub(super) const ANY: Self = Self(3);

    /// The device completed something in one of its queues.
    #[must_use]
    pub const fn used_buffers(self) -> bool {
        self.0 & 1 != 0
    }

    /// Its configuration changed, or it needs a reset: call the driver's `configuration_changed`.
    #[must_use]
    pub const fn configuration(self) -> bool {
        self.0 & 2 != 0
    }
}

/// As much of a device as an interrupt handler needs. It touches nothing that a driver touches, so
/// the handler may run at any time.
#[derive(Clone, Copy, Debug)]
pub struct InterruptPort(Kind);

#[derive(Clone, Copy, Debug)]
enum Kind {
    /// Registers that say it and are told in turn.
    Mapped(Window),
    /// A register of PCI's, at this offset, that says it once.
    Isr(Window, usize),
    /// Nothing has to be asked: the interrupt is a message, and means this.
    Message(Causes),
}

impl InterruptPort {
    pub(super) const fn mapped(window: Window) -> Self {
        Self(Kind::Mapped(window))
    }

    pub(super) const fn isr(window: Window, offset: usize) -> Self {
        Self(Kind::Isr(window, offset))
    }

    pub(super) const fn message(causes: Causes) -> Self {
        Self(Kind::Message(causes))
    }

    /// The port of a message that announces nothing but changes of a device's configuration.
    #[must_use]
    pub const fn of_configuration() -> Self {
        Self::message(Causes::CONFIGURATION)
    }

    /// Asks the device why it interrupted, and makes it stop. What other devices share a line with,
    /// none of which has to be the one that holds it, is asked in vain: that does no harm.
    #[inline]
    #[must_use]
    pub fn acknowledge(self) -> Causes {
        match self.0 {
            Kind::Mapped(window) => Causes(Mapped::acknowledge(window)),
            // Reading takes it back (section 4.1.4.5.1).
            Kind::Isr(window, offset) => Causes(u32::from(window.read8(offset))),
            Kind::Message(causes) => causes,
        }
    }
}
