//! Where the kernel's entropy comes from on this machine: all of it, before anything needs it.

use elone_gate::Nanoseconds;
use elone_hal::arch::{core as cpu, power, timer};

use crate::clock::Clock;
use crate::devices::Devices;
use crate::entropy::{Generator, Pool, Source};
use crate::error::BootError;
use crate::machine::Machine;
use crate::settings::Settings;

/// How long an entropy device may take to answer.
const PATIENCE: Nanoseconds = Nanoseconds(100_000_000);

/// Mixes what every source gives.
pub(crate) fn gather(
    machine: &Machine,
    devices: &mut Devices,
    clock: &Clock,
    settings: &Settings,
) -> Result<Generator, BootError> {
    let mut pool = Pool::default();
    pool.stir(timer::ticks());
    if let Ok(date) = clock.date() {
        pool.stir(date.0);
    }
    if let Some(seed) = machine.seeds.kaslr {
        pool.mix(Source::KaslrSeed, &seed.to_le_bytes());
    }
    if !machine.seeds.rng.is_empty() {
        pool.mix(Source::RngSeed, &machine.seeds.rng);
    }
    for _ in 0..4 {
        if let Some(value) = cpu::random() {
            pool.mix(Source::Rndr, &value.to_le_bytes());
        }
    }
    for value in crate::power::conduit().and_then(power::random).into_iter().flatten() {
        pool.mix(Source::Firmware, &value.to_le_bytes());
    }
    if let Some(device) = &mut devices.entropy {
        let mut bytes = [0; 32];
        let deadline = Nanoseconds(clock.now().0 + PATIENCE.0);
        match device.fill(&mut bytes, || clock.now() < deadline) {
            Ok(()) => pool.mix(Source::Virtio, &bytes),
            Err(error) => log::warn!("entropy device: {error}"),
        }
    }
    let sources = pool.sources();
    if sources.is_empty() {
        if settings.require_entropy {
            return Err(BootError::NoEntropy);
        }
        log::warn!("this machine has no source of entropy: nothing random can be had");
    } else {
        log::debug!("entropy: {sources}");
    }
    Ok(pool.into_generator())
}
