//! What a node has from the nodes above it: how its addresses are written and translated, where
//! its interrupts go, whether it is there at all (Devicetree Specification 0.4, chapter 2).

use elone_hal::address::PhysicalRange;
use fdt::nodes::NodeName;
use heapless::Vec;

use super::node::{Cells, Properties, Value};
use super::tree::{Node, name_of};
use super::{DEPTH, MachineError, Problem};

/// One node, as its children see it.
#[derive(Debug)]
struct Bus<'t> {
    node: Node<'t>,
    address_cells: u32,
    size_cells: u32,
    ranges: Option<Value<'t>>,
    interrupt_parent: Option<u32>,
    dma_coherent: bool,
    enabled: bool,
}

/// The nodes from the root down to the one that is being read, the *current* one.
#[derive(Debug)]
pub(super) struct Buses<'t>(Vec<Bus<'t>, { DEPTH + 1 }>);

impl<'t> Buses<'t> {
    /// Starts at the root node.
    pub(super) fn new(root: Node<'t>, properties: &Properties<'t>) -> Self {
        let mut buses = Self(Vec::new());
        // There is room for the first.
        let _ = buses.0.push(buses.below(root, properties));
        buses
    }

    /// Makes a node at `depth` the current one, after the one before it in the tree.
    pub(super) fn enter(
        &mut self,
        depth: usize,
        node: Node<'t>,
        properties: &Properties<'t>,
    ) -> Result<(), MachineError> {
        self.0.truncate(depth);
        self.0.push(self.below(node, properties)).map_err(|_| MachineError::TooDeep)
    }

    /// What a node below the last one is to its own children.
    fn below(&self, node: Node<'t>, properties: &Properties<'t>) -> Bus<'t> {
        let above = self.0.last();
        // A malformed number of cells counts as more than can be read, so that nothing is.
        let cells = |value: Option<Value>, default| {
            value.map_or(default, |value| value.cell().unwrap_or(u32::MAX))
        };
        Bus {
            node,
            address_cells: cells(properties.address_cells, 2),
            size_cells: cells(properties.size_cells, 1),
            ranges: properties.ranges,
            // A node with interrupt cells is itself where its children's interrupts go.
            interrupt_parent: match (properties.interrupt_cells, properties.interrupt_parent) {
                (Some(_), _) => properties.handle(),
                (None, Some(parent)) => parent.cell(),
                (None, None) => above.and_then(|bus| bus.interrupt_parent),
            },
            dma_coherent: properties.dma_noncoherent.is_none()
                && (properties.dma_coherent.is_some() || above.is_some_and(|bus| bus.dma_coherent)),
            enabled: properties.enabled() && above.is_none_or(|bus| bus.enabled),
        }
    }

    /// The node above the current one.
    fn parent(&self) -> Option<&Bus<'t>> {
        self.0.iter().nth_back(1)
    }

    /// How many cells an address on the current node's bus has.
    pub(super) fn parent_address_cells(&self) -> Option<u32> {
        self.parent().map(|bus| bus.address_cells)
    }

    /// The name of the node above the current one.
    pub(super) fn parent_name(&self) -> &'t str {
        self.parent().map_or("", |bus| name_of(&bus.node).name)
    }

    /// Where the current node's interrupts go unless it says otherwise: a controller's handle.
    pub(super) fn interrupt_parent(&self) -> Option<u32> {
        self.parent()?.interrupt_parent
    }

    /// Whether the current node, and all above it, are there for us.
    pub(super) fn enabled(&self) -> bool {
        self.0.last().is_some_and(|bus| bus.enabled)
    }

    /// Whether the current node's device sees memory through the core's caches.
    pub(super) fn dma_coherent(&self) -> bool {
        self.0.last().is_some_and(|bus| bus.dma_coherent)
    }

    /// The names on the way from the root's child to the current node.
    pub(super) fn path(&self) -> impl Iterator<Item = NodeName<'t>> {
        self.0.iter().skip(1).map(|bus| name_of(&bus.node))
    }

    /// The current node's `reg`: addresses on its bus, and lengths, in bytes. Ends at what is
    /// malformed.
    pub(super) fn entries(
        &self,
        reg: Option<Value<'t>>,
    ) -> impl Iterator<Item = Result<(u64, u64), Problem>> + use<'t> {
        let mut cells = reg.map(Value::cells).unwrap_or_default();
        let sizes = self.parent().map(|bus| (bus.address_cells, bus.size_cells));
        core::iter::from_fn(move || {
            if cells.is_empty() {
                return None;
            }
            let entry = sizes.and_then(|(address, size)| {
                // An entry of no cells would never end.
                let address = (address > 0).then(|| cells.number(address))??;
                Some((address, cells.number(size)?))
            });
            if entry.is_none() {
                cells = Cells::default();
            }
            Some(entry.ok_or(Problem::BadProperty("reg")))
        })
    }

    /// The current node's `reg` as the processor's addresses.
    pub(super) fn registers(
        &self,
        reg: Option<Value<'t>>,
    ) -> impl Iterator<Item = Result<PhysicalRange, Problem>> {
        self.entries(reg)
            .map(|entry| entry.and_then(|(start, length)| self.translate(start, length)))
    }

    /// The next of the current node's `registers`, which must be there, and not empty.
    pub(super) fn next(
        registers: &mut impl Iterator<Item = Result<PhysicalRange, Problem>>,
    ) -> Result<PhysicalRange, Problem> {
        let missing = Problem::BadProperty("reg");
        let range = registers.next().ok_or(missing)??;
        if range.is_empty() { Err(missing) } else { Ok(range) }
    }

    /// Takes addresses of the current node's bus through each `ranges` up to the root's, which are
    /// the processor's (section 2.3.8).
    pub(super) fn translate(&self, start: u64, length: u64) -> Result<PhysicalRange, Problem> {
        let mut start = start;
        let above = self.0.split_last().map_or(&[][..], |(_, above)| above);
        for pair in above.windows(2).rev() {
            let [parent, bus] = pair else { continue };
            // Without `ranges` there is no way through; an empty one changes nothing.
            let ranges = bus.ranges.ok_or(Problem::NotTranslatable)?;
            if !ranges.0.is_empty() {
                start = bus.through(ranges, parent.address_cells, start, length)?;
            }
        }
        PhysicalRange::new(start, length).ok_or(Problem::BadProperty("reg"))
    }
}

impl Bus<'_> {
    /// Takes an address through `ranges`: entries of child's address, parent's address, length.
    fn through(
        &self,
        ranges: Value,
        parent_cells: u32,
        start: u64,
        length: u64,
    ) -> Result<u64, Problem> {
        let nowhere = Problem::NotTranslatable;
        let mut cells = ranges.cells();
        while !cells.is_empty() {
            let child = cells.number(self.address_cells).ok_or(nowhere)?;
            let parent = cells.number(parent_cells).ok_or(nowhere)?;
            let size = cells.number(self.size_cells).ok_or(nowhere)?;
            if (self.address_cells, parent_cells, self.size_cells) == (0, 0, 0) {
                return Err(nowhere);
            }
            let Some(offset) = start.checked_sub(child) else { continue };
            if offset < size && length <= size - offset {
                return parent.checked_add(offset).ok_or(nowhere);
            }
        }
        Err(nowhere)
    }
}
