//! Looking for functions: on the root bus, and behind the bridges that are there. Each access may be
//! a trap to the hypervisor, so nothing else is looked at: one read for a device that is not there.

use heapless::Vec;

use super::bridge::{BRIDGE, Bridge};
use super::{Address, BRIDGES, FUNCTIONS, Function, HostBridge, Map, PciError};
use crate::mmio::Window;
use crate::virtio::is_virtio;

/// How many devices a bus has.
const DEVICES: u8 = 32;
/// And functions a device.
const DEVICE_FUNCTIONS: u8 = 8;
/// The base class of bridges (appendix D), of which none is missed.
const BRIDGES_CLASS: u8 = 0x06;
/// Of these, the way of all others to memory, and then those to buses older than PCI (ISA, EISA, Micro
/// Channel), behind which the console may be.
const HOST: u8 = 0;
const OLDEST: core::ops::RangeInclusive<u8> = 1..=3;
/// How many complaints are kept.
const COMPLAINTS: usize = 8;

/// A function that there may be a driver for, and how it interrupts.
#[derive(Clone, Copy, Debug)]
pub struct Found {
    /// The function.
    pub function: Function,
    /// Whose interrupt it is on the root bus, and by which pin (0 to 3), after each bridge on the way
    /// has turned the pins by the number of the device (PCI-to-PCI Bridge Architecture, section 9.1).
    /// `None`: it has no pin.
    pub pin: Option<(Address, u8)>,
    /// Whose messages its messages are to the host bridge.
    pub requester: Address,
}

/// What was found behind a host bridge.
#[derive(Debug, Default)]
pub struct Walked {
    /// Functions that are virtio devices: those of a bus, then those behind its bridges.
    pub found: Vec<Found, FUNCTIONS>,
    /// What nobody drives here, by maker and device, bridges apart.
    pub others: Vec<(Address, u16, u16), COMPLAINTS>,
    /// What is wrong with which function.
    pub complaints: Vec<(Address, PciError), COMPLAINTS>,
    /// Each before those behind it.
    pub(super) bridges: Vec<Bridge, BRIDGES>,
}

/// Looks for functions behind a host bridge, ends what firmware had them do, and numbers the buses that
/// have no number yet.
pub fn walk(host: &HostBridge, map: &mut Map<'_>) -> Walked {
    let mut walk = Walk { host, map, walked: Walked::default(), way: Vec::new() };
    if let Err(error) = walk.bus(host.first_bus, DEVICES, host.last_bus, Numbers::Kept) {
        let root = Address { bus: host.first_bus, device: 0, function: 0 };
        walk.walked.complain(root, error);
    }
    walk.walked
}

struct Walk<'h, 'm, 'w> {
    host: &'h HostBridge,
    map: &'m mut Map<'w>,
    walked: Walked,
    /// The bridges on the way to where we are.
    way: Vec<Bridge, BRIDGES>,
}

/// What becomes of the numbers that the bridges on a bus were found with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Numbers {
    /// They stay, if they can be.
    Kept,
    /// The bus itself has a new one, so theirs mean nothing.
    New,
}

/// The bridges on a bus.
type OnBus = Vec<Function, BRIDGES>;

impl Walk<'_, '_, '_> {
    /// Looks at a bus, behind which none is numbered higher than `end`: at its devices, then at what is
    /// behind its bridges. Gives the last number that is in use there. An error: it cannot be looked at.
    fn bus(&mut self, bus: u8, devices: u8, end: u8, numbers: Numbers) -> Result<u8, PciError> {
        let window = (self.map)(self.host.bus(bus, devices)?).ok_or(PciError::Unmapped)?;
        let mut bridges = OnBus::new();
        (0..devices).for_each(|device| self.device(window, bus, device, &mut bridges));
        Ok(self.behind(&bridges, bus, end, numbers))
    }

    /// Looks at a device: at its first function, and at the others if that says that there are some.
    fn device(&mut self, window: Window, bus: u8, device: u8, bridges: &mut OnBus) {
        let mut has_more = true;
        for function in 0..DEVICE_FUNCTIONS {
            if !has_more {
                break;
            }
            let address = Address { bus, device, function };
            let length = usize::try_from(self.host.layout.function()).unwrap_or(0);
            let registers = window.part(self.host.offset(address), length);
            let answers = registers.and_then(|registers| Function::look(registers, address));
            match answers {
                Some(found) => {
                    let (layout, many) = found.header();
                    has_more = function > 0 || many;
                    self.function(found, layout, bridges);
                }
                None => has_more = function > 0,
            }
        }
    }

    fn function(&mut self, function: Function, layout: u8, bridges: &mut OnBus) {
        let address = function.address();
        if layout == BRIDGE {
            if bridges.push(function).is_err() {
                self.refuse(&function, PciError::TooMany);
            }
            return;
        }
        let (vendor, device) = (function.vendor_id(), function.device_id());
        if layout == 0 && is_virtio(vendor, device) {
            function.silence();
            let (pin, requester) = (self.pin(&function), self.requester(&function));
            let found = Found { function, pin, requester };
            if self.walked.found.push(found).is_err() {
                self.turn_off(&function);
                self.walked.complain(address, PciError::TooMany);
            }
            return;
        }
        match function.class() {
            (BRIDGES_CLASS, HOST) if address.bus == self.host.first_bus => {}
            (BRIDGES_CLASS, kind) if OLDEST.contains(&kind) => function.silence(),
            (BRIDGES_CLASS, _) => self.turn_off(&function),
            _ => {
                self.turn_off(&function);
                // There is no room for more than would be read.
                let _ = self.walked.others.push((address, vendor, device));
            }
        }
    }

    /// Turns a function off that nobody drives, and with it its memory, so that this can be given to
    /// others: where nothing is given out it may stay.
    fn turn_off(&self, function: &Function) {
        if self.host.is_set_up { function.silence() } else { function.turn_off() }
    }

    /// Goes through the bridges on a bus: first through those whose numbers stay, as the others get those
    /// that are left. Gives the last number in use.
    fn behind(&mut self, bridges: &OnBus, bus: u8, end: u8, numbers: Numbers) -> u8 {
        let (mut kept, mut unnumbered) = (Vec::<Bridge, BRIDGES>::new(), OnBus::new());
        for function in bridges {
            let found = Bridge::found(*function, end)
                .filter(|found| numbers == Numbers::Kept && !kept.iter().any(|k| k.meets(found)));
            // There is room for all of a bus.
            match found {
                Some(bridge) => drop(kept.push(bridge)),
                None if self.host.is_set_up => self.refuse(function, PciError::NotSetUp),
                None => {
                    // It would answer for buses that are not behind it.
                    Bridge::close(function);
                    let _ = unnumbered.push(*function);
                }
            }
        }
        let mut taken = bus;
        for bridge in &kept {
            taken = taken.max(bridge.subordinate);
            if let Err(error) = self.through(*bridge) {
                self.refuse(&bridge.function, error);
            }
        }
        for function in &unnumbered {
            match self.number(*function, taken, end) {
                Ok(last) => taken = last,
                Err(error) => self.refuse(function, error),
            }
        }
        taken
    }

    /// Numbers what is behind a bridge, from the number after `taken` on. Gives the last one.
    fn number(&mut self, function: Function, taken: u8, end: u8) -> Result<u8, PciError> {
        if self.walked.bridges.is_full() {
            return Err(PciError::TooMany); // before it is told any number
        }
        let number = taken.checked_add(1).filter(|number| *number <= end);
        let number = number.ok_or(PciError::NoBus)?;
        let bridge = Bridge::number(function, number, end).ok_or(PciError::NumbersLost)?;
        self.through(bridge)
    }

    /// Goes through a bridge. Gives the last number in use behind it.
    fn through(&mut self, bridge: Bridge) -> Result<u8, PciError> {
        let at = self.walked.bridges.len();
        self.walked.bridges.push(bridge).map_err(|_| PciError::TooMany)?;
        // There is room for as many as were gone through.
        let _ = self.way.push(bridge);
        let numbers = if bridge.is_ours { Numbers::New } else { Numbers::Kept };
        let last = self.bus(bridge.secondary, bridge.devices(), bridge.subordinate, numbers);
        let _ = self.way.pop();
        if last.is_err() {
            // Whatever is there goes on as firmware had it: it is to stay cut off.
            self.walked.bridges.pop();
        }
        let last = last?;
        if let Some(bridge) = self.walked.bridges.get_mut(at).filter(|bridge| bridge.is_ours) {
            bridge.end_at(last);
        }
        Ok(last)
    }

    /// Leaves out what is behind a bridge, and has it reach no memory.
    fn refuse(&mut self, function: &Function, error: PciError) {
        if self.host.is_set_up {
            function.silence();
        } else {
            Bridge::close(function);
        }
        self.walked.complain(function.address(), error);
    }

    /// Where a function's pin leads to on the root bus.
    fn pin(&self, function: &Function) -> Option<(Address, u8)> {
        let mut pin = function.pin()?;
        let mut address = function.address();
        for bridge in self.way.iter().rev() {
            pin = (pin + address.device) % 4;
            address = bridge.function.address();
        }
        Some((address, pin))
    }

    /// Whose messages a function's are: its own, unless a bridge on the way takes them for its own.
    fn requester(&self, function: &Function) -> Address {
        let inner_first = self.way.iter().rev();
        inner_first.fold(function.address(), |own, bridge| bridge.requester().unwrap_or(own))
    }
}

impl Walked {
    pub(super) fn complain(&mut self, address: Address, error: PciError) {
        // What does not fit is one complaint of many.
        let _ = self.complaints.push((address, error));
    }
}
