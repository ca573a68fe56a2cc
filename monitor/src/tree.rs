//! The device tree that a guest finds: a map, said in the Devicetree Specification's words.

use anyhow::{Context as _, Result, ensure};
use vm_fdt::FdtWriter;

use crate::map::{KaslrSeed, Map, Properties, Property};
use crate::memory::{Layout, TREE_ROOM};

mod devices;
mod gic;
#[cfg(test)]
mod tests;

/// What nodes call the interrupt controller by.
const INTERRUPT_CONTROLLER: u32 = 1;

/// Which interrupt controller a machine has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GicVersion {
    /// GICv2.
    V2,
    /// GICv3.
    V3,
}

/// What a tree says beyond its map.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// Where memory is.
    pub layout: &'a Layout,
    /// Which of the map's interrupt controllers there is.
    pub gic: GicVersion,
    /// How many cores there are.
    pub cores: u32,
    /// The settings.
    pub settings: &'a str,
    /// How many of the first virtio slots have a device.
    pub plugged: u32,
    /// Random bytes, at least as many as both seeds need.
    pub random: &'a [u8],
}

/// Writes the tree of `map`.
///
/// # Errors
/// A name or string that no tree can have, a tree that is too large, or too few random bytes.
pub fn write(map: &Map, facts: &Facts<'_>) -> Result<Vec<u8>> {
    let mut fdt = FdtWriter::new()?;
    let root = fdt.begin_node("")?;
    fdt.property_u32("#address-cells", 2)?;
    fdt.property_u32("#size-cells", 2)?;
    fdt.property_u32("interrupt-parent", INTERRUPT_CONTROLLER)?;
    properties(&mut fdt, &map.root)?;
    chosen(&mut fdt, map, facts)?;
    memory(&mut fdt, map, facts.layout)?;
    cores(&mut fdt, map, facts.cores)?;
    gic::write(&mut fdt, map, facts)?;
    node(&mut fdt, "psci", |fdt| properties(fdt, &map.psci))?;
    devices::write(&mut fdt, map, facts.plugged)?;
    for extra in &map.node {
        node(&mut fdt, &extra.name, |fdt| properties(fdt, &extra.properties))?;
    }
    // Behind what they name, where kvmtool has them.
    if !map.aliases.is_empty() {
        node(&mut fdt, "aliases", |fdt| {
            for (name, path) in &map.aliases {
                fdt.property_string(name, path)?;
            }
            Ok(())
        })?;
    }
    fdt.end_node(root)?;
    let tree = fdt.finish()?;
    ensure!(tree.len() as u64 <= TREE_ROOM, "the device tree has {} bytes", tree.len());
    Ok(tree)
}

fn chosen(fdt: &mut FdtWriter, map: &Map, facts: &Facts<'_>) -> Result<()> {
    let chosen = &map.chosen;
    let words = [chosen.before.as_str(), facts.settings, &chosen.after];
    let words: Vec<_> = words.into_iter().filter(|word| !word.is_empty()).collect();
    let (kaslr, rng) = facts.random.split_at_checked(8).context("too few random bytes")?;
    node(fdt, "chosen", |fdt| {
        fdt.property_string("bootargs", &words.join(" "))?;
        match chosen.kaslr_seed {
            KaslrSeed::Absent => {}
            KaslrSeed::Zero => fdt.property("kaslr-seed", &[0; 8])?,
            KaslrSeed::Random => fdt.property("kaslr-seed", kaslr)?,
        }
        if chosen.rng_seed > 0 {
            let seed = rng.get(..chosen.rng_seed).context("chosen.rng-seed is too large")?;
            fdt.property("rng-seed", seed)?;
        }
        properties(fdt, &chosen.properties)
    })
}

fn memory(fdt: &mut FdtWriter, map: &Map, layout: &Layout) -> Result<()> {
    let mut one = |name: &str, reg: &[u64]| {
        node(fdt, name, |fdt| {
            fdt.property_string("device_type", "memory")?;
            Ok(fdt.property_array_u64("reg", reg)?)
        })
    };
    if map.memory.node_each {
        for (start, size) in layout.told() {
            one(&format!("{}@{start:x}", map.memory.node), &[start, size])?;
        }
        return Ok(());
    }
    let reg: Vec<_> = layout.told().flat_map(|(start, size)| [start, size]).collect();
    one(&map.memory.node, &reg)
}

fn cores(fdt: &mut FdtWriter, map: &Map, count: u32) -> Result<()> {
    node(fdt, "cpus", |fdt| {
        fdt.property_u32("#address-cells", map.cores.cells)?;
        fdt.property_u32("#size-cells", 0)?;
        for core in 0..count {
            node(fdt, &format!("cpu@{core:x}"), |fdt| {
                fdt.property_string("device_type", "cpu")?;
                let reg = [0, core];
                fdt.property_array_u32("reg", &reg[2 - map.cores.cells as usize..])?;
                if count > 1 {
                    properties(fdt, &map.cores.several)?;
                }
                properties(fdt, &map.cores.properties)
            })?;
        }
        Ok(())
    })
}

/// A node with what `fill` puts into it.
fn node(
    fdt: &mut FdtWriter,
    name: &str,
    fill: impl FnOnce(&mut FdtWriter) -> Result<()>,
) -> Result<()> {
    let begun = fdt.begin_node(name).with_context(|| format!("node {name:?}"))?;
    fill(fdt).with_context(|| format!("node {name:?}"))?;
    Ok(fdt.end_node(begun)?)
}

fn properties(fdt: &mut FdtWriter, properties: &Properties) -> Result<()> {
    for (name, value) in properties {
        let written = match value {
            Property::Flag(false) => continue,
            Property::Flag(true) => fdt.property_null(name),
            Property::Cell(cell) if name == "phandle" => fdt.property_phandle(*cell),
            Property::Cell(cell) => fdt.property_u32(name, *cell),
            Property::Cells(cells) => fdt.property_array_u32(name, cells),
            Property::Text(text) => fdt.property_string(name, text),
            Property::Texts(texts) => fdt.property_string_list(name, texts.clone()),
        };
        written.with_context(|| format!("property {name:?}"))?;
    }
    Ok(())
}
