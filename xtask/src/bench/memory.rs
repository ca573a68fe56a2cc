//! The smallest memory that a guest serves with.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::Bench;
use super::beside::Beside;
use super::report::{Figure, Samples, Section, Target, Unit};
use super::subject::{LINUX, PATIENCE, Subject};

/// Where the search begins: what the gateway certainly serves with, in MiB.
const ENOUGH: u32 = 64;
/// A guest that is short of memory may hang instead of giving up.
const LIMIT: Duration = Duration::from_secs(5);
/// What stands behind the number in an application's line about its heap.
const HEAP: &str = " bytes of heap";

pub(super) fn measure(bench: &Bench) -> Result<Section> {
    let subjects = bench.servers();
    let linux = subjects.linux.filter(|_| bench.choose(true, false));
    let smallest = Beside { linux, ..subjects }.try_map(|subject| {
        let enough = if subject.name == LINUX { super::linux::MEMORY } else { ENOUGH };
        Ok(Samples::one(smallest(subject, enough)?.into()))
    })?;
    let image = bench.each(|guests| &guests.gateway).try_map(|subject| image(&subject.files[0]))?;
    let heap = bench.each(|guests| &guests.calls).try_map(heap)?;
    let added = heap.contained_in_joined(|contained, joined| joined - contained);
    let bytes = |name, label, samples: Beside<f64>| {
        Figure::new(name, label, Unit::Bytes, samples.map(Samples::one))
    };
    let mut figures = vec![
        Figure::new("memory.smallest", "smallest -m that serves", Unit::Mebibytes, smallest)
            .target(Target::AtMost(8.0)),
        bytes("memory.image", "gateway's image in memory, kernel's stacks in it", image),
        bytes("memory.heap", "left for a small application's heap, -m 64", heap).for_reference(),
    ];
    if let Some(added) = added {
        let label = "taken from it by being contained";
        figures.push(bytes("memory.added", label, Beside::contained(added)));
    }
    Ok(Section { title: "Memory", figures })
}

/// What an image takes, stacks, tables and what is zero at first included: its header says it
/// ("Booting AArch64 Linux", section 4, `image_size`).
fn image(file: &Path) -> Result<f64> {
    let image = fs::read(file)?;
    let size = image.get(16..24).context("the image has no header")?.try_into()?;
    Ok(u64::from_le_bytes(size) as f64)
}

/// How much heap an application says that it has.
fn heap(subject: &Subject) -> Result<f64> {
    let process = subject.memory(ENOUGH).start()?;
    process.wait_for(HEAP, PATIENCE)?;
    let console = String::from_utf8_lossy(&process.console()).into_owned();
    let (before, _) = console.split_once(HEAP).context("the line has gone")?;
    let number = before.rsplit(' ').next().unwrap_or_default();
    number.parse().with_context(|| format!("no number before{HEAP:?}: {number:?}"))
}

/// Halves the range until one MiB less does not serve, and then makes sure of both ends.
fn smallest(subject: &Subject, enough: u32) -> Result<u32> {
    ensure!(serves(subject, enough)?, "{} does not serve with {enough} MiB", subject.name);
    let (mut too_little, mut enough) = (0, enough);
    while enough - too_little > 1 {
        let middle = u32::midpoint(too_little, enough);
        if serves(subject, middle)? { enough = middle } else { too_little = middle }
    }
    // Twice more: a guest that serves now and then does not serve.
    while !(serves(subject, enough)? && serves(subject, enough)?) {
        enough += 1;
    }
    Ok(enough)
}

fn serves(subject: &Subject, mebibytes: u32) -> Result<bool> {
    let subject = subject.memory(mebibytes);
    let process = subject.start()?;
    let limit = if subject.name == LINUX { 4 * LIMIT } else { LIMIT };
    let answered = subject.first_answer(&process, limit).is_ok();
    let verdict = if answered { "serves" } else { "does not serve" };
    eprintln!("bench: {} with {mebibytes} MiB {verdict}", subject.name);
    Ok(answered)
}
