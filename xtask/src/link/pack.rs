//! From an application's ELF file to its package, and to an object that holds it.

use anyhow::{Context, Result, anyhow, ensure};
use elone_gate::package::{self, Access, Flaw, Package, PackageError, Segment};
use object::elf::{EM_AARCH64, ET_EXEC, FileHeader64, PT_LOAD};
use object::endian::LittleEndian;
use object::read::elf::{ElfFile64, FileHeader, ProgramHeader};
use object::{Architecture, BinaryFormat, Endianness, Object, SectionKind, write};

/// The section that `hal/image.ld` puts between `__application_start` and `__application_end`.
const SECTION: &[u8] = b".application";

/// The package of an application. What the boot would refuse is refused here, with the same reason.
pub(super) fn package(elf: &[u8]) -> Result<Vec<u8>> {
    let little = LittleEndian;
    let header = FileHeader64::<LittleEndian>::parse(elf).context("not a whole ELF file")?;
    ensure!(header.e_machine(little) == EM_AARCH64, "it is for another machine");
    ensure!(header.e_type(little) == ET_EXEC, "it is not linked for a fixed address");
    let headers = header.program_headers(little, elf).context("truncated")?;
    let mut segments = Vec::new();
    for header in headers {
        if header.p_type(little) != PT_LOAD || header.p_memsz(little) == 0 {
            continue;
        }
        let (address, memory) = (header.p_vaddr(little), header.p_memsz(little));
        let here = || format!("the segment at {address:#x}");
        let access = Access::from_flags(header.p_flags(little)).map_err(told).with_context(here)?;
        let contents = header.data(little, elf).ok().context("truncated").with_context(here)?;
        segments.push(Segment { address, memory, contents, access });
    }
    segments.sort_by_key(|segment| segment.address);

    let build_id = ElfFile64::<LittleEndian>::parse(elf).ok();
    let build_id = build_id.as_ref().and_then(|file| file.build_id().ok().flatten());
    let build_id = build_id.unwrap_or_default();
    let mut bytes = Vec::new();
    let mut sink = |piece: &[u8]| bytes.extend_from_slice(piece);
    package::write(header.e_entry(little), build_id, &segments, &mut sink);
    Package::read(&bytes).map_err(|error| explained(error, &segments))?;
    Ok(bytes)
}

fn told(flaw: Flaw) -> anyhow::Error {
    anyhow!("{flaw}")
}

/// The reason, and which segment of the ELF file it is about.
fn explained(error: PackageError, segments: &[Segment<'_>]) -> anyhow::Error {
    match error {
        PackageError::Segment { index, flaw } if index < segments.len() => {
            let Segment { address, access, .. } = segments[index];
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

    /// What is in order: text, constants, and data with zeros behind it.
    fn parts() -> [Part<'static>; 3] {
        let part = |flags, address, bytes, memory| Part { flags, address, bytes, memory };
        [
            part(6, 0x40_3000, &b"data"[..], 0x5000),
            part(5, 0x40_0000, CODE, 8192),
            part(4, 0x40_2000, b"constants", 9),
        ]
    }

    const ENTRY: u64 = 0x40_0010;

    /// Why the application is refused whose part `index` was changed so.
    fn refused(index: usize, change: impl Fn(&mut Part<'_>)) -> String {
        let mut parts = parts();
        change(&mut parts[index]);
        format!("{:#}", package(&made_up::elf(ENTRY, &parts)).unwrap_err())
    }

    #[test]
    fn an_application_is_packed_by_address() {
        let bytes = package(&made_up::elf(ENTRY, &parts())).unwrap();
        let read = Package::read(&bytes).unwrap();
        assert_eq!((read.entry(), read.data()), (ENTRY, 0x5000));
        let segments: Vec<_> = read.segments().map(|s| (s.address, s.access)).collect();
        let expected =
            [(0x40_0000, Access::Text), (0x40_2000, Access::Constants), (0x40_3000, Access::Data)];
        assert_eq!(segments, expected);
        let contents: Vec<_> = read.segments().map(|segment| segment.contents).collect();
        assert_eq!(contents, [CODE, b"constants", b"data"]);
    }

    #[test]
    fn what_takes_no_memory_is_not_packed() {
        let mut parts = parts();
        parts[0] = Part { bytes: b"", memory: 0, ..parts[0] };
        let bytes = package(&made_up::elf(ENTRY, &parts)).unwrap();
        assert_eq!(Package::read(&bytes).unwrap().segments().count(), 2);
    }

    #[test]
    fn what_would_not_boot_is_refused_with_the_segment_and_the_reason() {
        let writable_text = refused(1, |part| part.flags = 7);
        assert_eq!(writable_text, "the segment at 0x400000: writable and executable");
        let misaligned = refused(2, |part| part.address += 16);
        let expected = "the segment at 0x402010 (Constants): misaligned address 0x402010";
        assert_eq!(misaligned, expected);
        let overlapping = refused(2, |part| part.address -= 4096);
        assert!(overlapping.starts_with("the segment at 0x401000 (Constants): "), "{overlapping}");
        assert!(overlapping.contains("overlaps"), "{overlapping}");
        let low = refused(1, |part| part.address = 0x10_0000);
        assert!(low.contains("(Text): 0x2000 bytes at 0x100000 are not within"), "{low}");
        let large = refused(0, |part| part.memory = 1 << 40);
        assert!(large.contains("(Data)") && large.contains("are not within"), "{large}");
        let zeros = refused(1, |part| part.memory += 1);
        assert!(zeros.contains("more memory than contents"), "{zeros}");
        let entered = refused(1, |part| part.flags = 4);
        assert!(entered.contains("its entry, 0x400010, is not in its text"), "{entered}");
        let unreadable = refused(2, |part| part.flags = 0);
        assert!(unreadable.contains("unknown access 0x0"), "{unreadable}");
    }

    #[test]
    fn an_application_that_was_linked_with_the_kernel_is_refused() {
        let joined = refused(0, |part| part.address |= 0xffff_ff80_0000_0000);
        assert!(joined.contains("(Data): built for joined mode"), "{joined}");
    }

    #[test]
    fn what_is_too_large_is_refused() {
        let contents = vec![0; 3 << 20];
        let mut parts = parts();
        parts[0].memory = 3 << 20;
        assert!(package(&made_up::elf(ENTRY, &parts)).is_ok(), "zeros take no room");
        parts[0] = Part { bytes: &contents, memory: 3 << 20, ..parts[0] };
        let error = package(&made_up::elf(ENTRY, &parts)).unwrap_err().to_string();
        assert!(error.starts_with("too large: "), "{error}");
    }

    #[test]
    fn what_is_no_whole_executable_is_refused() {
        let whole = made_up::elf(ENTRY, &parts());
        for length in 0..whole.len() {
            assert!(package(&whole[..length]).is_err(), "cut to {length}");
        }
        let error = format!("{:#}", package(&whole[..whole.len() - 1]).unwrap_err());
        assert_eq!(error, "the segment at 0x402000: truncated");
        for (at, byte, reason) in [(16, 3, "a fixed address"), (18, 62, "another machine")] {
            let mut other = whole.clone();
            other[at] = byte;
            assert!(package(&other).unwrap_err().to_string().contains(reason));
        }
        assert!(package(b"").is_err() && package(b"not an ELF file").is_err());
    }

    #[test]
    fn an_object_holds_a_package_in_one_section_of_whole_pages() {
        let bytes = package(&made_up::elf(ENTRY, &parts())).unwrap();
        let object = object(&bytes).unwrap();
        let file = ElfFile64::<LittleEndian>::parse(&object[..]).unwrap();
        let section = file.section_by_name(".application").unwrap();
        assert_eq!((section.align(), section.data().unwrap()), (4096, &bytes[..]));
        assert_eq!(section.kind(), SectionKind::ReadOnlyData);
    }
}
