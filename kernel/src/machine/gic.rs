//! The interrupt controller's node (Linux bindings `arm,gic.yaml` and `arm,gic-v3.yaml`).

use elone_hal::address::PhysicalRange;
use heapless::Vec;

use super::bus::Buses;
use super::node::{Properties, Value};
use super::{InterruptController, Problem};

/// The machine's interrupt controller, and what it takes to read interrupt specifiers for it.
#[derive(Debug)]
pub(super) struct Controller {
    pub(super) facts: InterruptController,
    /// What nodes call it by.
    pub(super) handle: Option<u32>,
    /// How many cells a specifier has: a GIC's three, or with a fourth one for a set of cores;
    /// Broadcom's two.
    pub(super) specifier_cells: u32,
    /// How many cells of address come before one in an interrupt map: none, where nothing is said.
    pub(super) address_cells: u32,
    /// Whether it sees memory otherwise than the core does.
    pub(super) is_noncoherent: bool,
    /// What nodes call the one by that is behind it, where there is one.
    pub(super) behind: Option<u32>,
}

impl Controller {
    pub(super) fn new(
        facts: InterruptController,
        properties: &Properties,
    ) -> Result<Self, Problem> {
        let usual = match facts {
            InterruptController::Bcm2836 { .. } => 2..=2,
            InterruptController::GicV2 { .. } | InterruptController::GicV3 { .. } => 3..=4,
        };
        match properties.interrupt_cells.and_then(Value::cell) {
            Some(specifier_cells) if usual.contains(&specifier_cells) => {
                let is_noncoherent = properties.dma_noncoherent.is_some();
                let handle = properties.handle();
                let address_cells = properties.address_cells.and_then(Value::cell).unwrap_or(0);
                let behind = None;
                Ok(Self { facts, handle, specifier_cells, address_cells, is_noncoherent, behind })
            }
            _ => Err(Problem::BadProperty("#interrupt-cells")),
        }
    }
}

/// A GICv2's `reg`: the distributor, the interface to the core, then what hypervisors need.
pub(super) fn v2(
    registers: &mut impl Iterator<Item = Result<PhysicalRange, Problem>>,
    properties: &Properties,
) -> Result<Controller, Problem> {
    let distributor = Buses::next(registers)?;
    let cpu_interface = Buses::next(registers)?;
    Controller::new(InterruptController::GicV2 { distributor, cpu_interface }, properties)
}

/// A GICv3's `reg`: the distributor, the redistributors' regions, then what hypervisors need.
pub(super) fn v3(
    registers: &mut impl Iterator<Item = Result<PhysicalRange, Problem>>,
    properties: &Properties,
) -> Result<Controller, Problem> {
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
    let facts = InterruptController::GicV3 { distributor, redistributors, redistributor_stride };
    Controller::new(facts, properties)
}

/// The size of one frame of a redistributor's registers (Arm IHI 0069, section 12.10).
const REDISTRIBUTOR_FRAME: u64 = 0x1_0000;
