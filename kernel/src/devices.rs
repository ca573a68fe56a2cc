//! What is plugged into the machine: every virtio slot is looked into once, in the order of their
//! addresses, then all of PCI ([`pci`]), and each device is given to the driver of its kind. One that
//! cannot be used is said so by address; the others still are.

mod pci;

use core::sync::atomic::{AtomicU32, Ordering};

use elone_gate::{DeviceClass, Error, Events, Handle};
use elone_hal::address::PhysicalAddress;
#[cfg(elone_contained)]
use elone_hal::arch::{core as cpu, timer};
use elone_hal::pci::Address;
use elone_hal::virtio::blk::Blk;
use elone_hal::virtio::console::Console;
use elone_hal::virtio::net::Net;
use elone_hal::virtio::rng::Rng;
use elone_hal::virtio::{Causes, DeviceId, InterruptPort, ProbeError, Transport};
use heapless::Vec;
use spin::{Mutex, MutexGuard, Once};

use crate::blackbox::{self, Kept};
use crate::console;
use crate::hearing::{Found, HEARING};
use crate::interrupts::{Interrupts, Source};
use crate::machine::{Interrupt, Machine, VirtioSlot};
use crate::memory::Memory;

/// How many devices an application can claim.
pub(crate) const DEVICES: usize = 16;
/// Memory that drivers share with their devices, in bytes: buffers, then rings.
const NET_MEMORY: usize = 512 << 10;
const BLOCK_MEMORY: usize = 128 << 10;
const SMALL_MEMORY: usize = 16 << 10;

/// Devices whose configuration changed and that have not been asked about it, a bit a handle.
static CHANGED: AtomicU32 = AtomicU32::new(0);

/// The devices with handles, each at its handle's place. They stay where they are put: drivers are
/// too large to be passed around on a stack. The locks are never waited for, since all calls come
/// one at a time.
static TABLE: [Once<Mutex<Driver>>; DEVICES] = [const { Once::new() }; DEVICES];

/// Who drives a device.
#[expect(clippy::large_enum_variant, reason = "they never move once they are in the table")]
pub(crate) enum Driver {
    Net(Net),
    Block(Blk),
}

/// A device with a handle: where it interrupts, and what it is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Device {
    pub(crate) class: DeviceClass,
    at: Place,
    wires: Wires,
}

/// Where a device is plugged in.
#[derive(Clone, Copy, Debug)]
enum Place {
    /// In the slot at this address.
    Slot(PhysicalAddress),
    /// On this function behind a host bridge, the first of which is 0.
    Pci(usize, Address),
}

/// How a device interrupts.
#[derive(Clone, Copy, Debug)]
enum Wiring {
    /// By a line, if one leads away from it.
    Line(Option<Interrupt>),
    /// By messages: one of its queues and, unless that is for both, one of its configuration.
    Messages { queues: Interrupt, configuration: Option<Interrupt> },
}

/// What arrives from a device, and what to ask it then.
type Wires = [Option<(Interrupt, InterruptPort)>; 2];

/// Whether anybody takes a device's interrupts back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Heard {
    Yes,
    No,
}

/// All devices that can be used.
pub(crate) struct Devices {
    pub(crate) list: Vec<Device, DEVICES>,
    pub(crate) entropy: Option<Rng>,
}

/// The driver of the device with this handle.
pub(crate) fn driver(handle: Handle) -> Result<MutexGuard<'static, Driver>, Error> {
    let place = TABLE.get(usize::from(handle.0)).and_then(Once::get);
    place.map(Mutex::lock).ok_or(Error::BadHandle)
}

impl Devices {
    /// Looks into every slot that the device tree names, and behind every host bridge.
    pub(crate) fn probe(machine: &Machine, interrupts: &Interrupts, memory: &mut Memory) -> Self {
        let mut devices = Self { list: Vec::new(), entropy: None };
        for slot in &machine.virtio {
            let at = Place::Slot(slot.registers.start());
            if let Err(error) = devices.probe_slot(at, slot, memory) {
                log::warn!("{at}: {error}");
            }
        }
        pci::probe(machine, &mut interrupts.messages(machine), memory, &mut devices);
        devices
    }

    fn probe_slot(
        &mut self,
        at: Place,
        slot: &VirtioSlot,
        memory: &mut Memory,
    ) -> Result<(), SlotError> {
        let window = memory.device(slot.registers).map_err(SlotError::Map)?;
        let Some(transport) = Transport::open(window)? else { return Ok(()) };
        if !slot.dma_coherent {
            log::warn!("{at}: taken to be coherent");
        }
        // Nobody else has its line, so nobody is disturbed if it is not heard.
        self.adopt(at, transport, Wiring::Line(Some(slot.interrupt)), memory).map(|_heard| ())
    }

    /// Gives a device to the driver of its kind.
    fn adopt(
        &mut self,
        at: Place,
        transport: Transport,
        wiring: Wiring,
        memory: &mut Memory,
    ) -> Result<Heard, SlotError> {
        let id = transport.id();
        let mut pool = |length| memory.dma_pool(length).ok_or(SlotError::Memory(id));
        match id {
            DeviceId::NET => {
                let net = Net::probe(transport, &mut pool(NET_MEMORY)?)?;
                let wires = wiring.wires(net.interrupt_port());
                self.add(Device { class: DeviceClass::Net, at, wires }, Driver::Net(net))
            }
            DeviceId::BLOCK => {
                let blk = Blk::probe(transport, &mut pool(BLOCK_MEMORY)?)?;
                let wires = wiring.wires(blk.interrupt_port());
                match blackbox::keep_disk(blk, wiring.first()) {
                    Kept::Yes => Ok(Heard::Yes),
                    Kept::LeftAlone => Ok(Heard::No),
                    Kept::No(blk) => self
                        .add(Device { class: DeviceClass::Block, at, wires }, Driver::Block(blk)),
                }
            }
            DeviceId::ENTROPY => {
                self.entropy = Some(Rng::probe(transport, &mut pool(SMALL_MEMORY)?)?);
                Ok(Heard::No)
            }
            DeviceId::CONSOLE => {
                let console = Console::probe(transport, &mut pool(SMALL_MEMORY)?)?;
                let taken = console::offer(console, wiring.first());
                Ok(if taken { Heard::Yes } else { Heard::No })
            }
            other => Err(SlotError::NoDriver(other)),
        }
    }

    /// Gives a device the next handle.
    fn add(&mut self, device: Device, driver: Driver) -> Result<Heard, SlotError> {
        let place = TABLE.get(self.list.len()).ok_or(SlotError::TooMany)?;
        self.list.push(device).map_err(|_| SlotError::TooMany)?;
        place.call_once(|| Mutex::new(driver));
        Ok(Heard::Yes)
    }

    /// The lines of all devices with handles and of the kernel's own, and what each means.
    pub(crate) fn lines(&self) -> impl Iterator<Item = (Interrupt, Source)> {
        let with_handles = (0..).zip(&self.list).flat_map(|(index, device)| {
            let event = Events::device(Handle(index));
            let wires = device.wires.into_iter().flatten();
            wires.map(move |(interrupt, port)| (interrupt, Source::Device(port, event)))
        });
        with_handles.chain(blackbox::disk_line())
    }
}

impl Device {
    /// What there is, though nobody was told: looks into a device of which nothing was heard yet. Says
    /// so where it is no chance any more.
    pub(crate) fn look(&self, handle: Handle) -> Events {
        let event = Events::device(handle);
        let Ok(driver) = driver(handle) else { return Events::NONE };
        let is_overdue = match &*driver {
            Driver::Net(net) => net.is_overdue(),
            Driver::Block(blk) => blk.is_overdue(),
        };
        if !is_overdue {
            return Events::NONE;
        }
        if HEARING.find(event) == Found::Deaf {
            let at = self.at;
            match self.wires.first().copied().flatten().map(|(interrupt, _)| interrupt.line) {
                Some(line) => log::warn!(
                    "{at}: its interrupt ({line:?}) never came: looked at every 10 ms from now on"
                ),
                None => log::warn!("{at}: it has no interrupt: looked at every 10 ms from now on"),
            }
        }
        event
    }
}

impl Wiring {
    /// What arrives of the queues.
    const fn first(&self) -> Option<Interrupt> {
        match *self {
            Self::Line(line) => line,
            Self::Messages { queues, .. } => Some(queues),
        }
    }

    /// All that arrives from a device whose driver says what to ask it about its queues.
    fn wires(&self, port: InterruptPort) -> Wires {
        let second = match *self {
            Self::Line(_) => None,
            Self::Messages { configuration, .. } => configuration,
        };
        let of_configuration =
            second.map(|interrupt| (interrupt, InterruptPort::of_configuration()));
        [self.first().map(|interrupt| (interrupt, port)), of_configuration]
    }
}

impl core::fmt::Display for Place {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Slot(address) => write!(f, "virtio slot {address}"),
            Self::Pci(0, address) => write!(f, "PCI {address}"),
            Self::Pci(host, address) => write!(f, "PCI {host:04x}:{address}"),
        }
    }
}

/// Takes a device's buffers back from it: nothing is under way any more, all are its owner's. A disk
/// may finish what it was asked to write, for a moment.
#[cfg(elone_contained)]
pub(crate) fn restart(handle: Handle) -> Result<(), ProbeError> {
    /// How long a disk may take, as a fraction of a second.
    const MOMENT: u64 = 10;
    let Ok(mut driver) = driver(handle) else { return Ok(()) };
    match &mut *driver {
        Driver::Net(net) => net.restart(),
        Driver::Block(blk) => {
            let end = timer::ticks().saturating_add(cpu::counter_frequency() / MOMENT);
            let _what_is_left_is_lost = blk.drain(|| timer::ticks() < end);
            blk.restart()
        }
    }
}

/// For the interrupt handler: what a device's interrupt was for.
pub(crate) fn note(causes: Causes, event: Events) {
    if causes.configuration() {
        CHANGED.fetch_or(event.0, Ordering::Relaxed);
    }
}

/// Whether a device's configuration has changed since this was last asked.
pub(crate) fn changed(event: Events) -> bool {
    CHANGED.load(Ordering::Relaxed) & event.0 != 0
        && CHANGED.fetch_and(!event.0, Ordering::Relaxed) & event.0 != 0
}

/// Why a slot's device is not used.
#[derive(Clone, Copy, Debug)]
enum SlotError {
    Map(elone_hal::arch::tables::MapError),
    Probe(ProbeError),
    Memory(DeviceId),
    NoDriver(DeviceId),
    TooMany,
}

impl From<ProbeError> for SlotError {
    fn from(error: ProbeError) -> Self {
        Self::Probe(error)
    }
}

impl core::fmt::Display for SlotError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Map(error) => error.fmt(f),
            Self::Probe(error) => error.fmt(f),
            Self::Memory(id) => write!(f, "{id}: not enough memory"),
            Self::NoDriver(id) => write!(f, "{id}: there is no driver for it"),
            Self::TooMany => f.write_str("one device too many"),
        }
    }
}
