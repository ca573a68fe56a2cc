//! Machines that firmware boots: what it finds, where, and what is handed over by it.
//!
//! An emulator that takes an image as it takes Linux is its own boot loader. With these boards it
//! starts U-Boot or EDK2 instead, which read the image as they would on a board: from a disk, or
//! from a server.

mod script;
mod volume;

use std::borrow::Cow;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use elone_edge::Firmware;

pub(crate) use self::volume::Volume;
use crate::machine::escaped;
use crate::{HandOver, Machine};

/// What an image is called where firmware finds it.
const IMAGE: &str = "elone.img";

/// How firmware comes by an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// U-Boot, from a disk, by `extlinux/extlinux.conf`.
    UBootDisk,
    /// U-Boot, over TFTP, by the script that it asks for after DHCP.
    UBootNetwork,
    /// EDK2, from a disk, by the loader of `loader/`.
    Uefi,
}

impl Way {
    const fn of(hand_over: HandOver) -> Option<Self> {
        match hand_over {
            HandOver::UBoot => Some(Self::UBootNetwork),
            HandOver::UBootDisk => Some(Self::UBootDisk),
            HandOver::Uefi => Some(Self::Uefi),
            _ => None,
        }
    }

    const fn firmware(self) -> Firmware {
        match self {
            Self::UBootDisk | Self::UBootNetwork => Firmware::UBoot,
            Self::Uefi => Firmware::Edk2,
        }
    }
}

impl Machine {
    /// The machine as the emulator is to make it: where firmware boots it, that is what the emulator
    /// is given, and the image is a file that firmware finds. Its files go into `directory`.
    pub(crate) fn by_firmware(&self, directory: &Path) -> Result<Cow<'_, Self>> {
        let Some(way) = Way::of(self.board.hand_over) else { return Ok(Cow::Borrowed(self)) };
        let hosts = self.hosts.as_ref();
        let hosts = hosts.with_context(|| format!("{} takes firmware", self.board.name))?;
        let files = self.files_for(way)?;
        let mut machine = self.clone();
        machine.image = hosts.firmware(way.firmware())?;
        machine.board.hand_over = HandOver::Bios;
        machine.settings = Vec::new();
        if way == Way::UBootNetwork {
            let served = directory.join("tftp");
            files.write_files(&served)?;
            machine.served = Some(served);
            return Ok(Cow::Owned(machine));
        }
        let disk = directory.join("boot.disk");
        files.write_disk(&disk)?;
        // EDK2 tries disks as they are numbered; U-Boot only the first.
        let drive = format!("if=none,format=raw,file={},id=boot", escaped(&disk));
        let device = "virtio-blk-device,drive=boot,bootindex=0";
        for argument in ["-drive", &drive, "-device", device] {
            machine = machine.argument(argument);
        }
        Ok(Cow::Owned(machine))
    }

    /// What firmware finds.
    fn files_for(&self, way: Way) -> Result<Volume> {
        let settings = self.settings.join(" ");
        let files = match way {
            Way::UBootDisk => {
                Volume::default().with("extlinux/extlinux.conf", script::extlinux(&settings)?)
            }
            Way::UBootNetwork => {
                let script = script::tftp(&settings)?;
                Volume::default().with("boot.scr.uimg", script::image(&script))
            }
            Way::Uefi => {
                let loader =
                    self.loader.as_ref().context("nobody has built the loader for UEFI")?;
                let loader = read(loader)?;
                let files = Volume::default().with("EFI/BOOT/BOOTAA64.EFI", loader);
                if settings.is_empty() { files } else { files.with("elone.txt", settings) }
            }
        };
        match self.image.as_os_str().is_empty() {
            true => Ok(files),
            false => Ok(files.with(IMAGE, read(&self.image)?)),
        }
    }

    /// With firmware that finds no image.
    #[must_use]
    pub(crate) fn without_image(mut self) -> Self {
        self.image = PathBuf::new();
        self
    }

    /// With this program to load the image where firmware is UEFI.
    #[must_use]
    pub fn loader(mut self, program: &Path) -> Self {
        self.loader = Some(program.to_owned());
        self
    }
}

fn read(file: &Path) -> Result<Vec<u8>> {
    let bytes = fs::read(file).with_context(|| format!("reading {}", file.display()))?;
    ensure!(!bytes.is_empty(), "{} is empty", file.display());
    Ok(bytes)
}
