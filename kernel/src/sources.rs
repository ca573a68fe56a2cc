//! Where the kernel's entropy comes from on this machine: all of it before anything needs it, and
//! what the machine still gives from time to time while it runs.

use elone_gate::{Error, Nanoseconds};
use elone_hal::arch::{core as cpu, power, timer};
use elone_hal::seed::EarlySeed;
use elone_hal::virtio::rng::Rng;
use elone_hal::wipe;
use heapless::Vec;
use spin::Mutex;

use crate::clock::Clock;
use crate::devices::Devices;
use crate::entropy::{Generator, Pool, Source};
use crate::error::BootError;
use crate::settings::Settings;

/// How long an entropy device may take to answer, at the boot and after a restore. Otherwise nobody
/// waits for it.
const PATIENCE: Nanoseconds = Nanoseconds(100_000_000);
/// The same where there is nothing else: a host that has other things to do may be late, and without an
/// answer nothing random can be had.
const LAST_HOPE: Nanoseconds = Nanoseconds(2_000_000_000);
/// How much is asked of it at a time, in bytes.
const REQUEST: usize = 32;

/// It never moves: a copy of its key that stays behind on a stack would be one that is not erased.
static ENTROPY: Mutex<Entropy> = Mutex::new(Entropy { generator: Generator::new(), device: None });

/// The kernel's generator, and what keeps it fresh.
pub(crate) struct Entropy {
    pub(crate) generator: Generator,
    device: Option<Rng>,
}

/// Mixes what every source gives: `seed` from before the kernel began, which is wiped, and the rest.
pub(crate) fn gather(
    seed: &mut EarlySeed,
    devices: &mut Devices,
    clock: &Clock,
    settings: &Settings,
) -> Result<&'static Mutex<Entropy>, BootError> {
    let mut entropy = ENTROPY.lock();
    entropy.device = devices.entropy.take();
    let Entropy { generator, device } = &mut *entropy;
    // Whether there is anything yet is asked at the end.
    let _ = generator.fill_fresh(&mut [], clock.now(), |pool| {
        pool.mix_early(seed);
        if let Ok(date) = clock.date() {
            pool.stir(date.0);
        }
        core_and_firmware(pool);
    });
    let layout_is_guessable = seed.sources == 0;
    seed.wipe();
    ask(device, generator, clock);

    let sources = generator.sources();
    if sources.is_empty() {
        if settings.require_entropy {
            return Err(BootError::NoEntropy);
        }
        log::warn!("this machine has no source of entropy: nothing random can be had");
    } else {
        log::debug!("entropy: {sources}");
    }
    if layout_is_guessable {
        log::warn!("the layout of memory can be guessed: no seed in the device tree, no RNDR");
    }
    Ok(&ENTROPY)
}

impl Entropy {
    /// Fills `bytes` for an application, at the time `now`. What the machine has to keep the
    /// generator fresh is asked when that is due; the device's answer is mixed in when it is there,
    /// and not waited for.
    ///
    /// # Errors
    /// [`Error::NoEntropy`], as for [`Generator::fill_fresh`].
    pub(crate) fn fill(&mut self, bytes: &mut [u8], now: Nanoseconds) -> Result<(), Error> {
        self.take_answer();
        let Self { generator, device } = self;
        let mut broken = false;
        let filled = generator.fill_fresh(bytes, now, |pool| {
            core_and_firmware(pool);
            broken |= device.as_mut().is_some_and(|device| device.request().is_err());
            log::debug!("entropy: renewed from {}", pool.sources());
        });
        if broken {
            self.give_up();
        }
        filled
    }

    /// Begins again after the machine may have been restored, of which others may be copies: from all
    /// that the machine has, before anything is given out. What tells this copy from the others,
    /// `generation` and the time, is mixed in as well: where there is no other source, it is all.
    pub(crate) fn begin_again(&mut self, generation: [u64; 2], clock: &Clock) {
        let Self { generator, device } = self;
        let mut is_alone = device.is_none();
        generator.absorb(|pool| {
            generation.into_iter().for_each(|word| pool.stir(word));
            pool.stir(clock.date().map_or(0, |date| date.0));
            core_and_firmware(pool);
            is_alone &= pool.sources().is_empty();
        });
        if is_alone {
            log::warn!("entropy: only the time tells this machine from another copy of it");
        }
        // The first answer may be one that came before: then the others have it, too.
        (0..2).for_each(|_| ask(device, generator, clock));
        log::debug!("entropy: {}", generator.sources());
    }

    /// Mixes in what the device was asked for, if it has answered.
    fn take_answer(&mut self) {
        let Self { generator, device: Some(device) } = self else { return };
        let mut bytes = [0; REQUEST];
        match device.take(&mut bytes) {
            Ok(None) => return,
            Ok(Some(taken)) => generator.absorb(|pool| {
                pool.mix(Source::Virtio, bytes.get(..taken).unwrap_or_default());
                log::debug!("entropy: renewed from {}", pool.sources());
            }),
            Err(_) => self.give_up(),
        }
        wipe::wipe(&mut bytes);
    }

    /// What the device gave is still in the key; there will be no more.
    fn give_up(&mut self) {
        log::warn!("entropy device: broken, and not asked again");
        self.device = None;
    }
}

/// Asks the device, and waits for its answer.
fn ask(device: &mut Option<Rng>, generator: &mut Generator, clock: &Clock) {
    let Some(device) = device else { return };
    let patience = if generator.sources().is_empty() { LAST_HOPE } else { PATIENCE };
    let deadline = Nanoseconds(clock.now().0.saturating_add(patience.0));
    let mut bytes = [0; REQUEST];
    match device.fill(&mut bytes, || clock.now() < deadline) {
        Ok(()) => generator.absorb(|pool| pool.mix(Source::Virtio, &bytes)),
        Err(error) => log::warn!("entropy device: {error}"),
    }
    wipe::wipe(&mut bytes);
}

/// What can be had at any time, and the time itself.
fn core_and_firmware(pool: &mut Pool) {
    pool.stir(timer::ticks());
    let values: Vec<u64, 4> = (0..4).filter_map(|_| cpu::random()).collect();
    pool.mix_words(Source::Rndr, &values);
    let firmware = crate::power::conduit().and_then(power::random);
    pool.mix_words(Source::Firmware, firmware.as_ref().map_or(&[], |words| words));
}
