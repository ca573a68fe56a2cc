//! ELF files for tests, as no linker would write them.

use object::elf::{PT_LOAD, SHT_NULL, SHT_STRTAB};

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

/// A section: name, type, flags, address, and which bytes of the file it is.
pub(crate) type Section<'a> = (&'a str, u32, u32, u64, std::ops::Range<u64>);

/// The same file with sections, which a linker would have named.
pub(crate) fn with_sections(mut file: Vec<u8>, sections: &[Section<'_>]) -> Vec<u8> {
    let strings = file.len() as u64;
    let mut names = vec![0];
    let mut places = Vec::new();
    for name in sections.iter().map(|section| section.0).chain([".shstrtab"]) {
        places.push(u32::try_from(names.len()).unwrap());
        names.extend_from_slice(name.as_bytes());
        names.push(0);
    }
    let end = strings + names.len() as u64;
    file.extend(names);
    file.resize(file.len().next_multiple_of(8), 0);
    let table = file.len() as u64;
    let names: Section<'_> = (".shstrtab", SHT_STRTAB, 0, 0, strings..end);
    let none: Section<'_> = ("", SHT_NULL, 0, 0, 0..0);
    let all = [none].into_iter().chain(sections.iter().cloned()).chain([names]);
    for ((_, kind, flags, address, bytes), name) in all.zip([0].into_iter().chain(places)) {
        file.extend([name, kind].map(u32::to_le_bytes).concat());
        let size = bytes.end - bytes.start;
        for word in [u64::from(flags), address, bytes.start, size, 0, 8, 8] {
            file.extend(word.to_le_bytes());
        }
    }
    let count = u16::try_from(sections.len() + 2).unwrap();
    file[40..48].copy_from_slice(&table.to_le_bytes());
    file[58..64].copy_from_slice(&[64, count, count - 1].map(u16::to_le_bytes).concat());
    file
}
