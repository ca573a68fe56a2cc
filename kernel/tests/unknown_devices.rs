//! What stands in the place of a device that the machine needs, and is unknown, is named.
#![allow(
    missing_docs,
    clippy::cast_possible_truncation,
    clippy::unwrap_used,
    reason = "a test crate"
)]

mod common;

use common::{GIC, Writer};
use elone_kernel::machine::Machine;

/// RAM, and two controllers that nobody knows: the root's interrupts go to the last one, if `main`.
fn with_controllers(main: bool) -> Machine {
    let mut tree = match main {
        true => Writer::new(),
        false => Writer::with_reservations(&[]).cells(2, 2),
    };
    let controller = |tree: Writer, name, compatible: &[&str], handle| {
        let tree = tree.begin(name).text("compatible", compatible).flag("interrupt-controller");
        tree.cell("#interrupt-cells", 1).cell("phandle", handle).end()
    };
    tree = tree.ram(0x4000_0000, 0x100_0000);
    tree = controller(tree, "gpio", &["acme,gpio"], GIC + 1);
    tree = controller(tree, "pic", &["acme,pic-9000", "acme,pic"], GIC);
    Machine::read(&tree.finish()).unwrap()
}

#[test]
fn a_controller_is_named_the_root_s_own_first() {
    assert_eq!(with_controllers(true).unknown_controller, "acme,pic-9000");
    assert_eq!(with_controllers(false).unknown_controller, "acme,gpio");
}

#[test]
fn where_a_controller_is_known_nothing_is_unknown() {
    for (name, bytes) in common::fixtures() {
        let machine = Machine::read(&bytes).expect(&name);
        assert_eq!(machine.unknown_controller, "", "{name}");
        assert_eq!(machine.unknown_console, "", "{name}");
    }
}

/// By its path, or by an alias with how the line is set up.
#[test]
fn a_console_is_named_wherever_stdout_path_leads() {
    for (path, expected) in [
        ("/soc/uart@1000", "acme,uart"),
        ("console0:115200n8", "acme,uart"),
        ("/soc/uart@2000", ""),
        ("/soc", "soc"),
        ("console1", ""),
        ("", ""),
    ] {
        let tree = Writer::new().ram(0x4000_0000, 0x100_0000);
        let tree = tree.begin("aliases").text("console0", &["/soc/uart@1000"]).end();
        let tree = tree.begin("soc").begin("uart@1000").text("compatible", &["acme,uart"]).end();
        let tree = tree.end().begin("chosen").text("stdout-path", &[path]).end();
        let machine = Machine::read(&tree.finish()).unwrap();
        assert_eq!(machine.unknown_console, expected, "{path}");
    }
}

/// A name that goes on for ever, or that would move a terminal's cursor.
#[test]
fn whatever_a_name_is_it_can_be_shown() {
    let long = "x".repeat(500);
    for name in [long.as_str(), "\u{1b}[2Jacme", "äöü"] {
        let tree = Writer::new().ram(0x4000_0000, 0x100_0000);
        let tree = tree.begin("pic").text("compatible", &[name]).flag("interrupt-controller").end();
        let shown = Machine::read(&tree.finish()).unwrap().unknown_controller;
        assert!(!shown.is_empty() && shown.chars().all(|letter| !letter.is_control()), "{shown}");
    }
}
