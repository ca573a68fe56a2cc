//! Who knows the date on this machine, the best first: the hypervisor's clock in memory (vmclock),
//! its call (KVM's PTP), a chip or what a monitor shows as one (PL031, MC146818).
//!
//! Who says nonsense at the boot is said to, and not asked again. Who does so later is complained of
//! once, and asked again after a while: a hypervisor's clock may be out of order for some time after
//! the machine was moved.

use elone_gate::{Hypervisor, Nanoseconds};
use elone_hal::arch::hypervisor::Services;
use elone_hal::arch::timer;
use elone_hal::rtc::{Doubt, Mc146818, Pl031, VmClock, plausible};
use heapless::Vec;
use spin::Once;

use crate::calendar::{Reading, Step};
use crate::hypervisor;
use crate::machine::{Machine, Rtc};
use crate::memory::Memory;
use crate::silence::Silence;

/// How many there can be: one of each kind.
const MOST: usize = 3;

static VMCLOCK: Once<VmClock> = Once::new();

/// Those that are asked, in this order.
#[derive(Debug)]
pub(crate) struct Sources(Vec<Asked, MOST>);

#[derive(Debug)]
struct Asked {
    source: Source,
    /// Since it could not say the date, if so; it was complained of then.
    silence: Silence,
}

#[derive(Clone, Copy, Debug)]
enum Source {
    VmClock(VmClock),
    Kvm(Services),
    Pl031(Pl031),
    Mc146818(Mc146818),
}

/// Finds those who know it now.
pub(crate) fn find(machine: &Machine, memory: &mut Memory) -> Sources {
    let vmclock = vmclock(machine, memory);
    let vmclock = vmclock.map(|clock| Source::VmClock(*VMCLOCK.call_once(|| clock)));
    let is_kvm = hypervisor::identity() == Hypervisor::Kvm;
    let kvm = hypervisor::services().filter(|_| is_kvm).map(Source::Kvm);
    let chip = machine.rtc.and_then(|rtc| {
        let (Rtc::Pl031(registers) | Rtc::Mc146818(registers)) = rtc;
        let window = memory.device(registers);
        let window = window.inspect_err(|error| log::warn!("real-time clock: {error}")).ok()?;
        let found = match rtc {
            Rtc::Pl031(_) => window.attempt32(0).map(drop),
            Rtc::Mc146818(_) => window.attempt8(0).map(drop),
        };
        found
            .inspect_err(|absent| log::warn!("real-time clock {}: {absent}", registers.start()))
            .ok()?;
        Some(match rtc {
            Rtc::Pl031(_) => Source::Pl031(Pl031::start(window)),
            Rtc::Mc146818(_) => Source::Mc146818(Mc146818::new(window)),
        })
    });
    let mut sources = Vec::new();
    for source in [vmclock, kvm, chip].into_iter().flatten() {
        match source.read() {
            Ok(_) => drop(sources.push(Asked { source, silence: Silence::default() })), // there is room
            // Some monitors offer no date here, but other things; so nobody is to blame.
            Err(Doubt::Unreliable) if matches!(source, Source::VmClock(_) | Source::Kvm(_)) => {
                log::debug!("{}: {}", source.name(), Doubt::Unreliable);
            }
            Err(doubt) => log::warn!("{}: {doubt}; not asked for the date", source.name()),
        }
    }
    Sources(sources)
}

/// The clock in memory, if there is one that can be read.
pub(crate) fn known_vmclock() -> Option<VmClock> {
    VMCLOCK.get().copied()
}

/// The clock in memory that the device tree names.
fn vmclock(machine: &Machine, memory: &mut Memory) -> Option<VmClock> {
    let observed = memory.observed(machine.vmclock?.memory);
    let observed = observed.inspect_err(|error| log::warn!("vmclock: {error}")).ok()?;
    VmClock::new(observed).inspect_err(|doubt| log::warn!("vmclock: {doubt}")).ok()
}

impl Sources {
    pub(crate) const NONE: Self = Self(Vec::new());

    /// Says who is asked first.
    pub(crate) fn announce(&self) {
        match self.0.first() {
            Some(Asked { source, .. }) => log::debug!("the date comes from {}", source.name()),
            None => log::debug!("nobody knows the date"),
        }
    }

    /// What the best one that knows the date says; `time` tells the machine's own time by the counter.
    pub(crate) fn read(&mut self, time: impl Fn(u64) -> Nanoseconds) -> Option<Reading> {
        let now = time(timer::ticks());
        let mut asked = self.0.iter_mut().filter(|asked| asked.silence.is_over(now));
        asked.find_map(|Asked { source, silence }| match source.read() {
            Ok((date, ticks, step)) => {
                silence.end();
                Some(Reading { date, at: time(ticks), step })
            }
            Err(doubt) => {
                if silence.keep(now) {
                    log::warn!("{}: {doubt}; it was asked for the date", source.name());
                }
                None
            }
        })
    }
}

impl Source {
    const fn name(self) -> &'static str {
        match self {
            Self::VmClock(_) => "vmclock",
            Self::Kvm(_) => "KVM's clock",
            Self::Pl031(_) => "PL031",
            Self::Mc146818(_) => "MC146818",
        }
    }

    /// The date, where the counter was then, and how fine that is.
    fn read(self) -> Result<(u64, u64, Step), Doubt> {
        match self {
            Self::VmClock(clock) => {
                let ticks = timer::ticks();
                Ok((clock.date(ticks)?, ticks, Step::Fine))
            }
            Self::Kvm(services) => {
                const SECOND: u64 = 1_000_000_000;
                let date = services.date().ok_or(Doubt::Unreliable)?;
                let nanoseconds = date.nanoseconds;
                let checked = plausible(nanoseconds / SECOND, nanoseconds % SECOND)?;
                Ok((checked, date.ticks, Step::Fine))
            }
            Self::Pl031(chip) => Ok((chip.date()?, timer::ticks(), Step::Second)),
            Self::Mc146818(chip) => Ok((chip.date()?, timer::ticks(), Step::Second)),
        }
    }
}
