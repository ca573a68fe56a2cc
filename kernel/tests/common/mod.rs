//! Device trees to test with: those that were seen in the wild, and those made up here.
#![allow(dead_code, reason = "each test crate uses a part of it")]

use elone_hal::address::PhysicalRange;
use elone_kernel::machine::{Machine, Problem};
use vm_fdt::{FdtReserveEntry, FdtWriter, FdtWriterNode};

/// Every tree in `boards/fixtures`, by name, in alphabetical order.
pub(crate) fn fixtures() -> Vec<(String, Vec<u8>)> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../boards/fixtures");
    let mut trees: Vec<_> = std::fs::read_dir(folder)
        .expect("the fixtures are there")
        .map(|entry| entry.expect("readable").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "dtb"))
        .map(|path| {
            let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
            (name, std::fs::read(path).expect("readable"))
        })
        .collect();
    trees.sort();
    trees
}

/// A range of physical addresses.
pub(crate) const fn range(start: u64, length: u64) -> PhysicalRange {
    PhysicalRange::new(start, length).expect("does not wrap")
}

/// What is odd about a machine's tree: the names of nodes, and what is odd about them.
pub(crate) fn problems(machine: &Machine) -> Vec<(&str, Problem)> {
    machine.warnings().iter().map(|warning| (warning.node.as_str(), warning.problem)).collect()
}

/// Writes a tree, node by node.
pub(crate) struct Writer {
    fdt: FdtWriter,
    open: Vec<FdtWriterNode>,
}

/// The phandle of the interrupt controller that [`Writer::gic`] writes.
pub(crate) const GIC: u32 = 1;

impl Writer {
    /// A tree whose root has 2 cells of address and 2 of size, and the GIC for interrupt parent.
    pub(crate) fn new() -> Self {
        Self::with_reservations(&[]).cells(2, 2).cell("interrupt-parent", GIC)
    }

    /// A tree with an empty root node and these entries in its memory reservation block.
    pub(crate) fn with_reservations(ranges: &[(u64, u64)]) -> Self {
        let ranges: Vec<_> = ranges
            .iter()
            .map(|(start, length)| FdtReserveEntry::new(*start, *length).expect("valid"))
            .collect();
        let mut fdt = FdtWriter::new_with_mem_reserv(&ranges).expect("valid");
        let root = fdt.begin_node("").expect("valid");
        Self { fdt, open: vec![root] }
    }

    /// The smallest tree of a machine: 16 MiB of RAM and a GICv2.
    pub(crate) fn machine() -> Self {
        Self::new().ram(0x4000_0000, 0x100_0000).gic()
    }

    pub(crate) fn begin(mut self, name: &str) -> Self {
        self.open.push(self.fdt.begin_node(name).expect("valid"));
        self
    }

    pub(crate) fn end(mut self) -> Self {
        let node = self.open.pop().expect("a node is open");
        self.fdt.end_node(node).expect("valid");
        self
    }

    pub(crate) fn bytes(mut self, name: &str, value: &[u8]) -> Self {
        self.fdt.property(name, value).expect("valid");
        self
    }

    pub(crate) fn flag(self, name: &str) -> Self {
        self.bytes(name, &[])
    }

    /// Strings, each with its terminator.
    pub(crate) fn text(self, name: &str, strings: &[&str]) -> Self {
        let value: Vec<u8> =
            strings.iter().flat_map(|text| [text.as_bytes(), &[0]].concat()).collect();
        self.bytes(name, &value)
    }

    pub(crate) fn cell(self, name: &str, value: u32) -> Self {
        self.list(name, &[value])
    }

    pub(crate) fn list(self, name: &str, cells: &[u32]) -> Self {
        let value: Vec<u8> = cells.iter().flat_map(|cell| cell.to_be_bytes()).collect();
        self.bytes(name, &value)
    }

    /// A list of numbers in two cells each.
    pub(crate) fn list_64(self, name: &str, numbers: &[u64]) -> Self {
        let value: Vec<u8> = numbers.iter().flat_map(|number| number.to_be_bytes()).collect();
        self.bytes(name, &value)
    }

    pub(crate) fn cells(self, address: u32, size: u32) -> Self {
        self.cell("#address-cells", address).cell("#size-cells", size)
    }

    pub(crate) fn ram(self, start: u64, length: u64) -> Self {
        self.begin(&format!("memory@{start:x}"))
            .text("device_type", &["memory"])
            .list_64("reg", &[start, length])
            .end()
    }

    pub(crate) fn gic(self) -> Self {
        self.begin("intc")
            .text("compatible", &["arm,gic-400"])
            .list_64("reg", &[0x800_0000, 0x1000, 0x801_0000, 0x2000])
            .cell("#interrupt-cells", 3)
            .flag("interrupt-controller")
            .cell("phandle", GIC)
            .end()
    }

    /// A node with a name, a compatible and one range of registers, still open.
    pub(crate) fn device(self, name: &str, compatible: &str, start: u64, length: u64) -> Self {
        self.begin(name).text("compatible", &[compatible]).list_64("reg", &[start, length])
    }

    /// Closes what is open. The tree as bytes.
    pub(crate) fn finish(mut self) -> Vec<u8> {
        while !self.open.is_empty() {
            self = self.end();
        }
        self.fdt.finish().expect("valid")
    }

    /// The machine that the tree describes.
    pub(crate) fn read(self) -> Machine {
        Machine::read(&self.finish()).expect("a usable tree")
    }
}
