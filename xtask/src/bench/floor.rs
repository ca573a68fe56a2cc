//! The emulator's own floor: what it takes to start and end when the guest does nothing.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// The whole guest: PSCI's `SYSTEM_OFF` (Arm DEN0022, section 5.10), by hypervisor call as QEMU's
/// virt takes it where it emulates neither EL2 nor EL3.
const CODE: [u32; 4] = [
    0x5280_0100, // movz w0, #0x0008
    0x72b0_8000, // movk w0, #0x8400, lsl #16
    0xd400_0002, // hvc  #0
    0x1400_0000, // b    .
];

/// The length of the header of a Linux kernel for arm64 ("Booting AArch64 Linux", section 4).
const HEADER: usize = 64;
/// How much memory the image says it needs.
const ROOM: u64 = 4096;
/// Little-endian, pages of 4 KiB, anywhere in memory.
const FLAGS: u64 = 0b1010;

/// Writes an image to `directory` that only powers the machine off.
pub(crate) fn image(directory: &Path) -> Result<PathBuf> {
    let file = directory.join("power-off.img");
    fs::create_dir_all(directory)?;
    fs::write(&file, bytes()).with_context(|| format!("writing {}", file.display()))?;
    Ok(file)
}

fn bytes() -> Vec<u8> {
    let mut image = vec![0; HEADER];
    image[..4].copy_from_slice(&0x1400_0010_u32.to_le_bytes()); // b #64, over the header
    image[16..24].copy_from_slice(&ROOM.to_le_bytes());
    image[24..32].copy_from_slice(&FLAGS.to_le_bytes());
    image[56..60].copy_from_slice(b"ARM\x64");
    image.extend(CODE.iter().flat_map(|instruction| instruction.to_le_bytes()));
    image
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_code_follows_the_header() {
        let image = bytes();
        assert_eq!((&image[56..60], image.len()), (&b"ARM\x64"[..], HEADER + 16));
        assert_eq!(&image[HEADER..HEADER + 4], [0x00, 0x01, 0x80, 0x52]);
    }
}
