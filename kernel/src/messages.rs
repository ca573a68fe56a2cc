//! Interrupts by message: a device that can, writes a number to an address instead of raising a line.
//! Each message is an interrupt of its own, which is an edge, and shared with nobody.
//!
//! Nothing is done, and no memory taken, before the first device asks. Where messages cannot be had,
//! for whatever reason, it is said so once, and devices are left with their lines. All of this is of
//! the boot; what is left of it is in the hardware.

use core::fmt;

use elone_hal::address::PhysicalRange;
use elone_hal::arch::core as cpu;
use elone_hal::arch::tables::MapError;
use elone_hal::arch::timer;
use elone_hal::dma::DmaPool;
use elone_hal::gicv2m::Frame;
use elone_hal::interrupts::Line;
use elone_hal::its::{self, Block, CONTROL_FRAME, Its, Lpis, Redistributor, Room};
use elone_hal::{IntId, Trigger};
use heapless::Vec;

use crate::machine::{
    Interrupt, InterruptController, MESSAGE_CONTROLLERS, Machine, MessageRegisters,
};
use crate::memory::Memory;

/// How many messages a device is given at most.
pub(crate) const MESSAGES: usize = 8;

/// What a device is told to write, and what comes of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Message {
    /// Where it writes: a bus address, which is a physical one.
    pub(crate) address: u64,
    /// What it writes.
    pub(crate) data: u32,
    /// What arrives, once it is let through.
    pub(crate) interrupt: Interrupt,
}

/// A device, as the one whom it sends its messages to knows it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Requester {
    /// The handle of that controller's node (`msi-map`, `msi-parent`).
    pub(crate) controller: u32,
    /// The device's number there. Only an ITS cares.
    pub(crate) id: u32,
}

/// All who turn messages into interrupts, as far as anybody asked for them.
pub(crate) struct Messages<'m> {
    machine: &'m Machine,
    redistributor: Option<Redistributor>,
    /// By handle; `None` is one that is no good.
    controllers: Vec<(u32, Option<Controller>), MESSAGE_CONTROLLERS>,
    lpis: Option<Lpis>,
    pool: Option<DmaPool>,
}

#[expect(clippy::large_enum_variant, reason = "there are few, which stay in their list")]
enum Controller {
    Its(Its),
    Frame(Frame),
}

impl<'m> Messages<'m> {
    /// None yet. `redistributor` is this core's, where there is one.
    pub(crate) const fn new(machine: &'m Machine, redistributor: Option<Redistributor>) -> Self {
        Self { machine, redistributor, controllers: Vec::new(), lpis: None, pool: None }
    }

    /// Gives a device `count` messages, once, or a single one where fewer are left. They are
    /// let through with the other interrupts (`Interrupts::open`). `None`: there are none to be had; its
    /// line has to do.
    pub(crate) fn allot(
        &mut self,
        from: Requester,
        mut count: u32,
        memory: &mut Memory,
    ) -> Option<Vec<Message, MESSAGES>> {
        let block = loop {
            match self.block(from, count, memory) {
                Ok(block) => break block?,
                Err(MessageError::Its(its::Error::TooMany)) if count > 1 => count = 1,
                Err(error) => {
                    log::warn!("device {:#x} has no messages: {error}", from.id);
                    return None;
                }
            }
        };
        let message = |number| {
            let line = Line::Gic(IntId::try_from(block.interrupt + number).ok()?);
            let interrupt = Interrupt { line, trigger: Trigger::Edge };
            Some(Message { address: block.address.0, data: block.data + number, interrupt })
        };
        (0..count).map(message).collect()
    }

    /// Messages that follow each other; `None` of a controller that was complained of before.
    fn block(
        &mut self,
        from: Requester,
        count: u32,
        memory: &mut Memory,
    ) -> Result<Option<Block>, MessageError> {
        if count as usize > MESSAGES {
            return Err(its::Error::TooMany.into());
        }
        // What the machine does not have takes no room from what it has.
        let mut all = self.machine.message_controllers.iter();
        if !all.any(|controller| controller.handle == from.controller) {
            return Err(MessageError::Unknown);
        }
        if !self.controllers.iter().any(|(handle, _)| *handle == from.controller) {
            let opened = self.open(from, memory);
            let (controller, result) =
                opened.map_or_else(|e| (None, Err(e)), |c| (Some(c), Ok(())));
            // There is room for as many as the machine has.
            let _ = self.controllers.push((from.controller, controller));
            result?;
        }
        let Self { controllers, lpis, pool, .. } = self;
        let known = controllers.iter_mut().find(|(handle, _)| *handle == from.controller);
        let Some((_, place)) = known else { return Ok(None) };
        let block = match (&mut *place, lpis) {
            (Some(Controller::Frame(frame)), _) => frame.allot(count),
            (Some(Controller::Its(its)), Some(lpis)) => {
                let claim = &mut |length| memory.dma_pool(length);
                its.allot(from.id, count, lpis, &mut Room { pool, claim }, &mut patience())
            }
            _ => return Ok(None),
        };
        if let Err(its::Error::Refused | its::Error::Silent) = block {
            *place = None;
        }
        Ok(Some(block?))
    }

    /// Takes over a device's controller, which none has asked for before.
    fn open(&mut self, first: Requester, memory: &mut Memory) -> Result<Controller, MessageError> {
        let mut controllers = self.machine.message_controllers.iter();
        let found = controllers.find(|controller| controller.handle == first.controller);
        match &found.ok_or(MessageError::Unknown)?.registers {
            MessageRegisters::V2m { registers, lines } => {
                let window = memory.device(*registers)?;
                Ok(Controller::Frame(Frame::look(window, registers.start(), lines.clone())?))
            }
            MessageRegisters::Its { registers, coherence } => {
                self.open_its(*registers, *coherence, first.id, memory).map(Controller::Its)
            }
        }
    }

    /// Takes over an ITS, and turns LPIs on, if it is the first one.
    fn open_its(
        &mut self,
        registers: PhysicalRange,
        coherence: its::Coherence,
        first: u32,
        memory: &mut Memory,
    ) -> Result<Its, MessageError> {
        let Some(InterruptController::GicV3 { distributor, .. }) =
            &self.machine.interrupt_controller
        else {
            return Err(its::Error::NoLpis.into());
        };
        let ours = self.redistributor.ok_or(its::Error::NoLpis)?;
        // Not the frame that devices write to: nothing here does.
        let frame = PhysicalRange::new(registers.start().0, CONTROL_FRAME);
        let window = memory.device(frame.ok_or(MapError::OutOfRange)?)?;
        Its::look(window)?;
        let distributor = memory.device(*distributor)?;

        let (pool, patience) = (&mut self.pool, &mut patience());
        let mut room = Room { pool, claim: &mut |length| memory.dma_pool(length) };
        if self.lpis.is_none() {
            let lpis = Lpis::start(distributor, ours, coherence, &mut room, patience)?;
            self.lpis = Some(lpis);
        }
        let at = registers.start();
        let its = Its::start(window, at, coherence, ours, first, &mut room, patience)?;
        log::debug!("messages by the ITS at {at}");
        Ok(its)
    }
}

/// How long the hardware may take for what it does at once: a second, and at least some looks, as time
/// goes on for a machine that is not let run.
fn patience() -> impl FnMut() -> bool {
    const LOOKS: u32 = 1000;
    let end = timer::ticks().saturating_add(cpu::counter_frequency());
    let mut looks = 0;
    move || {
        looks += 1;
        looks < LOOKS || timer::ticks() <= end
    }
}

/// Why a device has no messages.
#[derive(Clone, Copy, Debug)]
enum MessageError {
    /// No node of a known kind has that handle.
    Unknown,
    Map(MapError),
    Its(its::Error),
}

impl From<MapError> for MessageError {
    fn from(error: MapError) -> Self {
        Self::Map(error)
    }
}

impl From<its::Error> for MessageError {
    fn from(error: its::Error) -> Self {
        Self::Its(error)
    }
}

impl fmt::Display for MessageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("their controller: ")?;
        match self {
            Self::Unknown => f.write_str("the device tree has none that is known"),
            Self::Map(error) => error.fmt(f),
            Self::Its(error) => error.fmt(f),
        }
    }
}
