//! Another device tree for a machine: a shim that a VMM loads in the image's place.
//!
//! An emulator makes the tree of its machine itself, so a broken one cannot be asked for. The shim
//! is an image by the Linux arm64 boot protocol, two instructions long, that puts the address of a
//! tree of the test's own into x0 and goes on into the real image, 2 MiB further on.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

/// Where the code, the tree and the real image lie in the file.
const CODE: usize = 64;
const TREE: usize = 4096;
const IMAGE: usize = 2 << 20;
/// How much memory the real image may need: more than any does.
const ROOM: usize = 6 << 20;

/// Writes an image to `directory` that is `image`, handed `tree`.
///
/// # Errors
/// The tree is too large, or a file cannot be read or written.
pub fn with_tree(image: &Path, tree: &[u8], directory: &Path, name: &str) -> Result<PathBuf> {
    shim(image, address_in_x0(CODE, TREE), tree, directory, name)
}

/// Writes an image to `directory` that is `image`, told that its tree lies at so many times 4 GiB.
///
/// # Errors
/// A file cannot be read or written.
pub fn with_tree_at(image: &Path, units: u16, directory: &Path, name: &str) -> Result<PathBuf> {
    shim(image, units_in_x0(units), &[], directory, name)
}

fn shim(image: &Path, x0: u32, tree: &[u8], directory: &Path, name: &str) -> Result<PathBuf> {
    ensure!(tree.len() <= IMAGE - TREE, "a tree of {} bytes does not fit", tree.len());
    let image = fs::read(image).with_context(|| format!("reading {}", image.display()))?;
    let mut file = vec![0; IMAGE];
    file[..4].copy_from_slice(&branch(0, CODE).to_le_bytes());
    file[16..24].copy_from_slice(&((IMAGE + ROOM) as u64).to_le_bytes());
    file[24..32].copy_from_slice(&0xa_u64.to_le_bytes());
    file[56..60].copy_from_slice(b"ARM\x64");
    file[CODE..CODE + 4].copy_from_slice(&x0.to_le_bytes());
    file[CODE + 4..CODE + 8].copy_from_slice(&branch(CODE + 4, IMAGE).to_le_bytes());
    file[TREE..TREE + tree.len()].copy_from_slice(tree);
    file.extend_from_slice(&image);

    fs::create_dir_all(directory)?;
    let path = directory.join(format!("{name}.img"));
    fs::write(&path, file).with_context(|| format!("writing {}", path.display()))?;
    Ok(path)
}

/// `b to`, at `from`.
fn branch(from: usize, to: usize) -> u32 {
    0x1400_0000 | words(to - from)
}

/// `adr x0, to`, at `from`; both multiples of four.
fn address_in_x0(from: usize, to: usize) -> u32 {
    0x1000_0000 | words(to - from) << 5
}

/// `movz x0, #units, lsl #32`.
const fn units_in_x0(units: u16) -> u32 {
    0xd2c0_0000 | (units as u32) << 5
}

fn words(bytes: usize) -> u32 {
    u32::try_from(bytes / 4).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instructions_are_encoded_as_the_manual_has_them() {
        assert_eq!(branch(0, 64), 0x1400_0010); // b #64
        assert_eq!(address_in_x0(64, 4096), 0x1000_7e00); // adr x0, #4032
        assert_eq!(units_in_x0(0x200), 0xd2c0_4000); // movz x0, #0x200, lsl #32
    }
}
