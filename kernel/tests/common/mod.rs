//! Device trees to test with: those that were seen in the wild, and those made up here.
#![allow(dead_code, reason = "each test crate uses a part of it")]

use elone_hal::address::PhysicalRange;
use elone_kernel::machine::{Machine, Problem};
use rand_chacha::ChaCha8Rng;
use rand_core::RngCore;
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

/// A number below `limit`, which is not zero.
pub(crate) fn below(random: &mut ChaCha8Rng, limit: usize) -> usize {
    random.next_u32() as usize % limit
}

/// Values that code like this goes wrong at.
const INTERESTING: [u32; 16] = [
    0,
    1,
    2,
    3,
    4,
    5,
    8,
    9,
    40,
    0x7f,
    0x7fff_ffff,
    0x8000_0000,
    0xffff_fff0,
    0xffff_fffc,
    0xffff_fffe,
    u32::MAX,
];

/// Makes something wrong with a tree.
pub(crate) fn mutate(tree: &mut Vec<u8>, random: &mut ChaCha8Rng) {
    let length = tree.len();
    if length < 64 {
        return;
    }
    match below(random, 8) {
        0 => tree[below(random, length)] ^= 1 << below(random, 8),
        1 => tree[below(random, length)] = random.next_u32() as u8,
        2 => tree.truncate(below(random, length)),
        // A field of the header.
        3 => set_word(tree, below(random, 10), random),
        // A word of the structure block: a token, a length, a name's offset, a value.
        4 | 5 => set_word(tree, 14 + below(random, (length - 60) / 4), random),
        6 => {
            let count = 1 + below(random, 64.min(length - 1));
            let from = below(random, length - count);
            let to = below(random, length - count);
            tree.copy_within(from..from + count, to);
        }
        // A block of words taken out, so that tokens stand where they should not.
        _ => {
            let start = below(random, length / 4 - 8) * 4;
            let count = 4 * (1 + below(random, 7));
            tree.copy_within(start + count.., start);
        }
    }
}

fn set_word(tree: &mut [u8], word: usize, random: &mut ChaCha8Rng) {
    let value = match below(random, 4) {
        0 => random.next_u32(),
        1 => tree.len() as u32 - below(random, 8) as u32,
        _ => INTERESTING[below(random, INTERESTING.len())],
    };
    tree[word * 4..word * 4 + 4].copy_from_slice(&value.to_be_bytes());
}
