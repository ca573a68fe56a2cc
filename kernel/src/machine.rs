//! What the machine is: the device tree, read once into facts that the boot can act on.
//!
//! Nothing about a machine is known in advance but what its firmware or monitor writes into the
//! tree, and that tree is untrusted input: any bytes give a [`Machine`] or a [`MachineError`],
//! never a panic. What a node is, its `compatible` says (memory and cores: their `device_type`),
//! never its name or place; only `/chosen`, `/aliases` and `/reserved-memory` have their meaning
//! by path, as the Devicetree Specification 0.4 has it.
//!
//! To be read in this order: `tree` checks the bytes, `survey` walks the nodes once; `node` says
//! what is in a node, `bus` what it has from those above it, `interrupt` what its numbers mean;
//! `devices`, `gic`, `bcm2836`, `msi`, `pci`, `timer`, `uart`, `console`, `button`, `notices`
//! and `chosen` say what each kind of node is good for.
//! Lists are bounded, nothing is allocated. What is odd but can be lived with becomes a
//! [`Warning`], for the boot to print once it can.

mod bcm2836;
mod bus;
mod button;
mod chosen;
mod console;
mod devices;
mod error;
mod facts;
mod gic;
mod interrupt;
mod memory;
mod msi;
mod node;
mod notices;
mod pci;
mod strangers;
mod survey;
mod timer;
mod tree;
mod uart;

use core::fmt;

use elone_hal::address::PhysicalRange;
use heapless::{String, Vec};

pub use error::{MachineError, Problem, Warning};
pub use facts::{
    Conduit, GpioController, Interrupt, InterruptController, MessageController, MessageRegisters,
    NoticeBoard, PowerButton, Reservation, Rtc, Timer, Uart, UartModel, VirtioSlot,
};
pub use memory::{Conflict, FreeMemory};
pub use pci::{PciHost, PciRoute};
pub use tree::Tree;

/// How many levels of nodes below the root are read; real trees have five or six.
pub const DEPTH: usize = 15;
/// How many banks of RAM are used.
pub const BANKS: usize = 16;
/// How many reservations there can be.
pub const RESERVATIONS: usize = 32;
/// How many UARTs are noted.
pub const UARTS: usize = 8;
/// How many virtio slots are noted: QEMU has 32.
pub const VIRTIO_SLOTS: usize = 64;
/// How many host bridges of PCI are gone behind.
pub const PCI_HOSTS: usize = 4;
/// How many routes of pins there can be behind all of them: 16 on QEMU.
pub const PCI_ROUTES: usize = 160;
/// How many stretches of functions there can be whose messages go to different places, a host bridge.
pub const MESSAGE_MAPS: usize = 4;
/// How many regions of GICv3 redistributors are used.
pub const REDISTRIBUTORS: usize = 8;
/// How many are noted that turn messages into interrupts.
pub const MESSAGE_CONTROLLERS: usize = 4;
/// How many GPIO controllers are noted: machines that were seen have one or two.
pub const GPIO_CONTROLLERS: usize = 8;
/// How many bytes of boot arguments are taken, as Linux does on arm64.
pub const BOOTARGS: usize = 2048;
/// How many bytes of a machine's names are kept.
pub const NAME: usize = 64;
/// How many warnings are kept; the others are counted.
pub const WARNINGS: usize = 16;

/// What the machine is.
#[derive(Debug, Default)]
pub struct Machine {
    /// The model's name, for humans. Empty if there is none that fits.
    pub model: String<NAME>,
    /// The first of the names that say what it is, for programs. Empty if there is none that fits.
    pub compatible: String<NAME>,
    /// RAM, as the tree has it: in any order, not of whole pages. [`Machine::free_memory`] is more
    /// useful to anyone who wants some.
    pub ram: Vec<PhysicalRange, BANKS>,
    /// What of RAM, or elsewhere, is not ours.
    pub reservations: Vec<Reservation, RESERVATIONS>,
    /// The initial RAM disk.
    pub initrd: Option<PhysicalRange>,
    /// The UART that the boot arguments name, else `stdout-path`, else the first of
    /// [`Machine::uarts`].
    pub console: Option<Uart>,
    /// All UARTs that there could be a driver for, in the tree's order.
    pub uarts: Vec<Uart, UARTS>,
    /// Whether the boot arguments name a hypervisor's console last (`console=hvc0`): it is wanted even
    /// where there is a UART.
    pub names_hypervisor_console: bool,
    /// The interrupt controller. `None` if there is none of a known kind.
    pub interrupt_controller: Option<InterruptController>,
    /// Who turns messages of devices into interrupts, in the tree's order.
    pub message_controllers: Vec<MessageController, MESSAGE_CONTROLLERS>,
    /// What there is in its place: a name of the controller that is of no known kind. Empty if there
    /// is none.
    pub unknown_controller: String<NAME>,
    /// What `stdout-path` leads to, where that is nothing that a UART's driver is for. Empty if it is, or
    /// leads nowhere.
    pub unknown_console: String<NAME>,
    /// The interrupts of the core's timers.
    pub timer: Option<Timer>,
    /// How PSCI (0.2 or later) is called.
    pub psci: Option<Conduit>,
    /// Broadcom's block of power management, by which a machine without PSCI ends.
    pub power_management: Option<PhysicalRange>,
    /// Broadcom's block of a mini UART and two others, in which the UART is enabled.
    pub aux: Option<PhysicalRange>,
    /// A clock that knows the date.
    pub rtc: Option<Rtc>,
    /// Where the monitor tells the virtual machine's generation (vmgenid).
    pub generation: Option<NoticeBoard>,
    /// Where the hypervisor tells the time (vmclock).
    pub vmclock: Option<NoticeBoard>,
    /// Whether there is a node of Xen's, for its guests.
    pub is_xen: bool,
    /// GPIO controllers, in the tree's order.
    pub gpios: Vec<GpioController, GPIO_CONTROLLERS>,
    /// What the machine's owner presses to have it end.
    pub power_button: Option<PowerButton>,
    /// Where virtio devices may be, by ascending address.
    pub virtio: Vec<VirtioSlot, VIRTIO_SLOTS>,
    /// Host bridges of PCI, in the tree's order.
    pub pci: Vec<PciHost, PCI_HOSTS>,
    /// Where the pins behind them lead: [`Machine::pci_interrupt`] knows how to read that.
    pub pci_routes: Vec<PciRoute, PCI_ROUTES>,
    /// Whether nothing of PCI is to be set up otherwise than it was found.
    pub pci_is_set_up: bool,
    /// How many cores there are, this one among them.
    pub cores: u32,
    bootargs: String<BOOTARGS>,
    warnings: Vec<Warning, WARNINGS>,
    warnings_lost: usize,
}

impl Machine {
    /// Reads the tree at the start of `tree`; what follows it does not matter.
    ///
    /// # Errors
    /// See [`MachineError`]: those of [`Tree::check`], `BadStructure`, `TooDeep`, `NoMemory` and
    /// `TooManyReservations`.
    pub fn read(tree: &[u8]) -> Result<Self, MachineError> {
        let mut machine = Self::default();
        machine.learn(tree)?;
        Ok(machine)
    }

    /// As [`Machine::read`], of a machine that nothing is known of yet, in its place for good: it is
    /// too large to be handed from frame to frame of the boot's stack.
    ///
    /// # Errors
    /// As [`Machine::read`].
    pub fn learn(&mut self, tree: &[u8]) -> Result<(), MachineError> {
        survey::survey(&Tree::open(tree)?, self)
    }

    /// The settings for the kernel and the application, as they came (`/chosen/bootargs`).
    #[must_use]
    pub fn bootargs(&self) -> &str {
        &self.bootargs
    }

    /// The machine's name: its model's, else the first it is compatible with.
    #[must_use]
    pub fn name(&self) -> &str {
        let mut names = [self.model.as_str(), &self.compatible].into_iter();
        names.find(|name| !name.is_empty()).unwrap_or("unknown machine")
    }

    /// What is odd about the tree.
    #[must_use]
    pub fn warnings(&self) -> &[Warning] {
        &self.warnings
    }

    /// How many warnings there were beyond [`Machine::warnings`].
    #[must_use]
    pub fn warnings_lost(&self) -> usize {
        self.warnings_lost
    }

    fn warn(&mut self, node: impl fmt::Display, problem: Problem) {
        self.note(format_args!("{node}"), problem);
    }

    /// The one body of what would be a copy for each kind of `node`.
    fn note(&mut self, node: fmt::Arguments<'_>, problem: Problem) {
        if self.warnings.is_full() {
            self.warnings_lost += 1;
        } else {
            // There is room.
            let _ = self.warnings.push(Warning::new(node, problem));
        }
    }
}

/// The machine in a line: `linux,dummy-virt: 128 MiB, GICv2, PL011, 1 core`.
impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} MiB, ", self.name(), self.memory() >> 20)?;
        match &self.interrupt_controller {
            Some(controller) => write!(f, "{controller}, ")?,
            None => f.write_str("no interrupt controller, ")?,
        }
        match &self.console {
            Some(uart) => write!(f, "{}, ", uart.model)?,
            None => f.write_str("no UART, ")?,
        }
        write!(f, "{} {}", self.cores, if self.cores == 1 { "core" } else { "cores" })
    }
}
