//! Interrupt specifiers (Devicetree Specification 0.4, section 2.4; Linux bindings `arm,gic.yaml`
//! and `arm,gic-v3.yaml`; for others see [`bcm2836`]), kept as they came until the controller that
//! gives them meaning is known.

use elone_hal::interrupts::Line;
use elone_hal::{IntId, Trigger};

use super::bcm2836;
use super::gic::Controller;
use super::node::{Cells, Properties, Value};
use super::{Interrupt, InterruptController, Problem};

/// What a node says of its interrupts.
#[derive(Clone, Copy, Debug)]
pub(super) enum Wiring<'t> {
    /// `interrupts`: specifiers for the one controller that the node or its bus names.
    Inherited { parent: Option<u32>, specifiers: Value<'t> },
    /// `interrupts-extended`: each specifier after the controller that it is for.
    Extended(Value<'t>),
    /// Nothing.
    None,
}

impl<'t> Wiring<'t> {
    /// The wiring of a node with `properties`, below a bus with the given interrupt parent.
    /// `interrupts-extended` counts where there are both (section 2.4.1.3).
    pub(super) fn of(properties: &Properties<'t>, inherited: Option<u32>) -> Self {
        match (properties.interrupts_extended, properties.interrupts) {
            (Some(extended), _) => Self::Extended(extended),
            (None, Some(specifiers)) => {
                let parent = properties.interrupt_parent.map_or(inherited, Value::cell);
                Self::Inherited { parent, specifiers }
            }
            (None, None) => Self::None,
        }
    }
}

impl Controller {
    /// The interrupt number `index`, from zero on, of a node's.
    pub(super) fn interrupt(&self, wiring: Wiring, index: usize) -> Result<Interrupt, Problem> {
        let (mut cells, malformed) = match wiring {
            Wiring::None => return Err(Problem::BadProperty("interrupts")),
            Wiring::Inherited { specifiers, .. } => {
                (specifiers.cells(), Problem::BadProperty("interrupts"))
            }
            Wiring::Extended(list) => (list.cells(), Problem::BadProperty("interrupts-extended")),
        };
        let mut next = || {
            let parent = match wiring {
                Wiring::Extended(_) => Some(cells.next().ok_or(malformed)?),
                Wiring::Inherited { parent, .. } => parent,
                Wiring::None => None,
            };
            // How long another controller's specifier is, and so where the next one begins, only
            // that controller could say.
            let parent = parent.ok_or(Problem::ForeignInterrupt)?;
            if Some(parent) == self.behind {
                return Ok(bcm2836::peripheral_interrupt(&mut cells));
            }
            if Some(parent) != self.handle {
                return Err(Problem::ForeignInterrupt);
            }
            Ok(match self.facts {
                InterruptController::Bcm2836 { .. } => bcm2836::local_interrupt(&mut cells),
                _ => self.decode(self.specifier(&mut cells).ok_or(malformed)?),
            })
        };
        for _ in 0..index {
            let _may_mean_nothing = next()?;
        }
        next()?.ok_or(malformed)
    }

    /// The interrupt of the next specifier in an interrupt map.
    pub(super) fn next_interrupt(&self, cells: &mut Cells) -> Option<Interrupt> {
        match self.facts {
            InterruptController::Bcm2836 { .. } => bcm2836::local_interrupt(cells),
            _ => self.decode(self.specifier(cells)?),
        }
    }

    /// Reads one specifier: type, number, flags, and the core set that some GICv3 trees add.
    fn specifier(&self, cells: &mut Cells) -> Option<[u32; 4]> {
        let (kind, number, flags) = (cells.next()?, cells.next()?, cells.next()?);
        let cores = if self.specifier_cells == 4 { cells.next()? } else { 0 };
        Some([kind, number, flags, cores])
    }

    /// What a specifier means. `None` for numbers that no GIC of the kind has, and for interrupts
    /// that are wired to a part of the cores only: which part, is in a table that is not read here.
    fn decode(&self, [kind, number, flags, cores]: [u32; 4]) -> Option<Interrupt> {
        let extended = matches!(self.facts, InterruptController::GicV3 { .. });
        // The constructors of `IntId` take what is in range and assert the rest.
        let id = match kind {
            SPI if number < IntId::MAX_SPI_COUNT => IntId::spi(number),
            PPI if number < IntId::PPI_COUNT && cores == 0 => IntId::ppi(number),
            EXTENDED_SPI if extended && number < IntId::MAX_ESPI_COUNT => IntId::espi(number),
            EXTENDED_PPI if extended && number < IntId::MAX_EPPI_COUNT && cores == 0 => {
                IntId::eppi(number)
            }
            _ => return None,
        };
        let trigger = match flags & TRIGGER {
            RISING | FALLING | BOTH => Trigger::Edge,
            // Where nothing is said, the line is as the GIC has it after a reset.
            UNSAID | HIGH | LOW => Trigger::Level,
            _ => return None,
        };
        Some(Interrupt { line: Line::Gic(id), trigger })
    }
}

// The first cell of a specifier.
const SPI: u32 = 0;
const PPI: u32 = 1;
const EXTENDED_SPI: u32 = 2;
const EXTENDED_PPI: u32 = 3;

// The third cell. Its bits 15:8 say, for a GICv2, which cores a PPI is wired to.
const TRIGGER: u32 = 0xf;
const UNSAID: u32 = 0;
const RISING: u32 = 1;
const FALLING: u32 = 2;
const BOTH: u32 = 3;
const HIGH: u32 = 4;
const LOW: u32 = 8;
