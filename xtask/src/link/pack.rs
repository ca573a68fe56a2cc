//! From an application's ELF file to its package, and to an object that holds it.
//!
//! Where the file was linked is of no meaning to the kernel: a package counts from the lowest address.
//! So what the linker took for addresses is made distances here, in the words that its table of
//! relocations names.

use std::borrow::Cow;

use anyhow::{Context, Result, anyhow, ensure};
use elone_gate::package::{self, Access, Content, Flaw, Package, PackageError, Segment};
use object::elf::{
    EM_AARCH64, ET_DYN, FileHeader64, PF_R, PF_W, PF_X, PT_LOAD, Relr64, SHF_ALLOC, SHT_REL,
    SHT_RELA, SHT_RELR,
};
use object::endian::LittleEndian;
use object::read::elf::{ElfFile64, FileHeader, ProgramHeader, RelrIterator, SectionHeader};
use object::{Architecture, BinaryFormat, Endianness, Object, SectionKind, write};

/// The section that `hal/image.ld` puts between `__application_start` and `__application_end`.
const SECTION: &[u8] = b".application";

type Elf = FileHeader64<LittleEndian>;
const LITTLE: LittleEndian = LittleEndian;

/// A part of the ELF file that is loaded, at the address that it was linked for.
struct Part<'a> {
    address: u64,
    memory: u64,
    contents: Cow<'a, [u8]>,
    access: Access,
}

/// The package of an application. What the boot would refuse is refused here, with the same reason.
pub(super) fn package(elf: &[u8]) -> Result<Vec<u8>> {
    let header = Elf::parse(elf).context("not a whole ELF file")?;
    ensure!(header.e_machine(LITTLE) == EM_AARCH64, "it is for another machine");
    ensure!(header.e_type(LITTLE) == ET_DYN, "it is linked for a fixed address");
    let mut parts = parts(header, elf)?;
    let base = parts.first().map_or(0, |part| part.address);
    let last = parts.last().map_or(0, |part| part.address);
    ensure!(last >> 63 == 0, "built for joined mode: linked in the upper half, at {last:#x}");
    let table = relocations(header, elf)?;
    for address in RelrIterator::<Elf>::new(LITTLE, table) {
        // What cannot be found is found missing when the package is read.
        if let Some(part) = parts.iter_mut().find(|part| part.holds(address)) {
            part.relocate(address, base);
        }
    }
    let segments: Vec<Segment<'_>> = parts.iter().map(|part| part.segment(base)).collect();
    // An address is even; a bitmap counts from the address before it.
    let word = |word: u64| if word & 1 == 0 { word.wrapping_sub(base) } else { word };
    let relocations: Vec<u64> = table.iter().map(|relr| word(relr.0.get(LITTLE))).collect();

    let file = ElfFile64::<LittleEndian>::parse(elf).ok();
    let build_id = file.as_ref().and_then(|file| file.build_id().ok().flatten());
    let build_id = build_id.unwrap_or_default();
    let entry = header.e_entry(LITTLE).wrapping_sub(base);
    let content = Content { entry, build_id, segments: &segments, relocations: &relocations };
    let mut bytes = Vec::new();
    package::write(&content, &mut |piece: &[u8]| bytes.extend_from_slice(piece));
    Package::read(&bytes).map_err(|error| explained(error, &parts))?;
    Ok(bytes)
}

/// What is loaded, by address.
fn parts<'a>(header: &Elf, elf: &'a [u8]) -> Result<Vec<Part<'a>>> {
    let mut parts = Vec::new();
    for header in header.program_headers(LITTLE, elf).context("truncated")? {
        if header.p_type(LITTLE) != PT_LOAD || header.p_memsz(LITTLE) == 0 {
            continue;
        }
        let (address, memory) = (header.p_vaddr(LITTLE), header.p_memsz(LITTLE));
        let here = || format!("the segment at {address:#x}");
        let flags = header.p_flags(LITTLE) & (PF_R | PF_W | PF_X);
        let access = Access::from_flags(flags).map_err(told).with_context(here)?;
        let contents = header.data(LITTLE, elf).ok().context("truncated").with_context(here)?;
        parts.push(Part { address, memory, contents: contents.into(), access });
    }
    parts.sort_by_key(|part| part.address);
    Ok(parts)
}

/// The table of relocations, which is the only one that the file may have.
fn relocations<'a>(header: &Elf, elf: &'a [u8]) -> Result<&'a [Relr64<LittleEndian>]> {
    let mut table: &[Relr64<LittleEndian>] = &[];
    for section in header.section_headers(LITTLE, elf).context("truncated")? {
        let kind = section.sh_type(LITTLE);
        let is_loaded = section.sh_flags(LITTLE) & u64::from(SHF_ALLOC) != 0;
        if kind == SHT_RELR {
            ensure!(table.is_empty(), "it has two tables of relocations");
            table = section.data_as_array(LITTLE, elf).context("its relocations are truncated")?;
        }
        let other = matches!(kind, SHT_REL | SHT_RELA) && is_loaded;
        ensure!(!other || section.sh_size(LITTLE) == 0, "it has relocations of an unknown kind");
    }
    Ok(table)
}

impl Part<'_> {
    /// Whether a word at `address` is among its contents.
    fn holds(&self, address: u64) -> bool {
        let at = address.checked_sub(self.address);
        at.is_some_and(|at| at.saturating_add(8) <= self.contents.len() as u64)
    }

    /// Makes the address in the word at `address`, which is among its contents, a distance. Constants
    /// with such a word are not constant from life to life.
    fn relocate(&mut self, address: u64, base: u64) {
        if self.access == Access::Constants {
            self.access = Access::Relocated;
        }
        let at = usize::try_from(address - self.address).unwrap_or(usize::MAX);
        let word = self.contents.to_mut().get_mut(at..).and_then(<[u8]>::first_chunk_mut);
        if let Some(word) = word {
            *word = u64::from_le_bytes(*word).wrapping_sub(base).to_le_bytes();
        }
    }

    fn segment(&self, base: u64) -> Segment<'_> {
        let Self { address, memory, ref contents, access } = *self;
        Segment { address: address - base, memory, contents, access }
    }
}

fn told(flaw: Flaw) -> anyhow::Error {
    anyhow!("{flaw}")
}

/// The reason, and which segment of the ELF file it is about.
fn explained(error: PackageError, parts: &[Part<'_>]) -> anyhow::Error {
    match error {
        PackageError::Segment { index, flaw } if index < parts.len() => {
            let Part { address, access, .. } = parts[index];
            told(flaw).context(format!("the segment at {address:#x} ({access:?})"))
        }
        other => anyhow!("{other}"),
    }
}

/// An object file with `package` as its one section, which is loaded, and read only.
pub(super) fn object(package: &[u8]) -> Result<Vec<u8>> {
    let (format, machine) = (BinaryFormat::Elf, Architecture::Aarch64);
    let mut object = write::Object::new(format, machine, Endianness::Little);
    let section = object.add_section(Vec::new(), SECTION.to_vec(), SectionKind::ReadOnlyData);
    object.set_section_data(section, package, package::PAGE);
    Ok(object.write()?)
}

#[cfg(test)]
mod tests {
    use object::ObjectSection;

    use super::*;
    use crate::made_up::{self, Part};

    const CODE: &[u8] = &[0xd4; 8192];

    /// Words that lead to text, and to the second of them.
    const WORDS: &[u8] = b"\x10\0\x40\0\0\0\0\0\x08\x30\x40\0\0\0\0\0abcdefgh";
    /// What says so, and that the first word of data is the third such.
    const TABLE: [u64; 3] = [0x40_3000, 0b11, 0x40_4000];

    /// What is in order: text, constants, words that are relocated, and data with zeros behind it.
    fn parts() -> [Part<'static>; 4] {
        let part = |flags, address, bytes, memory| Part { flags, address, bytes, memory };
        [
            part(6, 0x40_4000, &b"\0\0\x40\0\0\0\0\0data"[..], 0x5000),
            part(5, 0x40_0000, CODE, 8192),
            part(4, 0x40_2000, b"constants", 9),
            part(4, 0x40_3000, WORDS, 24),
        ]
    }

    const ENTRY: u64 = 0x40_0010;

    /// An ELF file of these parts, and with tables of these types, flags and words.
    fn elf_with(parts: &[Part<'_>], tables: &[(u32, u32, &[u64])]) -> Vec<u8> {
        let mut file = made_up::elf(ENTRY, parts);
        file[16] = 3; // position-independent
        file.resize(file.len().next_multiple_of(8), 0);
        let mut sections = Vec::new();
        for (kind, flags, words) in tables {
            let begin = file.len() as u64;
            file.extend(words.iter().flat_map(|word| word.to_le_bytes()));
            sections.push((".table", *kind, *flags, 0, begin..file.len() as u64));
        }
        made_up::with_sections(file, &sections)
    }

    fn elf(parts: &[Part<'_>]) -> Vec<u8> {
        elf_with(parts, &[(SHT_RELR, SHF_ALLOC, &TABLE)])
    }

    /// Why the application is refused whose part `index` was changed so.
    fn refused(index: usize, change: impl Fn(&mut Part<'_>)) -> String {
        let mut parts = parts();
        change(&mut parts[index]);
        format!("{:#}", package(&elf(&parts)).unwrap_err())
    }

    #[test]
    fn an_application_is_packed_by_address_from_its_base_on() {
        let bytes = package(&elf(&parts())).unwrap();
        let read = Package::read(&bytes).unwrap();
        assert_eq!((read.entry(), read.memory()), (0x10, 0x9000));
        let segments: Vec<_> = read.segments().map(|s| (s.address, s.access)).collect();
        let expected = [
            (0, Access::Text),
            (0x2000, Access::Constants),
            (0x3000, Access::Relocated),
            (0x4000, Access::Data),
        ];
        assert_eq!(segments, expected);
        let contents: Vec<_> = read.segments().map(|segment| segment.contents).collect();
        let relocated = b"\x10\0\0\0\0\0\0\0\x08\x30\0\0\0\0\0\0abcdefgh";
        assert_eq!(contents, [CODE, b"constants", relocated, b"\0\0\0\0\0\0\0\0data"]);
        assert!(read.relocations().addresses().eq([0x3000, 0x3008, 0x4000]));
    }

    #[test]
    fn what_takes_no_memory_is_not_packed() {
        let mut parts = parts();
        parts[0] = Part { bytes: b"", memory: 0, ..parts[0] };
        let bytes = package(&elf_with(&parts, &[])).unwrap();
        assert_eq!(Package::read(&bytes).unwrap().segments().count(), 3);
    }

    #[test]
    fn what_would_not_boot_is_refused_with_the_segment_and_the_reason() {
        let writable_text = refused(1, |part| part.flags = 7);
        assert_eq!(writable_text, "the segment at 0x400000: writable and executable");
        let misaligned = refused(2, |part| part.address += 16);
        let expected = "the segment at 0x402010 (Constants): misaligned address 0x2010";
        assert_eq!(misaligned, expected);
        let overlapping = refused(2, |part| part.address -= 4096);
        assert!(overlapping.starts_with("the segment at 0x401000 (Constants): "), "{overlapping}");
        assert!(overlapping.contains("overlaps"), "{overlapping}");
        let large = refused(0, |part| part.memory = 1 << 40);
        assert!(large.contains("(Data)") && large.contains("are not within"), "{large}");
        let zeros = refused(1, |part| part.memory += 1);
        assert!(zeros.contains("more memory than contents"), "{zeros}");
        let entered = refused(1, |part| part.flags = 4);
        assert!(entered.contains("its entry, 0x10, is not in its text"), "{entered}");
        let unreadable = refused(2, |part| part.flags = 0);
        assert!(unreadable.contains("unknown access 0x0"), "{unreadable}");
    }

    #[test]
    fn a_relocation_that_is_not_of_a_word_of_the_image_is_refused() {
        let refused = |sections: &[(u32, u32, &[u64])]| {
            format!("{:#}", package(&elf_with(&parts(), sections)).unwrap_err())
        };
        let astray = refused(&[(SHT_RELR, SHF_ALLOC, &[0x40_3010])]);
        let expected = "relocation 0: the word at 0x3010 leads out of the image, to 0x";
        assert!(astray.starts_with(expected), "{astray}");
        let zeros = refused(&[(SHT_RELR, SHF_ALLOC, &[0x40_3000, 0x40_4010])]);
        assert_eq!(zeros, "relocation 1: no word that is copied is at 0x4010");
        let text = refused(&[(SHT_RELR, SHF_ALLOC, &[0x40_0000])]);
        assert_eq!(text, "relocation 0: no word that is copied is at 0x0");
        let below = refused(&[(SHT_RELR, SHF_ALLOC, &[0x3f_fff8])]);
        assert!(below.starts_with("relocation 0: no word that is copied is at 0xff"), "{below}");
        let unplaced = refused(&[(SHT_RELR, SHF_ALLOC, &[0b11])]);
        assert_eq!(unplaced, "relocation 0: a bitmap without an address before it");
        let twice = refused(&[(SHT_RELR, SHF_ALLOC, &[8]), (SHT_RELR, SHF_ALLOC, &[8])]);
        assert_eq!(twice, "it has two tables of relocations");
        let unknown = refused(&[(SHT_RELA, SHF_ALLOC, &[0x40_3000, 1027, 0])]);
        assert_eq!(unknown, "it has relocations of an unknown kind");
        // What linkers leave for debuggers is no table of the application's.
        let sections = [(SHT_RELR, SHF_ALLOC, &TABLE[..]), (SHT_RELA, 0, &[0, 1027, 0])];
        assert!(package(&elf_with(&parts(), &sections)).is_ok());
    }

    #[test]
    fn an_application_that_was_linked_with_the_kernel_is_refused() {
        let joined = refused(0, |part| part.address |= 0xffff_ff80_0000_0000);
        assert!(joined.starts_with("built for joined mode"), "{joined}");
    }

    #[test]
    fn what_is_too_large_is_refused() {
        let contents = vec![0; 3 << 20];
        let mut parts = parts();
        parts[0].memory = 3 << 20;
        assert!(package(&elf(&parts)).is_ok(), "zeros take no room");
        parts[0] = Part { bytes: &contents, memory: 3 << 20, ..parts[0] };
        let error = package(&elf(&parts)).unwrap_err().to_string();
        assert!(error.starts_with("too large: "), "{error}");
    }

    #[test]
    fn what_is_no_whole_executable_is_refused() {
        let whole = elf(&parts());
        for length in 0..whole.len() {
            assert!(package(&whole[..length]).is_err(), "cut to {length}");
        }
        for (at, byte, reason) in [(16, 2, "a fixed address"), (18, 62, "another machine")] {
            let mut other = whole.clone();
            other[at] = byte;
            assert!(package(&other).unwrap_err().to_string().contains(reason));
        }
        assert!(package(b"").is_err() && package(b"not an ELF file").is_err());
    }

    #[test]
    fn an_object_holds_a_package_in_one_section_of_whole_pages() {
        let bytes = package(&elf(&parts())).unwrap();
        let object = object(&bytes).unwrap();
        let file = ElfFile64::<LittleEndian>::parse(&object[..]).unwrap();
        let section = file.section_by_name(".application").unwrap();
        assert_eq!((section.align(), section.data().unwrap()), (4096, &bytes[..]));
        assert_eq!(section.kind(), SectionKind::ReadOnlyData);
    }
}
