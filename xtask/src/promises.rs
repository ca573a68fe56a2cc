//! System tests of this command itself: what it builds boots, whoever's toolchain it is.

use std::env;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use elone_harness::{Board, Context, LeftOut, Machine, Mode, Modes, Pace, Scenario};

use crate::program;

/// Every such test.
pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "xtask::rustups_toolchain_builds_what_boots",
        pace: Pace::Quick,
        modes: Modes::Both,
        run: rustups_toolchain_builds_what_boots,
    },
    Scenario {
        name: "xtask::the_distributions_toolchain_builds_what_boots",
        pace: Pace::Long,
        modes: Modes::Both,
        run: the_distributions_toolchain_builds_what_boots,
    },
];

fn rustups_toolchain_builds_what_boots(context: &Context) -> Result<()> {
    if program::find("rustup").is_none() {
        return Err(LeftOut("there is no rustup on this machine".to_owned()).into());
    }
    builds_what_boots(context, "rustup")
}

/// Installs the distribution's packages where they are missing, as a machine without rustup would.
fn the_distributions_toolchain_builds_what_boots(context: &Context) -> Result<()> {
    if program::find("apt-get").is_none() {
        let reason = "this distribution is not known to have a toolchain that will do";
        return Err(LeftOut(reason.to_owned()).into());
    }
    builds_what_boots(context, "distribution")
}

fn builds_what_boots(context: &Context, origin: &str) -> Result<()> {
    let mut command = Command::new(env::current_exe()?);
    command.args(["build", "hello", "--toolchain", origin]).stdin(Stdio::null());
    if context.mode() == Mode::Contained {
        command.arg("--contained");
    }
    let output = command.output().context("running xtask")?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{}: {said}", output.status);
    ensure!(said.contains(&format!("toolchain: {origin}")), "another toolchain: {said}");

    let printed = String::from_utf8(output.stdout)?;
    let image = printed.lines().last().context("no path was printed")?;
    let board = Board::find(&context.boards, "qemu-virt")?;
    let ending = Machine::new(&board, Path::new(image)).boot()?.ending(Duration::from_secs(30))?;
    ending.expect_status(0)?;
    ensure!(ending.console.lines().any(|line| line.starts_with("Hello")), "no greeting: {ending}");
    Ok(())
}
