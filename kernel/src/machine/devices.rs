//! The devices that are known, by what they say that they are compatible with.

use elone_hal::address::PhysicalRange;
use heapless::Vec;

use super::bus::Buses;
use super::interrupt::{Controller, Wiring};
use super::node::{Properties, Value};
use super::survey::Survey;
use super::tree::{Node, name_of};
use super::{Conduit, InterruptController, Machine, Problem, Rtc, Timer, UartModel, VirtioSlot};

/// What a node is to us.
#[derive(Clone, Copy, Debug)]
pub(super) enum Role {
    Virtio,
    Pl011,
    Ns16550,
    GicV2,
    GicV3,
    Timer,
    Psci,
    PsciWithNumbersOfItsOwn,
    Pl031,
    Mc146818,
}

impl Role {
    /// The first of a node's names that is known counts: they are in order, the best match first.
    pub(super) fn of(compatible: Value) -> Option<Self> {
        compatible.strings().find_map(|name| match name {
            b"virtio,mmio" => Some(Self::Virtio),
            b"arm,pl011" => Some(Self::Pl011),
            b"ns16550a" | b"ns16550" | b"snps,dw-apb-uart" => Some(Self::Ns16550),
            b"arm,gic-400" | b"arm,gic-v2" => Some(Self::GicV2),
            b"arm,cortex-a15-gic" | b"arm,cortex-a9-gic" => Some(Self::GicV2),
            b"arm,cortex-a7-gic" | b"arm,cortex-a5-gic" => Some(Self::GicV2),
            b"arm,gic-v3" => Some(Self::GicV3),
            b"arm,armv8-timer" | b"arm,armv7-timer" => Some(Self::Timer),
            b"arm,psci-1.0" | b"arm,psci-0.2" => Some(Self::Psci),
            b"arm,psci" => Some(Self::PsciWithNumbersOfItsOwn),
            b"arm,pl031" => Some(Self::Pl031),
            b"motorola,mc146818" => Some(Self::Mc146818),
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
        let wiring = Wiring::of(properties, self.buses.interrupt_parent());
        let registers = &mut self.buses.registers(properties.reg);
        match role {
            Role::Virtio => {
                let registers = Buses::next(registers)?;
                let slot = Slot { node, registers, wiring, dma_coherent: self.buses.dma_coherent() };
                self.slots.push(slot).map_err(|_| Problem::NoRoom)
            }
            Role::Pl011 => {
                let registers = Buses::next(registers)?;
                self.consoles.add(UartModel::Pl011, registers, wiring, self.buses.path())
            }
            Role::Ns16550 => {
                let registers = Buses::next(registers)?;
                self.consoles.add(ns16550(properties)?, registers, wiring, self.buses.path())
            }
            Role::GicV2 => {
                let (distributor, cpu_interface) = (Buses::next(registers)?, Buses::next(registers)?);
                let controller = InterruptController::GicV2 { distributor, cpu_interface };
                keep_first(&mut self.controller, controller_of(controller, properties)?)
            }
            Role::GicV3 => {
                let controller = gic_v3(registers, properties)?;
                keep_first(&mut self.controller, controller_of(controller, properties)?)
            }
            Role::Timer => keep_first(&mut self.timer, TimerWiring::of(node, wiring, properties)),
            Role::Psci => keep_first(&mut self.machine.psci, conduit(properties)?),
            Role::PsciWithNumbersOfItsOwn => Err(Problem::Unsupported),
            Role::Pl031 => {
                keep_first(&mut self.machine.rtc, Rtc::Pl031(Buses::next(registers)?))
            }
            Role::Mc146818 => {
                keep_first(&mut self.machine.rtc, Rtc::Mc146818(Buses::next(registers)?))
            }
        }
    }
}

/// Notes what there can be one of.
fn keep_first<T>(place: &mut Option<T>, found: T) -> Result<(), Problem> {
    if place.is_some() {
        return Err(Problem::Second);
    }
    *place = Some(found);
    Ok(())
}

/// A 16550's layout (dt-schema, `8250.yaml`): bytes, one after the other, unless it says otherwise.
fn ns16550(properties: &Properties) -> Result<UartModel, Problem> {
    let byte = |value: Option<Value>, default| match value {
        Some(value) => value.cell().and_then(|cell| u8::try_from(cell).ok()),
        None => Some(default),
    };
    let register_shift = byte(properties.reg_shift, 0).filter(|shift| *shift <= 3);
    let register_shift = register_shift.ok_or(Problem::BadProperty("reg-shift"))?;
    let access_width = byte(properties.reg_io_width, 1).filter(|width| matches!(width, 1 | 2 | 4));
    let access_width = access_width.ok_or(Problem::BadProperty("reg-io-width"))?;
    Ok(UartModel::Ns16550 { register_shift, access_width })
}

/// A GICv3's `reg`: the distributor, the redistributors' regions, then what hypervisors need.
fn gic_v3(
    registers: &mut impl Iterator<Item = Result<PhysicalRange, Problem>>,
    properties: &Properties,
) -> Result<InterruptController, Problem> {
    let regions = match properties.redistributor_regions.map(Value::cell) {
        None => 1,
        Some(Some(regions @ 1..)) => regions,
        Some(_) => return Err(Problem::BadProperty("#redistributor-regions")),
    };
    let redistributor_stride = match properties.redistributor_stride.map(Value::number) {
        None | Some(Some(0)) => None,
        Some(Some(stride)) if stride % REDISTRIBUTOR_FRAME == 0 => Some(stride),
        Some(_) => return Err(Problem::BadProperty("redistributor-stride")),
    };
    let distributor = Buses::next(registers)?;
    let mut redistributors = Vec::new();
    for _ in 0..regions {
        redistributors.push(Buses::next(registers)?).map_err(|_| Problem::NoRoom)?;
    }
    Ok(InterruptController::GicV3 { distributor, redistributors, redistributor_stride })
}

/// The size of one frame of a redistributor's registers (Arm IHI 0069, section 12.10).
const REDISTRIBUTOR_FRAME: u64 = 0x1_0000;

/// A controller, with what it takes to read interrupt specifiers for it.
fn controller_of(
    controller: InterruptController,
    properties: &Properties,
) -> Result<Controller, Problem> {
    match properties.interrupt_cells.and_then(Value::cell) {
        Some(specifier_cells @ (3 | 4)) => {
            Ok(Controller { controller, handle: properties.handle(), specifier_cells })
        }
        _ => Err(Problem::BadProperty("#interrupt-cells")),
    }
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
                // There is room for as many slots as the walk has noted.
                let _ = machine.virtio.insert(place, VirtioSlot { registers, interrupt, dma_coherent });
            }
            Err(problem) => machine.warn(name_of(&self.node), problem),
        }
    }
}

/// The interrupts of the core's timers, not understood yet, and which of them is which.
#[derive(Debug)]
pub(super) struct TimerWiring<'t> {
    node: Node<'t>,
    wiring: Wiring<'t>,
    virtual_timer: Option<usize>,
    physical_timer: Option<usize>,
}

impl<'t> TimerWiring<'t> {
    /// By the names that the node gives its interrupts; without names their order is fixed
    /// (Linux binding `arm,arch_timer.yaml`).
    fn of(node: Node<'t>, wiring: Wiring<'t>, properties: &Properties<'t>) -> Self {
        let place = |name: &[u8], usual| match properties.interrupt_names {
            Some(names) => names.strings().position(|other| other == name),
            None => Some(usual),
        };
        let (virtual_timer, physical_timer) = (place(b"virt", 2), place(b"phys", 1));
        Self { node, wiring, virtual_timer, physical_timer }
    }

    /// Gives the timer to `machine`.
    pub(super) fn resolve(&self, controller: &Controller, machine: &mut Machine) {
        let interrupt = |place: Option<usize>| {
            let place = place.ok_or(Problem::BadProperty("interrupt-names"))?;
            controller.interrupt(self.wiring, place)
        };
        match interrupt(self.virtual_timer) {
            Ok(virtual_timer) => {
                let physical_timer = interrupt(self.physical_timer).ok();
                machine.timer = Some(Timer { virtual_timer, physical_timer });
            }
            Err(problem) => machine.warn(name_of(&self.node), problem),
        }
    }
}
