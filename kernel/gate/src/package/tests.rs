use super::*;
use std::format;
use std::string::ToString;
use std::vec;
use std::vec::Vec;

const CODE: &[u8] = &[0xd4; 5000];
const ID: &[u8] = b"01234567890123456789";
/// Four words that lead to text, constants, data, and the end of it.
const TABLE: &[u8] = &{
    let mut words = [0; 40];
    words[1] = 0x01; // 0x100
    words[9] = 0x20; // 0x2000
    words[18] = 0x10; // 0x10_0000
    (words[24], words[25], words[26]) = (0, 0x20, 0x11); // 0x11_2000
    words
};
/// Of those four, and of one word of data.
const RELOCATIONS: &[u64] = &[0x3000, 0b1111, 0x10_0008];
/// Where things stand in the package of [`packed`].
const TEXT: usize = HEADER;
const CONSTANTS: usize = HEADER + ENTRY;
const RELOCATED: usize = HEADER + 2 * ENTRY;
const DATA: usize = HEADER + 3 * ENTRY;
/// Of a segment: its fields.
const ADDRESS: usize = 0;
const MEMORY: usize = 8;
const OFFSET: usize = 16;
const SIZE: usize = 24;
const ACCESS: usize = 32;

fn segments() -> [Segment<'static>; 4] {
    let segment = |address, memory, contents, access| Segment { address, memory, contents, access };
    [
        segment(0, 5000, CODE, Access::Text),
        segment(0x2000, 3, b"abc", Access::Constants),
        segment(0x3000, 40, TABLE, Access::Relocated),
        segment(0x10_0000, 0x1_1001, b"data....\x08\0\x10\0\0\0\0\0", Access::Data),
    ]
}

fn written(entry: u64, build_id: &[u8], segments: &[Segment<'_>], relocations: &[u64]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let content = Content { entry, build_id, segments, relocations };
    write(&content, &mut |piece: &[u8]| bytes.extend_from_slice(piece));
    bytes
}

/// A package with nothing wrong.
fn packed() -> Vec<u8> {
    written(0x100, ID, &segments(), RELOCATIONS)
}

/// Why a package is refused in which `bytes` stand at `at`.
fn refused(at: usize, bytes: &[u8]) -> PackageError {
    let mut package = packed();
    package[at..at + bytes.len()].copy_from_slice(bytes);
    Package::read(&package).map(drop).expect_err("a wrong package")
}

/// The same for a number of a segment.
fn flaw(segment: usize, field: usize, number: u64) -> Flaw {
    match refused(segment + field, &number.to_le_bytes()) {
        PackageError::Segment { index, flaw } => {
            assert_eq!(HEADER + index * ENTRY, segment, "{flaw}");
            flaw
        }
        other => panic!("{other}"),
    }
}

#[test]
fn what_was_written_is_read() {
    let bytes = packed();
    let package = Package::read(&bytes).expect("a package");
    assert_eq!((package.entry(), package.build_id()), (0x100, ID));
    assert_eq!(package.segments().collect::<Vec<_>>(), segments());
    assert_eq!(package.memory(), 0x11_2000);
    assert_eq!(package.relocations().words().collect::<Vec<_>>(), RELOCATIONS);
    let addresses = package.relocations().addresses().collect::<Vec<_>>();
    assert_eq!(addresses, [0x3000, 0x3008, 0x3010, 0x3018, 0x10_0008]);
    for segment in package.segments() {
        let offset = segment.contents.as_ptr().addr() - bytes.as_ptr().addr();
        assert!(offset.is_multiple_of(4096), "{offset}");
    }
    // Two pages of text, one of each of the others, behind the first; relocations; the end mark.
    assert_eq!(bytes.len(), 6 * 4096 + 3 * 8 + 8);
}

#[test]
fn an_application_without_data_or_build_id_is_whole() {
    let bytes = written(0, b"", &segments()[..1], &[]);
    let package = Package::read(&bytes).expect("a package");
    assert_eq!((package.build_id(), package.memory()), (&b""[..], 8192));
    assert_eq!(package.relocations().addresses().count(), 0);
}

#[test]
fn data_may_be_nothing_but_zeros() {
    let zeros = Segment { contents: b"", ..segments()[3] };
    let bytes = written(0, b"", &[segments()[0], zeros], &[]);
    assert_eq!(Package::read(&bytes).expect("a package").segments().last(), Some(zeros));
}

/// At one base and at another: the same but for the words that hold addresses, whatever was there.
#[test]
fn a_copy_is_at_home_where_its_base_is() {
    let bytes = packed();
    let package = Package::read(&bytes).expect("a package");
    let [_, _, relocated, data] = segments();
    for base in [0, 0x1234_5678_9000, u64::MAX - 0xfff] {
        let mut memory = vec![0xaa; 4096];
        package.copy(&relocated, base, &mut memory);
        let words = memory.chunks(8).map(|word| u64_at(word, 0).expect("a word"));
        let distances = [0x100_u64, 0x2000, 0x10_0000, 0x11_2000];
        let expected = distances.map(|distance| distance.wrapping_add(base));
        assert!(words.eq(expected.into_iter().chain([0; 508])), "{base:#x}");

        let mut memory = vec![0xaa; 0x1_2000];
        package.copy(&data, base, &mut memory);
        let expected = [*b"data....", base.wrapping_add(0x10_0008).to_le_bytes()].concat();
        assert_eq!(memory[..16], expected);
        assert!(memory[16..].iter().all(|byte| *byte == 0));
        // Less room than there should be is filled, and no more.
        package.copy(&data, base, &mut memory[..12]);
        package.copy(&data, base, &mut []);
    }
}

/// Why a package is refused that has these relocations.
fn misplaced(relocations: &[u64]) -> (usize, Flaw) {
    match Package::read(&written(0x100, ID, &segments(), relocations)) {
        Err(PackageError::Relocation { index, flaw }) => (index, flaw),
        other => panic!("{other:?}"),
    }
}

#[test]
fn relocations_name_words_that_are_copied() {
    for (relocations, index, flaw) in [
        (&[0b11][..], 0, Flaw::Unplaced),
        (&[0x3000, 0b11, 0x3004], 2, Flaw::MisalignedWord(0x3004)),
        (&[0x3000, 0x3000], 1, Flaw::NotAscending(0x3000)),
        (&[0x3000, 0b11, 0x3010], 2, Flaw::NotAscending(0x3010)),
        (&[0x10_0008, 0x3000], 1, Flaw::NotAscending(0x3000)),
        (&[0], 0, Flaw::NotCopied(0)),
        (&[0x2000], 0, Flaw::NotCopied(0x2000)),
        (&[0x3028], 0, Flaw::NotCopied(0x3028)),
        (&[0x3020, 0b11], 1, Flaw::NotCopied(0x3028)),
        (&[0x10_0010], 0, Flaw::NotCopied(0x10_0010)),
        (&[1 << 40], 0, Flaw::NotCopied(1 << 40)),
        (&[u64::MAX - 7], 0, Flaw::NotCopied(u64::MAX - 7)),
        (&[u64::MAX / 2 - 7, 1 << 63 | 1], 0, Flaw::NotCopied(u64::MAX / 2 - 7)),
    ] {
        assert_eq!(misplaced(relocations), (index, flaw), "{relocations:x?}");
        assert!(!flaw.to_string().is_empty());
    }
    // A bitmap of no word is no mistake.
    let none = written(0x100, ID, &segments(), &[0x3000, 1, 1, 0x10_0008]);
    let package = Package::read(&none).expect("a package");
    assert!(package.relocations().addresses().eq([0x3000, 0x10_0008]));
}

#[test]
fn relocated_words_stay_in_the_image() {
    for value in [0x11_2001, 1 << 30, u64::MAX, 0x4_0000_0000] {
        let contents = [TABLE, &u64::to_le_bytes(value)].concat();
        let relocated = Segment { contents: &contents, memory: 48, ..segments()[2] };
        let [text, constants, _, data] = segments();
        let all = [text, constants, relocated, data];
        let error = Package::read(&written(0x100, ID, &all, &[0x3000, 0b10_0011])).unwrap_err();
        let flaw = Flaw::Astray { address: 0x3028, value };
        assert_eq!(error, PackageError::Relocation { index: 1, flaw });
        let said = error.to_string();
        assert!(
            said.starts_with("relocation 1: the word at 0x3028 leads out of the image"),
            "{said}"
        );
    }
}

#[test]
fn relocations_are_all_there() {
    for words in [3 * 512 + 4, 6 * 512, u64::MAX, 1 << 61, (1 << 61) + 3] {
        let error = refused(64, &words.to_le_bytes());
        let missing = PackageError::Relocations(words);
        // What is taken for relocations is missing from the contents.
        let flaw = Flaw::ContentsMissing;
        let cut = matches!(error, PackageError::Segment { flaw: other, .. } if other == flaw);
        assert!(error == missing || (words < 6 * 512 && cut), "{words}: {error}");
    }
}

#[test]
fn what_is_cut_is_refused() {
    let whole = packed();
    assert_eq!(Package::read(b"").unwrap_err(), PackageError::Absent);
    for length in 1..whole.len() {
        let error = Package::read(&whole[..length]).unwrap_err();
        assert_eq!(error, PackageError::Truncated, "cut to {length}");
    }
    assert_eq!(refused(whole.len() - 1, b"x"), PackageError::Truncated);
    let short = (HEADER as u64).to_le_bytes();
    assert_eq!(refused(32, &short), PackageError::Trailing);
    let longer = [&whole[..], b"x"].concat();
    assert_eq!(Package::read(&longer).unwrap_err(), PackageError::Trailing);
}

/// A length that a short file confirms, with an end mark in the header's place.
#[test]
fn a_package_without_room_for_what_it_claims_is_refused() {
    for length in [HEADER, HEADER + 8, 4095, 4096, 4104] {
        let mut package = packed();
        package.truncate(length);
        package[32..40].copy_from_slice(&(length as u64).to_le_bytes());
        package[length - 8..].copy_from_slice(&END);
        assert!(Package::read(&package).is_err(), "{length}");
    }
}

#[test]
fn what_is_no_package_or_another_is_refused() {
    assert_eq!(refused(0, b"e"), PackageError::NotAPackage);
    assert_eq!(Package::read(&[0; 8192]).unwrap_err(), PackageError::NotAPackage);
    assert_eq!(refused(8, &1u32.to_le_bytes()), PackageError::OtherVersion(1));
    assert_eq!(refused(12, &0u32.to_le_bytes()), PackageError::OtherMode);
    assert_eq!(refused(28, &21u32.to_le_bytes()), PackageError::BuildId);
}

#[test]
fn what_is_too_large_is_refused() {
    let length = LONGEST + 1;
    assert_eq!(refused(32, &length.to_le_bytes()), PackageError::TooLarge(length));
    let contents = vec![0; usize::try_from(LONGEST).expect("a size")];
    let large = Segment { memory: LONGEST, contents: &contents, ..segments()[0] };
    let error = Package::read(&written(0, b"", &[large], &[])).unwrap_err();
    assert!(matches!(error, PackageError::TooLarge(_)));
    let many: Vec<_> = segments().into_iter().cycle().take(SEGMENTS + 1).collect();
    let error = Package::read(&written(0, b"", &many, &[])).unwrap_err();
    assert_eq!(error, PackageError::Segments(9));
    assert_eq!(refused(24, &0u32.to_le_bytes()), PackageError::Segments(0));
}

#[test]
fn no_segment_is_writable_and_executable() {
    assert_eq!(flaw(TEXT, ACCESS, 7), Flaw::WritableAndExecutable);
    assert_eq!(flaw(DATA, ACCESS, 3), Flaw::WritableAndExecutable);
    for unknown in [0, 1, 2, 8, 13, 14, 20] {
        assert_eq!(flaw(TEXT, ACCESS, unknown.into()), Flaw::UnknownAccess(unknown));
    }
}

#[test]
fn addresses_are_pages_of_an_image() {
    assert_eq!(flaw(TEXT, ADDRESS, 0x10), Flaw::MisalignedAddress(0x10));
    let outside = |address| Flaw::Outside { address, memory: 5000 };
    for address in [0x4000_0000, 0x3fff_f000, 0x7fff_ffff_ffff_f000, 0xffff_ff80_0000_1000] {
        assert_eq!(flaw(TEXT, ADDRESS, address), outside(address));
    }
    for memory in [u64::MAX, 1 << 62, 0x4000_0000] {
        assert_eq!(flaw(DATA, MEMORY, memory), Flaw::Outside { address: 0x10_0000, memory });
    }
}

#[test]
fn segments_share_no_page() {
    for address in [0, 0x1000] {
        assert_eq!(flaw(CONSTANTS, ADDRESS, address), Flaw::Overlaps(address));
    }
    assert_eq!(flaw(DATA, ADDRESS, 0x3000), Flaw::Overlaps(0x3000));
    let [text, constants, _, data] = segments();
    let error = Package::read(&written(0x100, b"", &[text, data, constants], &[])).unwrap_err();
    let flaw = Flaw::Overlaps(constants.address);
    assert_eq!(error, PackageError::Segment { index: 2, flaw }, "out of order");
}

#[test]
fn sizes_fit_each_other() {
    assert_eq!(flaw(DATA, MEMORY, 0), Flaw::Empty);
    assert_eq!(flaw(DATA, MEMORY, 3), Flaw::LargerThanMemory);
    assert_eq!(flaw(DATA, SIZE, u64::MAX), Flaw::LargerThanMemory);
    assert_eq!(flaw(TEXT, MEMORY, 5001), Flaw::ZerosInPlace);
    assert_eq!(flaw(CONSTANTS, SIZE, 2), Flaw::ZerosInPlace);
    assert_eq!(flaw(DATA, SIZE, 0x1_0001), Flaw::ContentsMissing);
    assert_eq!(flaw(RELOCATED, SIZE, 41), Flaw::LargerThanMemory);
}

#[test]
fn contents_follow_each_other() {
    assert_eq!(flaw(TEXT, OFFSET, 4100), Flaw::MisalignedContents(4100));
    for offset in [0, 8192, u64::MAX - 4095] {
        assert_eq!(flaw(TEXT, OFFSET, offset), Flaw::Misplaced(offset));
    }
    assert_eq!(flaw(DATA, OFFSET, 8192), Flaw::Misplaced(8192));
}

#[test]
fn the_entry_is_an_instruction() {
    for entry in [0x102, 0x1388, 0x2000, 0x3000, 0x10_0000, 0x40_0100, !3u64] {
        assert_eq!(refused(16, &entry.to_le_bytes()), PackageError::Entry(entry), "{entry:#x}");
    }
    assert_eq!(refused(TEXT + ACCESS, &[4]), PackageError::Entry(0x100));
}

/// Every byte, changed in every bit: whatever is made of it, nothing panics, and what is read is in
/// order. Contents are free, so under Miri the header and the table must do.
#[test]
fn mutations_are_refused_or_harmless() {
    let mut bytes = packed();
    let end = if cfg!(miri) { HEADER + 4 * ENTRY } else { bytes.len() };
    let mut refused = 0;
    for at in 0..end {
        for change in [1, 2, 4, 8, 16, 32, 64, 128, 0xff] {
            bytes[at] ^= change;
            match Package::read(&bytes) {
                Ok(package) => in_order(&package),
                Err(error) => {
                    assert!(!format!("{error}").is_empty());
                    refused += 1;
                }
            }
            bytes[at] ^= change;
        }
    }
    assert!(refused > 1000, "{refused}");
    assert_eq!(bytes, packed());
}

fn in_order(package: &Package<'_>) {
    let (mut end, mut entered) = (0, false);
    for segment in package.segments() {
        assert!(segment.address >= end && segment.contents.len() as u64 <= segment.memory);
        end = segment.address + segment.memory;
        let text = segment.access == Access::Text;
        entered |= text && (segment.address..end).contains(&package.entry());
    }
    assert!(end <= LARGEST && entered);
    for address in package.relocations().addresses() {
        let mut copied = package.segments().filter(|segment| segment.access.is_copied());
        assert!(copied.any(|segment| segment.word(address).is_some_and(|word| word <= LARGEST)));
    }
}
