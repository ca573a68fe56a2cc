//! What a machine is: the one description that every ready file is made from.

use anyhow::{Context, Result, ensure};
use elone_harness::Board;
use serde::Serialize;

use super::folder::sha256;
use super::manifest::Built;
use super::{Order, settings};

/// The emulator that the ready files start.
const EMULATOR: &str = "qemu-system-aarch64";
/// Who runs a machine on its host: without any right but to KVM and to its network interface.
const USER: &str = "elone";

/// What a machine is given beyond what its application has to end by itself, in seconds.
const MARGIN: u32 = 15;
/// The host's end of the network, unless another is named.
const TAP: &str = "elone0";

/// The bridge of the host that it is a port of.
const BRIDGE: &str = "br0";

/// How a machine is to be.
#[derive(Clone, Debug, clap::Args)]
#[group(skip)]
pub(crate) struct Wishes {
    /// The machine's memory (default: the board's)
    #[arg(long, value_name = "MIB", value_parser = clap::value_parser!(u32).range(16..=262_144))]
    memory: Option<u32>,
    /// A setting for the machine; may be given again
    #[arg(long, value_name = "key=value")]
    setting: Vec<String>,
    /// Its address, with its gateway and its DNS server: short for --setting ip=… (default: by DHCP)
    #[arg(long, value_name = "ADDRESS/PREFIX[,GATEWAY[,DNS]]")]
    address: Option<String>,
    /// The TAP interface of the host by which it is on the network
    #[arg(long, value_name = "NAME", default_value = TAP, value_parser = interface)]
    tap: String,
    /// The address of its network interface (default: one that follows from image and --tap)
    #[arg(long, value_name = "MAC", value_parser = hardware_address)]
    mac: Option<String>,
}

impl Wishes {
    /// As the command line is with nothing but these settings.
    pub(crate) fn with(settings: &[&str]) -> Self {
        let setting = settings.iter().map(|&setting| setting.to_owned()).collect();
        Self { memory: None, setting, address: None, tap: TAP.to_owned(), mac: None }
    }

    fn settings(&self) -> Result<String> {
        let address = self.address.iter().map(|address| format!("ip={address}"));
        settings::line(&address.chain(self.setting.iter().cloned()).collect::<Vec<_>>())
    }
}

/// A machine.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Machine {
    /// The application's.
    pub(crate) name: String,
    /// The application's.
    pub(crate) version: String,
    /// The image's file, in the folder.
    pub(crate) image: String,
    /// In MiB.
    pub(crate) memory: u32,
    /// Words with blanks between them.
    pub(crate) settings: String,
    /// How long it may take to end once it is asked to, in seconds, before the plug is pulled.
    pub(crate) patience: u32,
    /// The host's end of its network interface.
    pub(crate) tap: String,
    /// Its own end.
    pub(crate) mac: String,
    /// What that is a port of there.
    bridge: &'static str,
    /// Where the folder is expected on the host.
    pub(crate) place: String,
    /// Who runs it there.
    pub(crate) user: &'static str,
    /// What the container is called that carries the image to a cluster.
    pub(crate) container: String,
    pub(crate) board: Emulated,
}

/// What of a board the files need.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Emulated {
    pub(crate) name: String,
    machine: String,
    cpu: String,
    pub(crate) devices: Devices,
    arguments: Vec<String>,
}

/// Models, as the emulator calls them.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Devices {
    pub(crate) network: String,
    pub(crate) disk: String,
    pub(crate) entropy: Option<String>,
}

impl Machine {
    pub(crate) fn new(order: &Order<'_>, version: &str, built: &Built) -> Result<Self> {
        let Order { board, wishes, program, .. } = order;
        let name = program.name.clone();
        let devices = &board.devices;
        Ok(Self {
            version: version.to_owned(),
            image: built.file.clone(),
            memory: wishes.memory.unwrap_or(board.memory),
            patience: settings::shutdown(&wishes.settings()?) + MARGIN,
            settings: wishes.settings()?,
            tap: wishes.tap.clone(),
            bridge: BRIDGE,
            mac: wishes.mac.clone().unwrap_or_else(|| derived_mac(&built.sha256, &wishes.tap)),
            place: format!("/opt/elone/{name}"),
            user: USER,
            container: format!("registry.example/elone/{name}:{version}"),
            board: Emulated {
                name: board.name.clone(),
                machine: board.machine.clone(),
                cpu: board.cpu.clone(),
                devices: Devices {
                    network: devices.network.clone().context("the board has no network")?,
                    disk: devices.disk.clone().context("the board has no disk")?,
                    entropy: devices.entropy.clone(),
                },
                arguments: board.arguments.clone(),
            },
            name,
        })
    }
}

#[cfg(test)]
impl Machine {
    /// One that nobody built.
    pub(crate) fn made_up(name: &str, settings: &str) -> Self {
        let text = str::to_owned;
        Self {
            name: text(name),
            version: text("1.2.3"),
            image: format!("{name}.img"),
            memory: 64,
            settings: text(settings),
            patience: settings::shutdown(settings) + MARGIN,
            tap: text(TAP),
            bridge: BRIDGE,
            mac: text("02:00:00:00:00:01"),
            place: format!("/opt/elone/{name}"),
            user: USER,
            container: format!("registry.example/elone/{name}:1.2.3"),
            board: Emulated {
                name: text("qemu-virt"),
                machine: text("virt"),
                cpu: text("cortex-a72"),
                devices: Devices {
                    network: text("virtio-net-device"),
                    disk: text("virtio-blk-device"),
                    entropy: Some(text("virtio-rng-device")),
                },
                arguments: Vec::new(),
            },
        }
    }
}

/// Whether there can be a machine of this kind.
pub(crate) fn check(board: &Board, wishes: &Wishes) -> Result<()> {
    let name = &board.name;
    ensure!(board.emulator == EMULATOR, "{name} is no board of {EMULATOR}'s");
    let devices = &board.devices;
    let equipped = devices.network.is_some() && devices.disk.is_some();
    ensure!(equipped, "{name} has no network interface, or no disk, to be plugged in");
    ensure!(
        board.has_loader(),
        "{name} has no boot loader, as every machine that is started here has"
    );
    ensure!(
        board.tree.is_none(),
        "{name} takes a device tree of its own, which is not handed over"
    );
    let emulated = board.cpu != "host";
    ensure!(emulated, "{name} is not emulated: under KVM every machine is as the host's own");
    wishes.settings().context("the settings").map(drop)
}

/// An address for the image behind this interface: administered locally, of one machine (IEEE 802,
/// section 8.2). As no two builds share a layout, no two have the same one.
fn derived_mac(sha256_of_image: &str, tap: &str) -> String {
    let digest = sha256(format!("{sha256_of_image} {tap}").as_bytes());
    let octets: Vec<_> = (0..5).filter_map(|at| digest.get(2 * at..2 * at + 2)).collect();
    format!("02:{}", octets.join(":"))
}

/// Reads the name of a network interface: what Linux takes and no file has to quote.
fn interface(text: &str) -> Result<String, String> {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "-_".contains(letter);
    let good = (1..16).contains(&text.len())
        && text.chars().all(plain)
        && text.starts_with(|first: char| first.is_ascii_alphanumeric());
    let told = "it takes 1 to 15 letters, digits, dashes and underscores";
    if good { Ok(text.to_owned()) } else { Err(told.to_owned()) }
}

/// Reads six octets, of which the first says that they are one machine's.
fn hardware_address(text: &str) -> Result<String, String> {
    let octets: Vec<_> = text.split(':').collect();
    let value = |octet: &&str| {
        let digits = octet.len() == 2 && octet.chars().all(|digit| digit.is_ascii_hexdigit());
        digits.then(|| u8::from_str_radix(octet, 16).ok())?
    };
    let values: Option<Vec<u8>> = octets.iter().map(value).collect();
    let good = |values: &Vec<u8>| values.len() == 6 && values[0] & 1 == 0 && values != &[0; 6];
    match values.filter(good) {
        Some(_) => Ok(text.to_ascii_lowercase()),
        None => Err("it takes six octets, 02:00:00:00:00:01, of one machine".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace::Workspace;

    #[test]
    fn a_board_that_no_ready_file_can_start_is_refused() {
        let workspace = Workspace::read().unwrap();
        let checked = |name: &str, setting: &[&str]| {
            let board = Board::find(&workspace.boards(), name).unwrap();
            check(&board, &Wishes::with(setting)).map_err(|error| format!("{error:#}"))
        };
        assert_eq!(checked("qemu-virt", &["log=debug"]), Ok(()));
        assert!(checked("qemu-virt-el3", &[]).unwrap_err().contains("no boot loader"));
        let wrong = checked("qemu-virt", &["log=loud"]).unwrap_err();
        assert!(wrong.contains("bad value \"loud\" for \"log\""), "{wrong}");
    }

    #[test]
    fn an_interface_has_a_name_that_linux_takes() {
        for good in ["elone0", "tap-1", "a", "fifteen_letters"] {
            assert_eq!(interface(good).as_deref(), Ok(good));
        }
        for bad in ["", "sixteen_letters_", "-x", "a b", "a/b", "a,b", "$(x)", "\u{e9}"] {
            assert!(interface(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_hardware_address_is_one_machines() {
        assert_eq!(hardware_address("02:00:00:AA:bb:01").as_deref(), Ok("02:00:00:aa:bb:01"));
        let wrong = [
            "",
            "02",
            "02:00:00:00:00",
            "03:00:00:00:00:01",
            "00:00:00:00:00:00",
            "02:00:00:00:00:0g",
            "02:00:00:00:00:+1",
            "02-00-00-00-00-01",
        ];
        for bad in wrong {
            assert!(hardware_address(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn each_image_and_interface_has_an_address_of_its_own() {
        let (one, other) = (derived_mac("a", "elone0"), derived_mac("a", "elone1"));
        assert_ne!(one, other);
        assert_ne!(one, derived_mac("b", "elone0"));
        assert_eq!(hardware_address(&one), Ok(one.clone()));
        assert_eq!(one, derived_mac("a", "elone0"));
    }
}
