//! Where the registers of a device on PCI are: its capabilities say so (virtio 1.2, section 4.1.4).
//! They are the device's word, so each is checked against the memory that the device has.

use super::{Doorbells, Pci, QUEUES, common};
use crate::address::PhysicalRange;
use crate::attempt::Absent;
use crate::mmio::Window;
use crate::pci::{BusMaster, Device, Map, PciError};
use crate::virtio::{DeviceId, ProbeError};
use heapless::Vec;

/// The kind of capability that a vendor makes of its own.
const VENDOR_SPECIFIC: u8 = 0x09;
/// Modern devices have the kind of device in their PCI identity, from here on (section 4.1.2.1).
const MODERN: u16 = 0x1040;
/// And transitional ones a number each, from here on.
const TRANSITIONAL: u16 = 0x1000;

/// No more of a capability is mapped than is ever used, in bytes.
const MOST: u64 = 0x1000;
/// Doorbells are mapped all at once where they are no more than this, in bytes. Most devices have theirs
/// in one page, some have one a page; hardware may have thousands.
const MOST_DOORBELLS: u64 = 0x1_0000;

/// What a capability is about, in the order of the numbers that they have (section 4.1.4): the word
/// for it, and how many bytes of it there must be at least.
const KINDS: [(&str, u64, u64); 4] = [
    ("common registers", common::LENGTH, MOST),
    ("doorbells", 2, u64::MAX), // any of them may be a queue's
    ("interrupt status", 1, MOST),
    ("configuration", 1, MOST),
];
const COMMON: usize = 0;
const DOORBELLS: usize = 1;
const ISR: usize = 2;
const CONFIG: usize = 3;

/// What was found of each kind: the first one that can be used, else why the first one cannot.
type Found = [Option<Result<PhysicalRange, PciError>>; KINDS.len()];

impl Pci {
    /// Finds the device's registers, has them mapped, and looks whether anybody answers there.
    pub(in crate::virtio) fn find(
        device: &Device,
        map: &mut Map<'_>,
    ) -> Result<(DeviceId, Self, BusMaster), ProbeError> {
        let id = id(device);
        let (found, multiplier) = read(device);
        if found.iter().all(Option::is_none) {
            return Err(ProbeError::LegacyOnly(id));
        }
        let region = |kind: usize, align: u64| {
            let (word, least, most) = KINDS[kind];
            let region = found[kind].ok_or(ProbeError::NoCapability(word))??;
            let length = region.length().min(most);
            if length < least || !region.start().0.is_multiple_of(align) {
                return Err(ProbeError::BadCapability(word));
            }
            PhysicalRange::new(region.start().0, length).ok_or(ProbeError::BadCapability(word))
        };
        let (registers, doorbells, isr) =
            (region(COMMON, 4)?, region(DOORBELLS, 2)?, region(ISR, 1)?);
        // An entropy source has none of its own, so this one may be missing.
        let config = match found[CONFIG] {
            Some(_) => region(CONFIG, 4)?,
            None => PhysicalRange::default(),
        };
        let whole = doorbells.length() <= MOST_DOORBELLS;
        let doorbells_now = if whole { doorbells } else { PhysicalRange::default() };
        let runs = Runs::of([registers, doorbells_now, isr, config]);
        let windows = runs.map(map)?;
        let see = |region| windows.see(region).ok_or(PciError::Unmapped);
        let (common, start) = see(registers)?;
        let length = usize::try_from(registers.length()).unwrap_or_default();
        let common = common.part(start, length).ok_or(PciError::Unmapped)?;
        // A bridge on the way, or the device, may not keep what it was told of places. No device has all
        // bits of its status set (section 2.1).
        if common.attempt8(common::DEVICE_STATUS)? == u8::MAX {
            return Err(Absent.into());
        }
        let found = Self {
            common,
            config: match config.is_empty() {
                true => (common.part(0, 0).ok_or(PciError::Unmapped)?, 0),
                false => within(see(config)?, config),
            },
            isr: see(isr)?,
            doorbells: Doorbells::new(doorbells, multiplier, windows.run_of(doorbells)),
            doorbell: [None; QUEUES],
            vectors: None,
        };
        Ok((id, found, device.function.bus_master()))
    }
}

/// What kind of device it is. Transitional ones say so in the number of their subsystem.
fn id(device: &Device) -> DeviceId {
    match device.function.device_id().checked_sub(MODERN) {
        Some(kind) => DeviceId(kind.into()),
        None => DeviceId(device.function.subsystem_id().into()),
    }
}

/// Whether a function is a virtio device, by the numbers that the specification keeps for them.
#[must_use]
pub(crate) fn is_virtio(vendor: u16, device: u16) -> bool {
    const VENDOR: u16 = 0x1af4;
    const LAST: u16 = 0x107f;
    vendor == VENDOR && (TRANSITIONAL..=LAST).contains(&device)
}

/// Reads the capabilities that are virtio's, and the unit of the doorbells' places.
fn read(device: &Device) -> (Found, u32) {
    let (mut found, mut multiplier): (Found, u32) = ([None; KINDS.len()], 0);
    let ours = device.function.capabilities().filter(|(id, _)| *id == VENDOR_SPECIFIC);
    for (_, capability) in ours {
        let kind = usize::from(capability.read8(3)).wrapping_sub(1);
        let Some(place) = found.get_mut(kind) else { continue };
        if matches!(place, Some(Ok(_))) {
            continue; // the first one is the one that the device would rather have used
        }
        let (bar, offset) = (capability.read8(4), capability.read32(8));
        let region = device.region(bar, offset.into(), capability.read32(12).into());
        if kind == DOORBELLS && region.is_ok() {
            multiplier = capability.read32(16);
        }
        if region.is_ok() || place.is_none() {
            *place = Some(region);
        }
    }
    (found, multiplier)
}

/// Cuts a window at the end of what is in it.
fn within((window, start): (Window, usize), region: PhysicalRange) -> (Window, usize) {
    let end = usize::try_from(region.length()).unwrap_or_default().saturating_add(start);
    (window.part(0, end).unwrap_or(window), start)
}

/// The whole pages in which some regions lie, those that touch as one: what is mapped is mapped once.
struct Runs(Vec<PhysicalRange, { KINDS.len() }>);

/// The same, mapped.
struct Windows(Vec<(PhysicalRange, Window), { KINDS.len() }>);

impl Runs {
    fn of(regions: [PhysicalRange; KINDS.len()]) -> Self {
        let mut pages: Vec<PhysicalRange, { KINDS.len() }> = Vec::new();
        let all = regions.iter().filter(|region| !region.is_empty());
        for region in all.filter_map(PhysicalRange::outer_pages) {
            let place = pages.iter().take_while(|other| other.start() <= region.start()).count();
            // There is room for all.
            let _ = pages.insert(place, region);
        }
        let mut runs: Vec<PhysicalRange, { KINDS.len() }> = Vec::new();
        for region in pages {
            let end = region.end();
            match runs.last_mut() {
                Some(last) if last.end() >= region.start() => {
                    let length = end.max(last.end()).0 - last.start().0;
                    *last = PhysicalRange::new(last.start().0, length).unwrap_or(*last);
                }
                _ => drop(runs.push(region)),
            }
        }
        Self(runs)
    }

    fn map(&self, map: &mut Map<'_>) -> Result<Windows, PciError> {
        let mut windows = Vec::new();
        for run in &self.0 {
            let window = map(*run).ok_or(PciError::Unmapped)?;
            // There is room for as many as there are runs.
            let _ = windows.push((*run, window));
        }
        Ok(Windows(windows))
    }
}

impl Windows {
    /// The run in which a region lies.
    fn run_of(&self, region: PhysicalRange) -> Option<(PhysicalRange, Window)> {
        self.0.iter().find(|(run, _)| run.contains(&region)).copied()
    }

    /// The window in which a region lies, and where in it.
    fn see(&self, region: PhysicalRange) -> Option<(Window, usize)> {
        let (run, window) = self.run_of(region)?;
        let offset = usize::try_from(region.start().0 - run.start().0).ok()?;
        Some((window, offset))
    }
}
