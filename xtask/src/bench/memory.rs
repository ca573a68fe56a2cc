//! The smallest memory that a guest serves with.

use std::time::Duration;

use anyhow::{Result, ensure};

use super::Bench;
use super::report::{Figure, Samples, Section, Target, Unit};
use super::subject::Subject;

/// Where the search begins: what the gateway certainly serves with, in MiB.
const ENOUGH: u32 = 64;
/// A guest that is short of memory may hang instead of giving up.
const LIMIT: Duration = Duration::from_secs(5);

pub(super) fn measure(bench: &Bench) -> Result<Section> {
    let gateway = smallest(&bench.gateway, ENOUGH)?;
    let linux = match &bench.linux {
        Some(linux) if bench.choose(true, false) => {
            Some(Samples::one(smallest(linux, super::linux::MEMORY)?.into()))
        }
        _ => None,
    };
    let figure = Figure::new(
        "memory.smallest",
        "smallest -m that serves",
        Unit::Mebibytes,
        Samples::one(gateway.into()),
    );
    Ok(Section { title: "Memory", figures: vec![figure.target(Target::AtMost(8.0)).linux(linux)] })
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
    let limit = if subject.name == "linux" { 4 * LIMIT } else { LIMIT };
    let answered = subject.first_answer(&process, limit).is_ok();
    let verdict = if answered { "serves" } else { "does not serve" };
    eprintln!("bench: {} with {mebibytes} MiB {verdict}", subject.name);
    Ok(answered)
}
