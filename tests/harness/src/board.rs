//! Boards: how each machine is launched, read from the TOML files in `boards/`.
//!
//! A file describes one machine and its variants. The machine is the board `FILE`, a variant the
//! board `FILE-VARIANT`. Everything else about a machine the image finds out by itself, bar what it
//! has to know before it reads a device tree: the file's table `[early]`, which the build reads.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};
use elone_early::{Early, file};
use serde::Deserialize;
use serde::de::IgnoredAny;

/// How a machine is launched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Board {
    /// What `--board` takes.
    pub name: String,
    /// The file that it is described in, without its ending: what `ELONE_BOARD` takes.
    pub file: String,
    /// What it is, in a line.
    pub summary: String,
    /// What an image for it must know before it reads a device tree. Without such facts it boots the
    /// image of a board that has some: wherever a tree is handed over, they hardly matter.
    pub early: Option<Early>,
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
    /// Where the image is placed and entered, in the highest exception level there is, by the
    /// emulator's loader. Without one, [`Board::hand_over`] says how it gets there.
    pub load_address: Option<u64>,
    /// How the emulator takes the image.
    pub hand_over: HandOver,
    /// The device tree, where the emulator does not make one: handed over with the image or, with a
    /// `load-address`, left at the start of memory, where the early facts have to say that it lies.
    pub tree: Option<TreeSource>,
    /// The device models to plug in.
    pub devices: Devices,
    /// Settings that it always hands over, before others.
    pub settings: Vec<String>,
    /// Further arguments for the emulator, as they are.
    pub arguments: Vec<String>,
}

/// Which device carries the console.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Console {
    /// The machine's first serial port.
    Serial,
    /// Its second one; to the first one nothing is connected.
    SecondSerial,
    /// A virtio console; the machine then has no serial port.
    Virtio,
}

/// How the emulator takes the image.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HandOver {
    /// As it takes Linux (`-kernel`): settings and tree handed over, entered at EL1 or EL2.
    #[default]
    Kernel,
    /// As firmware (`-bios`): entered at the highest level, wherever the machine's reset is.
    Bios,
    /// By U-Boot, which fetches it over the network (TFTP).
    UBoot,
    /// By U-Boot, which finds it on a disk; the disk is the machine's only one.
    UBootDisk,
    /// By EDK2, whose application `loader/` finds it on a disk, which is the machine's last.
    Uefi,
    /// As a guest of Xen, which has the machine to itself otherwise. When the guest ends, the machine
    /// does not: whoever watches ends it.
    XenGuest,
    /// As Xen's hardware domain, which has the machine's devices.
    XenHardware,
}

/// Where a device tree comes from.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(untagged, deny_unknown_fields, expecting = "it takes a file's name, or { package, path }")]
pub enum TreeSource {
    /// A file; its path begins at the directory of the board files.
    File(PathBuf),
    /// One of those that a kernel of Debian's brings along.
    Package {
        /// The kernel's package, as `linux-image-arm64`.
        package: String,
        /// The end of its path there, as `broadcom/bcm2837-rpi-3-b.dtb`.
        path: String,
    },
}

/// The device models to plug in, as the emulator's `-device` takes them. A board has none where
/// nothing can be plugged in.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Devices {
    /// The network interface's model.
    pub network: Option<String>,
    /// A disk's model.
    pub disk: Option<String>,
    /// The entropy source's model.
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
    #[serde(default)]
    hand_over: HandOver,
    tree: Option<TreeSource>,
    /// Read by `elone_early`, as the build does.
    #[serde(rename = "early")]
    _early: Option<IgnoredAny>,
    #[serde(default)]
    devices: Devices,
    #[serde(default)]
    settings: Vec<String>,
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
    hand_over: Option<HandOver>,
    tree: Option<TreeSource>,
    devices: Option<Devices>,
    #[serde(default)]
    settings: Vec<String>,
    #[serde(default)]
    arguments: Vec<String>,
}

impl Board {
    /// The board whose early facts are in an image unless others are asked for.
    pub const USUAL: &str = "qemu-virt";

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
        ensure!(
            settings.is_empty() || self.has_loader(),
            "{name} hands no settings over: there is no boot loader"
        );
        Ok(())
    }

    /// Whether somebody loads the image who can hand something over with it.
    #[must_use]
    pub fn has_loader(&self) -> bool {
        self.load_address.is_none() && self.hand_over != HandOver::Bios
    }

    /// The board whose early facts an image for this one must carry, by its file: `None` where the
    /// usual image will do, which carries those of the board `usual`.
    #[must_use]
    pub fn image_of(&self, usual: &Self) -> Option<&str> {
        let own = self.early.is_some() && self.early != usual.early;
        own.then_some(self.file.as_str())
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
        let early = file::read(text)?;
        let file: File = toml::from_str(text)?;
        let machine = Self {
            name: name.to_owned(),
            file: name.to_owned(),
            summary: file.summary,
            early,
            emulator: file.emulator,
            host: file.host,
            machine: file.machine,
            cpu: file.cpu,
            memory: file.memory,
            console: file.console,
            load_address: file.load_address,
            hand_over: file.hand_over,
            tree: file.tree,
            devices: file.devices,
            settings: file.settings,
            arguments: file.arguments,
        };
        let variants = file.variant.into_iter().map(|(name, variant)| machine.with(&name, variant));
        let variants: Vec<_> = variants.collect();
        let boards: Vec<_> = std::iter::once(machine).chain(variants).collect();
        boards.iter().try_for_each(Self::check)?;
        Ok(boards)
    }

    /// Whether its fields go together.
    fn check(&self) -> Result<()> {
        let name = &self.name;
        let placed = self.load_address.is_some();
        let bios = self.hand_over == HandOver::Bios;
        ensure!(!(placed && bios), "{name}: `load-address` and `hand-over` exclude each other");
        ensure!(self.memory > 0, "{name}: `memory` takes at least 1 (MiB)");
        let handed = self.settings.is_empty() || self.has_loader();
        ensure!(handed, "{name}: there is nobody to hand its `settings` over");
        let place = self.early.and_then(|early| early.device_tree);
        let reachable = self.tree.is_none() || self.has_loader() || place.is_some();
        let here = self.tree.is_none() || self.host.is_none();
        ensure!(here, "{name}: on a `host` the emulator makes the tree");
        ensure!(reachable, "{name}: a `tree` that nobody hands over takes `early.device-tree`");
        Ok(())
    }

    /// This machine, with what a variant of it sets differently.
    fn with(&self, name: &str, variant: Variant) -> Self {
        Self {
            name: format!("{}-{name}", self.name),
            file: self.file.clone(),
            summary: format!("{}, {}", self.name, variant.summary),
            early: self.early,
            emulator: self.emulator.clone(),
            host: variant.host.or_else(|| self.host.clone()),
            machine: variant.machine.unwrap_or_else(|| self.machine.clone()),
            cpu: variant.cpu.unwrap_or_else(|| self.cpu.clone()),
            memory: variant.memory.unwrap_or(self.memory),
            console: variant.console.unwrap_or(self.console),
            load_address: variant.load_address.or(self.load_address),
            hand_over: variant.hand_over.unwrap_or(self.hand_over),
            tree: variant.tree.or_else(|| self.tree.clone()),
            devices: variant.devices.unwrap_or_else(|| self.devices.clone()),
            settings: [self.settings.clone(), variant.settings].concat(),
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
    fn a_tree_is_a_file_or_of_a_package() {
        let of = |tree: &str| {
            let text = GOOD.replace("memory = 64", &format!("memory = 64\ntree = {tree}"));
            Board::parse("m", &text.replace("load-address = 0x4020_0000", ""))
        };
        let tree = |text: &str| of(text).unwrap()[1].tree.clone().unwrap();
        assert_eq!(tree("\"a.dtb\""), TreeSource::File("a.dtb".into()));
        let packaged = TreeSource::Package { package: "linux".into(), path: "b/a.dtb".into() };
        assert_eq!(tree("{ package = \"linux\", path = \"b/a.dtb\" }"), packaged);
        for wrong in ["5", "{ package = \"linux\" }", "{ packge = \"linux\", path = \"a\" }"] {
            let message = format!("{:#}", of(wrong).unwrap_err());
            assert!(message.contains("it takes a file's name, or"), "{message}");
        }
    }

    #[test]
    fn what_excludes_each_other_is_refused() {
        let refused = |right: &str, wrong: &str, mention: &str| {
            let message =
                format!("{:#}", Board::parse("m", &GOOD.replace(right, wrong)).unwrap_err());
            assert!(message.contains(mention), "{message}");
        };
        refused("cpu = \"max\"", "hand-over = \"bios\"", "m-odd: `load-address` and `hand-over`");
        refused("cpu = \"max\"", "settings = [\"log=debug\"]", "m-odd: there is nobody");
        refused("memory = 64", "memory = 0", "m: `memory` takes");
        // Nobody could say where it is.
        refused("cpu = \"max\"", "tree = \"a.dtb\"", "m-odd: a `tree`");
    }

    /// By its facts, not by its name: what has none of its own, or the same, shares the image.
    #[test]
    fn an_image_serves_all_boards_with_its_facts() {
        let with = |early: &str| Board::parse("m", &GOOD.replace("[variant", early)).unwrap();
        let usual = &with("[early]\ndevice-tree = 1\n[variant")[0];
        let [same, none, other] =
            ["[early]\ndevice-tree = 0x1\n[variant", "[variant", "[early]\n[variant"];
        assert_eq!(with(same)[1].image_of(usual), None);
        assert_eq!(with(none)[1].image_of(usual), None);
        assert_eq!(with(other)[0].image_of(usual), Some("m"));
        assert_eq!(with(other)[1].image_of(usual), Some("m"), "a variant has its file's");
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
            ("arguments = [\"-x\"]", "early = { uart = { model = \"x\" } }", "early.uart.model"),
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
