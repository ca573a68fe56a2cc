//! Xen for arm64, as Debian packages it.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use crate::Unavailable;
use crate::packages::Apt;

/// How the packages are called that hold a version of it.
const PREFIX: &str = "xen-hypervisor-";
const SUFFIX: &str = "-arm64";

/// The hypervisor, which boots as Linux does on arm64, at EL2. It is fetched into the directory `cache`
/// the first time.
///
/// # Errors
/// [`Unavailable`] where packages for Debian arm64 cannot be had; else what failed.
pub fn xen(cache: &Path) -> Result<PathBuf> {
    fs::create_dir_all(cache).with_context(|| format!("making {}", cache.display()))?;
    // As for a host's parts.
    let lock = File::create(cache.join("lock"))?;
    lock.lock()?;
    let mut apt = Apt::at(cache);
    let directory = cache.join("xen");
    if !directory.is_dir() {
        let names = apt.names(PREFIX)?;
        let package = newest(&names)
            .ok_or_else(|| Unavailable(format!("this machine's apt knows no {PREFIX}*{SUFFIX}")))?;
        apt.alone("xen", package)?;
    }
    let boot = directory.join("boot");
    let entries = fs::read_dir(&boot).with_context(|| format!("reading {}", boot.display()))?;
    let files: Vec<_> = entries.collect::<Result<_, _>>()?;
    let image = files.into_iter().find(|file| file.file_name().to_string_lossy().ends_with(SUFFIX));
    Ok(image.context("the package has no image of Xen")?.path())
}

/// Of a list of packages the one of the newest version: they are numbered, `xen-hypervisor-4.17-arm64`.
fn newest(names: &str) -> Option<&str> {
    let version = |name: &str| {
        let version = name.strip_prefix(PREFIX)?.strip_suffix(SUFFIX)?;
        let numbers = version.split('.').map(str::parse);
        numbers.collect::<Result<Vec<u32>, _>>().ok()
    };
    let known = names.lines().filter_map(|name| Some((version(name)?, name)));
    known.max().map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_version_is_taken_by_number() {
        let names = "xen-hypervisor-4.9-arm64\nxen-hypervisor-4.17-arm64-dbg\n\
                     xen-hypervisor-4.17-arm64\nxen-hypervisor-common\nxen-hypervisor-4.14-amd64\n";
        assert_eq!(newest(names), Some("xen-hypervisor-4.17-arm64"));
        assert_eq!(newest("xen-hypervisor-common\n"), None);
    }
}
