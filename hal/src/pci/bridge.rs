//! Bridges to further buses (PCI-to-PCI Bridge Architecture 1.2, section 3.2).

use super::registers::{
    IO_BASE, IO_LIMIT, MEMORY_BASE, MEMORY_LIMIT, PREFETCHABLE_BASE, PREFETCHABLE_LIMIT,
    PRIMARY_BUS, SECONDARY_BUS, SUBORDINATE_BUS, capability, command,
};
use super::{Address, Function};

/// The layout of a bridge's header.
pub(super) const BRIDGE: u8 = 1;
/// Kinds of ports (PCI Express Base, section 7.5.3.2).
const ROOT_PORT: u16 = 4;
const DOWNSTREAM_PORT: u16 = 6;
const TO_PCI: u16 = 7;
const FROM_PCI: u16 = 8;
/// What a bridge passes on begins and ends at multiples of this.
pub(super) const GRANULE: u64 = 1 << 20;
/// In its registers the upper 12 bits of 32 are those of an address.
const ADDRESS: u32 = 0xfff0_0000;
/// The upper halves of the addresses of prefetchable memory.
const PREFETCHABLE_BASE_UPPER: usize = 0x28;
const PREFETCHABLE_LIMIT_UPPER: usize = 0x2c;

/// A bridge that was gone through.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bridge {
    pub(super) function: Function,
    /// The buses behind it: the next one, and the last one.
    pub(super) secondary: u8,
    pub(super) subordinate: u8,
    /// Whether it has its numbers from here, and so is to get its windows from here.
    pub(super) is_ours: bool,
}

impl Bridge {
    /// The numbers of a bridge's buses as they were found, if they can be: behind its own bus, and none
    /// after `last`.
    pub(super) fn found(function: Function, last: u8) -> Option<Self> {
        let registers = function.registers();
        let bus = function.address().bus;
        let own = registers.read8(PRIMARY_BUS) == bus;
        let (secondary, subordinate) =
            (registers.read8(SECONDARY_BUS), registers.read8(SUBORDINATE_BUS));
        (own && secondary > bus && subordinate >= secondary && subordinate <= last)
            .then_some(Self { function, secondary, subordinate, is_ours: false })
    }

    /// Numbers the next bus behind a bridge, and has everything up to `last` looked for behind it for
    /// now. `None` if it does not keep that. Nothing else is passed on yet.
    pub(super) fn number(function: Function, secondary: u8, last: u8) -> Option<Self> {
        let mut bridge = Self { function, secondary, subordinate: last, is_ours: true };
        bridge.function.registers().write8(PRIMARY_BUS, function.address().bus);
        bridge.function.registers().write8(SECONDARY_BUS, secondary);
        bridge.end_at(last);
        bridge.pass_on(None, None);
        let registers = function.registers();
        let kept =
            registers.read8(SECONDARY_BUS) == secondary && registers.read8(SUBORDINATE_BUS) == last;
        kept.then_some(bridge)
    }

    /// The number of the last bus behind it.
    pub(super) fn end_at(&mut self, last: u8) {
        self.subordinate = last;
        self.function.registers().write8(SUBORDINATE_BUS, last);
    }

    /// Has a bridge pass nothing on, neither to what is behind it nor from there: it is to be numbered,
    /// or cannot be gone through.
    pub(super) fn close(function: &Function) {
        function.command(command::INTERRUPT_DISABLE, command::MEMORY | command::BUS_MASTER);
        function.registers().write8(SECONDARY_BUS, 0);
        function.registers().write8(SUBORDINATE_BUS, 0);
    }

    /// Whether a bus is behind both.
    pub(super) const fn meets(&self, other: &Self) -> bool {
        self.secondary <= other.subordinate && other.secondary <= self.subordinate
    }

    /// Whether a bus is behind it.
    pub(super) const fn leads_to(&self, bus: u8) -> bool {
        self.secondary <= bus && bus <= self.subordinate
    }

    /// How many devices there can be on the bus behind it: one at the end of a link of PCI Express
    /// that leads away from the processor.
    pub(super) fn devices(&self) -> u8 {
        match self.express() {
            Some(ROOT_PORT | DOWNSTREAM_PORT) => 1,
            _ => 32,
        }
    }

    /// In whose name it passes on what comes from behind it, if not in that of whoever sent it: the older
    /// PCI has no names. A bridge from PCI Express makes one up (PCI Express to PCI/PCI-X Bridge
    /// Specification 1.0, section 2.3), any other is itself the one that is seen.
    pub(super) fn requester(&self) -> Option<Address> {
        match self.express() {
            Some(TO_PCI) => Some(Address { bus: self.secondary, device: 0, function: 0 }),
            Some(FROM_PCI) | None => Some(self.function.address()),
            Some(_) => None,
        }
    }

    /// What it is to PCI Express: its kind of port; `None` if it is of the older PCI.
    fn express(&self) -> Option<u16> {
        let (_, registers) =
            self.function.capabilities().find(|(id, _)| *id == capability::EXPRESS)?;
        Some(registers.read16(2) >> 4 & 0xf)
    }

    /// Has it pass on what lies in this memory, from start to end: below 4 GiB, and prefetchable.
    /// Nothing of what is `None`; no ports.
    pub(super) fn pass_on(&self, low: Option<(u64, u64)>, prefetchable: Option<(u64, u64)>) {
        /// A window that ends before it begins.
        const CLOSED: (u64, u64) = (0xfff0_0000, 0);
        let registers = self.function.registers();
        let half = |address: u64| u16::try_from((address & u64::from(ADDRESS)) >> 16).unwrap_or(0);
        let last = |(start, end): (u64, u64)| if end > start { end - 1 } else { 0 };
        let low = low.unwrap_or(CLOSED);
        registers.write8(IO_BASE, 0xf0);
        registers.write8(IO_LIMIT, 0);
        registers.write16(MEMORY_BASE, half(low.0));
        registers.write16(MEMORY_LIMIT, half(last(low)));
        let wide = prefetchable.unwrap_or(CLOSED);
        registers.write16(PREFETCHABLE_BASE, half(wide.0));
        registers.write16(PREFETCHABLE_LIMIT, half(last(wide)));
        registers.write32(PREFETCHABLE_BASE_UPPER, (wide.0 >> 32) as u32);
        registers.write32(PREFETCHABLE_LIMIT_UPPER, (last(wide) >> 32) as u32);
    }

    /// What it was found to pass on: memory, and prefetchable memory. Where that ends before it begins,
    /// nothing.
    pub(super) fn passes_on(&self) -> [(u64, u64); 2] {
        let registers = self.function.registers();
        let half = |register| u64::from(registers.read16(register) & 0xfff0) << 16;
        let upper = |register| u64::from(registers.read32(register)) << 32;
        let end = |last: u64| last.saturating_add(GRANULE);
        let base = half(PREFETCHABLE_BASE) | upper(PREFETCHABLE_BASE_UPPER);
        let limit = half(PREFETCHABLE_LIMIT) | upper(PREFETCHABLE_LIMIT_UPPER);
        [(half(MEMORY_BASE), end(half(MEMORY_LIMIT))), (base, end(limit))]
    }

    /// Has it pass on what is asked for, in both directions.
    pub(super) fn open(&self) {
        self.function.command(command::MEMORY | command::BUS_MASTER, 0);
    }
}
