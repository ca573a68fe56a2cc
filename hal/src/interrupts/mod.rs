//! Interrupt controllers: which line wants the core, behind one face.
//!
//! A machine has one that the core is wired to, and it may have another one behind a line of that
//! one. Which, the device tree says; what a line is called, its controller's manual.

use core::fmt;

use crate::IntId;
#[cfg(target_os = "none")]
use crate::Trigger;

pub mod bcm2836;
#[cfg(target_os = "none")]
pub mod gic;

/// A line of an interrupt controller, as the controller's manual numbers it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Line {
    /// A GIC's (Arm IHI 0048 and IHI 0069).
    Gic(IntId),
    /// A core's own, of the BCM2836's local interrupt controller: the bit of "Core 0 interrupt
    /// source" (QA7, section 4.10).
    Local(u8),
    /// A peripheral's, of the BCM2835's ARM control block: 0 to 63 are "GPU IRQ", 64 to 71 "ARM
    /// peripherals" (BCM2835 ARM Peripherals, section 7.5).
    Peripheral(u8),
}

impl fmt::Debug for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gic(id) => id.fmt(f),
            Self::Local(number) => write!(f, "local interrupt {number}"),
            Self::Peripheral(number) => write!(f, "peripheral interrupt {number}"),
        }
    }
}

/// The interrupt controller.
#[cfg(target_os = "none")]
#[derive(Debug)]
pub enum Controller {
    /// Arm's.
    Gic(gic::Gic),
    /// Broadcom's.
    Bcm2836(bcm2836::Bcm2836),
}

#[cfg(target_os = "none")]
impl Controller {
    /// Lets a line through to this core; whether the controller has such a line.
    pub fn enable(&mut self, line: Line, trigger: Trigger) -> bool {
        match (self, line) {
            (Self::Gic(gic), Line::Gic(id)) => gic.enable(id, trigger),
            (Self::Bcm2836(controllers), line) => controllers.enable(line),
            (Self::Gic(_), _) => false,
        }
    }

    /// The line that is to be handled next; it stays active until [`end`](Self::end), as far as the
    /// controller knows such a thing.
    pub fn acknowledge(&mut self) -> Option<Line> {
        match self {
            Self::Gic(gic) => gic.acknowledge().map(Line::Gic),
            Self::Bcm2836(controllers) => controllers.pending(),
        }
    }

    /// Done with a line that [`acknowledge`](Self::acknowledge) gave.
    pub fn end(&mut self, line: Line) {
        match (self, line) {
            (Self::Gic(gic), Line::Gic(id)) => gic.end(id),
            (Self::Gic(_) | Self::Bcm2836(_), _) => {}
        }
    }
}
