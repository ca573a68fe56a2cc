//! The target: how everything that goes into an image is compiled and linked.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::io::{BufRead, BufReader, IsTerminal};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};

use anyhow::{Context, Result, ensure};
use elone_harness::Mode;
use serde_json::Value;

use crate::toolchain::{Purpose, Toolchain};
use crate::workspace::Workspace;

/// What images are built for: no operating system, and floating point in registers.
pub(crate) const NAME: &str = "aarch64-unknown-none";

/// Has return addresses signed, and places where indirect jumps may land marked.
const MARKS: &str = "-Zbranch-protection=pac-ret,bti";

/// How everything in an image is compiled. What depends on this machine is added to it in
/// [`rustflags`].
const RUSTFLAGS: &[&str] = &[
    // It runs at an address that each boot chooses anew, wherever it was loaded.
    "-Crelocation-model=pie",
    // Return addresses are signed, and indirect jumps land on landing pads, on cores that know how;
    // the others take these instructions for hints.
    MARKS,
    // Rust runs with the MMU on, where memory may be accessed at any address.
    "-Ctarget-feature=-strict-align",
    // A fault's report walks the frames.
    "-Cforce-frame-pointers=yes",
    // A debugger walks them by what the compiler says of each instruction: in `.debug_frame`, which
    // is not loaded. Tables for unwinding would take its place, and nothing unwinds.
    "-Cforce-unwind-tables=no",
    // Of two functions that happen to be the same each keeps a section of its own, as by its name a
    // section stays or is the boot's alone. The last link folds those that may be.
    "-Zmerge-functions=disabled",
    // A program is left as one object, whose sections `link.rs` lays out.
    "-Clink-arg=--relocatable",
];

/// What of the standard library is built along.
const BUILD_STD: &str = "-Zbuild-std=core,alloc";

/// A cargo command for the target. Each mode has a directory of its own, so that builds for them and
/// for this machine do not undo each other.
pub(crate) fn cargo(
    workspace: &Workspace,
    toolchain: &Toolchain,
    mode: Mode,
    subcommand: &str,
) -> Result<Command> {
    let mut command = toolchain.cargo();
    command.arg(subcommand).args([BUILD_STD, "--target", NAME, "--target-dir"]);
    command.arg(directory(workspace, toolchain, mode)).current_dir(&workspace.root);
    let colours =
        if std::io::stderr().is_terminal() { "json-diagnostic-rendered-ansi" } else { "json" };
    command.args(["--message-format", colours]);
    let flags = rustflags(workspace, toolchain, mode)?;
    command.env("CARGO_ENCODED_RUSTFLAGS", flags.join("\u{1f}".as_ref()));
    Ok(command)
}

/// Runs such a command. What the compiler says is passed on, bar one thing: that it does not know a
/// feature which [`RUSTFLAGS`] turns off, and which is its own target's.
pub(crate) fn run(command: &mut Command) -> Result<ExitStatus> {
    let mut child = command.stdout(Stdio::piped()).spawn().context("running cargo")?;
    let messages = child.stdout.take().context("no messages to read")?;
    for line in BufReader::new(messages).lines() {
        let message: Value = serde_json::from_str(&line?).unwrap_or_default();
        let said = message["message"]["rendered"].as_str().unwrap_or_default();
        if !(said.contains("unstable feature") && said.contains("strict-align")) {
            eprint!("{said}");
        }
    }
    Ok(child.wait()?)
}

/// Where builds for the target are: each kind of toolchain has its own, as compilers do not share,
/// and boards whose early facts are not the usual ones, as the kernel is another.
fn directory(workspace: &Workspace, toolchain: &Toolchain, mode: Mode) -> PathBuf {
    let name = match mode {
        Mode::Joined => "image",
        Mode::Contained => "contained",
    };
    workspace.root.join("target").join(toolchain.build_place(name))
}

/// Where the programs and libraries of a profile are.
pub(crate) fn outputs(
    workspace: &Workspace,
    toolchain: &Toolchain,
    mode: Mode,
    profile: &str,
) -> PathBuf {
    directory(workspace, toolchain, mode).join(NAME).join(profile)
}

/// Where a program begins: what cannot be reached from there is left out.
fn root(mode: Mode) -> &'static str {
    match mode {
        Mode::Joined => "_start",
        Mode::Contained => "elone_application_entry",
    }
}

fn rustflags(workspace: &Workspace, toolchain: &Toolchain, mode: Mode) -> Result<Vec<OsString>> {
    let all = RUSTFLAGS.iter();
    let flags = all.filter(|flag| toolchain.purpose != Purpose::Unmarked || **flag != MARKS);
    let mut flags: Vec<OsString> = flags.map(OsString::from).collect();
    flags.push(format!("-Clink-arg=--undefined={}", root(mode)).into());
    if mode == Mode::Contained {
        flags.push("--cfg=elone_contained".into());
    }
    if matches!(toolchain.purpose, Purpose::Attack | Purpose::Cost) {
        flags.push("--cfg=elone_attackable".into());
    }
    let mut flag = |prefix: &str, value: &Path, suffix: &str| {
        flags.push([prefix.as_ref(), value.as_os_str(), suffix.as_ref()].concat_into());
    };
    if let Some(linker) = &toolchain.linker {
        flag("-Clinker=", linker, "");
    }
    // No path of this machine is in an image: the same source makes the same image everywhere.
    // The last one that fits counts.
    flag("--remap-path-prefix=", &workspace.root, "=elone");
    flag("--remap-path-prefix=", &toolchain.sysroot, "=rust");
    flag("--remap-path-prefix=", &toolchain.sysroot.join("lib/rustlib/src/rust"), "=rust");
    flag("--remap-path-prefix=", &toolchain.sources, "=rust");
    for crates in crate_directories(workspace, toolchain)? {
        flag("--remap-path-prefix=", &crates, "=crates");
    }
    Ok(flags)
}

/// Where cargo unpacks crates, a directory a registry. They have to be there before the first
/// build, or the second one would see other flags and build all over again.
fn crate_directories(workspace: &Workspace, toolchain: &Toolchain) -> Result<Vec<PathBuf>> {
    let home = env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| env::home_dir().map(|home| home.join(".cargo")));
    let home = home.context("there is neither HOME nor CARGO_HOME")?;
    let list = || -> Vec<PathBuf> {
        let entries = fs::read_dir(home.join("registry/src")).into_iter().flatten().flatten();
        entries.map(|entry| entry.path()).collect()
    };
    let mut found = list();
    if found.is_empty() {
        let mut fetch = toolchain.cargo();
        fetch.args(["fetch", "--target", NAME]).current_dir(&workspace.root);
        ensure!(fetch.status()?.success(), "the crates cannot be fetched");
        found = list();
    }
    found.sort();
    Ok(std::iter::once(home).chain(found).collect())
}

/// Puts pieces of a flag together; a path need not be text.
trait ConcatInto {
    fn concat_into(self) -> OsString;
}

impl ConcatInto for [&std::ffi::OsStr; 3] {
    fn concat_into(self) -> OsString {
        self.into_iter().collect()
    }
}
