//! The build's side of a package.

use super::{BUILD_ID, CONTAINED, END, ENTRY, MAGIC, PAGE, SEGMENTS, Segment, VERSION};

const NOTHING: [u8; 4096] = [0; 4096];
const BUILD_ID_ROOM: usize = 24;
const _: () = assert!(NOTHING.len() as u64 == PAGE);

/// What goes into a package, addresses counted from the image's base.
#[derive(Clone, Copy, Debug)]
pub struct Content<'a> {
    /// Where it begins.
    pub entry: u64,
    /// What ties it to the file with its symbols.
    pub build_id: &'a [u8],
    /// Its segments, by address.
    pub segments: &'a [Segment<'a>],
    /// The table of [`Relocations`](super::Relocations).
    pub relocations: &'a [u64],
}

/// Writes a package, a piece at a time, to `sink`. Checks nothing: what was written is to be read
/// back with [`Package::read`](super::Package::read), which refuses here what it would refuse at
/// boot. What there is no room for (segments, a build id) is counted and left out.
pub fn write(content: &Content<'_>, sink: &mut impl FnMut(&[u8])) {
    let Content { entry, build_id, segments, relocations } = *content;
    let contents: u64 = segments.iter().map(|segment| room(segment.contents)).sum();
    let length = PAGE + contents + 8 * relocations.len() as u64 + END.len() as u64;

    let mut head = 0;
    let mut put = |bytes: &[u8]| {
        head += bytes.len();
        sink(bytes);
    };
    put(&MAGIC);
    put(&VERSION.to_le_bytes());
    put(&CONTAINED.to_le_bytes());
    put(&entry.to_le_bytes());
    put(&count(segments.len()).to_le_bytes());
    put(&count(build_id.len()).to_le_bytes());
    put(&length.to_le_bytes());
    let id = &build_id[..build_id.len().min(BUILD_ID)];
    put(id);
    put(&NOTHING[..BUILD_ID_ROOM - id.len()]);
    put(&(relocations.len() as u64).to_le_bytes());
    let mut offset = PAGE;
    for segment in segments.iter().take(SEGMENTS) {
        for number in [segment.address, segment.memory, offset, segment.contents.len() as u64] {
            put(&number.to_le_bytes());
        }
        put(&segment.access.flags().to_le_bytes());
        put(&NOTHING[..ENTRY - 36]);
        offset += room(segment.contents);
    }
    sink(&NOTHING[head..]);

    for Segment { contents, .. } in segments {
        sink(contents);
        let rest = contents.len().next_multiple_of(NOTHING.len()) - contents.len();
        sink(&NOTHING[..rest]);
    }
    relocations.iter().for_each(|word| sink(&word.to_le_bytes()));
    sink(&END);
}

/// The bytes that contents take with what fills their last page.
const fn room(contents: &[u8]) -> u64 {
    (contents.len() as u64).next_multiple_of(PAGE)
}

fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
