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
}

/// What was found behind a host bridge.
#[derive(Debug, Default)]
pub struct Walked {
    /// Functions that are virtio devices: those of a bus, and of all behind it, stand together.
    pub found: Vec<Found, FUNCTIONS>,
    /// What nobody drives here, by maker and device, bridges apart.
    pub others: Vec<(Address, u16, u16), COMPLAINTS>,
    /// What is wrong with which function.
    pub complaints: Vec<(Address, PciError), COMPLAINTS>,
    pub(super) bridges: Vec<Bridge, BRIDGES>,
    /// The highest bus number in use.
    pub(super) last_bus: u8,
}

/// Looks for functions behind a host bridge, and numbers the buses that have no number yet.
pub fn walk(host: &HostBridge, map: &mut Map<'_>) -> Walked {
    let mut walk = Walk {
        host,
        map,
        walked: Walked { last_bus: host.first_bus, ..Walked::default() },
        way: Vec::new(),
    };
    walk.bus(host.first_bus, DEVICES, host.last_bus);
    walk.walked
}

struct Walk<'h, 'm, 'w> {
    host: &'h HostBridge,
    map: &'m mut Map<'w>,
    walked: Walked,
    /// The bridges on the way to where we are.
    way: Vec<Address, BRIDGES>,
}

impl Walk<'_, '_, '_> {
    /// Looks at a bus, behind which none is numbered higher than `end`.
    fn bus(&mut self, bus: u8, devices: u8, end: u8) {
        let above = self.way.last().copied();
        let whole = Address { bus, device: 0, function: 0 };
        let window = match self.host.bus(bus, devices) {
            Ok(range) => (self.map)(range).ok_or(PciError::Unmapped),
            Err(error) => Err(error),
        };
        match window {
            Ok(window) => (0..devices).for_each(|device| self.device(window, bus, device, end)),
            Err(error) => self.walked.complain(above.unwrap_or(whole), error),
        }
    }

    /// Looks at a device: at its first function, and at the others if that says that there are some.
    fn device(&mut self, window: Window, bus: u8, device: u8, end: u8) {
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
                    self.function(found, layout, end);
                }
                None => has_more = function > 0,
            }
        }
    }

    fn function(&mut self, function: Function, layout: u8, end: u8) {
        let address = function.address();
        let (vendor, device) = (function.vendor_id(), function.device_id());
        match layout {
            BRIDGE => {
                if let Err(error) = self.bridge(function, end) {
                    self.walked.complain(address, error);
                }
            }
            0 if is_virtio(vendor, device) => {
                let found = Found { function, pin: self.pin(&function) };
                if self.walked.found.push(found).is_err() {
                    self.walked.complain(address, PciError::TooMany);
                }
            }
            _ if function.class() == BRIDGES_CLASS => {}
            // There is no room for more than would be read.
            _ => drop(self.walked.others.push((address, vendor, device))),
        }
    }

    /// Goes through a bridge.
    fn bridge(&mut self, function: Function, end: u8) -> Result<(), PciError> {
        let taken = self.walked.last_bus;
        let bridge = match Bridge::found(function, taken, end) {
            Some(bridge) => bridge,
            None if self.host.is_set_up => return Err(PciError::NotSetUp),
            None => {
                let number = taken.checked_add(1).filter(|number| *number <= end);
                let number = number.ok_or(PciError::NoBus)?;
                Bridge::number(function, number, end).ok_or(PciError::NumbersLost)?
            }
        };
        let at = self.walked.bridges.len();
        self.walked.bridges.push(bridge).map_err(|_| PciError::TooMany)?;
        self.way.push(function.address()).map_err(|_| PciError::TooMany)?;
        self.walked.last_bus = bridge.secondary;
        self.bus(bridge.secondary, bridge.devices(), bridge.subordinate);
        let _ = self.way.pop();
        let last = self.walked.last_bus;
        match self.walked.bridges.get_mut(at) {
            Some(bridge) if bridge.is_ours => bridge.end_at(last),
            _ => self.walked.last_bus = bridge.subordinate,
        }
        Ok(())
    }

    /// Where a function's pin leads to on the root bus.
    fn pin(&self, function: &Function) -> Option<(Address, u8)> {
        let mut pin = function.pin()?;
        let mut address = function.address();
        for bridge in self.way.iter().rev() {
            pin = (pin + address.device) % 4;
            address = *bridge;
        }
        Some((address, pin))
    }
}

impl Walked {
    pub(super) fn complain(&mut self, address: Address, error: PciError) {
        // What does not fit is one complaint of many.
        let _ = self.complaints.push((address, error));
    }
}
