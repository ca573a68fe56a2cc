//! What stands where the machine needs a device of a known kind, and is of another: noted for the
//! boot's complaint, which names it. Whoever brings a new board up reads here which driver is missing.

use heapless::String;

use super::node::{Properties, Value};
use super::tree::{Node, name_of};
use super::{Machine, NAME};

/// The interrupt controllers that are none of ours.
#[derive(Debug, Default)]
pub(super) struct Strangers {
    /// What the root's interrupts go to unless it is said otherwise.
    pub(super) main: Option<u32>,
    controller: String<NAME>,
    is_main: bool,
}

impl Strangers {
    /// Notes a node that nobody here knows, if interrupts go to it: the root's own rather than the
    /// first one of the tree.
    pub(super) fn note(&mut self, node: &Node, properties: &Properties) {
        if properties.interrupt_controller.is_none() {
            return;
        }
        let is_main = self.main.is_some() && properties.handle() == self.main;
        if self.controller.is_empty() || (is_main && !self.is_main) {
            self.is_main = is_main;
            self.controller = kind(node, properties);
        }
    }

    /// Gives its name to a machine that has no controller.
    pub(super) fn resolve(self, machine: &mut Machine) {
        machine.unknown_controller = self.controller;
    }
}

/// What a node is, in its own words: the first of the names that it is compatible with, or else its
/// own name; as much of it as is kept.
fn kind(node: &Node, properties: &Properties) -> String<NAME> {
    let compatible = properties.compatible.and_then(|value| value.strings().next());
    let compatible = compatible.and_then(|name| core::str::from_utf8(name).ok());
    let text = compatible.unwrap_or(name_of(node).name);
    text.chars().filter(|letter| !letter.is_control()).take(NAME / 4).collect()
}

/// What the node is that `path` leads to from `root`; empty where it leads nowhere.
pub(super) fn kind_at(path: &str, root: Node) -> String<NAME> {
    let mut node = root;
    for step in path.split('/').filter(|step| !step.is_empty()) {
        let Ok(children) = node.children() else { return String::new() };
        // The walk comes by here too, and refuses a tree that is malformed.
        let mut children = children.iter().map_while(Result::ok);
        let found = children.find(|child| {
            let name = name_of(child);
            match (step.split_once('@'), name.unit_address) {
                (Some((base, unit)), Some(address)) => base == name.name && unit == address,
                (Some(_), None) => false,
                (None, _) => step == name.name,
            }
        });
        let Some(found) = found else { return String::new() };
        node = found;
    }
    let mut properties = Properties::default();
    match properties.gather(&node) {
        Ok(()) => kind(&node, &properties),
        Err(_) => String::new(),
    }
}

/// The path that a value of `stdout-path` stands for: its own, or an alias's. What follows a colon says
/// how the line is set up, which whoever wrote it has done.
pub(super) fn path_of<'t>(stdout_path: Value<'t>, aliases: Option<&Node<'t>>) -> Option<&'t str> {
    let name = stdout_path.text()?.split(':').next()?;
    if name.starts_with('/') {
        return Some(name);
    }
    Value(aliases?.raw_property(name).ok()??.value).text()
}
