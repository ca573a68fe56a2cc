//! The devices that are known, by what they say that they are compatible with.

use elone_hal::address::PhysicalRange;
use elone_hal::gpio::line::Model;
use elone_hal::pci::Layout;

use super::bcm2836::{Block, Place};
use super::bus::Buses;
use super::gic::{self, Controller};
use super::interrupt::Wiring;
use super::msi;
use super::node::{Properties, Value};
use super::notices::Notice;
use super::pci::PciNode;
use super::survey::Survey;
use super::timer::TimerWiring;
use super::tree::{Node, name_of};
use super::{Conduit, GpioController, Machine, Problem, Reservation, Rtc, VirtioSlot, uart};

/// What a node is to us.
#[derive(Clone, Copy, Debug)]
pub(super) enum Role {
    Virtio,
    Uart(uart::Kind),
    GicV2,
    GicV3,
    Broadcom(Block),
    Its,
    V2m,
    Timer,
    Psci,
    PsciWithNumbersOfItsOwn,
    Pl031,
    Mc146818,
    Pl061,
    GpioKeys,
    Notice(Notice),
    Xen,
    Pci(Layout),
}

impl Role {
    /// The first of a node's names that is known counts: they are in order, the best match first.
    pub(super) fn of(compatible: Value) -> Option<Self> {
        compatible.strings().find_map(|name| match core::str::from_utf8(name).unwrap_or_default() {
            "virtio,mmio" => Some(Self::Virtio),
            "arm,pl011" => Some(Self::Uart(uart::Kind::Pl011)),
            "arm,sbsa-uart" => Some(Self::Uart(uart::Kind::Sbsa)),
            "ns16550a" | "ns16550" | "snps,dw-apb-uart" => Some(Self::Uart(uart::Kind::Ns16550)),
            "arm,gic-400" | "arm,gic-v2" => Some(Self::GicV2),
            "arm,cortex-a15-gic" | "arm,cortex-a9-gic" => Some(Self::GicV2),
            "arm,cortex-a7-gic" | "arm,cortex-a5-gic" => Some(Self::GicV2),
            "arm,gic-v3" => Some(Self::GicV3),
            "arm,gic-v3-its" => Some(Self::Its),
            "arm,gic-v2m-frame" => Some(Self::V2m),
            "brcm,bcm2836-l1-intc" => Some(Self::Broadcom(Block::LocalInterrupts)),
            "brcm,bcm2836-armctrl-ic" => Some(Self::Broadcom(Block::ArmControl)),
            "brcm,bcm2835-aux-uart" => Some(Self::Uart(uart::Kind::Bcm2835Aux)),
            "cdns,uart-r1p12" | "cdns,uart-r1p8" | "xlnx,xuartps" => {
                Some(Self::Uart(uart::Kind::Cadence))
            }
            "brcm,bcm2835-aux" => Some(Self::Broadcom(Block::Aux)),
            "brcm,bcm2835-pm" | "brcm,bcm2835-pm-wdt" => {
                Some(Self::Broadcom(Block::PowerManagement))
            }
            "arm,armv8-timer" | "arm,armv7-timer" => Some(Self::Timer),
            "arm,psci-1.0" | "arm,psci-0.2" => Some(Self::Psci),
            "arm,psci" => Some(Self::PsciWithNumbersOfItsOwn),
            "arm,pl031" => Some(Self::Pl031),
            "motorola,mc146818" => Some(Self::Mc146818),
            "brcm,bcm2835-gpio" => Some(Self::Broadcom(Block::Gpio)),
            "arm,pl061" => Some(Self::Pl061),
            "gpio-keys" => Some(Self::GpioKeys),
            "microsoft,vmgenid" => Some(Self::Notice(Notice::Generation)),
            "amazon,vmclock" => Some(Self::Notice(Notice::Clock)),
            "pci-host-ecam-generic" => Some(Self::Pci(Layout::Enhanced)),
            "pci-host-cam-generic" => Some(Self::Pci(Layout::Compatible)),
            "xen,xen" => Some(Self::Xen),
            _ => None,
        })
    }
}

impl<'t> Survey<'_, 't> {
    /// Notes what the current node, of a known role, says.
    pub(super) fn add(
        &mut self,
        role: Role,
        node: Node<'t>,
        properties: &Properties<'t>,
    ) -> Result<(), Problem> {
        self.has_room_for(role)?;
        let wiring = Wiring::of(properties, self.buses.interrupt_parent());
        let registers = &mut self.buses.registers(properties.reg);
        match role {
            Role::Virtio => {
                let dma_coherent = self.buses.dma_coherent();
                let slot = Slot { node, registers: Buses::next(registers)?, wiring, dma_coherent };
                self.slots.push(slot).map_err(|_| Problem::NoRoom)?;
            }
            Role::Uart(kind) => {
                let (model, registers) = (kind.model(properties)?, Buses::next(registers)?);
                self.consoles.add(model, registers, wiring, self.buses.path())?;
            }
            Role::GicV2 => self.controller = Some(gic::v2(registers, properties)?),
            Role::GicV3 => self.controller = Some(gic::v3(registers, properties)?),
            Role::Its => {
                msi::its(registers, properties, self.controller.as_ref(), self.machine)?;
            }
            Role::V2m => msi::v2m(registers, properties, self.machine)?,
            Role::Broadcom(block) => {
                let place = Place { node, registers: Buses::next(registers)?, wiring };
                let into = (&mut self.controller, &mut self.behind, &mut *self.machine);
                block.add(place, properties, into)?;
            }
            Role::Timer => self.timer = Some(TimerWiring::of(node, wiring, properties)),
            Role::Psci => self.machine.psci = Some(conduit(properties)?),
            Role::PsciWithNumbersOfItsOwn => return Err(Problem::Unsupported),
            Role::Pl031 => self.machine.rtc = Some(Rtc::Pl031(Buses::next(registers)?)),
            Role::Mc146818 => self.machine.rtc = Some(Rtc::Mc146818(Buses::next(registers)?)),
            Role::Pl061 => {
                let registers = Buses::next(registers)?;
                self.buttons.add_controller(node, registers, wiring, properties)?;
                add_gpio(self.machine, Model::Pl061, registers)?;
            }
            Role::GpioKeys => self.buttons.add_keys(node, self.machine),
            Role::Pci(layout) => {
                let host = PciNode::read(layout, node, properties, &self.buses, self.machine)?;
                self.hosts.push(host).map_err(|_| Problem::NoRoom)?;
            }
            Role::Notice(notice) => {
                let memory = Buses::next(registers)?;
                set_aside(self.machine, memory)?;
                self.notices.add(notice, node, memory, wiring)?;
            }
            Role::Xen => self.machine.is_xen = true,
        }
        Ok(())
    }

    /// Whether there can be another one of the role. Asked before the node's addresses are
    /// translated, so that a tree of nothing but devices does not take long.
    fn has_room_for(&self, role: Role) -> Result<(), Problem> {
        let (taken, problem) = match role {
            Role::Virtio => (self.slots.is_full(), Problem::NoRoom),
            Role::Uart(_) => (self.consoles.is_full(), Problem::NoRoom),
            Role::Broadcom(Block::ArmControl) => (self.behind.is_some(), Problem::Second),
            Role::Broadcom(Block::Aux) => (self.machine.aux.is_some(), Problem::Second),
            Role::Broadcom(Block::PowerManagement) => {
                (self.machine.power_management.is_some(), Problem::Second)
            }
            Role::GicV2 | Role::GicV3 | Role::Broadcom(Block::LocalInterrupts) => {
                (self.controller.is_some(), Problem::Second)
            }
            Role::Its | Role::V2m => (self.machine.message_controllers.is_full(), Problem::NoRoom),
            Role::Timer => (self.timer.is_some(), Problem::Second),
            Role::Psci | Role::PsciWithNumbersOfItsOwn => {
                (self.machine.psci.is_some(), Problem::Second)
            }
            Role::Pl031 | Role::Mc146818 => (self.machine.rtc.is_some(), Problem::Second),
            Role::Pl061 | Role::Broadcom(Block::Gpio) => {
                (self.buttons.is_full() || self.machine.gpios.is_full(), Problem::NoRoom)
            }
            Role::Pci(_) => (self.hosts.is_full(), Problem::NoRoom),
            Role::Notice(notice) => (self.notices.is_known(notice), Problem::Second),
            Role::GpioKeys | Role::Xen => return Ok(()),
        };
        if taken { Err(problem) } else { Ok(()) }
    }
}

/// Notes a GPIO controller.
pub(super) fn add_gpio(
    machine: &mut Machine,
    model: Model,
    registers: PhysicalRange,
) -> Result<(), Problem> {
    let gpio = GpioController { model, registers };
    machine.gpios.push(gpio).map_err(|_| Problem::NoRoom)
}

/// Notes memory that, in RAM or not, is not ours to use.
fn set_aside(machine: &mut Machine, range: PhysicalRange) -> Result<(), Problem> {
    let reservation = Reservation { range, no_map: false };
    machine.reservations.push(reservation).map_err(|_| Problem::NoRoom)
}

/// Where PSCI listens (Linux binding `psci.yaml`).
fn conduit(properties: &Properties) -> Result<Conduit, Problem> {
    match properties.method.map(|method| method.0) {
        Some(b"hvc\0") => Ok(Conduit::Hvc),
        Some(b"smc\0") => Ok(Conduit::Smc),
        _ => Err(Problem::BadProperty("method")),
    }
}

/// A virtio slot whose interrupt is not understood yet.
#[derive(Debug)]
pub(super) struct Slot<'t> {
    node: Node<'t>,
    registers: PhysicalRange,
    wiring: Wiring<'t>,
    dma_coherent: bool,
}

impl Slot<'_> {
    /// Gives it to `machine`, at its place by address.
    pub(super) fn resolve(&self, controller: &Controller, machine: &mut Machine) {
        let Self { registers, dma_coherent, .. } = *self;
        match controller.interrupt(self.wiring, 0) {
            Ok(interrupt) => {
                let before = |slot: &VirtioSlot| slot.registers.start() <= registers.start();
                let place = machine.virtio.iter().rposition(before).map_or(0, |last| last + 1);
                let slot = VirtioSlot { registers, interrupt, dma_coherent };
                // There is room for as many slots as the walk has noted.
                let _ = machine.virtio.insert(place, slot);
            }
            Err(problem) => machine.warn(name_of(&self.node), problem),
        }
    }
}
