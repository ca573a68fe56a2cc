//! The one walk over the tree's nodes.
//!
//! Parents come before their children, but otherwise the order is the tree's: a device may come
//! before the interrupt controller that gives its interrupts a meaning, and the console's path
//! after the UART. So the walk notes interrupts and paths as they came, and the end resolves them.

use heapless::{String, Vec};

use super::bcm2836::Behind;
use super::bus::Buses;
use super::button::Buttons;
use super::console::Consoles;
use super::devices::{Role, Slot};
use super::gic::Controller;
use super::node::{Properties, Value};
use super::notices::Notices;
use super::pci::PciNodes;
use super::strangers::{self, Strangers};
use super::timer::TimerWiring;
use super::tree::{Node, Tree, name_of, range_to_the_end};
use super::{Machine, MachineError, Problem, Reservation, VIRTIO_SLOTS};

/// What the walk has found so far.
pub(super) struct Survey<'m, 't> {
    pub(super) machine: &'m mut Machine,
    pub(super) buses: Buses<'t>,
    pub(super) consoles: Consoles<'t>,
    pub(super) controller: Option<Controller>,
    pub(super) behind: Option<Behind<'t>>,
    pub(super) timer: Option<TimerWiring<'t>>,
    pub(super) slots: Vec<Slot<'t>, VIRTIO_SLOTS>,
    pub(super) buttons: Buttons<'t>,
    pub(super) notices: Notices<'t>,
    pub(super) hosts: PciNodes<'t>,
    pub(super) strangers: Strangers,
    root: Node<'t>,
}

/// Reads a tree into `machine`, of which nothing is known yet. What the walk notes is large: the frame
/// it is in is not to become its caller's, who has the rest of the boot to do.
#[inline(never)]
pub(super) fn survey(tree: &Tree, machine: &mut Machine) -> Result<(), MachineError> {
    let root = tree.root()?;
    let properties = &mut Properties::default();
    properties.gather(&root)?;
    let mut survey = Survey {
        machine,
        buses: Buses::new(root, properties),
        consoles: Consoles::default(),
        controller: None,
        behind: None,
        timer: None,
        slots: Vec::new(),
        buttons: Buttons::default(),
        notices: Notices::default(),
        hosts: Vec::new(),
        strangers: Strangers::default(),
        root,
    };
    survey.name(properties);
    survey.strangers.main = properties.interrupt_parent.and_then(Value::cell);
    for range in tree.reservations() {
        survey.reserve(Reservation { range: range?, no_map: false })?;
    }
    for node in tree.nodes()? {
        let (depth, node) = node?;
        survey.visit(depth, node)?;
    }
    survey.finish()
}

impl<'t> Survey<'_, 't> {
    /// Notes what the root says that the machine is.
    fn name(&mut self, root: &Properties) {
        let text = |name: Option<&[u8]>| {
            let name = core::str::from_utf8(name.unwrap_or_default()).unwrap_or_default();
            String::try_from(name).unwrap_or_default()
        };
        self.machine.model = text(root.model.and_then(|value| value.strings().next()));
        self.machine.compatible = text(root.compatible.and_then(|value| value.strings().next()));
    }

    /// Notes what is of use in a node.
    fn visit(&mut self, depth: usize, node: Node<'t>) -> Result<(), MachineError> {
        let properties = &mut Properties::default();
        properties.gather(&node)?;
        self.buses.enter(depth, node, properties)?;
        if !self.buses.enabled() {
            return Ok(());
        }
        if depth == 2 && self.buses.parent_name() == "reserved-memory" {
            self.reserve_all(node, properties)?;
        } else if let Some(role) = properties.compatible.and_then(Role::of) {
            if let Err(problem) = self.add(role, node, properties) {
                self.machine.warn(name_of(&node), problem);
            }
        } else if properties.is_type(b"memory\0") {
            self.add_memory(node, properties);
        } else if properties.is_type(b"cpu\0") {
            self.machine.cores += 1;
        } else if depth == 1 {
            match name_of(&node).name {
                "chosen" => self.choose(properties),
                "aliases" => self.consoles.aliases = Some(node),
                _ => self.strangers.note(&node, properties),
            }
        } else {
            self.strangers.note(&node, properties);
        }
        Ok(())
    }

    /// Notes the banks of a memory node (section 3.4).
    fn add_memory(&mut self, node: Node, properties: &Properties<'t>) {
        let Self { machine, buses, .. } = self;
        if properties.reg.is_none() {
            machine.warn(name_of(&node), Problem::BadProperty("reg"));
        }
        for bank in buses.registers(properties.reg) {
            let problem = match bank {
                Ok(bank) if bank.is_empty() => continue,
                Ok(bank) => {
                    if machine.ram.iter().any(|other| other.overlaps(&bank)) {
                        machine.warn(name_of(&node), Problem::Overlaps);
                    }
                    machine.ram.push(bank).err().map(|_| Problem::NoRoom)
                }
                Err(problem) => Some(problem),
            };
            if let Some(problem) = problem {
                return machine.warn(name_of(&node), problem);
            }
        }
    }

    /// Notes a reservation.
    fn reserve(&mut self, reservation: Reservation) -> Result<(), MachineError> {
        if reservation.range.is_empty() {
            return Ok(());
        }
        self.machine.reservations.push(reservation).map_err(|_| MachineError::TooManyReservations)
    }

    /// Notes what a child of `/reserved-memory` reserves (section 3.5). One without `reg` asks the
    /// kernel to find it some memory, which is for the drivers that this kernel does not have.
    fn reserve_all(&mut self, node: Node, properties: &Properties<'t>) -> Result<(), MachineError> {
        for entry in self.buses.entries(properties.reg) {
            let Ok((start, length)) = entry else {
                self.machine.warn(name_of(&node), Problem::BadProperty("reg"));
                break;
            };
            let range = self.buses.translate(start, length).unwrap_or_else(|problem| {
                self.machine.warn(name_of(&node), problem);
                // Better to spare memory in vain than to use what is another's.
                range_to_the_end(start, length)
            });
            self.reserve(Reservation { range, no_map: properties.no_map.is_some() })?;
        }
        Ok(())
    }

    /// Resolves what the walk could not.
    fn finish(&mut self) -> Result<(), MachineError> {
        let Self { machine, controller, .. } = self;
        if machine.ram.is_empty() {
            return Err(MachineError::NoMemory);
        }
        if let (Some(controller), Some(behind)) = (controller.as_mut(), &self.behind) {
            behind.join(controller, machine);
        }
        self.consoles.resolve(controller.as_ref(), machine);
        if let Some(path) = self.consoles.unknown() {
            machine.unknown_console = strangers::kind_at(path, self.root);
        }
        self.notices.resolve(controller.as_ref(), machine);
        // Without a controller no interrupt means anything; its own absence is what to complain of.
        if let Some(controller) = controller {
            for slot in &self.slots {
                slot.resolve(controller, machine);
            }
            if let Some(timer) = &self.timer {
                timer.resolve(controller, machine);
            }
            self.buttons.resolve(controller, machine);
            for host in &self.hosts {
                host.resolve(controller, machine);
            }
        }
        machine.interrupt_controller = controller.take().map(|found| found.facts);
        if machine.interrupt_controller.is_none() {
            core::mem::take(&mut self.strangers).resolve(machine);
        }
        Ok(())
    }
}
