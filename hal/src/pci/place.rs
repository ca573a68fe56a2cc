//! Giving functions their memory: what has a place that can be reached keeps it, what has none gets
//! one apart from all that is taken.
//!
//! Behind a bridge that was numbered here, memory lies apart from that of other buses, in whole
//! granules of bridges. What was there before means nothing, as the bridge passes other memory on now.
//! Places are given out bus by bus, each before those behind its bridges, so what is between the first
//! and the last of them behind a bridge is the bridge's to pass on.

use heapless::Vec;

use super::bars::{Bar, Bars};
use super::bridge::Bridge;
use super::device::Device;
use super::registers::command;
use super::room::{Room, Side};
use super::{FUNCTIONS, Found, Function, HostBridge, PciError, Walked};
use crate::address::PhysicalRange;

impl Walked {
    /// Sees to it that each function that was found has its memory where it can be reached, turns
    /// that on, and gives the functions; those that have none become complaints. None of them
    /// interrupts yet, or reaches memory.
    pub fn place(&mut self, host: &HostBridge) -> Vec<Device, FUNCTIONS> {
        let sized: Vec<_, FUNCTIONS> =
            self.found.iter().map(|found| (*found, found.function.bars())).collect();
        let mut room = self.room(host, &sized);
        let mut devices = Vec::new();
        let mut bus = host.first_bus;
        for next in 0..=self.bridges.len() {
            self.settle_bridges(host, &mut room, bus);
            for (found, bars) in sized.iter().filter(|(found, _)| found.function.is_on(bus)) {
                match self.settle(host, &mut room, found, bars) {
                    Ok(device) => drop(devices.push(device)),
                    Err(error) => {
                        if !host.is_set_up {
                            found.function.turn_off();
                        }
                        self.complain(found.function.address(), error);
                    }
                }
            }
            bus = self.bridges.get(next).map_or(bus, |bridge| bridge.secondary);
        }
        for bridge in &self.bridges {
            if bridge.is_ours {
                bridge.pass_on(room.behind(bridge, Side::Low), room.behind(bridge, Side::High));
            }
            bridge.open();
        }
        for device in &devices {
            device.function.command(command::MEMORY | command::INTERRUPT_DISABLE, 0);
        }
        devices
    }

    /// What is left of the host bridge's memory when all have what they keep.
    fn room(&self, host: &HostBridge, sized: &[(Found, Bars)]) -> Room {
        let mut room = Room::of(host);
        let mut keep = |function: &Function, bars: &Bars| {
            let kept = bars.iter().flatten().filter(|bar| self.kept(host, function, bar).is_some());
            kept.for_each(|bar| room.keep(bar.start, bar.start.saturating_add(bar.size)));
        };
        sized.iter().for_each(|(found, bars)| keep(&found.function, bars));
        if !host.is_set_up {
            let bridges = self.bridges.iter().map(|bridge| bridge.function);
            bridges.for_each(|function| keep(&function, &function.bars()));
        }
        for bridge in self.bridges.iter().filter(|bridge| !bridge.is_ours) {
            bridge.passes_on().into_iter().for_each(|(start, end)| room.keep(start, end));
        }
        room
    }

    /// Where the processor sees memory that stays where it was found. What says 0 is nowhere, even
    /// where the bus has memory there, unless nobody here is to know better.
    fn kept(&self, host: &HostBridge, function: &Function, bar: &Bar) -> Option<PhysicalRange> {
        let is_somewhere = bar.start != 0 || host.is_set_up;
        let is_passed_on = self.above(function).all(|bridge| !bridge.is_ours);
        (is_somewhere && is_passed_on).then(|| host.seen(bar.start, bar.size)).flatten()
    }

    /// The bridges on the way to a function.
    fn above(&self, function: &Function) -> impl Iterator<Item = &Bridge> {
        let bus = function.address().bus;
        self.bridges.iter().filter(move |bridge| bridge.leads_to(bus))
    }

    /// Puts a function's memory where it can be, and notes where the processor sees it.
    fn settle(
        &self,
        host: &HostBridge,
        room: &mut Room,
        found: &Found,
        bars: &Bars,
    ) -> Result<Device, PciError> {
        let Found { function, pin, requester } = *found;
        let mut device = Device { function, pin, requester, bars: Default::default() };
        for bar in bars.iter().flatten() {
            let seen = match self.kept(host, &function, bar) {
                Some(seen) => seen,
                None => self.put(host, room, &function, bar)?,
            };
            if let Some(place) = device.bars.get_mut(usize::from(bar.index)) {
                *place = Some(seen);
            }
        }
        Ok(device)
    }

    /// The same for what the bridges on a bus have themselves, which is of no use here, and answers all
    /// the same once a bridge passes anything on.
    fn settle_bridges(&self, host: &HostBridge, room: &mut Room, bus: u8) {
        let bridges = self.bridges.iter().map(|bridge| bridge.function);
        for function in bridges.filter(|function| !host.is_set_up && function.is_on(bus)) {
            for bar in function.bars().iter().flatten() {
                let is_kept = self.kept(host, &function, bar).is_some();
                if !is_kept && self.put(host, room, &function, bar).is_err() {
                    // Nothing is ever given out there.
                    function.put(bar, 0);
                }
            }
        }
    }

    fn put(
        &self,
        host: &HostBridge,
        room: &mut Room,
        function: &Function,
        bar: &Bar,
    ) -> Result<PhysicalRange, PciError> {
        // What a bridge passes on that was found so is full, or not known to be free.
        if host.is_set_up || self.above(function).any(|bridge| !bridge.is_ours) {
            return Err(PciError::NotSetUp);
        }
        let none = PciError::NoRoom(bar.index, bar.size);
        let outermost = self.above(function).next();
        let start = room.give(bar, function.address().bus, outermost).ok_or(none)?;
        function.command(0, command::DECODE);
        function.put(bar, start);
        host.seen(start, bar.size).ok_or(none)
    }
}
