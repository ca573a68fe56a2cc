//! Interrupts that are messages (MSI-X: PCI Local Bus Specification 3.0, section 6.8.2): a function
//! writes what its table has to where its table says.

use super::function::Capability;
use super::registers::{capability, command};
use super::{Device, Function, Map, PciError};
use crate::mmio::Window;

/// The register that turns messages on, and says how many there can be.
const CONTROL: usize = 2;
const ENABLE: u16 = 1 << 15;
const MASK_ALL: u16 = 1 << 14;
const SIZE: u16 = 0x7ff;
/// Where the table is: an offset, and in its low bits which memory that is in.
const TABLE: usize = 4;
const BAR: u32 = 7;

/// In an entry of the table.
const ENTRY: usize = 16;
const ADDRESS_LOW: usize = 0;
const ADDRESS_HIGH: usize = 4;
const DATA: usize = 8;
const ENTRY_CONTROL: usize = 12;

/// No more entries are used, or mapped.
const MOST: u16 = 4;

/// A function's table of messages.
#[derive(Clone, Copy, Debug)]
pub struct MessageTable {
    function: Function,
    capability: Capability,
    table: Window,
    entries: u16,
}

impl Device {
    /// Finds its table of messages; `None` if it can send none. Nothing is written yet.
    ///
    /// # Errors
    /// As [`Device::region`]; [`PciError::Unmapped`].
    pub fn message_table(&self, map: &mut Map<'_>) -> Result<Option<MessageTable>, PciError> {
        let mut all = self.function.capabilities();
        let Some((_, capability)) = all.find(|(id, _)| *id == capability::MESSAGES) else {
            return Ok(None);
        };
        let entries = ((capability.read16(CONTROL) & SIZE) + 1).min(MOST);
        let place = capability.read32(TABLE);
        let length = usize::from(entries) * ENTRY;
        let region = self.region((place & BAR) as u8, (place & !BAR).into(), length as u64)?;
        // By whole pages: its neighbours there are registers too, of this function or of another one.
        let pages = region.outer_pages().ok_or(PciError::Unmapped)?;
        let offset = usize::try_from(region.start().0 - pages.start().0).unwrap_or(usize::MAX);
        let table = map(pages).and_then(|window| window.part(offset, length));
        let table = table.ok_or(PciError::Unmapped)?;
        Ok(Some(MessageTable { function: self.function, capability, table, entries }))
    }
}

impl MessageTable {
    /// How many messages there can be, as far as they are ever used.
    #[must_use]
    pub const fn entries(&self) -> u16 {
        self.entries
    }

    /// Has the function send these messages, an address and what to write there each, in place of
    /// raising its pin.
    pub fn send(&self, messages: impl Iterator<Item = (u64, u32)>) {
        let control = self.capability.read16(CONTROL);
        // Only now is the table sure to be there (section 6.8.2.3); nothing is sent yet.
        self.capability.write16(CONTROL, control | ENABLE | MASK_ALL);
        // Writes may be acknowledged before they have arrived, unlike reads.
        let _ = self.capability.read16(CONTROL);
        let mut used = 0;
        for (entry, (address, data)) in (0..usize::from(self.entries)).zip(messages) {
            let at = |register| entry * ENTRY + register;
            self.table.write32(at(ADDRESS_LOW), (address & 0xffff_ffff) as u32);
            self.table.write32(at(ADDRESS_HIGH), (address >> 32) as u32);
            self.table.write32(at(DATA), data);
            self.table.write32(at(ENTRY_CONTROL), 0);
            used = entry + 1;
        }
        for entry in used..usize::from(self.entries) {
            self.table.write32(entry * ENTRY + ENTRY_CONTROL, 1); // not to be sent
        }
        self.function.command(command::INTERRUPT_DISABLE, 0);
        // What was written to the table has arrived once it can be read there.
        let _ = self.table.read32(ENTRY_CONTROL);
        self.capability.write16(CONTROL, control & !MASK_ALL | ENABLE);
        let _ = self.capability.read16(CONTROL);
    }
}
