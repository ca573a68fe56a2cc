//! Which UART is the console (Devicetree Specification 0.4, sections 3.3 and 3.6).
//!
//! Of all that may name one, the first counts that names a UART which can be used: `console=` in the
//! boot arguments (the last one there), since those are the operator's; `stdout-path`; `earlycon=`
//! there. Else it is the first UART of the tree. Where two of them disagree, or one names none, the
//! tree's warnings say which UART is the console, and which is not. `console=` has Linux's names:
//! `ttyAMA` for a PL011 (and what is left of one), `ttyPS` for Cadence's, `ttyS` for a 16550, and a number, which is an alias's (`serial0`) or else
//! counts those of the kind.

use core::fmt::{self, Write};

use elone_hal::address::PhysicalRange;
use fdt::nodes::NodeName;
use heapless::{String, Vec};

use super::gic::Controller;
use super::interrupt::Wiring;
use super::node::Value;
use super::strangers::path_of;
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

    /// The path that `stdout-path` has, if it does not lead to one of these.
    pub(super) fn unknown(&self) -> Option<&'t str> {
        let stdout_path = self.stdout_path?;
        match self.index_of(stdout_path) {
            Some(_) => None,
            None => path_of(stdout_path, self.aliases.as_ref()),
        }
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
        let (console, warnings) = self.choose(machine.bootargs());
        for (index, problem) in warnings {
            match index.and_then(|index| self.candidates.get(index)) {
                Some(candidate) => machine.warn(Last(&candidate.path), problem),
                None => machine.warn("chosen", problem),
            }
        }
        machine.console = console.and_then(|index| machine.uarts.get(index).copied());
        let words = machine.bootargs().split_ascii_whitespace();
        let named = words.filter_map(|word| word.strip_prefix("console=")).next_back();
        machine.names_hypervisor_console = named.is_some_and(|name| name.starts_with("hvc"));
    }

    /// The console, and what is to be said of which candidate, or of `/chosen`.
    fn choose(&self, bootargs: &str) -> (Option<usize>, Vec<(Option<usize>, Problem), 5>) {
        let argument = |name| {
            let words = bootargs.split_ascii_whitespace();
            words.filter_map(move |word| word.strip_prefix(name)?.strip_prefix('='))
        };
        // Others than UARTs (`tty0`, `hvc0`) are not this one's concern here.
        let by_name = argument("console").filter_map(Port::parse).next_back();
        let by_name = by_name.map(|port| self.index_of_port(port));
        let by_path = self.stdout_path.map(|path| self.index_of(path));
        let by_address = argument("earlycon").filter_map(address).next_back();
        let by_address = by_address.map(|address| self.index_at(address));
        let named = [("console=", by_name), ("stdout-path", by_path), ("earlycon=", by_address)];

        let winner = named.iter().find_map(|(name, found)| Some((*name, (*found)??)));
        let first = (!self.candidates.is_empty()).then_some(0);
        let (by, console) = winner.map_or((None, first), |(name, index)| (Some(name), Some(index)));
        let mut warnings = Vec::new();
        for (name, found) in named {
            // There is room for one of each, and what follows.
            let _ = match found {
                Some(None) => warnings.push((None, Problem::NoSuchConsole(name))),
                Some(index) if index != console => {
                    warnings.push((index, Problem::IsNotConsole(name)))
                }
                Some(_) | None => Ok(()),
            };
        }
        if !warnings.is_empty() && console.is_some() {
            let _ = warnings.push((console, Problem::IsConsole(by)));
        }
        (console, warnings)
    }

    /// The candidate that Linux would call this.
    fn index_of_port(&self, port: Port) -> Option<usize> {
        let is_of_kind = |candidate: &Candidate| match port.driver {
            Driver::Pl011 => matches!(candidate.model, UartModel::Pl011 | UartModel::Sbsa),
            Driver::Cadence => candidate.model == UartModel::Cadence,
            Driver::Ns16550 => {
                matches!(candidate.model, UartModel::Ns16550 { .. } | UartModel::Bcm2835Aux)
            }
        };
        let mut alias = String::<16>::new();
        // There is room for the name and three digits.
        let _ = write!(alias, "serial{}", port.number);
        let by_alias = self.aliased(&alias);
        by_alias.filter(|index| self.candidates.get(*index).is_some_and(is_of_kind)).or_else(|| {
            let all = self.candidates.iter().enumerate();
            let mut of_kind = all.filter(|(_, candidate)| is_of_kind(candidate));
            of_kind.nth(port.number.into()).map(|(index, _)| index)
        })
    }

    /// The candidate whose registers begin there.
    fn index_at(&self, address: u64) -> Option<usize> {
        self.candidates.iter().position(|candidate| candidate.registers.start().0 == address)
    }

    /// The candidate at the end of a path or alias.
    fn index_of(&self, stdout_path: Value<'t>) -> Option<usize> {
        self.index_at_path(path_of(stdout_path, self.aliases.as_ref())?)
    }

    /// The candidate that this alias stands for.
    fn aliased(&self, name: &str) -> Option<usize> {
        let alias = self.aliases?.raw_property(name).ok()??;
        self.index_at_path(Value(alias.value).text()?)
    }

    fn index_at_path(&self, path: &str) -> Option<usize> {
        self.candidates.iter().position(|candidate| leads_to(path, &candidate.path))
    }
}

/// A UART as `console=` names it.
#[derive(Clone, Copy, Debug)]
struct Port {
    driver: Driver,
    number: u8,
}

#[derive(Clone, Copy, Debug)]
enum Driver {
    Pl011,
    Ns16550,
    Cadence,
}

impl Port {
    /// Reads `ttyS0`, `ttyPS0`, or `ttyAMA1,115200`; `None` for what is no UART's.
    fn parse(value: &str) -> Option<Self> {
        let name = value.split(',').next()?;
        let drivers =
            [("ttyAMA", Driver::Pl011), ("ttyPS", Driver::Cadence), ("ttyS", Driver::Ns16550)];
        let (number, driver) = drivers
            .into_iter()
            .find_map(|(prefix, driver)| Some((name.strip_prefix(prefix)?, driver)))?;
        Some(Self { driver, number: number.parse().ok()? })
    }
}

/// The address in `earlycon=uart,mmio,0x40002000` and the like.
fn address(value: &str) -> Option<u64> {
    let digits = value.split(',').find_map(|part| part.strip_prefix("0x"))?;
    u64::from_str_radix(digits, 16).ok()
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
