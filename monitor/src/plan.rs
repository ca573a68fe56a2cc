//! What is to be run: the command line, with every file that it names opened and looked at.

use std::fs::File;
use std::io::Read as _;
use std::path::PathBuf;

use anyhow::{Context as _, Result, ensure};

use crate::arguments::{Arguments, OnReset};
use crate::image::Image;
use crate::map::Map;
use crate::memory::Layout;
use crate::shell;
use crate::tree::{Facts, GicVersion};
use crate::virtio::{HardwareAddress, Plugged};

/// The host's source of random bytes.
const RANDOM: &str = "/dev/urandom";

/// How a machine ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// It was switched off, by the guest or from outside.
    Off,
    /// The guest asked for a reset.
    Reset,
}

/// What is to be run.
#[derive(Debug)]
pub struct Plan {
    /// The machine.
    pub map: Map,
    /// Where its memory is.
    pub layout: Layout,
    /// What it boots.
    pub image: Option<Image>,
    /// The settings.
    pub settings: String,
    /// How many cores it has.
    pub cores: u32,
    /// The interrupt controller that was asked for.
    pub gic: Option<GicVersion>,
    /// Its virtio devices.
    pub plugged: Plugged,
    /// What a reset is answered with.
    pub on_reset: OnReset,
    /// The host's source of random bytes.
    pub random: File,
}

impl Plan {
    /// Opens and checks all that `arguments` name.
    ///
    /// # Errors
    /// Something cannot be opened, or is not what it has to be. The message names it.
    pub fn new(arguments: &Arguments) -> Result<Self> {
        // An inherited descriptor is looked at before this process opens any of its own.
        let tap = arguments.net.as_deref().map(tap).transpose()?;
        let random = File::open(RANDOM).context(RANDOM)?;
        let mut map = Map::read(&arguments.machine)?;
        map.settle(&arguments.settings);
        let layout = Layout::new(&map.memory, arguments.memory)?;
        let image = arguments.image.as_deref().map(Image::open).transpose()?;
        if let Some(image) = &image {
            layout.fits(image.needs)?;
        }
        let gic = match arguments.gic {
            None => None,
            Some(2) => Some(GicVersion::V2),
            Some(_) => Some(GicVersion::V3),
        };
        let has = |version| match version {
            GicVersion::V2 => map.gic_v2.is_some(),
            GicVersion::V3 => map.gic_v3.is_some(),
        };
        let mut plugged = plug(arguments, tap, &random)?;
        ensure!(gic.is_none_or(has), "--gic: the machine file has no such interrupt controller");
        plugged.fits(&map)?;
        if !arguments.no_entropy && plugged.count() < map.slots() {
            plugged.entropy = Some(random.try_clone()?);
        }
        Ok(Self {
            layout,
            image,
            settings: arguments.settings.clone(),
            cores: arguments.cores,
            gic,
            plugged,
            on_reset: arguments.on_reset,
            random,
            map,
        })
    }

    /// A machine's identity: another one at each call.
    ///
    /// # Errors
    /// The host gives no random bytes.
    pub fn identity(&self) -> Result<[u8; 16]> {
        let mut id = [0; 16];
        (&self.random).read_exact(&mut id).context(RANDOM)?;
        Ok(id)
    }

    /// The device tree of the machine with this interrupt controller: other seeds at each call.
    ///
    /// # Errors
    /// See [`crate::tree::write`].
    pub fn tree(&self, gic: GicVersion) -> Result<Vec<u8>> {
        let mut random = vec![0; 8 + self.map.chosen.rng_seed];
        (&self.random).read_exact(&mut random).context(RANDOM)?;
        let facts = Facts {
            layout: &self.layout,
            gic,
            cores: self.cores,
            settings: &self.settings,
            plugged: self.plugged.count(),
            random: &random,
        };
        crate::tree::write(&self.map, &facts)
    }
}

/// The TAP that is called so: by its name, or by the number of an inherited descriptor.
fn tap(name: &str) -> Result<File> {
    let opened = name.parse().map_or_else(|_| shell::open_tap(name), shell::inherited);
    opened.with_context(|| format!("--net {name}"))
}

/// Opens what is behind the virtio devices.
fn plug(arguments: &Arguments, tap: Option<File>, mut random: &File) -> Result<Plugged> {
    let open = |path: &PathBuf| {
        let file = File::options().read(true).write(true).open(path);
        file.with_context(|| format!("--disk {}", path.display()))
    };
    let mut bytes = [0; 6];
    random.read_exact(&mut bytes).context(RANDOM)?;
    let address = arguments.mac.unwrap_or(HardwareAddress::random(bytes));
    Ok(Plugged {
        disk: arguments.disk.as_ref().map(open).transpose()?,
        network: tap.map(|tap| (tap, address)),
        entropy: None,
    })
}
