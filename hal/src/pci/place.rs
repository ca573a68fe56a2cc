//! Giving functions their memory: what has a place that can be reached keeps it, what has none gets
//! one above all that is taken.
//!
//! Behind a bridge that was numbered here, memory lies apart from that of other buses, in whole
//! granules of bridges; as the functions behind a bridge stand together in the list, and places are
//! given out in its order, what is between the first and the last of them is the bridge's to pass on.

use heapless::Vec;

use super::bars::Bar;
use super::bridge::GRANULE;
use super::device::Device;
use super::host::WINDOWS;
use super::registers::command;
use super::{FUNCTIONS, Found, Function, HostBridge, PciError, Walked};
use crate::address::PhysicalRange;

const FOUR_GIB: u64 = 1 << 32;

impl Walked {
    /// Sees to it that each function that was found has its memory where it can be reached, turns
    /// that on, and gives the functions; those that have none become complaints. None of them
    /// interrupts by its pin yet.
    pub fn place(&mut self, host: &HostBridge) -> Vec<Device, FUNCTIONS> {
        let mut room = Room::of(host);
        let sized: Vec<_, FUNCTIONS> =
            self.found.iter().map(|found| (*found, found.function.bars())).collect();
        let all = sized.iter().flat_map(|(_, bars)| bars).flatten();
        for bar in all.filter(|bar| host.seen(bar.start, bar.size).is_some()) {
            room.keep(bar.start, bar.start.saturating_add(bar.size));
        }
        for bridge in self.bridges.iter().filter(|bridge| !bridge.is_ours) {
            bridge.passes_on().into_iter().for_each(|(start, end)| room.keep(start, end));
        }
        let mut devices = Vec::new();
        for (found, bars) in &sized {
            match self.settle(host, &mut room, found, bars) {
                Ok(device) => drop(devices.push(device)),
                Err(error) => self.complain(found.function.address(), error),
            }
        }
        for bridge in &self.bridges {
            if bridge.is_ours {
                let behind = |given: &&Given| bridge.leads_to(given.bus);
                let span = |is_low: bool| {
                    let all = room.given.iter().filter(behind);
                    all.filter(|given| (given.start < FOUR_GIB) == is_low).fold(None, Given::join)
                };
                bridge.pass_on(span(true), span(false));
            }
            bridge.open();
        }
        for device in &devices {
            device
                .function
                .command(command::MEMORY | command::BUS_MASTER | command::INTERRUPT_DISABLE, 0);
        }
        devices
    }

    /// Puts a function's memory where it can be, and notes where the processor sees it.
    fn settle(
        &self,
        host: &HostBridge,
        room: &mut Room,
        found: &Found,
        bars: &[Option<Bar>],
    ) -> Result<Device, PciError> {
        let Found { function, pin } = *found;
        let mut device = Device { function, pin, bars: Default::default() };
        let above = self.bridges.iter().rfind(|bridge| bridge.leads_to(function.address().bus));
        let may_be_put = !host.is_set_up && above.is_none_or(|bridge| bridge.is_ours);
        for bar in bars.iter().flatten() {
            let seen = match host.seen(bar.start, bar.size) {
                Some(seen) => seen,
                None if !may_be_put => return Err(PciError::NotSetUp),
                None => self.put(host, room, &function, bar)?,
            };
            if let Some(place) = device.bars.get_mut(usize::from(bar.index)) {
                *place = Some(seen);
            }
        }
        Ok(device)
    }

    fn put(
        &self,
        host: &HostBridge,
        room: &mut Room,
        function: &Function,
        bar: &Bar,
    ) -> Result<PhysicalRange, PciError> {
        let none = PciError::NoRoom(bar.index, bar.size);
        let bus = function.address().bus;
        let start = room.give(bar, bus, bus != host.first_bus).ok_or(none)?;
        function.command(0, command::DECODE);
        function.put(bar, start);
        host.seen(start, bar.size).ok_or(none)
    }
}

/// What was given out.
struct Given {
    bus: u8,
    start: u64,
    end: u64,
}

impl Given {
    /// The granules from the first to the last of several.
    fn join(span: Option<(u64, u64)>, given: &Self) -> Option<(u64, u64)> {
        let (start, end) = span.unwrap_or((u64::MAX, 0));
        let last = given.end.checked_next_multiple_of(GRANULE)?;
        Some((start.min(given.start / GRANULE * GRANULE), end.max(last)))
    }
}

/// What is left of the host bridge's memory.
struct Room {
    /// Where each window's free part begins on the bus, and where it ends.
    free: Vec<(u64, u64), WINDOWS>,
    /// The bus that memory was last given to.
    bus: Option<u8>,
    given: Vec<Given, { FUNCTIONS * super::bars::BARS }>,
}

impl Room {
    fn of(host: &HostBridge) -> Self {
        // Nothing is at 0: to a function it says that it is nowhere.
        let free = host.windows.iter().map(|window| (window.bus.max(GRANULE), window.end()));
        Self { free: free.collect(), bus: None, given: Vec::new() }
    }

    /// Spares what is taken, from start to end, and all below it.
    fn keep(&mut self, start: u64, end: u64) {
        for (next, last) in &mut self.free {
            if start < end && start < *last && end > *next {
                *next = end.min(*last);
            }
        }
    }

    /// Finds memory for a register. Below 4 GiB first, where everything can be.
    fn give(&mut self, bar: &Bar, bus: u8, is_behind_a_bridge: bool) -> Option<u64> {
        if self.bus.replace(bus).is_some_and(|last| last != bus) {
            for (next, end) in &mut self.free {
                *next = next.checked_next_multiple_of(GRANULE).unwrap_or(*end);
            }
        }
        // The last one of a bridge must be whole, or its neighbour would be passed on as well.
        let align = if is_behind_a_bridge { GRANULE } else { 1 };
        let can_be_high = bar.is_wide && (bar.is_prefetchable || !is_behind_a_bridge);
        let mut places = self.free.iter_mut().filter_map(|(next, end)| {
            let start = next.checked_next_multiple_of(bar.size)?;
            let last = start.checked_add(bar.size)?;
            let whole = last.checked_next_multiple_of(align)?;
            (whole <= *end && (can_be_high || last <= FOUR_GIB)).then_some((start, last, next))
        });
        let first = places.next()?;
        let (start, end, next) = match first.0 < FOUR_GIB {
            true => first,
            false => places.find(|place| place.0 < FOUR_GIB).unwrap_or(first),
        };
        *next = end;
        // There is room for all registers of all functions.
        let _ = self.given.push(Given { bus, start, end });
        Some(start)
    }
}
