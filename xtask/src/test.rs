//! `test`: everything that Elone promises, on the host, under Miri and on virtual machines.

use std::io::{BufRead, BufReader};
use std::process::{Command, ExitCode, Stdio};
use std::sync::Arc;

use anyhow::{Context, Result};
use elone_harness::{Mode, Modes, Pace, Scenario};

use crate::tally::Tally;
use crate::toolchain::{self, Toolchain};
use crate::workspace::{self, Workspace};
use crate::{CANNOT_BEGIN, cross, debugger, deploy, emulator, miri, seed, systems};

/// Crates that exist only as images: nothing of them runs on the host.
const NOT_ON_THE_HOST: [&str; 2] = ["attack", "elone-unikernels"];

/// Run the tests: on the host, on virtual machines, and under Miri where it is installed
///
/// The last line is `N passed, N failed`, followed by how many were skipped if any were. What fails
/// is named on a line that begins with FAILED, with the tail of its console.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  cargo xtask test                 everything
  cargo xtask test --quick         without Miri and without what takes minutes
  cargo xtask test boot::          the tests with boot:: in their names
  cargo xtask test --contained     system tests in contained mode alone")]
pub(crate) struct Arguments {
    /// Only the tests with one of these in their names
    #[arg(value_name = "NAME")]
    names: Vec<String>,
    /// Leave out Miri and what takes minutes
    #[arg(long)]
    quick: bool,
    /// Only the system tests of contained mode
    #[arg(long, conflicts_with = "joined")]
    contained: bool,
    /// Only the system tests of joined mode
    #[arg(long)]
    joined: bool,
    #[command(flatten)]
    seed: seed::Options,
    #[command(flatten)]
    toolchain: toolchain::Options,
}

/// Which tests are asked for.
#[derive(Debug)]
pub(crate) struct Selection {
    names: Vec<String>,
    slowest: Pace,
    modes: Modes,
}

impl Selection {
    fn of(arguments: &Arguments) -> Self {
        let slowest = if arguments.quick { Pace::Quick } else { Pace::Long };
        let modes = match (arguments.joined, arguments.contained) {
            (true, _) => Modes::Only(Mode::Joined),
            (_, true) => Modes::Only(Mode::Contained),
            _ => Modes::Both,
        };
        Self { names: arguments.names.clone(), slowest, modes }
    }

    /// The same, but only the tests with this in their names.
    pub(crate) fn named(&self, part: &str) -> Self {
        Self { names: vec![part.to_owned()], ..*self }
    }

    /// Whether no name was given.
    pub(crate) fn is_everything(&self) -> bool {
        self.names.is_empty()
    }

    /// The modes in which a scenario is to be run.
    pub(crate) fn modes(&self, scenario: &Scenario) -> impl Iterator<Item = Mode> + use<> {
        let named =
            self.names.is_empty() || self.names.iter().any(|part| scenario.name.contains(part));
        let taken = named && (scenario.pace == Pace::Quick || self.slowest == Pace::Long);
        let (asked, promised) = (self.modes, scenario.modes);
        let modes = [Mode::Joined, Mode::Contained].into_iter();
        modes.filter(move |&mode| taken && asked.include(mode) && promised.include(mode))
    }
}

pub(crate) fn main(arguments: &Arguments) -> Result<ExitCode> {
    let workspace = Arc::new(Workspace::read()?);
    let selection = Selection::of(arguments);

    // What is missing is told, or installed, before anything takes time.
    let toolchain = Toolchain::find(&arguments.toolchain, workspace.rust_version)?;
    if systems::any(&selection) {
        emulator::ensure(arguments.toolchain.install.permission())?;
    }
    if systems::debugs(&selection) {
        // Tests without which the rest is worth having all the same: they are left out, and say so.
        if let Err(missing) = debugger::ensure(arguments.toolchain.install.permission()) {
            eprintln!("note: {missing}");
        }
    }
    if systems::validates(&selection) {
        for validator in deploy::validators::ALL {
            if let Err(missing) = validator.ensure(arguments.toolchain.install.permission()) {
                eprintln!("note: {missing}");
            }
        }
    }
    if systems::crosses(&selection)
        && let Err(lacking) = cross::ensure(&toolchain, arguments.toolchain.install.permission())
    {
        eprintln!("note: {lacking}");
    }
    let mut tally = on_the_host(&workspace, &selection)?;
    // What Miri runs are host tests: where no name of theirs was asked for, there is nothing to do.
    let miri = selection.slowest == Pace::Long && tally != Tally::default();
    if systems::any(&selection) {
        tally += systems::run(&workspace, &toolchain, &selection, arguments.seed.seed()?)?;
    }
    if miri {
        tally += miri::run(&workspace, &selection)?;
    }
    if tally.passed + tally.failed == 0 {
        eprintln!("error: no test has any of {:?} in its name", selection.names);
        return Ok(ExitCode::from(CANNOT_BEGIN));
    }
    println!("{tally}");
    Ok(if tally.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn on_the_host(workspace: &Workspace, selection: &Selection) -> Result<Tally> {
    eprintln!("host tests");
    let mut command = Command::new(workspace::cargo());
    command.args(["test", "--workspace", "--no-fail-fast"]).current_dir(&workspace.root);
    for package in NOT_ON_THE_HOST {
        command.args(["--exclude", package]);
    }
    count(&mut command, "host tests", selection)
}

/// Runs tests with cargo and counts them from what they print; what failed is printed, and cargo's
/// progress. Tests that do not even build are one failure.
pub(crate) fn count(command: &mut Command, what: &str, selection: &Selection) -> Result<Tally> {
    command.arg("--").args(&selection.names).stdout(Stdio::piped()).stdin(Stdio::null());
    let mut child = command.spawn().with_context(|| format!("running {what}"))?;
    let output = child.stdout.take().context("no output to read")?;
    let mut tally = Tally::default();
    for line in BufReader::new(output).lines() {
        let line = line?;
        if let Some(one) = Tally::read(&line) {
            tally += one;
        } else if let Some(name) = failed(&line) {
            println!("FAILED {name}");
        } else if worth_showing(&line) {
            println!("{line}");
        }
    }
    let status = child.wait()?;
    if !status.success() && tally.failed == 0 {
        println!("FAILED {what}: {status}");
        tally += Tally::FAILED;
    }
    println!("{what}: {tally}");
    Ok(tally)
}

/// The name in a line such as `test gate::refuses ... FAILED`.
fn failed(line: &str) -> Option<&str> {
    line.strip_prefix("test ")?.strip_suffix(" ... FAILED")
}

/// Whether a line of a test program says more than that all is well.
fn worth_showing(line: &str) -> bool {
    let noise = line.is_empty() || line.starts_with("running ") || line == "successes:";
    let routine =
        line.starts_with("test ") && (line.contains(" ... ok") || line.contains(" ... ignored"));
    !noise && !routine
}

#[cfg(test)]
mod tests {
    use super::*;

    fn selection(names: &[&str], slowest: Pace) -> Selection {
        let names = names.iter().map(|&name| name.to_owned()).collect();
        Selection { names, slowest, modes: Modes::Both }
    }

    fn scenario(pace: Pace, modes: Modes) -> Scenario {
        Scenario { name: "boot::hello", pace, modes, run: |_| Ok(()) }
    }

    #[test]
    fn names_and_pace_select() {
        let takes = |selection: &Selection, pace| {
            selection.modes(&scenario(pace, Modes::Both)).count() == 2
        };
        assert!(takes(&selection(&[], Pace::Long), Pace::Long));
        assert!(!takes(&selection(&[], Pace::Quick), Pace::Long));
        assert!(takes(&selection(&["x", "hell"], Pace::Quick), Pace::Quick));
        assert!(!takes(&selection(&["x"], Pace::Quick), Pace::Quick));
    }

    #[test]
    fn a_mode_is_run_that_is_promised_and_asked_for() {
        use Mode::{Contained, Joined};
        let modes = |asked, promised| {
            let selection = Selection { modes: asked, ..selection(&[], Pace::Quick) };
            selection.modes(&scenario(Pace::Quick, promised)).collect::<Vec<_>>()
        };
        assert_eq!(modes(Modes::Both, Modes::Both), [Joined, Contained]);
        assert_eq!(modes(Modes::Only(Joined), Modes::Both), [Joined]);
        assert_eq!(modes(Modes::Both, Modes::Only(Contained)), [Contained]);
        assert_eq!(modes(Modes::Only(Joined), Modes::Only(Contained)), []);
    }

    fn counted(script: &str) -> Tally {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        count(&mut command, "a script", &selection(&[], Pace::Quick)).unwrap()
    }

    #[test]
    fn what_does_not_build_is_a_failure() {
        assert_eq!(counted("exit 101"), Tally::FAILED);
        assert_eq!(counted("exit 0"), Tally::default());
        let one = "echo 'test result: FAILED. 2 passed; 1 failed; 0 ignored; 0 measured'; exit 101";
        assert_eq!(counted(one), Tally { passed: 2, failed: 1, skipped: 0 });
    }

    #[test]
    fn a_failed_test_is_named() {
        assert_eq!(failed("test gate::refuses ... FAILED"), Some("gate::refuses"));
        assert_eq!(failed("test gate::refuses ... ok"), None);
    }
}
