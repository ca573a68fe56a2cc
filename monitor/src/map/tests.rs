//! The maps of this repository are read; what a map must not say is refused, and named.

use std::fs;
use std::path::{Path, PathBuf};

use super::*;

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../boards/monitor")
}

#[test]
fn the_maps_of_this_repository_are_well_formed() {
    let mut names = Vec::new();
    for entry in fs::read_dir(directory()).unwrap() {
        let path = entry.unwrap().path();
        Map::read(&path).unwrap();
        names.push(path.file_stem().unwrap().to_string_lossy().into_owned());
    }
    names.sort();
    assert_eq!(names, ["banks", "crosvm", "firecracker", "kvmtool"]);
}

/// What is said of `map` with `right` replaced by `wrong`.
fn refusal(map: &str, right: &str, wrong: &str) -> String {
    let text = fs::read_to_string(directory().join(map).with_extension("toml")).unwrap();
    assert!(text.contains(right), "{right:?} is not in {map}");
    let error = Map::parse(&text.replacen(right, wrong, 1)).unwrap_err();
    format!("{error:#}")
}

#[test]
fn what_cannot_be_is_named() {
    for (map, right, wrong, mention) in [
        ("firecracker", "rng-seed = 64", "rng-seed = -1", "rng-seed"),
        ("firecracker", "rng-seed = 64", "rng-sed = 64", "rng-sed"),
        ("firecracker", "cells = 2", "", "missing field `cells`"),
        ("firecracker", "cells = 2", "cells = 3", "cores.cells"),
        ("firecracker", "model = \"pl031\"", "model = \"sundial\"", "sundial"),
        ("firecracker", "reserved = 0x20_0000", "reserved = 0x10_0000", "memory.reserved"),
        ("firecracker", "reserved = 0x20_0000", "", "vmgenid.address"),
        ("firecracker", "tree-below-end = 0x20_0000", "tree-below-end = 4", "tree-below-end"),
        ("firecracker", "spi = 3,", "spi = 2,", "virtio and uart@40002000 have the same interrupt"),
        ("firecracker", "spi = 3,", "spi = 224,", "no shared interrupt 224"),
        ("firecracker", "address = 0x4000_1000", "address = 0x4000_2fff", "overlaps uart@40002000"),
        ("firecracker", "address = 0x4000_3000", "address = 0x8000_3000", "not below memory.banks"),
        ("firecracker", "{ start = 0x8000_0000 }", "", "memory.banks is empty"),
        ("firecracker", "start = 0x8000_0000", "start = 0x8000_1000", "multiples of 2 MiB"),
        ("kvmtool", "size = 8", "size = 0", "U6_16550A@1000000: 0x0 bytes"),
        ("banks", "register-shift = 2", "register-shift = 4", "serial@9010000.register-shift"),
        ("firecracker", "spi = 5, flags = 1", "spi = 5, flags = 4", "vmgenid.interrupt"),
        ("firecracker", "size = 0x10\n", "size = 0xf\n", "vmgenid.size has to be 0x10"),
        (
            "firecracker",
            "size = 0x1000\ninterrupt = { spi = 6",
            "size = 0x6f\ninterrupt = { spi = 6",
            "ptp@2149572608.size has to be 0x70",
        ),
        ("firecracker", "0x801f_fff0", "0x801f_eff0", "vmgenid overlaps ptp@"),
        ("kvmtool", "spi = 1, flags = 4", "spi = 0, flags = 4", "have the same interrupt, 0"),
        ("crosvm", "spi = 0, flags = 1", "spi = 0, flags = 4", "have the same interrupt, 0"),
        ("banks", "line = 3", "line = 8", "power-button.line"),
        ("banks", "mebibytes = 64", "mebibytes = 1024", "0x40000000 reaches the next"),
        ("banks", ", mebibytes = 32", "", "0x60000000 has to say its mebibytes"),
        ("banks", "start = 0x1_0000_0000", "start = 0x1_0000_0000, mebibytes = 1", "no mebibytes"),
    ] {
        let message = refusal(map, right, wrong);
        assert!(message.contains(mention), "{map}, {wrong:?}: {message}");
    }
}

#[test]
fn the_file_is_named() {
    let error = Map::read(Path::new("/nowhere/odd.toml")).unwrap_err();
    assert!(format!("{error:#}").starts_with("machine file /nowhere/odd.toml: "), "{error:#}");
}
