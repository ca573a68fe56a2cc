//! Devices behind the host bridges of PCI: looked for, given their memory, and how they interrupt: by
//! messages where somebody takes those, else by their pins. All of this is the boot's.

use elone_hal::address::PhysicalRange;
use elone_hal::mmio::Window;
use elone_hal::pci::{self, Device as Card};
use elone_hal::virtio::{DeviceId, ProbeError, Transport, Vectors};

use super::{Devices, Heard, Place, SlotError, Wiring};
use crate::machine::{Machine, PciHost};
use crate::memory::Memory;
use crate::messages::{Messages, Requester};

/// How many messages a device has a use for: one of its queues, and one of its configuration where
/// there is somebody to tell of that. Of entropy nobody waits for an interrupt.
const fn useful_messages(id: DeviceId) -> u16 {
    match id {
        DeviceId::NET | DeviceId::BLOCK => 2,
        DeviceId::CONSOLE => 1,
        _ => 0,
    }
}

/// Finds everything behind all host bridges. The lists that takes are large, and not to lie on the stack
/// for the rest of the boot.
#[inline(never)]
pub(super) fn probe(
    machine: &Machine,
    messages: &mut Messages<'_>,
    memory: &mut Memory,
    devices: &mut Devices,
) {
    for (number, host) in machine.pci.iter().enumerate() {
        let place = |address| Place::Pci(number, address);
        let mut walked = pci::walk(&host.bridge, &mut |range| map(memory, range));
        let cards = walked.place(&host.bridge);
        for (address, error) in &walked.complaints {
            log::warn!("{}: {error}", place(*address));
        }
        for (address, vendor, device) in &walked.others {
            let at = place(*address);
            log::warn!("{at}: {vendor:04x}:{device:04x}: there is no driver for it");
        }
        for card in &cards {
            let at = place(card.function.address());
            let mut plugged = Plugged { machine, host, number, at, card };
            if let Err(error) = plugged.probe(messages, memory, devices) {
                card.function.turn_off();
                log::warn!("{at}: {error}");
            }
        }
    }
}

/// A function that may be a device of ours.
struct Plugged<'m, 'c> {
    machine: &'m Machine,
    host: &'m PciHost,
    /// Which of the machine's that is.
    number: usize,
    at: Place,
    card: &'c Card,
}

impl Plugged<'_, '_> {
    fn probe(
        &mut self,
        messages: &mut Messages<'_>,
        memory: &mut Memory,
        devices: &mut Devices,
    ) -> Result<(), SlotError> {
        let at = self.at;
        let mut transport = Transport::open_pci(self.card, &mut |range| map(memory, range))?;
        if !self.host.dma_coherent {
            log::warn!("{at}: taken to be coherent");
        }
        let id = transport.id();
        let wiring = match useful_messages(id) {
            0 => Wiring::Line(None),
            most => self
                .by_message(most, &mut transport, messages, memory)
                .unwrap_or_else(|| self.by_pin()),
        };
        let (wiring, heard) = match devices.adopt(at, transport, wiring, memory) {
            // What it said of its table is not so: it still has its line.
            Err(SlotError::Probe(error @ ProbeError::NoVector)) => {
                log::warn!("{at}: no messages from it: {error}");
                self.card.function.stop_messages();
                let again = Transport::open_pci(self.card, &mut |range| map(memory, range))?;
                (self.by_pin(), devices.adopt(at, again, self.by_pin(), memory)?)
            }
            result => (wiring, result?),
        };
        match wiring {
            Wiring::Messages { queues, .. } => {
                log::debug!("{at}: {id}: by message, {:?}", queues.line)
            }
            Wiring::Line(Some(line)) => log::debug!("{at}: {id}: by line, {:?}", line.line),
            Wiring::Line(None) => log::debug!("{at}: {id}: without interrupts"),
        }
        // Others may share the line: one that nobody takes back would hold it up for good.
        if let (Wiring::Line(Some(_)), Heard::Yes) = (wiring, heard) {
            self.card.function.use_pin();
        }
        Ok(())
    }

    /// Has the device interrupt by messages, at most so many, if it can and somebody takes them. One
    /// will do: it is for everything then.
    fn by_message(
        &self,
        most: u16,
        transport: &mut Transport,
        messages: &mut Messages<'_>,
        memory: &mut Memory,
    ) -> Option<Wiring> {
        let (controller, id) = self.host.messages(self.card.requester)?;
        let table = match self.card.message_table(&mut |range| map(memory, range)) {
            Ok(table) => table?,
            Err(error) => {
                log::warn!("{}: no messages from it: {error}", self.at);
                return None;
            }
        };
        let count = table.entries().min(most);
        let given = messages.allot(Requester { controller, id }, count.into(), memory)?;
        table.send(given.iter().map(|message| (message.address, message.data)));
        let queues = given.first()?.interrupt;
        let configuration = given.get(1).map(|message| message.interrupt);
        transport
            .use_messages(Vectors { queues: 0, configuration: configuration.map_or(0, |_| 1) });
        Some(Wiring::Messages { queues, configuration })
    }

    fn by_pin(&self) -> Wiring {
        let (address, pin) = match self.card.pin {
            Some(pin) => pin,
            None => return Wiring::Line(None),
        };
        Wiring::Line(self.machine.pci_interrupt(self.number, address, pin))
    }
}

/// Maps registers, or says why not.
fn map(memory: &mut Memory, range: PhysicalRange) -> Option<Window> {
    memory.device(range).inspect_err(|error| log::warn!("PCI, registers {range}: {error}")).ok()
}
