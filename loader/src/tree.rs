//! The device tree as the kernel is to have it: firmware's own, with the settings in `/chosen`
//! (Devicetree specification 0.4, section 3.6), and with room in the list of reserved memory
//! (section 5.3) for what firmware keeps, which is known only when nothing can be allocated any more.

use alloc::vec::Vec;
use core::fmt;

use dtoolkit::fdt::Fdt;
use dtoolkit::memreserve::MemoryReservation;
use dtoolkit::model::{DeviceTree, DeviceTreeNode, DeviceTreeProperty};

use crate::kept::{Kept, RANGES};

/// The header's length, and how much of it tells a tree's length, in bytes.
pub const HEADER: usize = 40;
/// More bytes than any tree has; the kernel refuses a larger one.
pub const MOST: usize = 2 << 20;
const MAGIC: [u8; 4] = 0xd00d_feed_u32.to_be_bytes();
/// The length of an entry in the list of reserved memory, in bytes.
const ENTRY: usize = 16;

/// Why a device tree cannot be handed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoTree {
    /// It has no magic number where it should begin.
    NotOne,
    /// Its header says that it has this many bytes: too few, or too many.
    Length(usize),
    /// It is not made as a tree is.
    Malformed,
}

/// A tree, and where in it is room for what firmware keeps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tree {
    /// The tree, in bytes.
    pub bytes: Vec<u8>,
    /// Where the room begins, from the tree's beginning on.
    pub room: Room,
}

/// Where a tree's room for [`RANGES`] entries begins, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room(usize);

/// The length, in bytes, of the tree that begins with `header`.
///
/// # Errors
/// It is none, or one of a length that there cannot be.
pub fn length(header: &[u8; HEADER]) -> Result<usize, NoTree> {
    if header[..4] != MAGIC {
        return Err(NoTree::NotOne);
    }
    let length = header[4..8].iter().fold(0, |value, byte| value << 8 | usize::from(*byte));
    if (HEADER..=MOST).contains(&length) { Ok(length) } else { Err(NoTree::Length(length)) }
}

impl Tree {
    /// A copy of `tree`, with `settings` instead of its own if there are any.
    ///
    /// # Errors
    /// It is no well-formed tree.
    pub fn new(tree: &[u8], settings: Option<&str>) -> Result<Self, NoTree> {
        let tree = Fdt::new(tree).map_err(|_| NoTree::Malformed)?;
        let mut tree = DeviceTree::from_fdt(&tree);
        if let Some(settings) = settings {
            let chosen = match tree.root.child_mut("chosen") {
                Some(chosen) => chosen,
                None => tree.root.add_child_mut(DeviceTreeNode::new_unchecked("chosen")),
            };
            chosen.add_property(DeviceTreeProperty::new_unchecked("bootargs", settings));
        }
        let room = Room(HEADER + tree.memory_reservations.len() * ENTRY);
        let vacant = [MemoryReservation::new(0, 0); RANGES];
        tree.memory_reservations.extend(vacant);
        Ok(Self { bytes: tree.to_dtb(), room })
    }
}

impl Room {
    /// Has the tree say what firmware keeps. An entry that stays vacant ends the list.
    pub fn fill(self, tree: &mut [u8], kept: &Kept) {
        let Some(room) = tree.get_mut(self.0..self.0 + RANGES * ENTRY) else { return };
        for (entry, range) in room.chunks_exact_mut(ENTRY).zip(kept.ranges()) {
            let (start, length) = entry.split_at_mut(ENTRY / 2);
            start.copy_from_slice(&range.start.to_be_bytes());
            length.copy_from_slice(&(range.end - range.start).to_be_bytes());
        }
    }
}

impl fmt::Display for NoTree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotOne => f.write_str("it has no magic number"),
            Self::Length(length) => write!(f, "it cannot have {length} bytes"),
            Self::Malformed => f.write_str("it is malformed"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;
    use alloc::string::{String, ToString as _};
    use dtoolkit::{Node as _, Property as _};
    use vm_fdt::{FdtReserveEntry, FdtWriter};

    /// A tree by another writer.
    fn made(chosen: Option<&str>, reserved: &[(u64, u64)]) -> Vec<u8> {
        let reserved: Vec<_> = reserved
            .iter()
            .map(|&(start, size)| FdtReserveEntry::new(start, size).unwrap())
            .collect();
        let mut writer = FdtWriter::new_with_mem_reserv(&reserved).unwrap();
        let root = writer.begin_node("").unwrap();
        writer.property_u32("#address-cells", 2).unwrap();
        if let Some(settings) = chosen {
            let node = writer.begin_node("chosen").unwrap();
            writer.property_string("bootargs", settings).unwrap();
            writer.property_array_u32("rng-seed", &[1, 2]).unwrap();
            writer.end_node(node).unwrap();
        }
        let node = writer.begin_node("memory@40000000").unwrap();
        writer.property_array_u64("reg", &[0x4000_0000, 0x800_0000]).unwrap();
        writer.property_null("odd").unwrap();
        writer.end_node(node).unwrap();
        writer.end_node(root).unwrap();
        writer.finish().unwrap()
    }

    fn settings(tree: &[u8]) -> Option<String> {
        let tree = Fdt::new(tree).unwrap();
        let property = tree.find_node("/chosen")?.property("bootargs")?;
        Some(String::from_utf8(property.value().to_vec()).unwrap())
    }

    fn reserved(tree: &[u8]) -> Vec<(u64, u64)> {
        let all = Fdt::new(tree).unwrap();
        all.memory_reservations().map(|one| (one.address(), one.size())).collect()
    }

    #[test]
    fn settings_take_the_place_of_those_that_are_there() {
        for own in [None, Some(""), Some("log=trace quiet and more of this")] {
            let tree = made(own, &[]);
            let with = Tree::new(&tree, Some("ip=dhcp")).unwrap();
            assert_eq!(settings(&with.bytes).as_deref(), Some("ip=dhcp\0"));
            let without = Tree::new(&tree, None).unwrap();
            assert_eq!(settings(&without.bytes), own.map(|own| format!("{own}\0")));
        }
    }

    #[test]
    fn all_else_stays_as_it_is() {
        let made = made(Some("x"), &[(0x1000, 0x2000)]);
        let (before, after) = (Fdt::new(&made).unwrap(), Tree::new(&made, Some("x")).unwrap());
        let text = |tree: &Fdt| tree.root().to_string();
        assert_eq!(text(&Fdt::new(&after.bytes).unwrap()), text(&before));
        assert_eq!(reserved(&after.bytes), [(0x1000, 0x2000)]);
        let header = after.bytes.first_chunk().unwrap();
        assert_eq!(length(header), Ok(after.bytes.len()));
    }

    #[test]
    fn what_firmware_keeps_is_reserved_behind_what_is_so_already() {
        for own in [&[][..], &[(0x1000, 0x2000)]] {
            let mut tree = Tree::new(&made(None, own), None).unwrap();
            let mut kept = Kept::default();
            let mut expected = own.to_vec();
            for index in 0..RANGES as u64 {
                tree.room.fill(&mut tree.bytes, &kept);
                assert_eq!(reserved(&tree.bytes), expected);
                kept.keep(0x10_0000 * (index + 1)..0x10_0000 * (index + 1) + 0x3000);
                expected.push((0x10_0000 * (index + 1), 0x3000));
            }
            tree.room.fill(&mut tree.bytes, &kept);
            assert_eq!(reserved(&tree.bytes), expected);
            assert!(settings(&tree.bytes).is_none());
        }
    }

    #[test]
    fn what_is_no_tree_is_refused() {
        let tree = made(Some("x"), &[]);
        let header = |at: usize, value: u8| {
            let mut header = *tree.first_chunk().unwrap();
            header[at] = value;
            length(&header)
        };
        assert_eq!(header(0, 0xd0), Ok(tree.len()));
        assert_eq!(header(3, 0), Err(NoTree::NotOne));
        assert!(matches!(header(4, 0x80), Err(NoTree::Length(_))));
        assert_eq!(length(&[0; HEADER]), Err(NoTree::NotOne));
        for cut in [0, 39, 60, tree.len() - 1] {
            assert_eq!(Tree::new(&tree[..cut], None), Err(NoTree::Malformed), "{cut}");
        }
    }
}
