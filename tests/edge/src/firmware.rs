//! Firmware for QEMU's `virt` machine, as Debian packages it.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};

use crate::packages::Apt;

/// Which firmware.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Firmware {
    /// U-Boot.
    UBoot,
    /// EDK2, the reference of UEFI.
    Edk2,
}

impl Firmware {
    /// The directory that it is unpacked into, its package, and where it is there.
    const fn place(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::UBoot => ("u-boot", "u-boot-qemu", "usr/lib/u-boot/qemu_arm64/u-boot.bin"),
            Self::Edk2 => ("edk2", "qemu-efi-aarch64", "usr/share/qemu-efi-aarch64/QEMU_EFI.fd"),
        }
    }
}

/// The file that the emulator takes as its firmware. It is fetched into the directory `cache` the
/// first time.
///
/// # Errors
/// [`Unavailable`](crate::Unavailable) where Debian's packages cannot be had; else what failed.
pub fn firmware(cache: &Path, which: Firmware) -> Result<PathBuf> {
    fs::create_dir_all(cache).with_context(|| format!("making {}", cache.display()))?;
    // As for a host's parts.
    let lock = File::create(cache.join("lock"))?;
    lock.lock()?;
    let (name, package, path) = which.place();
    let file = Apt::at(cache).alone(name, package)?.join(path);
    ensure!(file.is_file(), "{package} has no {path}");
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_there_is_taken_and_what_is_not_is_named() {
        let cache = std::env::temp_dir().join(format!("elone-firmware-{}", std::process::id()));
        let (name, _, path) = Firmware::UBoot.place();
        let file = cache.join(name).join(path);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        let error = firmware(&cache, Firmware::UBoot).unwrap_err();
        assert_eq!(error.to_string(), format!("u-boot-qemu has no {path}"));
        fs::write(&file, "").unwrap();
        assert_eq!(firmware(&cache, Firmware::UBoot).unwrap(), file);
        fs::remove_dir_all(cache).unwrap();
    }
}
