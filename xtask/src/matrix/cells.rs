//! The cells: every machine that can run here, and those that cannot.

use std::path::Path;

use anyhow::Result;
use elone_harness::{Board, Devices};

/// A machine, and how it is known what becomes of the image there.
#[derive(Debug)]
pub(super) struct Cell {
    /// What it is one of.
    pub(super) family: &'static str,
    /// What tells it from all others.
    pub(super) name: String,
    /// Whether a quick run takes it.
    pub(super) is_quick: bool,
    pub(super) how: How,
}

/// What proves a cell.
#[derive(Debug)]
pub(super) enum How {
    /// A run on the machine that this board describes.
    Board(Box<Board>),
    /// A run under KVM on the map of another monitor, made by our own; one without slots for devices
    /// has none.
    Map { host: &'static str, map: &'static str, has_slots: bool },
    /// A host test reads the device tree that was captured there, and that is all.
    Tree(&'static str),
    /// Nothing does; why.
    Nothing(&'static str),
}

/// The processors, from the least that Elone is written for to all that the emulator has.
const CORES: [(&str, &str); 5] = [
    ("cortex-a53", "cortex-a53"),
    ("cortex-a72", "cortex-a72"),
    ("cortex-a76", "cortex-a76"),
    ("neoverse-n1", "neoverse-n1"),
    ("max", "max,pauth-impdef=on"),
];

/// How the devices are connected: arguments, and what stands after `virtio-net-` and so on.
#[derive(Clone, Copy, Debug)]
enum Bus {
    Legacy,
    Modern,
    Pci,
}

const BUSES: [(&str, Bus); 3] =
    [("legacy", Bus::Legacy), ("modern", Bus::Modern), ("pci", Bus::Pci)];

/// The level of entry, and what the machine is asked for to have it.
const LEVELS: [(&str, &str); 3] =
    [("EL1", ""), ("EL2", ",virtualization=on"), ("EL3", ",secure=on")];
/// Where the image goes that nobody boots: the tree lies below it.
const BARE: u64 = 0x4020_0000;

/// The maps of other monitors, whether they have slots for devices, and the hosts they are run on.
const MAPS: [(&str, bool); 4] =
    [("firecracker", true), ("kvmtool", true), ("crosvm", false), ("banks", true)];
const HOSTS: [(&str, &str); 2] = [("GICv3", "edge"), ("GICv2", "edge-gicv2")];

/// Boards that are cells as they are: their families, and how their names begin. What of them a quick
/// run takes is all but variants of variants.
const BOARDS: [(&str, &str); 7] = [
    ("KVM", "kvm"),
    ("Xen", "xen"),
    ("U-Boot", "qemu-virt-u-boot"),
    ("EDK2", "qemu-virt-edk2"),
    ("boards", "raspi3b"),
    ("boards", "versal"),
    ("boards", "zcu102"),
];

/// What was seen of others: their trees.
const TREES: [(&str, &str); 4] = [
    ("Firecracker 1.17, GICv2 and GICv3", "firecracker-1.17.0-dev"),
    ("Firecracker 1.17, devices on PCI", "firecracker-1.17.0-dev-kvm-gicv3-its-enable-pci"),
    ("kvmtool 3.18, GICv2 and GICv3", "kvmtool-3.18"),
    ("kvmtool 3.18, devices on PCI", "kvmtool-3.18-kvm-gicv3-its-pci-default"),
];

/// What was not seen at all.
const UNSEEN: [(&str, &str); 5] = [
    ("crosvm, the program", "its map alone, from its sources, is run"),
    ("Cloud Hypervisor", "not to be had here"),
    ("QEMU on Apple silicon (hvf)", "no such machine"),
    ("Raspberry Pi 3, the board", "emulated alone"),
    ("Raspberry Pi 4 and 5 with KVM", "no such machine"),
];

/// Every cell, in the order of the table.
pub(super) fn all(boards: &Path) -> Result<Vec<Cell>> {
    let mut cells = virt(&Board::find(boards, "qemu-virt")?);
    let known = Board::all(boards)?;
    for (family, prefix) in BOARDS {
        let is_one = |board: &&Board| board.name.starts_with(prefix);
        cells.extend(known.iter().filter(is_one).map(|board| Cell {
            family,
            name: board.name.clone(),
            is_quick: !board.name.trim_start_matches(prefix).contains("-gicv2"),
            how: How::Board(Box::new(board.clone())),
        }));
    }
    for (gic, host) in HOSTS {
        cells.extend(MAPS.map(|(map, has_slots)| Cell {
            family: "KVM, maps of others",
            name: format!("{map} {gic}"),
            is_quick: host == "edge",
            how: How::Map { host, map, has_slots },
        }));
    }
    let unproved = |family| {
        move |(name, how): (&str, How)| Cell { family, name: name.to_owned(), is_quick: true, how }
    };
    let trees = TREES.map(|(name, tree)| (name, How::Tree(tree)));
    let unseen = UNSEEN.map(|(name, why)| (name, How::Nothing(why)));
    cells.extend(trees.map(unproved("captured trees")));
    cells.extend(unseen.map(unproved("not seen")));
    Ok(cells)
}

/// QEMU's `virt` machine: interrupt controllers by buses by levels by cores. A quick run has each of
/// the first three with each other, on a core in turn.
fn virt(plain: &Board) -> Vec<Cell> {
    let mut cells = Vec::new();
    let mut turn = 0;
    for gic in [2, 3] {
        for (bus_name, bus) in BUSES {
            for (level_name, level) in LEVELS {
                turn += 1;
                for (place, (core, cpu)) in CORES.iter().enumerate() {
                    let machine = format!("virt,gic-version={gic}{level}");
                    let mut board = connected(plain, bus);
                    board.name = format!("virt GICv{gic} {bus_name} {level_name} {core}");
                    (board.machine, board.cpu) = (machine, (*cpu).to_owned());
                    board.load_address = (level_name == "EL3").then_some(BARE);
                    cells.push(Cell {
                        family: "QEMU virt",
                        name: board.name.clone(),
                        is_quick: turn % CORES.len() == place,
                        how: How::Board(Box::new(board)),
                    });
                }
            }
        }
    }
    cells
}

/// The board with its devices on that bus.
fn connected(plain: &Board, bus: Bus) -> Board {
    let mut board = plain.clone();
    match bus {
        Bus::Legacy => {}
        Bus::Modern => {
            let modern = ["-global", "virtio-mmio.force-legacy=false"];
            board.arguments.extend(modern.map(str::to_owned));
        }
        // A network card's own boot program is not to be had everywhere.
        Bus::Pci => {
            board.devices = Devices {
                network: Some("virtio-net-pci,romfile=".to_owned()),
                disk: Some("virtio-blk-pci".to_owned()),
                entropy: Some("virtio-rng-pci".to_owned()),
            }
        }
    }
    board
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace::Workspace;

    #[test]
    fn a_quick_run_has_every_value_of_every_axis() {
        let cells = all(&Workspace::read().unwrap().boards()).unwrap();
        let quick: Vec<_> = cells.iter().filter(|cell| cell.is_quick).collect();
        let has = |word: &str| quick.iter().any(|cell| cell.name.contains(word));
        let cores = CORES.map(|(core, _)| core);
        let buses = BUSES.map(|(bus, _)| bus);
        for word in [&cores[..], &buses, &["GICv2", "GICv3", "EL1", "EL2", "EL3", "kvm"]].concat() {
            assert!(has(word), "{word}");
        }
        assert_eq!(cells.iter().filter(|cell| cell.family == "QEMU virt").count(), 90);
        assert_eq!(quick.iter().filter(|cell| cell.family == "QEMU virt").count(), 18);
    }

    #[test]
    fn every_cell_has_a_name_of_its_own() {
        let cells = all(&Workspace::read().unwrap().boards()).unwrap();
        let mut names: Vec<_> = cells.iter().map(|cell| &cell.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), cells.len());
    }
}
