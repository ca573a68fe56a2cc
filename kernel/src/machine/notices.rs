//! Memory in which the monitor tells of itself: the virtual machine's generation (binding
//! `microsoft,vmgenid.yaml`) and its clock (`amazon,vmclock.yaml`), each with an interrupt for when
//! that changes.
//!
//! The memory may lie in what the tree calls RAM, or outside of it. It is nobody else's either way.

use elone_hal::Trigger;
use elone_hal::address::PhysicalRange;

use super::gic::Controller;
use super::interrupt::Wiring;
use super::tree::{Node, name_of};
use super::{Interrupt, Machine, NoticeBoard, Problem};

/// What is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Notice {
    Generation,
    Clock,
}

impl Notice {
    /// How much memory it takes at least, in bytes.
    const fn length(self) -> u64 {
        match self {
            Self::Generation => elone_hal::generation::LENGTH,
            Self::Clock => elone_hal::rtc::VMCLOCK,
        }
    }
}

/// The boards whose interrupts are not understood yet.
#[derive(Debug, Default)]
pub(super) struct Notices<'t> {
    generation: Option<Unresolved<'t>>,
    clock: Option<Unresolved<'t>>,
}

#[derive(Debug)]
struct Unresolved<'t> {
    node: Node<'t>,
    memory: PhysicalRange,
    wiring: Wiring<'t>,
}

impl<'t> Notices<'t> {
    /// Whether there is one already.
    pub(super) const fn is_known(&self, notice: Notice) -> bool {
        match notice {
            Notice::Generation => self.generation.is_some(),
            Notice::Clock => self.clock.is_some(),
        }
    }

    /// Notes a board. It must be long enough for what it tells.
    pub(super) fn add(
        &mut self,
        notice: Notice,
        node: Node<'t>,
        memory: PhysicalRange,
        wiring: Wiring<'t>,
    ) -> Result<(), Problem> {
        if memory.length() < notice.length() {
            return Err(Problem::BadProperty("reg"));
        }
        let place = match notice {
            Notice::Generation => &mut self.generation,
            Notice::Clock => &mut self.clock,
        };
        *place = Some(Unresolved { node, memory, wiring });
        Ok(())
    }

    /// Gives the boards to `machine`. One without an interrupt, or with one that nobody here knows,
    /// is looked at from time to time.
    pub(super) fn resolve(&self, controller: Option<&Controller>, machine: &mut Machine) {
        let mut resolve = |unresolved: &Option<Unresolved>| {
            let Unresolved { node, memory, wiring } = unresolved.as_ref()?;
            let interrupt = match (wiring, controller) {
                (Wiring::None, _) | (_, None) => None,
                (wiring, Some(controller)) => controller
                    .interrupt(*wiring, 0)
                    .and_then(edge)
                    .inspect_err(|problem| machine.warn(name_of(node), *problem))
                    .ok(),
            };
            Some(NoticeBoard { memory: *memory, interrupt })
        };
        let boards = (resolve(&self.generation), resolve(&self.clock));
        (machine.generation, machine.vmclock) = boards;
    }
}

/// An interrupt that comes once for each notice. There is no register by which a level could be taken
/// back, so that one would come for ever.
fn edge(interrupt: Interrupt) -> Result<Interrupt, Problem> {
    match interrupt.trigger {
        Trigger::Edge => Ok(interrupt),
        Trigger::Level => Err(Problem::Level),
    }
}
