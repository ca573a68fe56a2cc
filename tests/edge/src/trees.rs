//! Device trees of boards: those that Debian's kernel for arm64 brings along.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};

use crate::Unavailable;
use crate::packages::Apt;

/// The tree whose path in the kernel package `package` ends with `path`, as `broadcom/x.dtb`. All trees
/// of the package are fetched into the directory `cache` the first time.
///
/// # Errors
/// [`Unavailable`] where packages for Debian arm64 cannot be had, or the package has no such tree;
/// else what failed.
pub fn tree(cache: &Path, package: &str, path: &str) -> Result<PathBuf> {
    let plain = package.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '-');
    ensure!(plain && !package.starts_with('-'), "{package:?} is no package's name");
    fs::create_dir_all(cache).with_context(|| format!("making {}", cache.display()))?;
    // As for a host's parts.
    let lock = File::create(cache.join("lock"))?;
    lock.lock()?;
    let directory = Apt::at(cache).trees(package)?;
    let found = find(&directory, Path::new(path))?;
    let missing = || Unavailable(format!("{package} has no device tree {path}"));
    found.ok_or_else(|| missing().into())
}

/// The file below `directory` whose path ends with `path`.
fn find(directory: &Path, path: &Path) -> Result<Option<PathBuf>> {
    let entries = fs::read_dir(directory);
    for entry in entries.with_context(|| format!("reading {}", directory.display()))? {
        let place = entry?.path();
        if place.is_dir() {
            if let Some(found) = find(&place, path)? {
                return Ok(Some(found));
            }
        } else if place.ends_with(path) {
            return Ok(Some(place));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_is_found_by_the_end_of_its_path() {
        let cache = std::env::temp_dir().join(format!("elone-trees-{}", std::process::id()));
        let boards = cache.join("trees-linux/usr/lib/linux-image-6/broadcom");
        fs::create_dir_all(&boards).unwrap();
        fs::write(boards.join("a.dtb"), "").unwrap();
        assert_eq!(tree(&cache, "linux", "broadcom/a.dtb").unwrap(), boards.join("a.dtb"));
        for (package, path) in [("linux", "broadcom/b.dtb"), ("linux", "dcom/a.dtb")] {
            assert!(tree(&cache, package, path).unwrap_err().is::<Unavailable>());
        }
        assert!(tree(&cache, "../linux", "a.dtb").is_err());
        fs::remove_dir_all(&cache).unwrap();
    }
}
