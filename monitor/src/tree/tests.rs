//! The trees of the maps are those that the monitors themselves write, property for property.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use super::*;
use crate::map::Interrupt;

/// The properties of each node by its path.
type Nodes = BTreeMap<String, BTreeMap<String, Vec<u8>>>;

/// Takes a tree apart (Devicetree Specification 0.4, section 5.4): well-formed ones only.
fn nodes(tree: &[u8]) -> Nodes {
    let word = |at: usize| u32::from_be_bytes(tree[at..][..4].try_into().unwrap()) as usize;
    let text = |at: usize| {
        let length = tree[at..].iter().position(|byte| *byte == 0).unwrap();
        String::from_utf8(tree[at..][..length].to_vec()).unwrap()
    };
    let (mut at, strings) = (word(8), word(12));
    let (mut nodes, mut path) = (Nodes::new(), Vec::new());
    loop {
        at += 4;
        match word(at - 4) {
            1 => {
                path.push(text(at));
                at = (at + path[path.len() - 1].len() + 4) & !3;
                nodes.insert(path.join("/"), BTreeMap::new());
            }
            2 => drop(path.pop()),
            3 => {
                let (length, name) = (word(at), text(strings + word(at + 4)));
                let value = tree[at + 8..][..length].to_vec();
                nodes.get_mut(&path.join("/")).unwrap().insert(name, value);
                at = (at + 8 + length + 3) & !3;
            }
            4 => {}
            _ => return nodes,
        }
    }
}

fn file(path: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../boards").join(path)
}

fn map(name: &str) -> Map {
    Map::read(&file(&format!("monitor/{name}.toml"))).unwrap()
}

fn written(map: &Map, gic: GicVersion, cores: u32, plugged: u32) -> Nodes {
    written_with(map, "log=debug ip=dhcp", gic, cores, plugged)
}

fn written_with(map: &Map, settings: &str, gic: GicVersion, cores: u32, plugged: u32) -> Nodes {
    let mut map = map.clone();
    map.settle(settings);
    let (layout, random) = (Layout::new(&map.memory, 128).unwrap(), [0xa5; 264]);
    let facts = Facts { layout: &layout, gic, cores, settings, plugged, random: &random };
    nodes(&write(&map, &facts).unwrap())
}

/// Compares with the tree of the monitor itself, but for what its version has and is not rebuilt
/// here (message-signalled interrupts) and seeds.
fn expect_the_tree_of(fixture: &str, ours: Nodes) {
    let tree = fs::read(file(&format!("fixtures/{fixture}.dtb"))).unwrap();
    let strip = |mut nodes: Nodes| {
        nodes.retain(|path, _| path != "/intc/msic");
        let chosen = nodes.get_mut("/chosen").unwrap();
        if let Some(seed) = chosen.get_mut("rng-seed") {
            seed.fill(0);
        }
        nodes
    };
    let (theirs, ours) = (strip(nodes(&tree)), strip(ours));
    for (path, node) in &theirs {
        assert_eq!(ours.get(path), Some(node), "{fixture}: {path}");
    }
    assert_eq!(ours.keys().collect::<Vec<_>>(), theirs.keys().collect::<Vec<_>>());
}

#[test]
fn firecrackers_trees_are_its_own() {
    for (fixture, gic, devices) in [
        ("firecracker-1.17.0-dev-kvm-gicv3-its-mmio-blk-net", GicVersion::V3, 2),
        ("firecracker-1.17.0-dev-kvm-gicv2-no-device", GicVersion::V2, 0),
    ] {
        let mut map = map("firecracker");
        // It numbers interrupts by what is plugged in.
        let missing = 3 - devices;
        let earlier = |interrupt: &mut Interrupt| interrupt.spi -= missing;
        earlier(&mut map.serial[0].interrupt);
        map.generation.iter_mut().for_each(|page| earlier(&mut page.interrupt));
        map.vmclock.iter_mut().for_each(|page| earlier(&mut page.interrupt));
        // What it was started with: without `console=` it has no serial port.
        let settings = "console=ttyS0 dumpdtb";
        expect_the_tree_of(fixture, written_with(&map, settings, gic, 1, devices));
    }
}

#[test]
fn kvmtools_trees_are_its_own() {
    let map = map("kvmtool");
    for (fixture, gic) in [
        ("kvmtool-3.18-kvm-gicv3-no-its-mmio-net", GicVersion::V3),
        ("kvmtool-3.18-kvm-gicv2-mmio-no-device", GicVersion::V2),
    ] {
        expect_the_tree_of(fixture, written_with(&map, "dumpdtb", gic, 1, 3));
    }
}

#[test]
fn settings_and_seeds_are_handed_over() {
    let settings = "console=ttyS0 ip=dhcp";
    let nodes = written_with(&map("firecracker"), settings, GicVersion::V3, 1, 0);
    let chosen = &nodes["/chosen"];
    let words = b"console=ttyS0 ip=dhcp pci=off earlycon=uart,mmio,0x40002000\0";
    assert_eq!(chosen["bootargs"], words);
    assert_eq!((chosen["rng-seed"].as_slice(), chosen.get("kaslr-seed")), (&[0xa5; 64][..], None));
    let nodes = written(&map("firecracker"), GicVersion::V3, 1, 0);
    assert_eq!(nodes["/chosen"]["bootargs"], b"log=debug ip=dhcp pci=off\0");
    assert!(!nodes.contains_key("/uart@40002000"), "nobody asked for a console");
    let nodes = written(&map("crosvm"), GicVersion::V3, 1, 0);
    assert_eq!(nodes["/chosen"]["bootargs"], b"log=debug ip=dhcp\0");
    assert_eq!(nodes["/chosen"]["kaslr-seed"], [0xa5; 8]);
}

/// What depends on how many there are: redistributors, cores and their interrupts, banks, slots.
#[test]
fn cores_banks_and_slots_are_listed() {
    let nodes = written(&map("kvmtool"), GicVersion::V3, 8, 0);
    let cells =
        |cells: &[u32]| cells.iter().flat_map(|cell| cell.to_be_bytes()).collect::<Vec<_>>();
    let reg = cells(&[0, 0x3fff_0000, 0, 0x1_0000, 0, 0x3fef_0000, 0, 0x10_0000]);
    assert_eq!(nodes["/intc"]["reg"], reg);
    assert_eq!(nodes["/cpus/cpu@7"]["reg"], cells(&[7]));
    assert_eq!(nodes["/cpus/cpu@7"]["enable-method"], b"psci\0");
    let nodes = written(&map("kvmtool"), GicVersion::V2, 8, 0);
    assert_eq!(nodes["/timer"]["interrupts"][..12], cells(&[1, 13, 0xff08]));

    let nodes = written(&map("banks"), GicVersion::V3, 1, 2);
    let bank = |name: &str| nodes[name]["reg"].clone();
    assert_eq!(bank("/memory@40000000"), cells(&[0, 0x4000_0000, 0, 64 << 20]));
    assert_eq!(bank("/memory@100000000"), cells(&[1, 0, 0, 32 << 20]));
    assert_eq!(nodes.keys().filter(|path| path.starts_with("/virtio_mmio@")).count(), 32);
    assert_eq!(nodes["/virtio_mmio@a003e00"]["interrupts"], cells(&[0, 47, 4]));
    assert_eq!(nodes["/gpio-keys/poweroff"]["gpios"], cells(&[0x8004, 3, 0]));
}
