//! Which UART is the console (Devicetree Specification 0.4, sections 3.3 and 3.6).

use core::fmt;

use elone_hal::address::PhysicalRange;
use fdt::nodes::NodeName;
use heapless::Vec;

use super::gic::Controller;
use super::interrupt::Wiring;
use super::node::Value;
use super::tree::Node;
use super::{DEPTH, Machine, Problem, UARTS, Uart, UartModel};

/// The way from the root to a node, without the root.
type Path<'t> = Vec<NodeName<'t>, DEPTH>;

/// A UART whose interrupt is not understood yet.
struct Candidate<'t> {
    model: UartModel,
    registers: PhysicalRange,
    wiring: Wiring<'t>,
    path: Path<'t>,
}

/// The UARTs that the walk has found, and what it has read of which one is the console.
#[derive(Default)]
pub(super) struct Consoles<'t> {
    candidates: Vec<Candidate<'t>, UARTS>,
    /// `/aliases`, whose properties are short names of paths.
    pub(super) aliases: Option<Node<'t>>,
    /// `/chosen/stdout-path`.
    pub(super) stdout_path: Option<Value<'t>>,
}

impl<'t> Consoles<'t> {
    /// Notes a UART.
    pub(super) fn add(
        &mut self,
        model: UartModel,
        registers: PhysicalRange,
        wiring: Wiring<'t>,
        path: impl Iterator<Item = NodeName<'t>>,
    ) -> Result<(), Problem> {
        let candidate = Candidate { model, registers, wiring, path: path.collect() };
        self.candidates.push(candidate).map_err(|_| Problem::NoRoom)
    }

    /// Whether there is no room for another UART.
    pub(super) fn is_full(&self) -> bool {
        self.candidates.is_full()
    }

    /// Gives `machine` its UARTs and its console.
    pub(super) fn resolve(&self, controller: Option<&Controller>, machine: &mut Machine) {
        for candidate in &self.candidates {
            let Candidate { model, registers, wiring, path } = candidate;
            let interrupt = match (controller, wiring) {
                (None, _) | (_, Wiring::None) => None,
                (Some(controller), wiring) => controller
                    .interrupt(*wiring, 0)
                    .inspect_err(|problem| machine.warn(Last(path), *problem))
                    .ok(),
            };
            // There is room for as many as there are candidates.
            let _ = machine.uarts.push(Uart { model: *model, registers: *registers, interrupt });
        }
        let chosen = self.stdout_path.and_then(|path| {
            let index = self.index_of(path);
            if index.is_none() {
                machine.warn("chosen", Problem::NoSuchConsole);
            }
            index
        });
        machine.console = machine.uarts.get(chosen.unwrap_or(0)).copied();
    }

    /// The candidate at the end of a path or alias. What follows a colon says how the line is set
    /// up, which whoever wrote the path has done.
    fn index_of(&self, stdout_path: Value<'t>) -> Option<usize> {
        let name = stdout_path.text()?.split(':').next()?;
        let path = if name.starts_with('/') {
            name
        } else {
            let alias = self.aliases?.raw_property(name).ok()??;
            Value(alias.value).text()?
        };
        self.candidates.iter().position(|candidate| leads_to(path, &candidate.path))
    }
}

/// Whether `path` is that of a node: each step a name, with or without its unit address, which may
/// be left out where it is clear what is meant (section 2.2.3).
fn leads_to(path: &str, node: &[NodeName]) -> bool {
    let mut steps = path.split('/').filter(|step| !step.is_empty());
    let each_step = node.iter().all(|name| {
        steps.next().is_some_and(|step| match (step.split_once('@'), name.unit_address) {
            (Some((base, unit)), Some(address)) => base == name.name && unit == address,
            (Some(_), None) => false,
            (None, _) => step == name.name,
        })
    });
    each_step && steps.next().is_none()
}

/// Shows the last name of a path.
struct Last<'a, 't>(&'a Path<'t>);

impl fmt::Display for Last<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.last().map_or(Ok(()), |name| name.fmt(f))
    }
}
