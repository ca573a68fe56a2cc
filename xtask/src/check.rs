//! `check`: what a change has to pass before it is sent, beside the tests.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, Result};
use elone_harness::Mode;

use crate::layering;
use crate::loader;
use crate::program;
use crate::target;
use crate::toolchain::{self, Toolchain};
use crate::workspace::{self, Kind, Workspace};

/// Check form, lints, documentation, layers and licences
///
/// Changes nothing. What cannot be checked here, as its tool is not installed, is said and left out.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  cargo xtask check && cargo xtask test")]
pub(crate) struct Arguments {
    #[command(flatten)]
    toolchain: toolchain::Options,
}

/// How a check went.
enum Outcome {
    Passed,
    Failed,
    LeftOut(String),
}

pub(crate) fn main(arguments: &Arguments) -> Result<ExitCode> {
    let workspace = Workspace::read()?;
    let toolchain = Toolchain::find(&arguments.toolchain, workspace.rust_version)?;
    let outcomes = [
        ("form", form(&workspace)?),
        ("lints on the host", lints_on_the_host(&workspace)?),
        ("lints on the target", lints_on_the_target(&workspace, &toolchain, Mode::Joined)?),
        (
            "lints on the target, contained",
            lints_on_the_target(&workspace, &toolchain, Mode::Contained)?,
        ),
        ("lints of the loader", lints_of_the_loader(&workspace, &toolchain)?),
        ("documentation", documentation(&workspace)?),
        ("layers", layers(&workspace)),
        ("advisories and licences", licences(&workspace)?),
    ];
    for (name, outcome) in &outcomes {
        match outcome {
            Outcome::Passed => println!("ok {name}"),
            Outcome::Failed => println!("FAILED {name}"),
            Outcome::LeftOut(why) => println!("left out: {name}: {why}"),
        }
    }
    let failed = outcomes.iter().any(|(_, outcome)| matches!(outcome, Outcome::Failed));
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn cargo(workspace: &Workspace, arguments: &[&str]) -> Command {
    let mut command = Command::new(workspace::cargo());
    command.args(arguments).current_dir(&workspace.root);
    command
}

fn outcome(command: &mut Command) -> Result<Outcome> {
    let status = command.status().context("running cargo")?;
    Ok(if status.success() { Outcome::Passed } else { Outcome::Failed })
}

/// Whether the cargo that runs us has this subcommand.
fn has(workspace: &Workspace, subcommand: &str) -> bool {
    program::output(&mut cargo(workspace, &[subcommand, "--version"])).is_ok()
}

fn not_installed(tool: &str) -> Result<Outcome> {
    Ok(Outcome::LeftOut(format!("{tool} is not installed")))
}

fn form(workspace: &Workspace) -> Result<Outcome> {
    if !has(workspace, "fmt") {
        return not_installed("rustfmt");
    }
    // By name: modules that a macro declares are none that rustfmt finds by itself.
    let mut files = Vec::new();
    for room in ["app", "boards", "hal", "kernel", "loader", "monitor", "tests", "xtask"] {
        sources(&workspace.root.join(room), &mut files)?;
    }
    outcome(cargo(workspace, &["fmt", "--all", "--", "--check"]).args(files))
}

/// Every file of Rust below `directory`.
fn sources(directory: &Path, found: &mut Vec<PathBuf>) -> Result<()> {
    let entries = fs::read_dir(directory).with_context(|| directory.display().to_string())?;
    for entry in entries {
        let path = entry?.path();
        if path.is_dir() && path.file_name() != Some("target".as_ref()) {
            sources(&path, found)?;
        } else if path.extension() == Some("rs".as_ref()) {
            found.push(path);
        }
    }
    Ok(())
}

fn lints_on_the_host(workspace: &Workspace) -> Result<Outcome> {
    if !has(workspace, "clippy") {
        return not_installed("clippy");
    }
    let arguments = [
        "clippy",
        "--workspace",
        "--all-targets",
        "--exclude",
        "attack",
        "--exclude",
        "elone-unikernels",
    ];
    outcome(cargo(workspace, &arguments).args(["--", "-D", "warnings"]))
}

/// The same for what is in images: on the host a third of it is not even compiled.
fn lints_on_the_target(
    workspace: &Workspace,
    toolchain: &Toolchain,
    mode: Mode,
) -> Result<Outcome> {
    if !toolchain.has("cargo-clippy") {
        return not_installed("clippy");
    }
    let mut command = target::cargo(workspace, toolchain, mode, "clippy")?;
    for program in workspace.of(Kind::Application).chain(workspace.of(Kind::Unikernel)) {
        command.args(["--package", &program.package, "--bin", &program.name]);
    }
    for package in ["elone", "elone-kernel", "elone-gate", "elone-boards", "elone-hal"] {
        command.args(["--package", package]);
    }
    let status = target::run(command.args(["--lib", "--", "-D", "warnings"]))?;
    Ok(if status.success() { Outcome::Passed } else { Outcome::Failed })
}

/// And for what runs in firmware.
fn lints_of_the_loader(workspace: &Workspace, toolchain: &Toolchain) -> Result<Outcome> {
    if !toolchain.has("cargo-clippy") {
        return not_installed("clippy");
    }
    outcome(loader::cargo(workspace, toolchain, "clippy").args(["--", "-D", "warnings"]))
}

fn documentation(workspace: &Workspace) -> Result<Outcome> {
    let arguments =
        ["doc", "--workspace", "--no-deps", "--exclude", "attack", "--exclude", "elone-unikernels"];
    outcome(cargo(workspace, &arguments).env("RUSTDOCFLAGS", "-D warnings"))
}

fn layers(workspace: &Workspace) -> Outcome {
    let violations = layering::violations(&workspace.metadata);
    violations.iter().for_each(|violation| println!("{violation}"));
    if violations.is_empty() { Outcome::Passed } else { Outcome::Failed }
}

/// By `deny.toml`. The list of advisories has to be fetched; where it cannot be, the rest is checked.
fn licences(workspace: &Workspace) -> Result<Outcome> {
    if !has(workspace, "deny") {
        return not_installed("cargo-deny");
    }
    let fetch = program::output(&mut cargo(workspace, &["deny", "fetch", "db"]));
    let without_advisories = ["deny", "check", "bans", "licenses", "sources"];
    match fetch {
        Ok(_) => outcome(&mut cargo(workspace, &["deny", "check"])),
        Err(error) => match outcome(&mut cargo(workspace, &without_advisories))? {
            Outcome::Passed => Ok(Outcome::LeftOut(format!("no list of advisories ({error})"))),
            other => Ok(other),
        },
    }
}
