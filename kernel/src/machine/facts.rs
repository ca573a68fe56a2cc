//! The kinds of facts that a [`Machine`](super::Machine) is made of.

use core::fmt;
use core::ops::Range;

use elone_hal::Trigger;
use elone_hal::address::PhysicalRange;
use elone_hal::gpio::Pressed;
use elone_hal::gpio::line::Model;
use elone_hal::interrupts::Line;
use elone_hal::its::Coherence;
use heapless::Vec;

use super::REDISTRIBUTORS;

/// Memory that is there but not ours: the firmware's, the hypervisor's, a device's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reservation {
    /// Where it is.
    pub range: PhysicalRange,
    /// Whether it must not even be mapped, since a speculative read could do harm (`no-map`).
    pub no_map: bool,
}

/// An interrupt as the interrupt controller knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interrupt {
    /// Where it arrives.
    pub line: Line,
    /// What makes it pending. The polarity is the wire's affair: a GIC has no setting for it.
    pub trigger: Trigger,
}

/// A serial port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Uart {
    /// What it understands.
    pub model: UartModel,
    /// Its registers.
    pub registers: PhysicalRange,
    /// Its interrupt. Without one it can be written to but has to be asked for input.
    pub interrupt: Option<Interrupt>,
}

/// What a serial port understands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UartModel {
    /// Arm PrimeCell UART (PL011).
    Pl011,
    /// What of a PL011 every server has: the SBSA's generic UART, and that of Xen's guests.
    Sbsa,
    /// Broadcom's mini UART.
    Bcm2835Aux,
    /// Cadence's, in Xilinx' Zynq devices.
    Cadence,
    /// National Semiconductor 16550 and its many descendants.
    Ns16550 {
        /// Register `n` is at offset `n << register_shift`: at most 3.
        register_shift: u8,
        /// How wide an access must be, in bytes: 1, 2 or 4.
        access_width: u8,
    },
}

impl fmt::Display for UartModel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pl011 => "PL011",
            Self::Sbsa => "SBSA UART",
            Self::Bcm2835Aux => "mini UART",
            Self::Cadence => "Cadence UART",
            Self::Ns16550 { .. } => "16550",
        })
    }
}

/// The interrupt controller: an Arm GIC of one of two architectures, or Broadcom's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InterruptController {
    /// Version 2 (Arm IHI 0048): a distributor, and an interface to the core, both in memory.
    GicV2 {
        /// GICD.
        distributor: PhysicalRange,
        /// GICC.
        cpu_interface: PhysicalRange,
    },
    /// Version 3 or 4 (Arm IHI 0069): the interface to the core is system registers.
    GicV3 {
        /// GICD.
        distributor: PhysicalRange,
        /// GICR: regions with the frames of one or more cores, one after the other; at least one.
        redistributors: Vec<PhysicalRange, REDISTRIBUTORS>,
        /// From one core's frames to the next one's, in bytes, where it is not the usual 128 KiB
        /// (256 KiB with GICv4).
        redistributor_stride: Option<u64>,
    },
    /// The BCM2836's local controller (Broadcom's QA7), which every core is wired to.
    Bcm2836 {
        /// It.
        local: PhysicalRange,
        /// The BCM2835's ARM control block behind it, where the peripherals' interrupts go.
        peripherals: Option<PhysicalRange>,
    },
}

impl fmt::Display for InterruptController {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::GicV2 { .. } => "GICv2",
            Self::GicV3 { .. } => "GICv3",
            Self::Bcm2836 { .. } => "BCM2836",
        })
    }
}

/// Who turns messages of devices into interrupts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessageController {
    /// What the buses of those devices call it by.
    pub handle: u32,
    /// What it understands.
    pub registers: MessageRegisters,
}

/// What such a one understands, and where its registers are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MessageRegisters {
    /// A GICv3's interrupt translation service (Arm IHI 0069, chapter 5).
    Its {
        /// GITS: both frames.
        registers: PhysicalRange,
        /// Whether it sees memory as the core does.
        coherence: Coherence,
    },
    /// A GICv2m frame.
    V2m {
        /// The frame.
        registers: PhysicalRange,
        /// The interrupt numbers of its lines, where the frame is not to be asked.
        lines: Option<Range<u32>>,
    },
}

/// The interrupts of the core's own timers (Arm ARM, chapter D12).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timer {
    /// The EL1 virtual timer's, `CNTV`.
    pub virtual_timer: Interrupt,
    /// The EL1 physical timer's, `CNTP`.
    pub physical_timer: Option<Interrupt>,
}

/// How firmware or hypervisor is called to power cores on and the machine off (Arm DEN 0022).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Conduit {
    /// By hypervisor call.
    Hvc,
    /// By secure monitor call.
    Smc,
}

/// A GPIO controller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GpioController {
    /// What it understands.
    pub model: Model,
    /// Its registers.
    pub registers: PhysicalRange,
}

/// A button that asks the machine to end, on a line of a PrimeCell GPIO (PL061).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PowerButton {
    /// The controller's registers.
    pub registers: PhysicalRange,
    /// The controller's interrupt.
    pub interrupt: Interrupt,
    /// The line: 0 to 7.
    pub line: u8,
    /// What the line is while the button is held down.
    pub pressed: Pressed,
}

/// Memory in which the monitor tells something that may change at any time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoticeBoard {
    /// Where it is: not in any RAM that is ours.
    pub memory: PhysicalRange,
    /// The interrupt that comes when it has changed. Without one it has to be looked at.
    pub interrupt: Option<Interrupt>,
}

/// A clock that knows the date.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rtc {
    /// Arm PrimeCell Real Time Clock (PL031).
    Pl031(PhysicalRange),
    /// The PC's clock (Motorola MC146818): a register that says which, and one that is it.
    Mc146818(PhysicalRange),
}

/// A place where a virtio device may be (virtio 1.2, section 4.2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VirtioSlot {
    /// Its registers. Slots are smaller than a page, and several may share one.
    pub registers: PhysicalRange,
    /// Its interrupt.
    pub interrupt: Interrupt,
    /// Whether what the device reads and writes is coherent with the core's caches.
    pub dma_coherent: bool,
}
