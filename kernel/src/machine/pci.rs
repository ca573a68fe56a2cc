//! Host bridges of PCI (IEEE Std 1275-1994, PCI Bus Binding 2.1; Linux binding
//! `pci-host-ecam-generic`): configuration space, memory, and where interrupts and messages go.

use elone_hal::address::PhysicalRange;
use elone_hal::pci::{Address, HostBridge, Layout, MemoryWindow};
use heapless::Vec;

use super::bus::Buses;
use super::gic::Controller;
use super::node::{Properties, Value};
use super::tree::{Node, name_of};
use super::{Interrupt, MESSAGE_MAPS, Machine, PCI_HOSTS, Problem};

/// A host bridge, and what becomes of interrupts behind it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PciHost {
    /// The bridge.
    pub bridge: HostBridge,
    /// Whether what functions read and write is coherent with the core's caches.
    pub dma_coherent: bool,
    /// Which bits of a function's address and of its pin its route depends on.
    mask: (u32, u32),
    /// Whose messages go where.
    messages: Vec<MessageMap, MESSAGE_MAPS>,
    message_mask: u16,
}

/// Where one pin of a device, or of several, leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PciRoute {
    /// Of which of [`Machine::pci`].
    host: u8,
    /// The bits of the function's address that count, as the binding has it, and the pin's.
    address: u32,
    pin: u32,
    interrupt: Interrupt,
}

/// Whose messages go to one controller (Linux binding `pci-msi.txt`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct MessageMap {
    first: u32,
    count: u32,
    /// The controller's handle, and what the first one is to it.
    controller: u32,
    number: u32,
}

impl Machine {
    /// Where the pin (0 to 3) of a function on the root bus of a host bridge, one of
    /// [`Machine::pci`], leads.
    #[must_use]
    pub fn pci_interrupt(&self, host: usize, address: Address, pin: u8) -> Option<Interrupt> {
        let (address_mask, pin_mask) = self.pci.get(host)?.mask;
        let address = u32::from(address.requester()) << 8 & address_mask;
        let pin = (u32::from(pin) + 1) & pin_mask;
        let mut routes = self.pci_routes.iter().filter(|route| usize::from(route.host) == host);
        routes.find(|r| (r.address, r.pin) == (address, pin)).map(|route| route.interrupt)
    }
}

impl PciHost {
    /// To whom a function sends its messages: the handle of that controller's node, and the number that
    /// the function has there.
    #[must_use]
    pub fn messages(&self, address: Address) -> Option<(u32, u32)> {
        let requester = u32::from(address.requester() & self.message_mask);
        self.messages.iter().find_map(|map| {
            let offset = requester.checked_sub(map.first).filter(|offset| *offset < map.count)?;
            Some((map.controller, map.number.checked_add(offset)?))
        })
    }
}

/// A host bridge whose interrupts are not understood yet.
#[derive(Debug)]
pub(super) struct PciNode<'t> {
    node: Node<'t>,
    host: PciHost,
    routes: Option<Value<'t>>,
    /// Where its functions see memory, and how many cells an address above it has.
    seen: Option<Value<'t>>,
    parent_cells: Option<u32>,
}

/// All of them, in the tree's order.
pub(super) type PciNodes<'t> = Vec<PciNode<'t>, PCI_HOSTS>;

impl<'t> PciNode<'t> {
    /// Reads the current node.
    pub(super) fn read(
        layout: Layout,
        node: Node<'t>,
        properties: &Properties<'t>,
        buses: &Buses<'t>,
        machine: &mut Machine,
    ) -> Result<Self, Problem> {
        for (name, value, cells) in [
            ("#address-cells", properties.address_cells, 3),
            ("#size-cells", properties.size_cells, 2),
            ("#interrupt-cells", properties.interrupt_cells, 1),
        ] {
            // Without pins there may be no word about them.
            let is_right = value.map_or(cells == 1, |value| value.cell() == Some(cells));
            is_right.then_some(()).ok_or(Problem::BadProperty(name))?;
        }
        let configuration = Buses::next(&mut buses.registers(properties.reg))?;
        let (first_bus, last_bus) = bus_range(properties, configuration, layout)?;
        let mut windows = Vec::new();
        for window in memory(properties, buses) {
            let added = window.and_then(|window| windows.push(window).map_err(|_| Problem::NoRoom));
            if let Err(problem) = added {
                machine.warn(name_of(&node), problem);
            }
        }
        let bridge =
            HostBridge { configuration, layout, first_bus, last_bus, windows, is_set_up: false };
        let (messages, message_mask) = messages(properties).unwrap_or_else(|problem| {
            machine.warn(name_of(&node), problem);
            (Vec::new(), 0)
        });
        let mask = mask(properties.interrupt_map_mask)?;
        let dma_coherent = buses.dma_coherent();
        let host = PciHost { bridge, dma_coherent, mask, messages, message_mask };
        let (routes, seen) = (properties.interrupt_map, properties.dma_ranges);
        Ok(Self { node, host, routes, seen, parent_cells: buses.parent_address_cells() })
    }

    /// Gives it to `machine`. What of its interrupts cannot be understood is told; devices whose pins
    /// lead nowhere can be used all the same.
    pub(super) fn resolve(&self, controller: &Controller, machine: &mut Machine) {
        if !machine.ram.iter().all(|bank| self.sees(bank)) {
            return machine.warn(name_of(&self.node), Problem::BadProperty("dma-ranges"));
        }
        let mut host = self.host.clone();
        host.bridge.is_set_up = machine.pci_is_set_up;
        let number = machine.pci.len();
        if machine.pci.push(host).is_err() {
            return machine.warn(name_of(&self.node), Problem::NoRoom);
        }
        if let Err(problem) = self.route(number, controller, machine) {
            machine.warn(name_of(&self.node), problem);
        }
    }

    /// Whether functions have this memory at the addresses that the processor has it at: so it is
    /// without `dma-ranges`, and with an empty one. They are told the processor's.
    fn sees(&self, bank: &PhysicalRange) -> bool {
        /// In no more parts than this.
        const PARTS: usize = 8;
        let Some(ranges) = self.seen.filter(|ranges| !ranges.0.is_empty()) else { return true };
        // The end of what is seen from here on.
        let seen_from = |at: u64| {
            let mut cells = ranges.cells();
            let mut entries = core::iter::from_fn(|| {
                let (_kind, bus) = (cells.next()?, cells.number(2)?);
                Some((bus, cells.number(self.parent_cells?)?, cells.number(2)?))
            });
            entries.find_map(|(bus, memory, size)| {
                let end = memory.saturating_add(size);
                (bus == memory && memory <= at && at < end).then_some(end)
            })
        };
        let mut at = bank.start().0;
        for _ in 0..PARTS {
            if at >= bank.end().0 {
                return true;
            }
            let Some(end) = seen_from(at) else { return false };
            at = end;
        }
        at >= bank.end().0
    }

    /// Reads the interrupt map: a function's address, its pin, a controller, an address there (which is
    /// of no use), and what the controller calls the interrupt.
    fn route(
        &self,
        host: usize,
        controller: &Controller,
        machine: &mut Machine,
    ) -> Result<(), Problem> {
        let malformed = Problem::BadProperty("interrupt-map");
        let mut cells = self.routes.map(Value::cells).unwrap_or_default();
        while !cells.is_empty() {
            let mut next = || cells.next().ok_or(malformed);
            let [address, _, _, pin, parent] = [next()?, next()?, next()?, next()?, next()?];
            // How much follows for another controller only that could say.
            if Some(parent) != controller.handle {
                return Err(Problem::ForeignInterrupt);
            }
            for _ in 0..controller.address_cells.min(MOST_CELLS) {
                next()?;
            }
            let interrupt = controller.next_interrupt(&mut cells).ok_or(malformed)?;
            let host = u8::try_from(host).map_err(|_| Problem::NoRoom)?;
            let (address, pin) = (address & self.host.mask.0, pin & self.host.mask.1);
            let route = PciRoute { host, address, pin, interrupt };
            machine.pci_routes.push(route).map_err(|_| Problem::NoRoom)?;
        }
        Ok(())
    }
}

/// More cells than an address can have.
const MOST_CELLS: u32 = 4;

/// The numbers of the first and the last bus: what the node says, as far as there is configuration
/// space for them.
fn bus_range(
    properties: &Properties,
    configuration: PhysicalRange,
    layout: Layout,
) -> Result<(u8, u8), Problem> {
    let malformed = Problem::BadProperty("bus-range");
    let (first, last) = match properties.bus_range {
        None => (0, u8::MAX),
        Some(range) => {
            let mut cells = range.cells();
            let mut next = || u8::try_from(cells.next()?).ok();
            (next().ok_or(malformed)?, next().ok_or(malformed)?)
        }
    };
    if first > last {
        return Err(malformed);
    }
    let buses = (configuration.length() / layout.bus()).checked_sub(1);
    let more = buses.ok_or(Problem::BadProperty("reg"))?;
    Ok((first, last.min(first.saturating_add(u8::try_from(more).unwrap_or(u8::MAX)))))
}

/// The node's `ranges`, those of memory: what is ports is not used.
fn memory<'t>(
    properties: &Properties<'t>,
    buses: &Buses<'t>,
) -> impl Iterator<Item = Result<MemoryWindow, Problem>> {
    /// In the first cell of an address: which space it is in. Bits 25 and 24.
    const MEMORY: u32 = 2 << 24;
    const KIND: u32 = 3 << 24;
    const PREFETCHABLE: u32 = 1 << 30;
    let parent_cells = buses.parent_address_cells();
    let mut cells = properties.ranges.map(Value::cells).unwrap_or_default();
    let next = move || {
        if cells.is_empty() {
            return None;
        }
        let entry = (|| {
            let (kind, bus) = (cells.next()?, cells.number(2)?);
            Some((kind, bus, cells.number(parent_cells?)?, cells.number(2)?))
        })();
        if entry.is_none() {
            cells = Default::default();
        }
        Some(entry.ok_or(Problem::BadProperty("ranges")))
    };
    core::iter::from_fn(next).filter_map(|entry| match entry {
        Ok((kind, bus, start, length)) => (kind & KIND & MEMORY != 0 && length > 0).then(|| {
            let memory = buses.translate(start, length)?;
            bus.checked_add(length).ok_or(Problem::BadProperty("ranges"))?;
            Ok(MemoryWindow { memory, bus, is_prefetchable: kind & PREFETCHABLE != 0 })
        }),
        Err(problem) => Some(Err(problem)),
    })
}

/// The node's `interrupt-map-mask`. What is not masked counts.
fn mask(value: Option<Value>) -> Result<(u32, u32), Problem> {
    let malformed = Problem::BadProperty("interrupt-map-mask");
    // An empty one is there to say that there are no interrupts.
    let Some(mut cells) = value.filter(|value| !value.0.is_empty()).map(Value::cells) else {
        return Ok((u32::MAX, u32::MAX));
    };
    let mut next = || cells.next().ok_or(malformed);
    let [address, _, _, pin] = [next()?, next()?, next()?, next()?];
    Ok((address, pin))
}

/// Where messages go: the node's `msi-map`, else its `msi-parent`, by which all keep their numbers.
fn messages(properties: &Properties) -> Result<(Vec<MessageMap, MESSAGE_MAPS>, u16), Problem> {
    let mut maps = Vec::new();
    let Some(map) = properties.msi_map else {
        if let Some(parent) = properties.msi_parent {
            let controller = parent.cells().next().ok_or(Problem::BadProperty("msi-parent"))?;
            // There is room for one.
            let _ = maps.push(MessageMap { first: 0, count: 0x1_0000, controller, number: 0 });
        }
        return Ok((maps, u16::MAX));
    };
    let malformed = Problem::BadProperty("msi-map");
    let mut cells = map.cells();
    while !cells.is_empty() {
        let mut next = || cells.next().ok_or(malformed);
        let [first, controller, number, count] = [next()?, next()?, next()?, next()?];
        let map = MessageMap { first, count, controller, number };
        maps.push(map).map_err(|_| Problem::NoRoom)?;
    }
    let mask = properties.msi_map_mask.map_or(Some(u16::MAX.into()), Value::cell);
    let mask = mask.ok_or(Problem::BadProperty("msi-map-mask"))?;
    Ok((maps, (mask & 0xffff) as u16))
}
