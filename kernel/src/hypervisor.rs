//! The hypervisor: who it is, and what it tells of itself.

use elone_gate::{Error, Hypervisor, Level, Nanoseconds};
use elone_hal::address::PhysicalRange;
use elone_hal::arch::hypervisor::Services;
use elone_hal::stolen::{self, StolenTime};
use elone_hal::xen::{Version, Xen};
use spin::Once;

use crate::machine::Machine;
use crate::memory::Memory;
use crate::power;

static SERVICES: Once<Services> = Once::new();
static IDENTITY: Once<Hypervisor> = Once::new();
static XEN: Once<Xen> = Once::new();
static STOLEN: Once<StolenTime> = Once::new();

/// Asks Xen, where the device tree has a node of it; where it does not answer it is not there. That the
/// tree is wrong is said once: here.
pub(crate) fn look_for_xen(machine: &Machine, entered_at: u8) -> Option<Xen> {
    if !machine.is_xen {
        return None;
    }
    if entered_at > 1 {
        log::warn!("the device tree names Xen: nobody is below");
        return None;
    }
    let xen = Xen::find().inspect_err(|error| log::warn!("the device tree names Xen: {error}"));
    xen.ok().map(|xen| *XEN.call_once(|| xen))
}

/// Finds out who is below, by asking, or by what the device tree has for guests of his; and where he
/// tells how long he lets others run.
pub(crate) fn meet(entered_at: Level, memory: &mut Memory) {
    if entered_at > Level::El1 {
        IDENTITY.call_once(|| Hypervisor::Nobody(entered_at));
        return;
    }
    let services = power::conduit().and_then(Services::find);
    let told = services.map_or(Hypervisor::Unknown, |it| Hypervisor::of_identity(it.identity()));
    IDENTITY.call_once(|| match told {
        Hypervisor::Xen { .. } => xen().map_or(told, named),
        Hypervisor::Unknown => XEN.get().copied().map_or(told, named),
        told => told,
    });
    let Some(services) = services else { return };
    SERVICES.call_once(|| services);
    let Some(address) = services.stolen_time() else { return };
    let range = PhysicalRange::new(address, stolen::LENGTH).unwrap_or_default();
    match memory.observed(range).map(StolenTime::new) {
        Ok(Some(stolen)) => drop(STOLEN.call_once(|| stolen)),
        Ok(None) => log::warn!("stolen time: of a kind that is not known"),
        Err(error) => log::warn!("stolen time, at {address:#x}: {error}"),
    }
}

/// Xen, which has said by other means that it is there.
fn xen() -> Option<Xen> {
    let known = XEN.get().copied();
    known.or_else(|| Xen::find().inspect_err(|error| log::warn!("Xen's version: {error}")).ok())
}

fn named(xen: Xen) -> Hypervisor {
    let Version { major, minor } = xen.version();
    Hypervisor::Xen { major, minor }
}

/// Who is below.
pub(crate) fn identity() -> Hypervisor {
    IDENTITY.get().copied().unwrap_or(Hypervisor::Unknown)
}

/// What he offers by calls; `None` where calls are better left alone.
pub(crate) fn services() -> Option<Services> {
    SERVICES.get().copied()
}

/// For how long others ran instead of this machine.
pub(crate) fn stolen_time() -> Result<Nanoseconds, Error> {
    let stolen = STOLEN.get().ok_or(Error::Unsupported)?;
    Ok(Nanoseconds(stolen.nanoseconds()))
}
