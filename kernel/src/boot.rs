//! The boot, as a list.

use elone_boards::BOARD;
use elone_gate::{Past, Start, Verbosity};
use elone_hal::arch::core as cpu;
use elone_hal::arch::entry::Handoff;
use elone_hal::early_interrupt_controller;

use crate::clock::Clock;
use crate::console;
use crate::devices::Devices;
use crate::error::BootError;
use crate::identity;
use crate::interrupts::Interrupts;
use crate::log as logger;
use crate::memory::Memory;
use crate::platform::Platform;
use crate::power;
use crate::settings::Settings;
use crate::sources;

early_interrupt_controller!(elone_boards::BOARD);

/// Brings the machine up, then runs the application. The entry code jumps here once: boot core,
/// EL1, MMU on, the image mapped, boot stack, interrupts masked.
pub(crate) fn start(handoff: Handoff) -> ! {
    let status = bring_up(handoff).map_or_else(BootError::report, Platform::run);
    power::end(status)
}

/// Each step takes what earlier steps return, so the compiler, not a comment, keeps the order.
fn bring_up(handoff: Handoff) -> Result<&'static Platform, BootError> {
    let mut memory = Memory::take_over(handoff); // the image is mapped, nothing else is
    console::early(&BOARD, &mut memory); // from here on a panic can be read
    let machine = memory.read_machine(&BOARD)?; // RAM, devices, interrupt numbers
    power::use_conduit(machine.psci, memory.entered_at()); // from here on the machine can be switched off
    console::open(machine, &mut memory); // what the device tree names
    cpu::unmask_errors(); // the bus's, which come late: from here on one is told
    let settings = Settings::parse(machine.bootargs(), |error| log::warn!("{error}"));
    power::use_policy(settings.on_fault); // from here on a fault is answered as asked for
    memory.claim(machine)?; // free RAM: writable, never executable
    let interrupts = Interrupts::init(machine, &mut memory)?; // GIC on, every line still masked
    let clock = Clock::start(machine, &interrupts, &mut memory)?; // monotonic time, one alarm
    logger::start(settings.log, clock); // earlier records were shown down to INFO
    let mut devices = Devices::probe(machine, &mut memory);
    let generator = sources::gather(machine, &mut devices, &clock, &settings)?;
    let info = identity::of(machine, &memory);
    identity::announce(machine, &info);
    interrupts.open(devices.lines().chain(console::line(machine))); // handlers only take note

    let heap = memory.into_heap();
    let start = Start {
        heap,
        machine: info,
        network: settings.network,
        settings: machine.bootargs(),
        verbosity: Verbosity(settings.log as u8),
        past: Past::default(),
    };
    Ok(Platform::assemble(start, clock, generator, devices.list))
}
