//! Which of a timer node's interrupts is which (Linux binding `arm,arch_timer.yaml`).

use super::gic::Controller;
use super::interrupt::Wiring;
use super::node::Properties;
use super::tree::{Node, name_of};
use super::{Machine, Problem, Timer};

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
    pub(super) fn of(node: Node<'t>, wiring: Wiring<'t>, properties: &Properties<'t>) -> Self {
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
