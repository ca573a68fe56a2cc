//! Device trees with something wrong in them, by the hundred thousand: any of them gives a machine
//! or an error, and what is a machine keeps its promises.
#![allow(missing_docs, clippy::cast_possible_truncation, reason = "a test crate")]

mod common;

use common::{Writer, below, fixtures, mutate, range};
use dtoolkit::Node as _;
use dtoolkit::fdt::{Fdt, FdtNode};
use elone_kernel::machine::{Machine, MachineError};
use rand_chacha::ChaCha8Rng;
use rand_core::SeedableRng;

/// How many trees are tried.
const TREES: usize = 100_000;

/// What is true of every machine, however odd its tree.
fn check(machine: &Machine) {
    assert!(!machine.ram.is_empty() && machine.ram.iter().all(|bank| !bank.is_empty()));
    assert!(machine.virtio.is_sorted_by_key(|slot| slot.registers.start()));
    assert!(machine.console.is_none_or(|console| machine.uarts.contains(&console)));
    assert!(machine.to_string().contains("MiB"));
    machine.warnings().iter().for_each(|warning| assert!(!warning.to_string().is_empty()));
    let free = machine.free_memory([
        range(0x4000_0000, 0x20_0000),
        range(0x4400_0000, 0x10_0000),
        range(0x900_0000, 0x1000),
    ]);
    assert!(free.iter().map(|range| range.length()).sum::<u64>() <= machine.memory());
}

#[test]
fn no_tree_makes_it_panic() {
    let trees = fixtures();
    let mut random = ChaCha8Rng::seed_from_u64(0xe10e);
    let mut machines = 0;
    for _ in 0..TREES {
        let mut tree = trees[below(&mut random, trees.len())].1.clone();
        for _ in 0..=below(&mut random, 2) {
            mutate(&mut tree, &mut random);
        }
        if let Ok(machine) = Machine::read(&tree) {
            check(&machine);
            machines += 1;
        }
    }
    // Neither all refused nor all accepted: the mutations are neither too coarse nor too fine.
    assert!((TREES / 10..TREES * 9 / 10).contains(&machines), "{machines} were machines");
}

#[test]
fn every_length_of_every_tree_is_refused_but_the_whole() {
    for (name, tree) in fixtures() {
        for length in 0..tree.len() {
            let expected =
                if length < 40 { MachineError::NotATree } else { MachineError::Truncated };
            assert_eq!(Machine::read(&tree[..length]).err(), Some(expected), "{name}, {length}");
        }
        assert!(Machine::read(&[&tree[..], &[0xff; 99]].concat()).is_ok(), "{name}");
    }
}

#[test]
fn the_largest_tree_there_may_be_is_read() {
    // 2 MiB of what costs most: devices on nested buses with ranges to be searched.
    let mut writer = Writer::machine();
    for level in 0..10 {
        let ranges: Vec<u64> = (0..200).flat_map(|n| [n << 32, n << 32, 0x1_0000]).collect();
        writer = writer.begin(&format!("bus{level}")).cells(2, 2).list_64("ranges", &ranges);
    }
    for n in 0..15_000 {
        writer = writer.device(&format!("v{n}"), "virtio,mmio", 199 << 32, 0x200).end();
    }
    let tree = writer.finish();
    assert!(tree.len() < 2 << 20);
    let machine = Machine::read(&tree).expect("a machine, if an odd one");
    assert!(machine.warnings_lost() > 14_000);
}

/// Counts nodes and properties, as another reader of device trees sees them.
fn count(node: FdtNode) -> (usize, usize) {
    let mut counts = (1, node.properties().count());
    for child in node.children() {
        let (nodes, properties) = count(child);
        counts = (counts.0 + nodes, counts.1 + properties);
    }
    counts
}

/// Counts them as the crate that the kernel builds on does, in the way that the kernel uses it.
fn count_with_fdt(tree: &[u8]) -> Option<(usize, usize)> {
    use fdt::nodes::AsNode;
    let fdt = fdt::Fdt::new_unaligned_fallible(tree).ok()?;
    let root = fdt.root().ok()?.as_node();
    let mut counts = (1, root.properties().ok()?.iter().count());
    for node in fdt.all_nodes().ok()? {
        counts.0 += 1;
        counts.1 += node.ok()?.1.properties().ok()?.iter().count();
    }
    Some(counts)
}

#[test]
fn two_readers_count_the_same() {
    for (name, tree) in fixtures() {
        let other = Fdt::new(&tree).expect(&name);
        assert_eq!(count_with_fdt(&tree), Some(count(other.root())), "{name}");
    }
}

#[test]
fn two_readers_count_the_same_where_something_was_deleted() {
    for (name, tree) in fixtures().iter().filter(|(name, _)| name.starts_with("kvmtool")) {
        let word = |n: usize| u32::from_be_bytes(tree[n * 4..n * 4 + 4].try_into().expect("four"));
        let (structure, size) = (word(2) as usize / 4, word(9) as usize / 4);
        let mut deleted = 0;
        // Each property, one after the other: its token, length, name and value.
        for start in structure..structure + size - 4 {
            let length = word(start + 1) as usize;
            let end = start + 3 + length.div_ceil(4);
            if word(start) != 3 || length > 64 || end >= structure + size {
                continue;
            }
            let mut tree = tree.clone();
            for nop in tree[start * 4..end * 4].chunks_mut(4) {
                nop.copy_from_slice(&[0, 0, 0, 4]);
            }
            let Ok(other) = Fdt::new(&tree) else { continue };
            assert_eq!(count_with_fdt(&tree), Some(count(other.root())), "{name}, word {start}");
            deleted += 1;
        }
        assert!(deleted > 50, "{name}: {deleted}");
    }
}
