//! ELF files for tests, as no linker would write them.

use object::elf::PT_LOAD;

/// A segment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Part<'a> {
    /// 1 execute, 2 write, 4 read.
    pub(crate) flags: u32,
    pub(crate) address: u64,
    pub(crate) bytes: &'a [u8],
    pub(crate) memory: u64,
}

/// An executable for AArch64 that is entered at `entry`.
pub(crate) fn elf(entry: u64, parts: &[Part<'_>]) -> Vec<u8> {
    let mut offset = 64 + 56 * parts.len() as u64;
    let mut file = b"\x7fELF\x02\x01\x01".to_vec();
    file.resize(16, 0);
    file.extend([2, 0, 183, 0, 1, 0, 0, 0]); // executable, AArch64
    file.extend(entry.to_le_bytes());
    file.extend(64u64.to_le_bytes()); // program headers
    file.extend([0; 8 + 4]); // section headers, flags
    for half in [64, 56, u16::try_from(parts.len()).unwrap(), 64, 0, 0] {
        file.extend(half.to_le_bytes());
    }
    for Part { flags, address, bytes, memory } in parts {
        file.extend(PT_LOAD.to_le_bytes());
        file.extend(flags.to_le_bytes());
        for word in [offset, *address, *address, bytes.len() as u64, *memory, 4096] {
            file.extend(word.to_le_bytes());
        }
        offset += bytes.len() as u64;
    }
    parts.iter().for_each(|part| file.extend_from_slice(part.bytes));
    file
}
