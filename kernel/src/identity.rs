//! What the machine is, in words: for the log, and for the application to show.

use elone_gate::{Level, MachineInfo, Protection, Protections};
use elone_hal::arch::core as cpu;
use elone_hal::protections;

use crate::machine::{InterruptController, Machine};
use crate::memory::Memory;
use crate::{hypervisor, mode};

/// The kernel's name and version.
const VERSION: &str = concat!("elone ", env!("CARGO_PKG_VERSION"));

/// Finds out what there is to say.
pub(crate) fn of(machine: &'static Machine, memory: &Memory) -> MachineInfo {
    let entered_at = level(memory.entered_at());
    MachineInfo {
        entered_at,
        application_at: mode::LEVEL,
        hypervisor: hypervisor::identity(),
        board: machine.name(),
        core: cpu::name(),
        interrupt_controller: match machine.interrupt_controller {
            Some(InterruptController::GicV3 { .. }) => "GICv3",
            Some(InterruptController::GicV2 { .. }) => "GICv2",
            Some(InterruptController::Bcm2836 { .. }) => "BCM2836",
            None => "none",
        },
        memory: machine.memory(),
        version: VERSION,
        protections: Protections::NONE, // said when all of them are up
    }
}

/// The level with this number.
pub(crate) const fn level(number: u8) -> Level {
    match number {
        0 => Level::El0,
        1 => Level::El1,
        2 => Level::El2,
        _ => Level::El3,
    }
}

/// Those that depend on no core, and on no setting: up, or up when the machine is sealed.
const EVERYWHERE: [Protection; 7] = [
    Protection::WriteXorExecute,
    Protection::NoAliases,
    Protection::StackGuards,
    Protection::SealedData,
    Protection::SealedTables,
    Protection::SealedCode,
    // The application makes them; whether it is to, it learns from what is in force.
    Protection::KeyedSequenceNumbers,
];

/// Which protections are in force from the time on at which the application runs.
pub(crate) fn protect() -> Protections {
    let of_the_mode = match mode::LEVEL {
        Level::El0 => Protection::Containment,
        _ => Protection::LowUnmapped,
    };
    let of_the_heap = match protections::in_force().has(Protection::HeapTags) {
        true => Protection::HeapTags,
        false => Protection::HeapChecks,
    };
    let all = EVERYWHERE.into_iter().chain([of_the_mode, of_the_heap]);
    all.filter(|protection| protections::wanted(*protection)).for_each(protections::note);
    if protections::layout_seed() != 0 {
        protections::note(Protection::ShuffledImage);
    }
    let in_force = protections::in_force();
    log::info!("in force: {in_force}");
    in_force
}

/// The boot's first line: what this is, where it came in, and on what.
pub(crate) fn announce(machine: &Machine, info: &MachineInfo) {
    log::info!(
        "{VERSION}: entered at {}, application at {}, hypervisor {}",
        info.entered_at,
        info.application_at,
        info.hypervisor
    );
    log::info!("{machine}, {}", info.core);
    for warning in machine.warnings() {
        log::warn!("{warning}");
    }
    if machine.warnings_lost() > 0 {
        log::warn!("device tree: {} more warnings", machine.warnings_lost());
    }
}
