//! The boot, as a list.

use elone_boards::BOARD;
use elone_gate::{MachineInfo, Start, Verbosity};
use elone_hal::arch::core as cpu;
use elone_hal::arch::entry::Handoff;
use elone_hal::arch::seal;
use elone_hal::arch::tables::Mapper;
use elone_hal::early_facts;

use crate::absence;
use crate::blackbox;
use crate::clock::Clock;
use crate::console;
use crate::devices::Devices;
use crate::error::BootError;
use crate::gpio;
use crate::hypervisor;
use crate::identity;
use crate::input;
use crate::integrity;
use crate::interrupts::Interrupts;
use crate::log as logger;
use crate::memory::Memory;
use crate::mode::Application;
use crate::platform::Platform;
use crate::power;
use crate::settings::Settings;
use crate::sources;
use crate::watchdog;

early_facts!(elone_boards::BOARD);

/// Brings the machine up, then runs the application. The entry code jumps here once: boot core,
/// EL1, MMU on, the image mapped, boot stack, interrupts masked.
pub(crate) fn start(handoff: Handoff) -> ! {
    let status = match bring_up(handoff) {
        Ok((application, platform, mapper)) => match seal::seal(mapper) {
            Ok(()) => application.run(platform),
            Err(error) => BootError::Map("the seal", error).report(),
        },
        Err(error) => error.report(),
    };
    power::end(status)
}

/// Each step takes what earlier steps return, so the compiler, not a comment, keeps the order. None of
/// this is there any more once the application runs.
#[inline(never)]
fn bring_up(handoff: Handoff) -> Result<(Application, &'static Platform, Mapper), BootError> {
    let mut memory = Memory::take_over(handoff); // the image is mapped, nothing else is
    console::early(&BOARD, &mut memory); // from here on a panic can be read
    let machine = memory.read_machine(&BOARD)?; // RAM, devices, interrupt numbers
    console::open(machine, &mut memory); // what the device tree names
    power::use_conduit(machine.psci, memory.entered_at()); // from here on the machine can be switched off
    power::use_power_management(machine, &mut memory); // in one way or the other
    cpu::unmask_errors(); // the bus's, which come late: from here on one is told
    let settings = Settings::parse(machine.bootargs(), |error| log::warn!("{error}"));
    memory.claim(machine)?; // free RAM: writable, never executable
    let interrupts = Interrupts::init(machine, &mut memory)?; // GIC on, every line still masked
    hypervisor::meet(identity::level(memory.entered_at()), &mut memory); // if there is one
    let clock = Clock::start(machine, &interrupts, &mut memory)?; // monotonic time, one alarm
    logger::start(settings.log, clock); // earlier records were shown down to INFO
    clock.announce(); // where the date comes from
    let mut devices = Devices::probe(machine, &interrupts, &mut memory);
    blackbox::open(memory.retained(), clock, settings.policy); // from here on faults are answered as asked
    watchdog::start(settings.watchdog); // it watches as soon as the application runs
    power::grant(settings.shutdown); // for as long as this it may still run when it is asked to end
    let entropy = sources::gather(&mut memory.take_seed(), &mut devices, &clock, &settings)?;
    integrity::announce(settings.integrity);
    let info = identity::of(machine, &memory);
    identity::announce(machine, &info);
    let button = power::button(machine, &mut memory); // by which it is asked
    gpio::grant(settings.gpio.into_iter().flatten(), machine, &mut memory); // lines for the application
    input::open(settings.console_end); // or on the console
    let notices = absence::watch(machine, &mut memory); // of pauses and restores
    let lines = devices.lines().chain(console::line()).chain(button).chain(notices);
    interrupts.open(lines); // handlers only take note

    let (application, mapper) = Application::load(memory).map_err(BootError::Application)?; // what is left of memory is its own
    let protections = identity::protect(); // what holds from the time at which it runs
    let start = Start {
        heap: application.heap(),
        machine: MachineInfo { protections, ..info },
        network: settings.network,
        settings: machine.bootargs(),
        verbosity: Verbosity(settings.log as u8),
        past: blackbox::past(),
    };
    Ok((application, Platform::assemble(start, clock, entropy, devices.list), mapper))
}
