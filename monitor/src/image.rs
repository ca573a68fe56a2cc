//! The image: a file that begins as a Linux arm64 kernel does.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use anyhow::{Context as _, Result, bail, ensure};

/// The header's length, and where in it is what (Linux, `Documentation/arch/arm64/booting.rst`).
const HEADER: usize = 64;
const TEXT_OFFSET: usize = 8;
const IMAGE_SIZE: usize = 16;
const MAGIC: usize = 56;

/// An image file that has been looked at.
#[derive(Debug)]
pub struct Image {
    /// The file.
    pub file: File,
    /// How many bytes of memory it needs from where it is loaded: more than the file has, as memory
    /// that is zero at first is not in the file.
    pub needs: u64,
}

impl Image {
    /// Opens the image at `path`.
    ///
    /// # Errors
    /// It cannot be read, or is none. The message names the file.
    pub fn open(path: &Path) -> Result<Self> {
        let open = || -> Result<Self> {
            let file = File::open(path)?;
            let length = file.metadata()?.len();
            let mut header = [0; HEADER];
            file.read_exact_at(&mut header, 0).context("it has no header")?;
            Ok(Self { file, needs: needs(&header, length)? })
        };
        open().with_context(|| format!("image {}", path.display()))
    }
}

/// How much memory the image with this header and length needs.
fn needs(header: &[u8; HEADER], length: u64) -> Result<u64> {
    if header[MAGIC..][..4] != *b"ARM\x64" {
        bail!("not an arm64 image");
    }
    let number = |at: usize| {
        let mut bytes = [0; 8];
        bytes.copy_from_slice(&header[at..][..8]);
        u64::from_le_bytes(bytes)
    };
    // Kernels older than 3.17 do not say; nobody has one that says something else than 0.
    let (size, offset) = (number(IMAGE_SIZE), number(TEXT_OFFSET));
    ensure!(size != 0, "it does not say how much memory it needs");
    ensure!(offset == 0, "it wants to be loaded {offset:#x} bytes off a 2 MiB boundary");
    Ok(size.max(length))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(size: u64, offset: u64, magic: &[u8; 4]) -> [u8; HEADER] {
        let mut header = [0; HEADER];
        header[TEXT_OFFSET..][..8].copy_from_slice(&offset.to_le_bytes());
        header[IMAGE_SIZE..][..8].copy_from_slice(&size.to_le_bytes());
        header[MAGIC..][..4].copy_from_slice(magic);
        header
    }

    #[test]
    fn an_image_needs_what_it_says_or_what_it_has() {
        assert_eq!(needs(&header(0x5000, 0, b"ARM\x64"), 0x1000).unwrap(), 0x5000);
        assert_eq!(needs(&header(0x5000, 0, b"ARM\x64"), 0x6000).unwrap(), 0x6000);
    }

    #[test]
    fn what_is_no_image_is_refused() {
        for (wrong, mention) in [
            (header(0x5000, 0, b"MZ\0\0"), "not an arm64 image"),
            (header(0, 0, b"ARM\x64"), "how much memory"),
            (header(0x5000, 0x8_0000, b"ARM\x64"), "0x80000"),
        ] {
            let message = needs(&wrong, 0x1000).unwrap_err().to_string();
            assert!(message.contains(mention), "{message}");
        }
    }
}
