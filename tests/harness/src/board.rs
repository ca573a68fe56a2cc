//! Boards: how each machine is launched, read from the TOML files in `boards/`.
//!
//! A file describes one machine and its variants. The machine is the board `FILE`, a variant the
//! board `FILE-VARIANT`. Everything else about a machine the image finds out by itself.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};
use serde::Deserialize;

/// How a machine is launched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Board {
    /// What `--board` takes.
    pub name: String,
    /// What it is, in a line.
    pub summary: String,
    /// The emulator's program, looked for on the `PATH`.
    pub emulator: String,
    /// The board whose machine the emulator runs on, an arm64 Linux host with KVM. Without one it
    /// runs on this machine.
    pub host: Option<String>,
    /// The machine type with its options, as the emulator's `-machine` takes it.
    pub machine: String,
    /// The processor model, as the emulator's `-cpu` takes it.
    pub cpu: String,
    /// Memory in MiB, unless more or less is asked for.
    pub memory: u32,
    /// Which device carries the console.
    pub console: Console,
    /// Where the image is placed and entered, in the highest exception level there is. Without
    /// one the emulator boots it as it would boot Linux: settings and tree handed over, EL1 or EL2.
    pub load_address: Option<u64>,
    /// The device models to plug in.
    pub devices: Devices,
    /// Further arguments for the emulator, as they are.
    pub arguments: Vec<String>,
}

/// Which device carries the console.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Console {
    /// The machine's first serial port.
    Serial,
    /// A virtio console; the machine then has no serial port.
    Virtio,
}

/// The device models to plug in, as the emulator's `-device` takes them.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Devices {
    /// The network interface's model.
    pub network: String,
    /// A disk's model.
    pub disk: String,
    /// The entropy source's model; a machine need not have one.
    pub entropy: Option<String>,
}

/// A board file as it is written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct File {
    summary: String,
    emulator: String,
    host: Option<String>,
    machine: String,
    cpu: String,
    memory: u32,
    console: Console,
    load_address: Option<u64>,
    devices: Devices,
    #[serde(default)]
    arguments: Vec<String>,
    #[serde(default)]
    variant: BTreeMap<String, Variant>,
}

/// What a variant sets differently.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Variant {
    summary: String,
    host: Option<String>,
    machine: Option<String>,
    cpu: Option<String>,
    memory: Option<u32>,
    console: Option<Console>,
    load_address: Option<u64>,
    devices: Option<Devices>,
    #[serde(default)]
    arguments: Vec<String>,
}

impl Board {
    /// The board called `name` among the files in `directory`.
    ///
    /// # Errors
    /// A file cannot be read or is wrong (the message names file, line and field), or there is no
    /// such board (the message lists those that there are).
    pub fn find(directory: &Path, name: &str) -> Result<Self> {
        let mut boards = Self::all(directory)?;
        if let Some(index) = boards.iter().position(|board| board.name == name) {
            return Ok(boards.swap_remove(index));
        }
        let list: Vec<_> =
            boards.iter().map(|board| format!("  {:24} {}", board.name, board.summary)).collect();
        bail!("there is no board {name:?}. There are:\n{}", list.join("\n"))
    }

    /// Whether these settings can be handed over on this board.
    ///
    /// # Errors
    /// There are some, and nobody to hand them over; the message says so.
    pub fn takes(&self, settings: &[String]) -> Result<()> {
        let name = &self.name;
        let can = settings.is_empty() || self.load_address.is_none();
        ensure!(can, "{name} hands no settings over: there is no boot loader");
        Ok(())
    }

    /// Every board that the files in `directory` describe, in the order of their names.
    ///
    /// # Errors
    /// The directory or a file cannot be read, or a file is wrong.
    pub fn all(directory: &Path) -> Result<Vec<Self>> {
        let entries =
            fs::read_dir(directory).with_context(|| format!("reading {}", directory.display()))?;
        let mut files: Vec<PathBuf> = entries
            .map(|entry| entry.map(|entry| entry.path()))
            .collect::<Result<_, _>>()
            .with_context(|| format!("reading {}", directory.display()))?;
        files.retain(|file| file.extension().is_some_and(|extension| extension == "toml"));
        files.retain(|file| file.file_name().is_some_and(|name| name != "Cargo.toml"));
        files.sort();
        let boards: Result<Vec<_>> = files.iter().map(|file| Self::read(file)).collect();
        Ok(boards?.into_iter().flatten().collect())
    }

    /// The boards that one file describes: the machine, then its variants.
    ///
    /// # Errors
    /// The file cannot be read, or is wrong.
    pub fn read(file: &Path) -> Result<Vec<Self>> {
        let text =
            fs::read_to_string(file).with_context(|| format!("reading {}", file.display()))?;
        let stem = file.file_stem().unwrap_or_default().to_string_lossy();
        Self::parse(&stem, &text).with_context(|| format!("board file {}", file.display()))
    }

    fn parse(name: &str, text: &str) -> Result<Vec<Self>> {
        let file: File = toml::from_str(text)?;
        let machine = Self {
            name: name.to_owned(),
            summary: file.summary,
            emulator: file.emulator,
            host: file.host,
            machine: file.machine,
            cpu: file.cpu,
            memory: file.memory,
            console: file.console,
            load_address: file.load_address,
            devices: file.devices,
            arguments: file.arguments,
        };
        let variants = file.variant.into_iter().map(|(name, variant)| machine.with(&name, variant));
        let variants: Vec<_> = variants.collect();
        Ok(std::iter::once(machine).chain(variants).collect())
    }

    /// This machine, with what a variant of it sets differently.
    fn with(&self, name: &str, variant: Variant) -> Self {
        Self {
            name: format!("{}-{name}", self.name),
            summary: format!("{}, {}", self.name, variant.summary),
            emulator: self.emulator.clone(),
            host: variant.host.or_else(|| self.host.clone()),
            machine: variant.machine.unwrap_or_else(|| self.machine.clone()),
            cpu: variant.cpu.unwrap_or_else(|| self.cpu.clone()),
            memory: variant.memory.unwrap_or(self.memory),
            console: variant.console.unwrap_or(self.console),
            load_address: variant.load_address.or(self.load_address),
            devices: variant.devices.unwrap_or_else(|| self.devices.clone()),
            arguments: [self.arguments.clone(), variant.arguments].concat(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"
        summary = "a machine"
        emulator = "qemu"
        machine = "virt"
        cpu = "a72"
        memory = 64
        console = "serial"
        devices = { network = "net", disk = "blk" }
        arguments = ["-x"]
        [variant.odd]
        summary = "but odd"
        cpu = "max"
        load-address = 0x4020_0000
        arguments = ["-y"]
    "#;

    #[test]
    fn a_variant_differs_only_where_it_says_so() {
        let boards = Board::parse("m", GOOD).unwrap();
        let [machine, odd] = &boards[..] else { panic!("{boards:?}") };
        assert_eq!((machine.name.as_str(), machine.cpu.as_str()), ("m", "a72"));
        assert_eq!((odd.name.as_str(), odd.cpu.as_str()), ("m-odd", "max"));
        assert_eq!((machine.load_address, odd.load_address), (None, Some(0x4020_0000)));
        assert_eq!((odd.memory, &odd.devices), (machine.memory, &machine.devices));
        assert_eq!(odd.arguments, ["-x", "-y"]);
    }

    #[test]
    fn a_wrong_field_is_named_with_file_and_line() {
        let directory = std::env::temp_dir().join(format!("elone-board-{}", std::process::id()));
        fs::create_dir_all(&directory).unwrap();
        let file = directory.join("wrong.toml");
        let cases = [
            ("memory = 64", "memory = \"lots\"", "line 6"),
            ("memory = 64", "memroy = 64", "memroy"),
            ("cpu = \"max\"", "processor = \"max\"", "processor"),
            ("console = \"serial\"", "console = \"braille\"", "braille"),
        ];
        for (right, wrong, mention) in cases {
            fs::write(&file, GOOD.replace(right, wrong)).unwrap();
            let message = format!("{:#}", Board::read(&file).unwrap_err());
            for mention in [mention, "wrong.toml", "line "] {
                assert!(message.contains(mention), "{mention:?} is not in {message:?}");
            }
        }
        fs::remove_dir_all(&directory).unwrap();
    }

    #[test]
    fn the_boards_of_this_repository_are_well_formed() {
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../boards");
        let names: Vec<_> =
            Board::all(&directory).unwrap().into_iter().map(|board| board.name).collect();
        for name in ["qemu-virt", "qemu-virt-el3", "qemu-virt-gicv3"] {
            assert!(names.iter().any(|known| known == name), "no {name} in {names:?}");
        }
    }
}
