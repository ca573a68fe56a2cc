//! From what the linker writes to what boots: an ELF file's segments, laid out flat as they will
//! lie in memory, beginning with the header that boot loaders for Linux on arm64 read.
//!
//! The header is the image's own (Linux, Documentation/arch/arm64/booting.rst); here it is checked,
//! as a loader would refuse a wrong one without a word.

use anyhow::{Context, Result, ensure};
use object::elf::{FileHeader64, PT_LOAD};
use object::endian::LittleEndian;
use object::read::elf::{FileHeader, ProgramHeader};

/// Offsets in the header: the memory that the image needs, and the magic number.
const IMAGE_SIZE: usize = 16;
const MAGIC: usize = 56;
const HEADER: usize = 64;

/// No segment lies further from the first than this; what does is a mistake in the linker script.
const FARTHEST: u64 = 64 << 20;

/// The flat image. What is only zeros in memory is not in the file, and must lie behind all else.
pub(crate) fn flatten(elf: &[u8]) -> Result<Vec<u8>> {
    let little = LittleEndian;
    let header = FileHeader64::<LittleEndian>::parse(elf).context("the linker's output")?;
    let mut segments: Vec<_> = header
        .program_headers(little, elf)?
        .iter()
        .filter(|segment| segment.p_type(little) == PT_LOAD && segment.p_memsz(little) > 0)
        .collect();
    segments.sort_by_key(|segment| segment.p_paddr(little));
    let base = segments.first().context("there is nothing to load")?.p_paddr(little);

    let (mut image, mut end) = (Vec::new(), 0);
    for segment in segments {
        let at = segment.p_paddr(little) - base;
        end = end.max(at + segment.p_memsz(little));
        ensure!(end <= FARTHEST, "a segment lies {at:#x} bytes from the first");
        let bytes = segment.data(little, elf).ok().context("a segment is not in the file")?;
        if bytes.is_empty() {
            continue;
        }
        let at = usize::try_from(at)?;
        ensure!(image.len() <= at, "two segments overlap at {at:#x}");
        image.resize(at, 0);
        image.extend_from_slice(bytes);
    }
    check(&image, end)?;
    Ok(image)
}

/// Checks what a loader relies on: the magic number, and that the header claims all the memory that
/// the image needs, up to `end`.
fn check(image: &[u8], end: u64) -> Result<()> {
    ensure!(image.len() >= HEADER, "the image has only {} bytes", image.len());
    let magic = &image[MAGIC..MAGIC + 4];
    ensure!(magic == b"ARM\x64", "no Linux arm64 header: {magic:02x?} is at offset 56");
    let mut size = [0; 8];
    size.copy_from_slice(&image[IMAGE_SIZE..IMAGE_SIZE + 8]);
    let size = u64::from_le_bytes(size);
    ensure!(size >= end, "the header claims {size:#x} bytes, and the image needs {end:#x}");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::made_up::{self, Part};

    /// An ELF file with these segments: physical address, bytes, size in memory.
    fn elf(segments: &[(u64, &[u8], u64)]) -> Vec<u8> {
        let part = |&(address, bytes, memory)| Part { flags: 4, address, bytes, memory };
        made_up::elf(0, &segments.iter().map(part).collect::<Vec<_>>())
    }

    fn header(size: u64) -> Vec<u8> {
        let mut header = vec![0xaa; HEADER];
        header[IMAGE_SIZE..IMAGE_SIZE + 8].copy_from_slice(&size.to_le_bytes());
        header[MAGIC..MAGIC + 4].copy_from_slice(b"ARM\x64");
        header
    }

    #[test]
    fn segments_lie_as_in_memory_and_zeros_behind_them_are_left_out() {
        let head = header(0x300);
        let image = flatten(&elf(&[(0x1100, b"data", 0x200), (0x1000, &head, 0x40)])).unwrap();
        assert_eq!(image[..64], head);
        assert_eq!(image[64..0x100], [0; 0xc0]);
        assert_eq!(&image[0x100..], b"data");
    }

    #[test]
    fn what_would_not_boot_is_refused() {
        let refused = |segments: &[(u64, &[u8], u64)]| {
            flatten(&elf(segments)).map(drop).unwrap_err().to_string()
        };
        assert!(refused(&[]).contains("nothing to load"));
        assert!(refused(&[(0, b"short", 5)]).contains("only 5 bytes"));
        assert!(refused(&[(0, &[0; 64], 64)]).contains("header"));
        assert!(refused(&[(0, &header(64), 65)]).contains("claims 0x40"));
        assert!(refused(&[(0, &header(99), 64), (32, b"x", 1)]).contains("overlap"));
        assert!(refused(&[(0, &header(99), 64), (1 << 40, b"x", 1)]).contains("lies"));
        assert!(flatten(b"not an ELF file").is_err());
    }
}
