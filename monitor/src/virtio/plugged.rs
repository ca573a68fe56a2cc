//! The devices that are plugged in, in the order of their slots: drives before network interfaces.

use std::fs::File;
use std::os::fd::{AsRawFd as _, RawFd};

use anyhow::{Context as _, Result, ensure};

use super::{Disk, Empty, Entropy, HardwareAddress, Model, Network, Transport};
use crate::bell::Bell;
use crate::bus::{Bus, Handle};
use crate::line::Signal;
use crate::map::{Interrupt, Map};
use crate::memory::Ram;

/// What is behind the devices: open files.
#[derive(Debug, Default)]
pub struct Plugged {
    /// The disk's bytes.
    pub disk: Option<File>,
    /// The network interface's TAP, and its address.
    pub network: Option<(File, HardwareAddress)>,
    /// The source of entropy's source.
    pub entropy: Option<File>,
}

impl Plugged {
    /// How many slots it takes.
    #[must_use]
    pub fn count(&self) -> u32 {
        let there = [self.disk.is_some(), self.network.is_some(), self.entropy.is_some()];
        there.into_iter().map(u32::from).sum()
    }

    /// The file that becomes readable when the network interface has to attend to it.
    #[must_use]
    pub fn readable(&self) -> Option<RawFd> {
        self.network.as_ref().map(|(tap, _)| tap.as_raw_fd())
    }

    /// Whether `map` has a slot for each.
    ///
    /// # Errors
    /// It has not; the message says what to leave out.
    pub fn fits(&self, map: &Map) -> Result<()> {
        let (count, slots) = (self.count(), map.slots());
        let few = || format!("the machine has {slots} virtio slots: --disk and --net need {count}");
        ensure!(count <= slots, few());
        Ok(())
    }

    /// Puts a device into each slot of `map`; returns the network interface.
    ///
    /// # Errors
    /// There are fewer slots than devices, or a file cannot be shared.
    pub(crate) fn plug(
        &self,
        map: &Map,
        ram: &Ram,
        bus: &mut Bus,
        bell: &Bell,
        signal: &dyn Fn(Interrupt) -> Signal,
    ) -> Result<Option<Handle>> {
        self.fits(map)?;
        let Some(slots) = &map.virtio else { return Ok(None) };
        let mut models = self.models()?.into_iter();
        let mut network = None;
        for slot in 0..slots.count {
            let model = models.next().unwrap_or_else(|| Box::new(Empty));
            let attends = model.attends().is_some();
            let wired = Interrupt { spi: slots.interrupt.spi + slot, ..slots.interrupt };
            let device = Transport::new(model, ram.clone(), signal(wired), bell.clone());
            let address = slots.address + u64::from(slot) * slots.stride;
            let handle = bus.add(address, slots.stride, Box::new(device))?;
            if attends {
                network = Some(handle);
            }
        }
        Ok(network)
    }

    /// The devices, anew: each with a descriptor of its own for what is behind it.
    fn models(&self) -> Result<Vec<Box<dyn Model>>> {
        let mut models: Vec<Box<dyn Model>> = Vec::new();
        if let Some(file) = &self.disk {
            models.push(Box::new(Disk::new(file.try_clone()?).context("the disk")?));
        }
        if let Some((tap, address)) = &self.network {
            models.push(Box::new(Network::new(tap.try_clone()?, *address)));
        }
        if let Some(source) = &self.entropy {
            models.push(Box::new(Entropy::new(source.try_clone()?)));
        }
        Ok(models)
    }
}
