//! The power button: a key on a line of a GPIO controller (Linux bindings `gpio-keys.yaml` and
//! `pl061-gpio.yaml`). It is how QEMU, libvirt, Cloud Hypervisor and, of late, Firecracker ask a
//! guest to end.
//!
//! A key names its controller by handle, and either may come first, so the walk notes both and the
//! end puts them together. What is wrong with it costs the button, and nothing else.

use elone_hal::address::PhysicalRange;
use elone_hal::gpio::{LINES, Pressed};
use heapless::Vec;

use super::gic::Controller;
use super::interrupt::Wiring;
use super::node::{Properties, Value};
use super::tree::{Node, name_of};
use super::{GPIO_CONTROLLERS, Machine, PowerButton, Problem};

/// `KEY_POWER` (Linux, `input-event-codes.h`).
const POWER: u32 = 116;
/// A line's second cell: pressed is low (Linux, `dt-bindings/gpio/gpio.h`).
const ACTIVE_LOW: u32 = 1;

/// A PL061 whose interrupt is not understood yet.
#[derive(Debug)]
struct Gpio<'t> {
    node: Node<'t>,
    handle: Option<u32>,
    /// How many cells it takes to name a line.
    cells: Option<u32>,
    registers: PhysicalRange,
    wiring: Wiring<'t>,
}

/// A key that switches the power off.
#[derive(Debug)]
struct Key<'t> {
    node: Node<'t>,
    gpios: Value<'t>,
}

/// What the walk has found of a power button.
#[derive(Debug, Default)]
pub(super) struct Buttons<'t> {
    controllers: Vec<Gpio<'t>, GPIO_CONTROLLERS>,
    key: Option<Key<'t>>,
}

impl<'t> Buttons<'t> {
    /// Whether there is no room for another controller.
    pub(super) fn is_full(&self) -> bool {
        self.controllers.is_full()
    }

    /// Notes a PL061.
    pub(super) fn add_controller(
        &mut self,
        node: Node<'t>,
        registers: PhysicalRange,
        wiring: Wiring<'t>,
        properties: &Properties<'t>,
    ) -> Result<(), Problem> {
        let cells = properties.gpio_cells.and_then(Value::cell);
        let gpio = Gpio { node, handle: properties.handle(), cells, registers, wiring };
        self.controllers.push(gpio).map_err(|_| Problem::NoRoom)
    }

    /// Notes the key for the power among those of a `gpio-keys` node, whose children they are.
    pub(super) fn add_keys(&mut self, keys: Node<'t>, machine: &mut Machine) {
        let Ok(children) = keys.children() else { return };
        for child in children.iter() {
            // The walk comes by here too, and refuses a tree that is malformed.
            let Ok(node) = child else { return };
            let mut properties = Properties::default();
            if properties.gather(&node).is_err() || !properties.enabled() {
                continue;
            }
            if properties.linux_code.and_then(Value::cell) != Some(POWER) {
                continue;
            }
            match (properties.gpios, &self.key) {
                (_, Some(_)) => machine.warn(name_of(&node), Problem::Second),
                (None, _) => machine.warn(name_of(&node), Problem::BadProperty("gpios")),
                (Some(gpios), None) => self.key = Some(Key { node, gpios }),
            }
        }
    }

    /// Gives `machine` its power button.
    pub(super) fn resolve(&self, controller: &Controller, machine: &mut Machine) {
        let Some(key) = &self.key else { return };
        match self.wired(key, controller) {
            Ok(button) => machine.power_button = Some(button),
            Err((node, problem)) => machine.warn(name_of(node), problem),
        }
    }

    /// The button, or the node that is wrong and what is wrong with it.
    fn wired<'a>(
        &'a self,
        key: &'a Key<'t>,
        controller: &Controller,
    ) -> Result<PowerButton, (&'a Node<'t>, Problem)> {
        let malformed = || (&key.node, Problem::BadProperty("gpios"));
        let mut cells = key.gpios.cells();
        let handle = cells.next().ok_or_else(malformed)?;
        let gpio = self.controllers.iter().find(|gpio| gpio.handle == Some(handle));
        let gpio = gpio.ok_or((&key.node, Problem::ForeignLine))?;
        if gpio.cells != Some(2) {
            return Err((&gpio.node, Problem::BadProperty("#gpio-cells")));
        }
        let (Some(line), Some(flags), true) = (cells.next(), cells.next(), cells.is_empty()) else {
            return Err(malformed());
        };
        let line = u8::try_from(line).ok().filter(|line| *line < LINES).ok_or_else(malformed)?;
        let pressed = if flags & ACTIVE_LOW == 0 { Pressed::High } else { Pressed::Low };
        let interrupt = controller.interrupt(gpio.wiring, 0);
        let interrupt = interrupt.map_err(|problem| (&gpio.node, problem))?;
        Ok(PowerButton { registers: gpio.registers, interrupt, line, pressed })
    }
}
