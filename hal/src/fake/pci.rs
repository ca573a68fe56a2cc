//! PCI: configuration space with functions and bridges, and the memory that these answer in.

mod function;
mod virtio;

use std::sync::{Arc, Mutex};

pub use self::function::{Function, Memory};
pub use self::virtio::Card;
use super::bus::{self, Registers, Width};
use crate::address::PhysicalRange;
use crate::mmio::Window;
use crate::pci::{HostBridge, Layout, MemoryWindow};

/// Where the processor sees configuration space, and how many buses there is room for.
const CONFIGURATION: u64 = 0x3f00_0000;
const BUSES: u8 = 8;
/// The windows: for the processor, for the bus, and their length.
const LOW: (u64, u64, u64) = (0x5000_0000, 0x1000_0000, 64 << 20);
const HIGH: (u64, u64, u64) = (0x80_0000_0000, 0x80_0000_0000, 1 << 30);

/// A bus's functions, each with its device and its number.
pub type Bus = Vec<(u8, u8, Function)>;

/// A host bridge and everything behind it.
#[derive(Debug)]
pub struct Pci {
    /// What is on the root bus.
    pub root: Bus,
    /// How configuration space is laid out.
    pub layout: Layout,
    /// How often configuration space was read or written.
    pub accesses: u32,
}

/// A host bridge that is on the fake bus.
#[derive(Debug)]
pub struct Placed {
    /// What is behind it.
    pub pci: Arc<Mutex<Pci>>,
    /// What a tree would say of it.
    pub bridge: HostBridge,
    configuration: Window,
    low: Window,
    high: Window,
}

impl Pci {
    /// A host bridge with these functions on its root bus.
    #[must_use]
    pub fn new(layout: Layout, root: Bus) -> Self {
        Self { root, layout, accesses: 0 }
    }

    /// Puts it on the fake bus.
    ///
    /// # Panics
    /// Never: all addresses are in range.
    #[must_use]
    pub fn place(self) -> Placed {
        let length = u64::from(BUSES) * self.layout.bus();
        let layout = self.layout;
        let pci = Arc::new(Mutex::new(self));
        let range = |start, length| PhysicalRange::new(start, length).expect("in range");
        let windows = [LOW, HIGH].map(|(seen, bus, length)| {
            let memory = range(seen, length);
            MemoryWindow { memory, bus, is_prefetchable: false }
        });
        let space = |(_, bus, length): (u64, u64, u64)| {
            let space = Arc::new(Mutex::new(MemorySpace { pci: pci.clone(), start: bus }));
            bus::place(&space, usize::try_from(length).expect("fits"))
        };
        let registers = Arc::new(Mutex::new(Configuration(pci.clone())));
        Placed {
            bridge: HostBridge {
                configuration: range(CONFIGURATION, length),
                layout,
                first_bus: 0,
                last_bus: BUSES - 1,
                windows: windows.into_iter().collect(),
                is_set_up: false,
            },
            configuration: bus::place(&registers, usize::try_from(length).expect("fits")),
            low: space(LOW),
            high: space(HIGH),
            pci,
        }
    }

    /// How many functions answer at an address of the bus: one, or there is something wrong.
    #[must_use]
    pub fn answering(&self, address: u64) -> usize {
        answering(&self.root, address)
    }

    /// The function that answers at an address of configuration space.
    ///
    /// # Panics
    /// Never.
    pub fn at(&mut self, bus: u8, device: u8, function: u8) -> Option<&mut Function> {
        let functions = find_bus(&mut self.root, 0, bus)?;
        let found = functions.iter_mut().find(|(d, f, _)| (*d, *f) == (device, function));
        found.map(|(_, _, function)| function)
    }
}

/// The functions of the bus of this number: `own` is that of `bus`.
fn find_bus(bus: &mut Bus, own: u8, wanted: u8) -> Option<&mut Bus> {
    if own == wanted {
        return Some(bus);
    }
    bus.iter_mut().find_map(|(_, _, function)| {
        let buses = function.buses()?;
        buses.contains(&wanted).then(|| find_bus(&mut function.behind, *buses.start(), wanted))?
    })
}

impl Placed {
    /// What is behind the bridge.
    pub fn with<T>(&self, look: impl FnOnce(&mut Pci) -> T) -> T {
        look(&mut bus::lock(&self.pci))
    }

    /// Maps what is asked for, as a kernel would.
    #[must_use]
    pub fn map(&self, range: PhysicalRange) -> Option<Window> {
        let spaces = [(CONFIGURATION, self.configuration), (LOW.0, self.low), (HIGH.0, self.high)];
        spaces.into_iter().find_map(|(start, window)| {
            let offset = usize::try_from(range.start().0.checked_sub(start)?).ok()?;
            window.part(offset, usize::try_from(range.length()).ok()?)
        })
    }
}

struct Configuration(Arc<Mutex<Pci>>);

impl Configuration {
    fn with(&self, offset: usize, access: impl FnOnce(&mut Function, usize) -> u32) -> u32 {
        let mut pci = bus::lock(&self.0);
        pci.accesses += 1;
        let size = usize::try_from(pci.layout.function()).expect("fits");
        let (requester, register) = (offset / size, offset % size);
        let number = |value: usize| u8::try_from(value).expect("masked");
        let (bus, device, function) =
            (number(requester >> 8), number(requester >> 3 & 31), number(requester & 7));
        pci.at(bus, device, function).map_or(u32::MAX, |function| access(function, register))
    }
}

impl Registers for Configuration {
    fn read(&mut self, offset: usize, width: Width) -> u32 {
        self.with(offset, |function, register| function.read(register, width))
    }

    fn write(&mut self, offset: usize, width: Width, value: u32) {
        self.with(offset, |function, register| {
            function.write(register, width, value);
            0
        });
    }
}

/// A window of memory, which begins at this address on the bus.
struct MemorySpace {
    pci: Arc<Mutex<Pci>>,
    start: u64,
}

impl MemorySpace {
    /// Has the function that answers there, if there is one, do what it does.
    fn with(&self, offset: usize, access: impl FnOnce(&mut Function, u8, u64) -> u32) -> u32 {
        let address = self.start + offset as u64;
        let mut pci = bus::lock(&self.pci);
        match decode(&mut pci.root, address) {
            Some((function, bar, offset)) => access(function, bar, offset),
            None => u32::MAX,
        }
    }
}

/// The function that answers at an address of the bus, in which memory, and where in it.
fn decode(bus: &mut Bus, address: u64) -> Option<(&mut Function, u8, u64)> {
    bus.iter_mut().find_map(|(_, _, function)| {
        if function.passes_on(address) {
            return decode(&mut function.behind, address);
        }
        let (bar, offset) = function.answers(address)?;
        Some((function, bar, offset))
    })
}

/// How many functions on a bus, and behind it, answer at an address.
fn answering(bus: &Bus, address: u64) -> usize {
    let each = bus.iter().map(|(_, _, function)| {
        let behind = function.passes_on(address).then(|| answering(&function.behind, address));
        usize::from(function.answers(address).is_some()) + behind.unwrap_or(0)
    });
    each.sum()
}

impl Registers for MemorySpace {
    fn read(&mut self, offset: usize, width: Width) -> u32 {
        self.with(offset, |function, bar, offset| {
            function.card.as_mut().map_or(0, |card| card.read(bar, offset, width))
        })
    }

    fn write(&mut self, offset: usize, width: Width, value: u32) {
        self.with(offset, |function, bar, offset| {
            if let Some(card) = &mut function.card {
                card.write(bar, offset, width, value);
            }
            0
        });
    }
}
