//! What a map must not say: checked once, so that whatever is built from a map can rely on it.

use std::ops::Range;

use anyhow::{Result, bail, ensure};

use super::{Interrupt, Map, Memory, Page, Trigger};
use crate::identity;
use crate::memory::{PAGE, TREE_ROOM};

/// An image's boundary (Linux, `Documentation/arch/arm64/booting.rst`).
const IMAGE_BOUNDARY: u64 = 2 << 20;
/// How many shared interrupts a machine has: with the cores' own 32, what KVM is asked for.
pub const SHARED: u32 = 224;
/// RAM ends below this: what every arm64 core can address.
const TEBIBYTE: u64 = 1 << 40;

/// A device's name, where it starts, and its bytes.
type Place<'m> = (&'m str, u64, u64);

impl Map {
    pub(super) fn check(&self) -> Result<()> {
        self.memory.check()?;
        ensure!(matches!(self.cores.cells, 1 | 2), "cores.cells has to be 1 or 2");
        ensure!(self.gic_v3.is_some() || self.gic_v2.is_some(), "neither gic-v3 nor gic-v2");
        ensure!(!self.serial.is_empty(), "there is no serial port");
        for port in &self.serial {
            ensure!(port.register_shift <= 3, "{}.register-shift has to be 0 to 3", port.node);
        }
        self.check_pages()?;
        if let Some(button) = &self.power_button {
            ensure!(button.line < 8, "power-button.line has to be 0 to 7");
        }
        self.check_interrupts()?;
        self.check_overlaps()
    }

    fn check_pages(&self) -> Result<()> {
        let reserved = self.memory.start()..self.memory.start() + self.memory.reserved;
        let place = |page: &Page| page.address..page.address.saturating_add(page.size);
        let generation = self.generation.iter().map(|page| (page, identity::GENERATION));
        let vmclock = self.vmclock.iter().map(|page| (page, identity::VMCLOCK));
        for (page, needed) in generation.chain(vmclock) {
            let (node, Range { start, end }) = (&page.node, place(page));
            let fits = reserved.contains(&start) && end <= reserved.end;
            ensure!(fits, "{node}.address is not in the memory that memory.reserved says");
            ensure!(page.size >= needed as u64, "{node}.size has to be {needed:#x} or more");
            // There is no register by which a guest could say that it has seen the change.
            let edge = page.interrupt.trigger() == Trigger::Edge;
            ensure!(edge, "{node}.interrupt has to be an edge");
        }
        if let (Some(generation), Some(vmclock)) = (&self.generation, &self.vmclock) {
            let (one, other) = (place(generation), place(vmclock));
            let apart = one.end <= other.start || other.end <= one.start;
            ensure!(apart, "{} overlaps {}", generation.node, vmclock.node);
        }
        Ok(())
    }

    fn check_interrupts(&self) -> Result<()> {
        let serial = self.serial.iter().map(|port| (port.node.as_str(), port.interrupt));
        let slots = self.virtio.iter().flat_map(|slots| {
            let first = slots.interrupt;
            let interrupt = move |slot| Interrupt { spi: first.spi.saturating_add(slot), ..first };
            (0..slots.count).map(move |slot| ("virtio", interrupt(slot)))
        });
        let pages = self.generation.iter().chain(&self.vmclock);
        let pages = pages.map(|page| (page.node.as_str(), page.interrupt));
        let button = self.power_button.iter().map(|button| ("power-button", button.interrupt));
        // Serial ports may share an edge between them, as those of a PC do. A level they may not: one
        // port would pull down what the other holds up.
        let may_share = |name: &str, interrupt: Interrupt| {
            let is_port = self.serial.iter().any(|port| port.node == name);
            is_port && interrupt.trigger() == Trigger::Edge
        };
        let mut taken: Vec<(&str, Interrupt)> = Vec::new();
        for (name, interrupt) in serial.chain(slots).chain(pages).chain(button) {
            let spi = interrupt.spi;
            ensure!(spi < SHARED, "{name}: there is no shared interrupt {spi}");
            let shares = may_share(name, interrupt);
            let other = taken
                .iter()
                .find(|(owner, other)| other.spi == spi && !(shares && may_share(owner, *other)));
            if let Some((owner, _)) = other {
                bail!("{name} and {owner} have the same interrupt, {spi}");
            }
            taken.push((name, interrupt));
        }
        Ok(())
    }

    /// Where each device is, bar those parts of an interrupt controller that depend on the cores.
    fn places(&self) -> Vec<Place<'_>> {
        let mut places: Vec<Place<'_>> = Vec::new();
        places
            .extend(self.gic_v3.iter().map(|it| ("gic-v3.distributor", it.distributor, 0x1_0000)));
        places.extend(self.serial.iter().map(|it| (it.node.as_str(), it.address, it.size)));
        places.extend(self.clock.iter().map(|it| (it.node.as_str(), it.address, it.size)));
        places.extend(
            self.virtio
                .iter()
                .map(|it| ("virtio", it.address, it.stride.saturating_mul(it.count.into()))),
        );
        places.extend(self.power_button.iter().map(|it| ("power-button", it.address, 0x1000)));
        places
    }

    fn check_overlaps(&self) -> Result<()> {
        let ram = self.memory.start();
        let mut taken: Vec<(&str, Range<u64>)> = Vec::new();
        for (name, start, size) in self.places() {
            let Some(end) = start.checked_add(size).filter(|_| size > 0) else {
                bail!("{name}: {size:#x} bytes at {start:#x} are no place");
            };
            let other = taken.iter().find(|(_, place)| place.start < end && start < place.end);
            if let Some((other, _)) = other {
                bail!("{name} at {start:#x} overlaps {other}");
            }
            ensure!(end <= ram, "{name} at {start:#x} is not below memory.banks");
            taken.push((name, start..end));
        }
        Ok(())
    }
}

impl Memory {
    /// Where the lowest bank starts.
    #[must_use]
    pub fn start(&self) -> u64 {
        self.banks.first().map_or(0, |bank| bank.start)
    }

    fn check(&self) -> Result<()> {
        let Some((last, others)) = self.banks.split_last() else {
            bail!("memory.banks is empty");
        };
        ensure!(last.mebibytes.is_none(), "memory.banks: the last has what is left: no mebibytes");
        ensure!(
            self.tree_below_end >= TREE_ROOM && self.tree_below_end.is_multiple_of(8),
            "memory.tree-below-end has to be 2 MiB or more, and a multiple of 8"
        );
        for bank in &self.banks {
            let whole = bank.start.is_multiple_of(PAGE) && bank.start < TEBIBYTE;
            ensure!(whole, "memory.banks: {:#x} is no page below 1 TiB", bank.start);
        }
        for (bank, next) in others.iter().zip(&self.banks[1..]) {
            let size = bank.mebibytes.filter(|size| (1..TEBIBYTE >> 20).contains(size));
            let Some(size) = size else {
                bail!("memory.banks: the one at {:#x} has to say its mebibytes", bank.start);
            };
            let below = bank.start + (size << 20) <= next.start;
            ensure!(below, "memory.banks: the one at {:#x} reaches the next", bank.start);
        }
        let aligned =
            [self.start(), self.reserved].iter().all(|at| at.is_multiple_of(IMAGE_BOUNDARY));
        ensure!(aligned, "memory.banks' first start and memory.reserved: no multiples of 2 MiB");
        ensure!(self.reserved < TEBIBYTE, "memory.reserved is too large");
        Ok(())
    }
}
