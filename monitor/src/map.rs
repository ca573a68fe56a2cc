//! The machine as its file has it: what is where, and how the device tree says so.
//!
//! A map is one of another monitor's, or one that no monitor has but some board could have. What it
//! says twice it says once here: a device's place is where the device is, and what the tree says of
//! it. Oddities of a tree that are only words are properties, written as they stand.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};
use serde::Deserialize;

mod check;
mod devices;
#[cfg(test)]
mod tests;

pub use check::SHARED;
pub use devices::{
    Button, Clock, ClockModel, EmptyBus, GicV2, GicV3, Interrupt, Page, Serial, SerialModel, Slots,
    Trigger,
};

/// Properties and nodes of a tree that have no meaning to the monitor.
pub type Properties = BTreeMap<String, Property>;

/// A property's value.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum Property {
    /// Present and empty; `false` leaves it out.
    Flag(bool),
    /// One cell.
    Cell(u32),
    /// Several cells.
    Cells(Vec<u32>),
    /// A string.
    Text(String),
    /// A list of strings.
    Texts(Vec<String>),
}

/// A machine.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Map {
    /// What it is, in a line.
    pub summary: String,
    /// Properties of the tree's root.
    #[serde(default)]
    pub root: Properties,
    /// RAM, and what lies in it at the start.
    pub memory: Memory,
    /// `/chosen`.
    #[serde(default)]
    pub chosen: Chosen,
    /// `/aliases`: short names of paths.
    #[serde(default)]
    pub aliases: BTreeMap<String, String>,
    /// The nodes of the cores.
    pub cores: Cores,
    /// The GICv3, if the machine has one where the host can make one.
    pub gic_v3: Option<GicV3>,
    /// The GICv2, for hosts that cannot make a GICv3, or machines that have none.
    pub gic_v2: Option<GicV2>,
    /// Properties of the timer's node; its interrupts are the GIC's affair.
    pub timer: Properties,
    /// Properties of `/psci`: KVM answers hypervisor calls whatever they say.
    pub psci: Properties,
    /// Serial ports. The first is connected with standard input and output, the others with nothing.
    #[serde(default)]
    pub serial: Vec<Serial>,
    /// A clock that knows the date.
    pub clock: Option<Clock>,
    /// Where virtio devices are.
    pub virtio: Option<Slots>,
    /// The virtual machine's generation ID (`microsoft,vmgenid`).
    pub generation: Option<Page>,
    /// The clock that is a page of memory (`amazon,vmclock`).
    pub vmclock: Option<Page>,
    /// A power button.
    pub power_button: Option<Button>,
    /// The configuration space of a PCI bus that nothing is plugged into.
    pub empty_bus: Option<EmptyBus>,
    /// Further nodes of the tree, without anything behind them.
    #[serde(default)]
    pub node: Vec<Node>,
}

/// RAM, and what lies in it at the start.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Memory {
    /// The node's name, or with [`Memory::node_each`] what comes before `@` and the address.
    pub node: String,
    /// Whether each bank has a node of its own.
    #[serde(default)]
    pub node_each: bool,
    /// How many bytes at RAM's start are the monitor's: neither the tree's node nor the image begins
    /// below them. A multiple of 2 MiB.
    #[serde(default)]
    pub reserved: u64,
    /// From the tree's place to the end of RAM below 4 GiB, in bytes.
    pub tree_below_end: u64,
    /// The banks, in the order of their addresses.
    pub banks: Vec<Bank>,
}

/// A bank of RAM.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Bank {
    /// Where it starts.
    pub start: u64,
    /// How large it is. The last has what is left of the machine's memory, and says nothing.
    pub mebibytes: Option<u64>,
}

/// `/chosen`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Chosen {
    /// What the monitor puts before the settings in `bootargs`.
    #[serde(default)]
    pub before: String,
    /// What it puts after them.
    #[serde(default)]
    pub after: String,
    /// The seed for the layout of the kernel.
    #[serde(default)]
    pub kaslr_seed: KaslrSeed,
    /// How many random bytes there are in `rng-seed`: none, and there is no such property.
    #[serde(default)]
    pub rng_seed: usize,
    /// The other properties.
    #[serde(default)]
    pub properties: Properties,
}

/// `/chosen/kaslr-seed`: eight bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KaslrSeed {
    /// There is none.
    #[default]
    Absent,
    /// There is one, and it is zero.
    Zero,
    /// There is one.
    Random,
}

/// The nodes of the cores.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Cores {
    /// How many cells their `reg` has: 1 or 2.
    pub cells: u32,
    /// The properties of each, bar `device_type` and `reg`.
    pub properties: Properties,
    /// What each has besides where there are several.
    #[serde(default)]
    pub several: Properties,
}

/// A node without anything behind it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Node {
    /// Its name, with the unit address if it has one.
    pub name: String,
    /// What it says.
    pub properties: Properties,
}

impl Map {
    /// Reads the map in `file`.
    ///
    /// # Errors
    /// The file cannot be read, is not TOML, lacks a field or has one too many, or says what cannot
    /// be. The message names file and field.
    pub fn read(file: &Path) -> Result<Self> {
        let text = fs::read_to_string(file);
        let map = text.context("cannot be read").and_then(|text| Self::parse(&text));
        map.with_context(|| format!("machine file {}", file.display()))
    }

    /// Leaves out what is only there with other settings than `settings`, and puts the settings of
    /// what is there where they belong.
    pub fn settle(&mut self, settings: &str) {
        self.serial.retain(|port| settings.contains(&port.only_with));
        for port in self.serial.iter().filter(|port| !port.announces.is_empty()) {
            let after = &mut self.chosen.after;
            let blank = if after.is_empty() { "" } else { " " };
            *after = format!("{after}{blank}{}", port.announces);
        }
    }

    /// How many virtio devices can be plugged in.
    #[must_use]
    pub fn slots(&self) -> u32 {
        self.virtio.as_ref().map_or(0, |slots| slots.count)
    }

    /// The map that `text` is.
    ///
    /// # Errors
    /// As for [`Map::read`], but for the file's name.
    pub fn parse(text: &str) -> Result<Self> {
        let map: Self = toml::from_str(text)?;
        map.check()?;
        Ok(map)
    }
}
