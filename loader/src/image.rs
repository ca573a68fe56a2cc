//! The header of an image (Linux, `Documentation/arch/arm64/booting.rst`, section 4).

use core::fmt;

/// The header's length in bytes.
const HEADER: usize = 64;
const MAGIC: &[u8] = b"ARM\x64";
/// An image's place is this much, in bytes, from a multiple of the same.
pub const BOUNDARY: usize = 2 << 20;
/// More memory, in bytes, than any image takes: what asks for more is rubbish.
const MOST: u64 = 1 << 30;

/// What an image asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Image {
    /// How far from a multiple of [`BOUNDARY`] it begins, in bytes.
    pub offset: usize,
    /// How much memory it takes from there on, in bytes: at least as much as its file has.
    pub size: usize,
}

/// Why a file is no image. Nothing but another file helps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoImage {
    /// It has this many bytes, fewer than the header.
    CutShort(usize),
    /// There is no magic number in its header.
    NotOne,
    /// Its header says that it is for cores in big-endian mode.
    BigEndian,
    /// Its header asks for this many bytes of memory, at this offset: less than its file has, or
    /// more than there can be.
    Size(u64, u64),
}

impl Image {
    /// Reads the header of `file`.
    ///
    /// # Errors
    /// It is no image that can be placed.
    pub fn read(file: &[u8]) -> Result<Self, NoImage> {
        let header = file.get(..HEADER).ok_or(NoImage::CutShort(file.len()))?;
        if &header[56..60] != MAGIC {
            return Err(NoImage::NotOne);
        }
        let field = |at: usize| {
            header[at..at + 8].iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte))
        };
        let (offset, size, flags) = (field(8), field(16), field(24));
        if flags & 1 != 0 {
            return Err(NoImage::BigEndian);
        }
        let refused = NoImage::Size(size, offset);
        if size > MOST || offset >= BOUNDARY as u64 {
            return Err(refused);
        }
        let (Ok(offset), Ok(size)) = (usize::try_from(offset), usize::try_from(size)) else {
            return Err(refused);
        };
        if size < file.len() { Err(refused) } else { Ok(Self { offset, size }) }
    }
}

impl fmt::Display for NoImage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CutShort(length) => {
                write!(f, "it is cut short: {length} bytes, and its header alone has {HEADER}")
            }
            Self::NotOne => f.write_str("it is no image: its header has no magic number"),
            Self::BigEndian => f.write_str("it is an image for big-endian cores"),
            Self::Size(size, offset) => {
                write!(f, "its header is wrong: {size} bytes of memory, {offset} from a boundary")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::{vec, vec::Vec};

    /// A file of `length` bytes that asks for a mebibyte.
    fn file(length: usize) -> Vec<u8> {
        let mut file = vec![0; length];
        file[16..24].copy_from_slice(&(1_u64 << 20).to_le_bytes());
        file[24] = 0xa;
        file[56..60].copy_from_slice(b"ARM\x64");
        file
    }

    #[test]
    fn what_an_image_asks_for_is_read() {
        assert_eq!(Image::read(&file(4096)), Ok(Image { offset: 0, size: 1 << 20 }));
        let mut moved = file(64);
        moved[8..16].copy_from_slice(&0x8_0000_u64.to_le_bytes());
        assert_eq!(Image::read(&moved), Ok(Image { offset: 0x8_0000, size: 1 << 20 }));
    }

    #[test]
    fn what_is_none_is_refused() {
        assert_eq!(Image::read(&[]), Err(NoImage::CutShort(0)));
        assert_eq!(Image::read(&file(4096)[..63]), Err(NoImage::CutShort(63)));
        assert_eq!(Image::read(&[0; 64]), Err(NoImage::NotOne));
        let with = |at: usize, value: u64| {
            let mut file = file(4096);
            file[at..at + 8].copy_from_slice(&value.to_le_bytes());
            Image::read(&file)
        };
        assert_eq!(with(24, 0xb), Err(NoImage::BigEndian));
        for size in [0, 4095, MOST + 1, u64::MAX] {
            assert_eq!(with(16, size), Err(NoImage::Size(size, 0)));
        }
        for offset in [BOUNDARY as u64, u64::MAX] {
            assert_eq!(with(8, offset), Err(NoImage::Size(1 << 20, offset)));
        }
    }
}
