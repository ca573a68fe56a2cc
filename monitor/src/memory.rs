//! RAM: banks of host memory, and what lies where in them when the machine starts.

use anyhow::{Context as _, Result, ensure};
use vm_memory::{GuestAddress, GuestMemoryMmap};

use crate::map::Memory;

/// The guest's RAM, mapped into this process. Whatever a device reads or writes there for the guest,
/// it does through this, which checks every address and never makes a reference to guest memory.
pub type Ram = GuestMemoryMmap<()>;

/// KVM maps memory in pages of this size.
pub const PAGE: u64 = 4096;
const MEBIBYTE: u64 = 1 << 20;
/// Where addresses need more than 32 bits.
const FOUR_GIBIBYTES: u64 = 1 << 32;
/// How much room a device tree has, at most (Linux, `Documentation/arch/arm64/booting.rst`).
pub const TREE_ROOM: u64 = 2 * MEBIBYTE;

/// What lies where in RAM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    /// The banks: where each starts and how many bytes it has.
    pub banks: Vec<(u64, u64)>,
    /// Where the image begins.
    pub image: u64,
    /// Where the image has to end.
    pub image_end: u64,
    /// Where the device tree is.
    pub tree: u64,
}

impl Layout {
    /// Lays out `mebibytes` of RAM as `map` has it.
    ///
    /// # Errors
    /// They are too few for the map's banks, for the tree, or for an image.
    pub fn new(map: &Memory, mebibytes: u64) -> Result<Self> {
        let others = map.banks.iter().filter_map(|bank| bank.mebibytes).sum::<u64>();
        let last = mebibytes.checked_sub(others).filter(|left| (1..1 << 20).contains(left));
        let last = last.with_context(|| {
            format!("{mebibytes} MiB of memory: the map's last bank needs 1 MiB or more beyond the {others} MiB of the others")
        })?;
        let banks: Vec<_> = map
            .banks
            .iter()
            .map(|bank| (bank.start, bank.mebibytes.unwrap_or(last) * MEBIBYTE))
            .collect();
        // The tree lies in the bank with the image: a kernel may not look for it elsewhere.
        let (start, size) = banks[0];
        // It lies below 4 GiB, if any of the bank does.
        let end = start + size;
        let end = if start < FOUR_GIBIBYTES { end.min(FOUR_GIBIBYTES) } else { end };
        let image = start + map.reserved;
        let tree = end.checked_sub(map.tree_below_end).filter(|tree| *tree > image);
        let tree = tree.with_context(|| {
            format!(
                "{} MiB of memory at {start:#x} have no room for image and tree",
                size / MEBIBYTE
            )
        })?;
        Ok(Self { banks, image, image_end: tree, tree })
    }

    /// The banks as the tree names them: without what the monitor keeps.
    pub fn told(&self) -> impl Iterator<Item = (u64, u64)> {
        let kept = self.image - self.banks[0].0;
        self.banks.iter().enumerate().map(move |(index, (start, size))| {
            let kept = if index == 0 { kept } else { 0 };
            (start + kept, size - kept)
        })
    }

    /// Takes the memory from the host.
    ///
    /// # Errors
    /// The host does not give that much.
    pub fn allocate(&self) -> Result<Ram> {
        let ranges: Result<Vec<_>, _> = self
            .banks
            .iter()
            .map(|(start, size)| usize::try_from(*size).map(|size| (GuestAddress(*start), size)))
            .collect();
        Ram::from_ranges(&ranges?).context("the host does not give that much memory")
    }

    /// Whether an image of `size` bytes fits, its uninitialised data with it.
    ///
    /// # Errors
    /// It does not.
    pub fn fits(&self, size: u64) -> Result<()> {
        let room = self.image_end - self.image;
        ensure!(size <= room, "the image needs {size} bytes, there is room for {room}");
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::map::Bank;

    fn memory(banks: &[(u64, Option<u64>)], reserved: u64) -> Memory {
        let banks =
            banks.iter().map(|(start, mebibytes)| Bank { start: *start, mebibytes: *mebibytes });
        let (node, node_each) = ("memory".to_owned(), false);
        Memory { node, node_each, reserved, tree_below_end: TREE_ROOM, banks: banks.collect() }
    }

    #[test]
    fn the_last_bank_has_what_is_left() {
        let map = memory(&[(0x4000_0000, Some(64)), (0x1_0000_0000, None)], 0);
        let layout = Layout::new(&map, 100).unwrap();
        assert_eq!(layout.banks, [(0x4000_0000, 64 << 20), (0x1_0000_0000, 36 << 20)]);
        assert_eq!((layout.image, layout.tree), (0x4000_0000, 0x43e0_0000));
        assert!(Layout::new(&map, 64).is_err());
    }

    #[test]
    fn what_the_monitor_keeps_is_not_told() {
        let layout = Layout::new(&memory(&[(0x8000_0000, None)], 0x20_0000), 128).unwrap();
        assert_eq!(layout.told().collect::<Vec<_>>(), [(0x8020_0000, 126 << 20)]);
        assert_eq!((layout.image, layout.tree), (0x8020_0000, 0x87e0_0000));
        assert!(layout.fits(layout.tree - layout.image).is_ok());
        assert!(layout.fits(layout.tree - layout.image + 1).is_err());
    }

    #[test]
    fn the_tree_is_below_4_gib() {
        let layout = Layout::new(&memory(&[(0x8000_0000, None)], 0), 5 << 10).unwrap();
        assert_eq!(layout.tree, 0xffe0_0000);
        let layout = Layout::new(&memory(&[(0x1_0000_0000, None)], 0), 128).unwrap();
        assert_eq!(layout.tree, 0x1_07e0_0000, "unless all of RAM is above");
    }

    #[test]
    fn there_has_to_be_room_for_image_and_tree() {
        assert!(Layout::new(&memory(&[(0x8000_0000, None)], 0x20_0000), 4).is_err());
        assert!(Layout::new(&memory(&[(0x8000_0000, None)], 0), u64::MAX).is_err());
    }
}
