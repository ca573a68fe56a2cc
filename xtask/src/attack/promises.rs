//! The attacks as tests.

use std::env;
use std::fs;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use elone_harness::{Context, Mode, Modes, Pace, Scenario};
use serde_json::Value;

use super::PROGRAM;
use super::image;

/// Every such test.
pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "attacks::each_comes_to_what_it_must",
        pace: Pace::Long,
        modes: Modes::Both,
        run: each_comes_to_what_it_must,
    },
    Scenario {
        name: "attacks::no_ordinary_image_can_be_weakened",
        pace: Pace::Quick,
        modes: Modes::Both,
        run: no_ordinary_image_can_be_weakened,
    },
];

/// The whole suite, as a program would run it. Beside other tests, one machine at a time.
fn each_comes_to_what_it_must(context: &Context) -> Result<()> {
    let mode = match context.mode() {
        Mode::Joined => "--joined",
        Mode::Contained => "--contained",
    };
    let mut command = Command::new(env::current_exe()?);
    command.args(["attack", "--json", "--machines", "1", mode]).stdin(Stdio::null());
    let output = command.output().context("running xtask")?;
    let list: Value = serde_json::from_slice(&output.stdout)
        .with_context(|| String::from_utf8_lossy(&output.stderr).into_owned())?;
    let list = list.as_array().context("no list")?;
    let wrong: Vec<_> = list.iter().filter(|one| one["outcome"] != one["expected"]).collect();
    ensure!(wrong.is_empty() && output.status.success(), "{}: {wrong:#?}", output.status);
    let count = |outcome: &str| list.iter().filter(|one| one["outcome"] == outcome).count();
    let (stopped, survived) = (count("stopped"), count("survived"));
    ensure!(stopped > 20 && survived > 20, "{stopped} stopped, {survived} survived");
    Ok(())
}

/// The word that leaves protections out is in the attacked image alone: the same application, built
/// as every other, does not have it.
fn no_ordinary_image_can_be_weakened(context: &Context) -> Result<()> {
    let elf = fs::read(context.image(PROGRAM)?.with_extension("elf"))?;
    let names = image::names(&elf)?;
    ensure!(names.len() > 100, "only {} symbols: stripped?", names.len());
    ensure!(!names.iter().any(|name| name == image::LEFT_OUT), "{} is there", image::LEFT_OUT);
    Ok(())
}
