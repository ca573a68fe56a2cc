//! The flattened device tree as bytes that whoever started us made up (Devicetree Specification
//! 0.4, chapter 5), and the check that has to come before anything is read from it.
//!
//! The `fdt` crate walks the structure block. Its fallible API does not panic on any tree whose
//! header's offsets and sizes hold together, so that is what [`Tree::open`] makes sure of first.

use elone_hal::address::PhysicalRange;
use fdt::helpers::UnalignedFallibleNode;
use fdt::nodes::{AsNode, NodeName};
use fdt::parsing::NoPanic;
use fdt::parsing::unaligned::UnalignedParser;

use super::node::Value;
use super::{DEPTH, MachineError};

/// The header's size: ten cells (section 5.2).
const HEADER: usize = 40;

/// The first four bytes of every tree (section 5.2, `magic`).
const MAGIC: u32 = 0xd00d_feed;

/// The version that is read here, and the last one to which it is compatible (section 5.2).
const VERSION: u32 = 17;

/// No tree is larger (Linux, "Booting AArch64 Linux", section 2).
const MAX_SIZE: u32 = 2 << 20;

/// The token that ends the structure block (section 5.4.1, `FDT_END`).
const END: [u8; 4] = 9_u32.to_be_bytes();

/// A node of the tree: its name and where its properties begin.
pub(super) type Node<'t> = UnalignedFallibleNode<'t>;

/// A device tree whose header has been checked.
#[derive(Debug)]
pub struct Tree<'t> {
    bytes: &'t [u8],
    fdt: fdt::Fdt<'t, (UnalignedParser<'t>, NoPanic)>,
}

impl<'t> Tree<'t> {
    /// How many bytes [`Tree::check`] needs: the header's size.
    pub const HEADER: usize = HEADER;

    /// Checks the header, the first [`Tree::HEADER`] bytes, and tells the whole tree's size in
    /// bytes. For the boot, which must map the tree before it can read it.
    ///
    /// # Errors
    /// `NotATree`, `Version` or `TooLarge`; `Truncated` if a block lies outside the tree.
    pub fn check(header: &[u8]) -> Result<usize, MachineError> {
        let mut cells = Value(header.get(..HEADER).ok_or(MachineError::NotATree)?).cells();
        let fields: [u32; HEADER / 4] = core::array::from_fn(|_| cells.next().unwrap_or_default());
        let [magic, total, structure, strings, reservations, version, compatible, ..] = fields;
        let [.., strings_size, structure_size] = fields;

        if magic != MAGIC {
            return Err(MachineError::NotATree);
        }
        if version < VERSION || compatible > VERSION {
            return Err(MachineError::Version(version));
        }
        if total > MAX_SIZE {
            return Err(MachineError::TooLarge(total));
        }
        let lies_within = |offset: u32, size: u32| {
            offset.checked_add(size).is_some_and(|end| offset as usize >= HEADER && end <= total)
        };
        if !lies_within(structure, structure_size)
            || !lies_within(strings, strings_size)
            || !lies_within(reservations, 0)
        {
            return Err(MachineError::Truncated);
        }
        Ok(total as usize)
    }

    /// Opens a tree; what follows it in `bytes` does not matter.
    ///
    /// # Errors
    /// As [`Tree::check`]; `Truncated` if `bytes` does not hold all of it; `BadStructure` if the
    /// structure block does not end with its end token.
    pub fn open(bytes: &'t [u8]) -> Result<Self, MachineError> {
        let bytes = bytes.get(..Self::check(bytes)?).ok_or(MachineError::Truncated)?;
        let fdt =
            fdt::Fdt::new_unaligned_fallible(bytes).map_err(|_| MachineError::BadStructure)?;
        // The crate counts on this token: it looks for it from the end, without asking for room.
        if !fdt.structs_block().ends_with(&END) {
            return Err(MachineError::BadStructure);
        }
        Ok(Self { bytes, fdt })
    }

    /// The root node.
    pub(super) fn root(&self) -> Result<Node<'t>, MachineError> {
        self.fdt.root().map(|root| root.as_node()).map_err(|_| MachineError::BadStructure)
    }

    /// All other nodes, parents before children, each with its depth (the root's children: 1).
    pub(super) fn nodes(
        &self,
    ) -> Result<impl Iterator<Item = Result<(usize, Node<'t>), MachineError>> + use<'t>, MachineError>
    {
        let nodes = self.fdt.all_nodes().map_err(|_| MachineError::BadStructure)?;
        Ok(nodes.map(|node| {
            let (depth, node) = node.map_err(|_| MachineError::BadStructure)?;
            // The iterator would end in silence at a deeper node.
            let last = depth < DEPTH || node.children().is_ok_and(|c| c.iter().next().is_none());
            if last { Ok((depth, node)) } else { Err(MachineError::TooDeep) }
        }))
    }

    /// The memory reservation block (section 5.3): ranges that must not be touched. A range that
    /// would pass the end of the address space ends there.
    pub(super) fn reservations(
        &self,
    ) -> impl Iterator<Item = Result<PhysicalRange, MachineError>> + use<'t> {
        let start = self.fdt.header().memory_reserve_map_offset as usize;
        let mut entries = self.bytes.get(start..).unwrap_or_default().as_chunks::<8>().0.iter();
        core::iter::from_fn(move || match (entries.next(), entries.next()) {
            (Some(start), Some(length)) => {
                let (start, length) = (u64::from_be_bytes(*start), u64::from_be_bytes(*length));
                (start != 0 || length != 0).then_some(Ok(range_to_the_end(start, length)))
            }
            _ => Some(Err(MachineError::Truncated)),
        })
    }
}

/// The name of a node. One that is no text is not worth refusing the tree for: it is nobody's.
pub(super) fn name_of<'t>(node: &Node<'t>) -> NodeName<'t> {
    node.name().unwrap_or(NodeName { name: "?", unit_address: None })
}

/// The range, or as much of it as there are addresses for.
pub(super) fn range_to_the_end(start: u64, length: u64) -> PhysicalRange {
    let length = length.min(u64::MAX - start);
    PhysicalRange::new(start, length).unwrap_or_default()
}
