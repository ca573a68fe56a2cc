//! Interrupts: which line means what, and the one thing that happened on each.
//!
//! A handler only notes: it quiets the device and sets a bit. Everything else is done by whoever
//! asks (`Gate::wait` and the calls after it), so no driver is ever entered from two sides.

use core::iter::once;
use core::sync::atomic::{AtomicU32, Ordering};

use elone_gate::Events;
use elone_hal::arch::core as cpu;
use elone_hal::arch::timer;
use elone_hal::attempt::Absent;
use elone_hal::gpio::Button;
use elone_hal::interrupts::Controller;
use elone_hal::interrupts::bcm2836::Bcm2836;
use elone_hal::interrupts::gic::{
    Gic, REDISTRIBUTOR, look_for_v2, look_for_v3, redistributor_type,
};
use elone_hal::its::Redistributor;
use elone_hal::virtio::InterruptPort;
use heapless::Vec;
use spin::{Mutex, Once};

use crate::devices;
use crate::error::BootError;
use crate::hearing::HEARING;
use crate::input;
use crate::machine::{Interrupt, InterruptController, Machine};
use crate::memory::Memory;
use crate::messages::Messages;
use crate::power::{self, Asked};
use crate::watchdog;
use elone_hal::address::PhysicalRange;

/// Lines that are let through: the timer's, the console's, the button's, and a line a device.
const LINES: usize = 40;

static CONTROLLER: Mutex<Option<Controller>> = Mutex::new(None);
static LINES_IN_USE: Once<Vec<Wire, LINES>> = Once::new();
static HAPPENED: AtomicU32 = AtomicU32::new(0);

/// A line that is let through.
#[derive(Clone, Copy, Debug)]
struct Wire {
    interrupt: Interrupt,
    source: Source,
}

/// Who is at the other end of a line.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Source {
    /// The virtual timer.
    Timer,
    /// A virtio device, and the event that it is known by.
    Device(InterruptPort, Events),
    /// The console's receiver; what acknowledges it where it is a virtio device.
    Console(Option<InterruptPort>),
    /// The power button.
    Button(Button),
    /// Memory in which the monitor tells something: it has changed.
    Notice,
}

/// The interrupt controller, on, with every line masked; proof that it is.
pub(crate) struct Interrupts {
    timer: Interrupt,
    /// This core's, of a GICv3.
    redistributor: Option<Redistributor>,
}

impl Interrupts {
    /// Takes over the controller that the device tree names, if it is there.
    pub(crate) fn init(machine: &'static Machine, memory: &mut Memory) -> Result<Self, BootError> {
        let mut map = |registers| {
            memory.device(registers).map_err(|error| BootError::Map("interrupt controller", error))
        };
        let mut redistributor = None;
        let controller = match &machine.interrupt_controller {
            None => return Err(BootError::NoInterruptController(&machine.unknown_controller)),
            Some(InterruptController::GicV2 { distributor, cpu_interface }) => {
                let (at, windows) =
                    (distributor.start(), (map(*distributor)?, map(*cpu_interface)?));
                look_for_v2(windows.0, windows.1)
                    .map_err(|Absent| BootError::NobodyAt("GICv2", at))?;
                Gic::v2(windows.0, windows.1).map(Controller::Gic)
            }
            Some(InterruptController::GicV3 {
                distributor,
                redistributors,
                redistributor_stride,
            }) => {
                let at = distributor.start();
                let distributor = map(*distributor)?;
                look_for_v3(distributor).map_err(|Absent| BootError::NobodyAt("GICv3", at))?;
                let ours = find_redistributor(redistributors, *redistributor_stride, memory)?;
                redistributor = Some(ours);
                Gic::v3(distributor, ours.window).map(Controller::Gic)
            }
            Some(InterruptController::Bcm2836 { local, peripherals }) => {
                let at = local.start();
                let (local, peripherals) = (map(*local)?, peripherals.map(map).transpose()?);
                let taken = Bcm2836::take_over(local, peripherals, cpu::number());
                let taken = taken.map_err(|Absent| BootError::NobodyAt("BCM2836", at))?;
                Some(Controller::Bcm2836(taken))
            }
        };
        let controller = controller.ok_or(BootError::ShortInterruptController)?;
        *CONTROLLER.lock() = Some(controller);
        let timer = machine.timer.ok_or(BootError::NoTimer)?.virtual_timer;
        Ok(Self { timer, redistributor })
    }

    /// Sees to it that the timer's line is the one that the tree says: nobody who waits would ever wake
    /// else. No other is let through yet, and the core takes none, so what the controller has is this
    /// one, when the alarm has gone off.
    pub(crate) fn hear_timer(&self) -> Result<(), BootError> {
        /// How long it may take, in parts of a second, where a hypervisor has to be woken for it. It is
        /// there at once everywhere else.
        const PATIENCE: u64 = 2;
        /// How often to look all the same: time goes on for a machine that is not let run.
        const LOOKS: u32 = 1000;
        let Interrupt { line, trigger } = self.timer;
        let mut controller = CONTROLLER.lock();
        let controller = controller.as_mut().ok_or(BootError::NoInterruptController(""))?;
        let is_known = controller.enable(line, trigger);
        let start = timer::ticks();
        timer::set_alarm(start);
        let end = start.saturating_add(cpu::counter_frequency() / PATIENCE);
        let (mut came, mut looks) = (None, 0);
        while is_known && came.is_none() && (looks < LOOKS || timer::ticks() <= end) {
            came = controller.acknowledge();
            looks += 1;
        }
        timer::clear_alarm();
        if let Some(came) = came {
            controller.end(came);
        }
        if came == Some(line) { Ok(()) } else { Err(BootError::SilentTimer(line)) }
    }

    /// What devices can have instead of lines. To be asked for once: these are theirs for good.
    pub(crate) const fn messages<'m>(&self, machine: &'m Machine) -> Messages<'m> {
        Messages::new(machine, self.redistributor)
    }

    /// Lets the timer's line and those of `sources` through, for good. From here on the handler
    /// runs.
    pub(crate) fn open(self, sources: impl Iterator<Item = (Interrupt, Source)>) {
        let timer = Wire { interrupt: self.timer, source: Source::Timer };
        let wires = sources.map(|(interrupt, source)| Wire { interrupt, source });
        let mut in_use = Vec::new();
        for wire in once(timer).chain(wires) {
            let Interrupt { line, trigger } = wire.interrupt;
            let known = CONTROLLER.lock().as_mut().is_some_and(|c| c.enable(line, trigger));
            if !known {
                log::warn!("the interrupt controller has no line {line:?}");
            } else if in_use.push(wire).is_err() {
                log::warn!("line {line:?} is one too many");
            }
        }
        for wire in LINES_IN_USE.call_once(|| in_use) {
            wire.source.take_back();
        }
        cpu::unmask_interrupts();
    }
}

impl Source {
    /// Has a device take back what it interrupted for before anybody listened, and notes it. Its
    /// line would stay up otherwise, and where edges count, no other edge would ever come.
    fn take_back(self) {
        match self {
            Self::Device(port, event) => {
                let causes = port.acknowledge();
                devices::note(causes, event);
                if causes.used_buffers() || causes.configuration() {
                    remind(event);
                }
            }
            Self::Button(button) if button.listen() => power::ask_to_end(Asked::Button),
            Self::Console(port) => remind(typed(port)),
            Self::Button(_) | Self::Timer | Self::Notice => {}
        }
    }
}

/// Something arrived at the console, or a virtio console has another reason to interrupt.
fn typed(port: Option<InterruptPort>) -> Events {
    if let Some(port) = port {
        let _causes = port.acknowledge();
    }
    input::received()
}

/// This core's redistributor, somewhere in the regions that the device tree names.
fn find_redistributor(
    regions: &[PhysicalRange],
    stride: Option<u64>,
    memory: &mut Memory,
) -> Result<Redistributor, BootError> {
    for region in regions {
        let (mut at, end) = (region.start().0, region.end().0);
        while let Some(frames) = PhysicalRange::new(at, REDISTRIBUTOR)
            && frames.end().0 <= end
        {
            let window = memory.device(frames);
            let window = window.map_err(|error| BootError::Map("GICv3 redistributor", error))?;
            if let Err(absent) = look_for_v3(window) {
                log::warn!("GICv3 redistributor {}: {absent}", frames.start());
                break; // how far the next one would be is not known
            }
            let kind = redistributor_type(window);
            if kind.ours {
                return Ok(Redistributor { window, at: frames.start() });
            }
            if kind.last {
                break;
            }
            at = at.saturating_add(stride.unwrap_or(kind.stride));
        }
    }
    Err(BootError::NoRedistributor)
}

/// Sleeps until something happens, unless it has already; returns what did. Events that are noted
/// between the look and the sleep are not lost: the core does not sleep while a line is pending.
pub(crate) fn sleep() -> Events {
    cpu::mask_interrupts();
    if HAPPENED.load(Ordering::Relaxed) == 0 {
        cpu::wait_for_interrupt();
    }
    cpu::unmask_interrupts();
    happened()
}

/// What happened since the last call.
pub(crate) fn happened() -> Events {
    Events(HAPPENED.swap(0, Ordering::Relaxed))
}

/// Whether something has happened that nobody was told of yet.
pub(crate) fn has_happened() -> bool {
    HAPPENED.load(Ordering::Relaxed) != 0
}

/// The handler: on the exception stack, interrupts masked. One line at a time: the controller raises
/// the next one by itself, which costs less than asking it whether there is one.
pub(crate) fn handle() {
    let mut controller = CONTROLLER.lock();
    let Some(controller) = controller.as_mut() else { return };
    if let Some(line) = controller.acknowledge() {
        // All that share it: one that was not asked would hold a level-triggered line for good.
        for wire in LINES_IN_USE.get().into_iter().flatten().filter(|w| w.interrupt.line == line) {
            note(wire.source);
        }
        controller.end(line);
    }
}

/// Has [`happened`] tell of `event`, as if its interrupt had come: for what may come without one.
pub(crate) fn remind(event: Events) {
    HAPPENED.fetch_or(event.0, Ordering::Relaxed);
}

fn note(source: Source) {
    let event = match source {
        Source::Timer if watchdog::expired() => Events::DEADLINE,
        Source::Timer => Events::NONE,
        Source::Device(port, event) => {
            let causes = port.acknowledge();
            devices::note(causes, event);
            if causes.used_buffers() {
                HEARING.hear(event);
            }
            event
        }
        Source::Notice => Events::RESTORED, // or so it may be (`absence`)
        Source::Console(port) => typed(port),
        Source::Button(button) => {
            if button.was_pressed() {
                power::ask_to_end(Asked::Button);
            }
            Events::NONE
        }
    };
    remind(event);
}
