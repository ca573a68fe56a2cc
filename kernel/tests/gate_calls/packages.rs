//! Packages: what is read from one keeps every promise that a boot relies on.

use elone_gate::package::{
    Access, BUILD_ID, Content, LARGEST, LONGEST, PAGE, Package, SEGMENTS, Segment, write,
};

use super::bytes::Bytes;

/// Where things stand in a package, by its documentation.
const ENTRY: usize = 16;
const COUNT: usize = 24;
const LENGTH: usize = 32;
const RELOCATIONS: usize = 64;
const TABLE: usize = 72;
const ROW: usize = 40;
const ACCESS: usize = 32;

/// Takes `bytes` for a package, or for what is wrong with one; whether it could be read.
pub(crate) fn check(bytes: &[u8]) -> bool {
    let mut bytes = Bytes(bytes);
    match bytes.byte() % 16 {
        0 => look(bytes.0),
        _ => look(&made_wrong(&mut bytes)),
    }
}

fn written(content: &Content<'_>) -> Vec<u8> {
    let mut bytes = Vec::new();
    write(content, &mut |piece: &[u8]| bytes.extend_from_slice(piece));
    bytes
}

/// A package with segments of any kind, most of them right, and with something wrong in it.
fn made_wrong(bytes: &mut Bytes<'_>) -> Vec<u8> {
    const CODE: [u8; 6000] = [0xd4; 6000];
    // Words that lead to the image's begin.
    const WORDS: [u8; 6000] = [0; 6000];
    let (mut segments, mut relocations) = (Vec::new(), Vec::new());
    let mut address = 0;
    for index in 0..1 + [bytes.below(4), bytes.below(SEGMENTS)][bytes.below(2)] {
        let most = if index < 3 { 26 } else { 1 };
        let length = usize::from(bytes.byte().saturating_sub(32)) * most;
        let access = match index {
            0 => Access::Text,
            _ => [Access::Text, Access::Constants, Access::Relocated, Access::Data][bytes.below(4)],
        };
        // What is copied may be nothing but zeros.
        let copied = access.is_copied();
        let zeros = if copied { 1 + (u64::from(bytes.byte()) << 5) } else { 0 };
        let contents = if copied { &WORDS[..length] } else { &CODE[..length.max(1)] };
        let memory = contents.len() as u64 + zeros;
        if copied && length >= 1000 {
            // Some of the first word, and of as many behind it as a bitmap has bits.
            relocations.extend([address, bytes.long() | 1]);
        }
        segments.push(Segment { address, memory, contents, access });
        address += memory.next_multiple_of(PAGE) + u64::from(bytes.byte() % 2) * PAGE;
    }
    let entry = u64::from(bytes.byte()) * 4;
    let build_id = bytes.take(usize::from(bytes.0.len() > BUILD_ID) * BUILD_ID);
    let (segments, relocations) = (&segments[..], &relocations[..]);
    let mut package = written(&Content { entry, build_id, segments, relocations });
    for _ in 0..bytes.below(3) {
        spoil(bytes, &mut package);
    }
    package
}

/// Makes one thing wrong, or at least other.
fn spoil(bytes: &mut Bytes<'_>, package: &mut Vec<u8>) {
    match bytes.byte() % 9 {
        8 => {
            // A word of the relocations, or of what is before them, or how many they are.
            let place = package.len().saturating_sub(8 * (2 + bytes.below(4)));
            let place = if bytes.coin() { place } else { RELOCATIONS };
            let Some(now) = long_at(package, place) else { return };
            let edges = [now, now ^ 1, now ^ 4, now.wrapping_add(8), now.wrapping_sub(8), PAGE];
            set(package, place, &bytes.number(&edges).to_le_bytes());
        }
        0 => {
            let place = [8, 12, COUNT, COUNT + 4][bytes.below(4)];
            let number = bytes.number(&[BUILD_ID as u64, SEGMENTS as u64]) as u32;
            set(package, place, &number.to_le_bytes());
        }
        1 => bytes.damage(package),
        2 => {
            // Cut, with all put right that says so, or almost.
            package.truncate(bytes.long() as usize % (package.len() + 1));
            let length = package.len() as u64;
            let claimed = if bytes.coin() { length } else { bytes.number(&[length]) };
            set(package, LENGTH, &claimed.to_le_bytes());
            set(package, (length as usize).saturating_sub(8), b"ELONEEND");
        }
        3 => one_more(package),
        _ => {
            let places = [ENTRY, LENGTH, TABLE + bytes.below(9) * ROW + 8 * bytes.below(5)];
            let place = places[bytes.below(8).min(2)];
            let Some(now) = long_at(package, place) else { return };
            let (more, less) = (now.wrapping_add(PAGE), now.wrapping_sub(PAGE));
            let edges = [now, more, less, now ^ 3, now ^ (PAGE / 2), 0, LARGEST];
            set(package, place, &bytes.number(&edges).to_le_bytes());
        }
    }
}

/// Adds a segment with which nothing is wrong, if there may be one more.
fn one_more(package: &mut [u8]) {
    let Some(count) = long_at(package, COUNT).map(|both| both & 0xffff) else { return };
    let Some(last) = (TABLE as u64 + count * ROW as u64).checked_sub(ROW as u64) else { return };
    let place = last as usize;
    let (Some(address), Some(memory)) = (long_at(package, place), long_at(package, place + 8))
    else {
        return;
    };
    let address = address.wrapping_add(memory).checked_next_multiple_of(PAGE).unwrap_or(0);
    let offset = package.len().saturating_sub(8) as u64;
    for (index, number) in [address, 1, offset, 0, 6].into_iter().enumerate() {
        set(package, place + ROW + 8 * index, &number.to_le_bytes());
    }
    set(package, COUNT, &(count as u32 + 1).to_le_bytes());
}

fn set(package: &mut [u8], place: usize, value: &[u8]) {
    if let Some(there) = package.get_mut(place..place + value.len()) {
        there.copy_from_slice(value);
    }
}

fn long_at(package: &[u8], place: usize) -> Option<u64> {
    Some(u64::from_le_bytes(package.get(place..)?.get(..8)?.try_into().ok()?))
}

/// What is true of every package, and that what was read from it makes the same one again.
fn look(bytes: &[u8]) -> bool {
    let Ok(package) = Package::read(bytes) else { return false };
    assert_eq!(long_at(bytes, LENGTH), Some(bytes.len() as u64));
    assert!(bytes.len() as u64 <= LONGEST && package.build_id().len() <= BUILD_ID);
    let segments: Vec<_> = package.segments().collect();
    let claimed = u32::from_le_bytes(bytes[COUNT..COUNT + 4].try_into().expect("four bytes"));
    assert!((1..=SEGMENTS).contains(&segments.len()) && segments.len() == claimed as usize);

    let (mut free, mut unread) = (0, PAGE as usize);
    for (index, segment) in segments.iter().enumerate() {
        // In pages of its own, of an image that is not too large.
        let end = u128::from(segment.address) + u128::from(segment.memory);
        assert!(segment.address % PAGE == 0 && u128::from(segment.address) >= free);
        assert!(segment.memory > 0 && end <= u128::from(LARGEST));
        free = end.next_multiple_of(PAGE.into());
        // With contents in pages of their own, behind the header and before the end mark.
        let offset = segment.contents.as_ptr().addr() - bytes.as_ptr().addr();
        assert!(offset.is_multiple_of(PAGE as usize));
        assert!(offset >= unread || segment.contents.is_empty());
        unread = (offset + segment.contents.len()).next_multiple_of(PAGE as usize);
        assert!(segment.contents.is_empty() || unread <= bytes.len() - 8);
        // Never writable and executable; what is used in place is whole.
        let flags = bytes[TABLE + index * ROW + ACCESS..][..4].try_into().expect("four bytes");
        let flags = u32::from_le_bytes(flags);
        let (expected, in_place) = match segment.access {
            Access::Text => (5, true),
            Access::Constants => (4, true),
            Access::Relocated => (12, false),
            Access::Data => (6, false),
        };
        assert_eq!(flags, expected);
        let length = segment.contents.len() as u64;
        assert!(if in_place { length == segment.memory } else { length <= segment.memory });
    }
    let entry = package.entry();
    assert!(entry % 4 == 0);
    assert!(segments.iter().any(|segment| segment.access == Access::Text
        && (segment.address..segment.address + segment.memory).contains(&entry)));
    assert_eq!(u128::from(package.memory()), free);
    let relocations: Vec<_> = package.relocations().words().collect();
    assert!(relocations.len() * 8 <= bytes.len() - unread - 8);
    relocated_words_lead_to_the_image(&package);

    let (build_id, segments) = (package.build_id(), &segments[..]);
    let content = Content { entry, build_id, segments, relocations: &relocations };
    let again = written(&content);
    let again = Package::read(&again).expect("what was read once");
    assert!(again.segments().eq(segments.iter().copied()) && again.entry() == entry);
    assert!(again.relocations().addresses().eq(package.relocations().addresses()));
    true
}

/// Each names another word of contents that are copied, and copies differ by their bases in these
/// words alone.
fn relocated_words_lead_to_the_image(package: &Package<'_>) {
    const BASE: u64 = 0x5a5a_5a5a_5000;
    let (mut all, mut last) = (package.relocations().addresses().peekable(), None);
    for segment in package.segments().filter(|segment| segment.access.is_copied()) {
        let contents = segment.contents;
        let (mut there, mut here) =
            (vec![0xaa; contents.len() + 8], vec![0x55; contents.len() + 8]);
        package.copy(&segment, BASE, &mut there);
        package.copy(&segment, 0, &mut here);
        assert!(here.starts_with(contents) && here[contents.len()..] == [0; 8]);
        let end = segment.address + contents.len() as u64;
        while let Some(address) = all.next_if(|address| *address < end) {
            assert!(address % 8 == 0 && address >= segment.address && address + 8 <= end);
            assert!(last.replace(address).is_none_or(|last| last < address));
            let at = (address - segment.address) as usize;
            let (word, distance) = (long_at(&there, at), long_at(&here, at));
            let (Some(word), Some(distance)) = (word, distance) else { panic!("{address:#x}") };
            assert!(distance <= package.memory() && word == BASE + distance);
            set(&mut there, at, &distance.to_le_bytes());
        }
        assert_eq!(there, here);
    }
    assert_eq!(all.next(), None);
}
