use super::*;
use std::format;
use std::string::ToString;
use std::vec;
use std::vec::Vec;

const CODE: &[u8] = &[0xd4; 5000];
const ID: &[u8] = b"01234567890123456789";
/// Where things stand in the package of [`packed`].
const TEXT: usize = HEADER;
const CONSTANTS: usize = HEADER + ENTRY;
const DATA: usize = HEADER + 2 * ENTRY;
/// Of a segment: its fields.
const ADDRESS: usize = 0;
const MEMORY: usize = 8;
const OFFSET: usize = 16;
const SIZE: usize = 24;
const ACCESS: usize = 32;

fn segments() -> [Segment<'static>; 3] {
    let segment = |address, memory, contents, access| Segment { address, memory, contents, access };
    [
        segment(0x40_0000, 5000, CODE, Access::Text),
        segment(0x40_2000, 3, b"abc", Access::Constants),
        segment(0x50_0000, 0x1_0001, b"data", Access::Data),
    ]
}

fn written(entry: u64, build_id: &[u8], segments: &[Segment<'_>]) -> Vec<u8> {
    let mut bytes = Vec::new();
    write(entry, build_id, segments, &mut |piece: &[u8]| bytes.extend_from_slice(piece));
    bytes
}

/// A package with nothing wrong.
fn packed() -> Vec<u8> {
    written(0x40_0100, ID, &segments())
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
    assert_eq!((package.entry(), package.build_id()), (0x40_0100, ID));
    assert_eq!(package.segments().collect::<Vec<_>>(), segments());
    assert_eq!(package.data(), 0x1_1000);
    for segment in package.segments() {
        let offset = segment.contents.as_ptr().addr() - bytes.as_ptr().addr();
        assert!(offset.is_multiple_of(4096), "{offset}");
    }
    // Two pages of text, one of constants, one of data, behind the first; then the end mark.
    assert_eq!(bytes.len(), 5 * 4096 + 8);
}

#[test]
fn an_application_without_data_or_build_id_is_whole() {
    let bytes = written(0x40_0000, b"", &segments()[..1]);
    let package = Package::read(&bytes).expect("a package");
    assert_eq!((package.build_id(), package.data()), (&b""[..], 0));
}

#[test]
fn data_may_be_nothing_but_zeros() {
    let zeros = Segment { contents: b"", ..segments()[2] };
    let bytes = written(0x40_0000, b"", &[segments()[0], zeros]);
    assert_eq!(Package::read(&bytes).expect("a package").segments().last(), Some(zeros));
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
    assert_eq!(refused(8, &2u32.to_le_bytes()), PackageError::OtherVersion(2));
    assert_eq!(refused(12, &0u32.to_le_bytes()), PackageError::OtherMode);
    assert_eq!(refused(28, &21u32.to_le_bytes()), PackageError::BuildId);
}

#[test]
fn what_is_too_large_is_refused() {
    let length = LONGEST + 1;
    assert_eq!(refused(32, &length.to_le_bytes()), PackageError::TooLarge(length));
    let contents = vec![0; usize::try_from(LONGEST).expect("a size")];
    let large = Segment { memory: LONGEST, contents: &contents, ..segments()[0] };
    let error = Package::read(&written(0x40_0000, b"", &[large])).unwrap_err();
    assert!(matches!(error, PackageError::TooLarge(_)));
    let many: Vec<_> = segments().into_iter().cycle().take(SEGMENTS + 1).collect();
    let error = Package::read(&written(0x40_0000, b"", &many)).unwrap_err();
    assert_eq!(error, PackageError::Segments(9));
    assert_eq!(refused(24, &0u32.to_le_bytes()), PackageError::Segments(0));
}

#[test]
fn no_segment_is_writable_and_executable() {
    assert_eq!(flaw(TEXT, ACCESS, 7), Flaw::WritableAndExecutable);
    assert_eq!(flaw(DATA, ACCESS, 3), Flaw::WritableAndExecutable);
    for unknown in [0, 1, 2, 8, 12] {
        assert_eq!(flaw(TEXT, ACCESS, unknown.into()), Flaw::UnknownAccess(unknown));
    }
}

#[test]
fn addresses_are_pages_of_the_applications_part() {
    assert_eq!(flaw(TEXT, ADDRESS, 0x40_0010), Flaw::MisalignedAddress(0x40_0010));
    let outside = |address| Flaw::Outside { address, memory: 5000 };
    for address in [0, 0x3f_f000, 0x4000_0000, 0x3fff_f000, 0x7fff_ffff_ffff_f000] {
        assert_eq!(flaw(TEXT, ADDRESS, address), outside(address));
    }
    let upper = 0xffff_ff80_0000_1000;
    assert_eq!(flaw(TEXT, ADDRESS, upper), Flaw::UpperHalf(upper));
    assert!(flaw(TEXT, ADDRESS, upper).to_string().contains("joined"));
    for memory in [u64::MAX, 1 << 62, 0x4000_0000] {
        assert_eq!(flaw(DATA, MEMORY, memory), Flaw::Outside { address: 0x50_0000, memory });
    }
}

#[test]
fn segments_share_no_page() {
    for address in [0x40_0000, 0x40_1000] {
        assert_eq!(flaw(CONSTANTS, ADDRESS, address), Flaw::Overlaps(address));
    }
    assert_eq!(flaw(DATA, ADDRESS, 0x40_2000), Flaw::Overlaps(0x40_2000));
    let [text, constants, data] = segments();
    let error = Package::read(&written(0x40_0100, b"", &[text, data, constants])).unwrap_err();
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
    for entry in [0, 0x40_0102, 0x40_1388, 0x40_2000, 0x50_0000, !3u64] {
        assert_eq!(refused(16, &entry.to_le_bytes()), PackageError::Entry(entry), "{entry:#x}");
    }
    assert_eq!(refused(TEXT + ACCESS, &[4]), PackageError::Entry(0x40_0100));
}

/// Every byte, changed in every bit: whatever is made of it, nothing panics, and what is read is in
/// order. Contents are free, so under Miri the header and the table must do.
#[test]
fn mutations_are_refused_or_harmless() {
    let mut bytes = packed();
    let end = if cfg!(miri) { HEADER + 3 * ENTRY } else { bytes.len() };
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
    let mut end = ADDRESSES.start;
    let mut entered = false;
    for segment in package.segments() {
        assert!(segment.address >= end && segment.contents.len() as u64 <= segment.memory);
        end = segment.address + segment.memory;
        let text = segment.access == Access::Text;
        entered |= text && (segment.address..end).contains(&package.entry());
    }
    assert!(end <= ADDRESSES.end && entered);
}
