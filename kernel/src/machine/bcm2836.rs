//! Broadcom's blocks; above all the interrupt controllers of the Raspberry Pi 2 and 3: the local one (Linux binding
//! `brcm,bcm2836-l1-intc.txt`), and the one that is behind a line of it, where the peripherals'
//! interrupts go (`brcm,bcm2835-armctrl-ic.txt`).

use elone_hal::Trigger;
use elone_hal::address::PhysicalRange;
use elone_hal::gpio::line::Model;
use elone_hal::interrupts::Line;
use elone_hal::interrupts::bcm2836::PERIPHERALS;

use super::devices::add_gpio;
use super::gic::Controller;
use super::interrupt::Wiring;
use super::node::{Cells, Properties, Value};
use super::tree::{Node, name_of};
use super::{Interrupt, InterruptController, Machine, Problem};

/// Lines of the local controller (Broadcom's QA7, section 4.10).
const LOCAL_LINES: u32 = 12;
/// Lines of a bank of the other: the ARM's own come first, and are few.
const BANKS: [(u32, u32); 3] = [(64, 8), (0, 32), (32, 32)];

/// A block of Broadcom's.
#[derive(Clone, Copy, Debug)]
pub(super) enum Block {
    LocalInterrupts,
    ArmControl,
    Aux,
    PowerManagement,
    Gpio,
}

/// A block's node, and what it says of the block.
pub(super) struct Place<'t> {
    pub(super) node: Node<'t>,
    pub(super) registers: PhysicalRange,
    pub(super) wiring: Wiring<'t>,
}

impl Block {
    /// Notes one, of which there is room for another: the machine's interrupt controller, the one
    /// behind it, or what is of the machine itself.
    pub(super) fn add<'t>(
        self,
        place: Place<'t>,
        properties: &Properties<'t>,
        into: (&mut Option<Controller>, &mut Option<Behind<'t>>, &mut Machine),
    ) -> Result<(), Problem> {
        let (controller, behind, machine) = into;
        let registers = place.registers;
        match self {
            Self::LocalInterrupts => {
                let facts = InterruptController::Bcm2836 { local: registers, peripherals: None };
                *controller = Some(Controller::new(facts, properties)?);
            }
            Self::ArmControl => *behind = Some(Behind::of(place, properties)?),
            Self::Aux => machine.aux = Some(registers),
            Self::PowerManagement => machine.power_management = Some(registers),
            Self::Gpio => add_gpio(machine, Model::Bcm2835, registers)?,
        }
        Ok(())
    }
}

/// A controller that is behind another one, which may come later in the tree.
#[derive(Debug)]
pub(super) struct Behind<'t> {
    node: Node<'t>,
    handle: Option<u32>,
    registers: PhysicalRange,
    wiring: Wiring<'t>,
}

impl<'t> Behind<'t> {
    fn of(place: Place<'t>, properties: &Properties<'t>) -> Result<Self, Problem> {
        if properties.interrupt_cells.and_then(Value::cell) != Some(2) {
            return Err(Problem::BadProperty("#interrupt-cells"));
        }
        let Place { node, registers, wiring } = place;
        Ok(Self { node, handle: properties.handle(), registers, wiring })
    }

    /// Makes it part of `controller`, if it is that one's; else what is behind it cannot be heard.
    pub(super) fn join(&self, controller: &mut Controller, machine: &mut Machine) {
        let line = controller.interrupt(self.wiring, 0).map(|interrupt| interrupt.line);
        match (line, &mut controller.facts) {
            (Ok(Line::Local(PERIPHERALS)), InterruptController::Bcm2836 { peripherals, .. }) => {
                *peripherals = Some(self.registers);
                controller.behind = self.handle;
            }
            (Ok(_), _) => machine.warn(name_of(&self.node), Problem::BadProperty("interrupts")),
            (Err(problem), _) => machine.warn(name_of(&self.node), problem),
        }
    }
}

/// What a specifier for the local controller means: a line, and flags, which change nothing.
pub(super) fn local_interrupt(cells: &mut Cells) -> Option<Interrupt> {
    let (number, _flags) = (cells.next()?, cells.next()?);
    let number = u8::try_from(number).ok().filter(|_| number < LOCAL_LINES)?;
    Some(Interrupt { line: Line::Local(number), trigger: Trigger::Level })
}

/// What one for the other means: a bank, and a line of it.
pub(super) fn peripheral_interrupt(cells: &mut Cells) -> Option<Interrupt> {
    let (bank, number) = (cells.next()?, cells.next()?);
    let (first, lines) = *BANKS.get(usize::try_from(bank).ok()?)?;
    let line = u8::try_from(first + number.min(lines)).ok().filter(|_| number < lines)?;
    Some(Interrupt { line: Line::Peripheral(line), trigger: Trigger::Level })
}
