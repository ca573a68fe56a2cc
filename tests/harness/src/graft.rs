//! Flattened device trees with more in them: somebody else's tree, copied node by node, and nodes of
//! our own at the end of its `/chosen` (Devicetree Specification 0.4, chapter 5).

use anyhow::{Context as _, Result, anyhow, bail};
use vm_fdt::{FdtWriter, FdtWriterResult as FdtResult};

/// Tokens of the structure block (section 5.4.1).
const BEGIN_NODE: u32 = 1;
const END_NODE: u32 = 2;
const PROPERTY: u32 = 3;
const NOP: u32 = 4;
const END: u32 = 9;

/// Copies `tree`, and has `add` write what is to be at the end of `/chosen`.
///
/// # Errors
/// It is no tree, or one without `/chosen`; or what was added does not go there.
pub(crate) fn with_chosen(
    tree: &[u8],
    add: impl Fn(&mut FdtWriter) -> FdtResult<()>,
) -> Result<Vec<u8>> {
    let field = |index: usize| word(tree, 4 * index);
    let (structure, strings) = (field(2)? as usize, field(3)? as usize);
    let names = tree.get(strings..).context("a tree without names")?;
    let mut at = structure;
    let mut writer = FdtWriter::new().map_err(refused)?;
    let mut open = Vec::new();
    let mut added = false;
    loop {
        let token = word(tree, at)?;
        at += 4;
        match token {
            BEGIN_NODE => {
                let name = text(tree, at)?;
                at = (at + name.len() + 1).next_multiple_of(4);
                open.push((name, writer.begin_node(name).map_err(refused)?));
            }
            END_NODE => {
                let (name, node) = open.pop().context("a node ends that did not begin")?;
                if (name, open.len()) == ("chosen", 1) {
                    add(&mut writer).map_err(refused)?;
                    added = true;
                }
                writer.end_node(node).map_err(refused)?;
            }
            PROPERTY => {
                let (length, name) = (word(tree, at)? as usize, word(tree, at + 4)? as usize);
                at += 8;
                let value = tree.get(at..at + length).context("a property is cut")?;
                writer.property(text(names, name)?, value).map_err(refused)?;
                at = (at + length).next_multiple_of(4);
            }
            NOP => {}
            END => break,
            other => bail!("{other:#x} is no token"),
        }
    }
    anyhow::ensure!(added, "the tree has no /chosen");
    writer.finish().map_err(refused)
}

/// Writes a node with what `fill` puts into it.
pub(crate) fn node(
    fdt: &mut FdtWriter,
    name: &str,
    fill: impl FnOnce(&mut FdtWriter) -> FdtResult<()>,
) -> FdtResult<()> {
    let node = fdt.begin_node(name)?;
    fill(fdt)?;
    fdt.end_node(node)
}

fn word(bytes: &[u8], at: usize) -> Result<u32> {
    let word = bytes.get(at..at + 4).context("the tree is cut")?;
    Ok(u32::from_be_bytes(word.try_into()?))
}

fn text(bytes: &[u8], at: usize) -> Result<&str> {
    let rest = bytes.get(at..).context("a name is not there")?;
    let end = rest.iter().position(|byte| *byte == 0).context("a name has no end")?;
    Ok(std::str::from_utf8(&rest[..end])?)
}

fn refused(error: vm_fdt::Error) -> anyhow::Error {
    anyhow!("writing a device tree: {error}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::Tree;

    #[test]
    fn all_that_was_there_is_there_and_more_in_chosen() {
        let seeds: Vec<(&'static str, &'static [u8])> = vec![("rng-seed", b"12345")];
        let plain = Tree { seeds, bootargs: "a=b", ..Tree::default() };
        let grown = with_chosen(&plain.bytes().unwrap(), |fdt| {
            fdt.property_string("more", "words")?;
            node(fdt, "module@1", |fdt| fdt.property_u32("number", 7))
        });
        let grown = grown.unwrap();
        let nodes = |tree: &[u8]| {
            let count = tree.windows(4).filter(|bytes| *bytes == BEGIN_NODE.to_be_bytes());
            count.count()
        };
        assert!(nodes(&grown) > nodes(&plain.bytes().unwrap()));
        let has = |bytes: &[u8]| grown.windows(bytes.len()).any(|window| window == bytes);
        for words in [&b"words\0"[..], b"module@1\0", b"12345", b"a=b\0", b"virtio_mmio@a000000\0"]
        {
            assert!(has(words), "{}", String::from_utf8_lossy(words));
        }
        // Nothing is added, or lost, where nothing is asked for.
        assert_eq!(
            with_chosen(&plain.bytes().unwrap(), |_| Ok(())).unwrap(),
            plain.bytes().unwrap()
        );
    }

    #[test]
    fn what_is_no_tree_is_refused() {
        let tree = Tree::default().bytes().unwrap();
        for cut in [0, 8, 40, tree.len() / 2] {
            assert!(with_chosen(&tree[..cut], |_| Ok(())).is_err(), "{cut}");
        }
    }
}
