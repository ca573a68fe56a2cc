//! `build`: from an application's source to an image that boots.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, ensure};
use clap::ValueEnum;

use crate::flatten::flatten;
use crate::toolchain::{self, Toolchain};
use crate::workspace::{Kind, Program, Workspace};

/// What images are built for: no operating system, and floating point in registers.
pub(crate) const TARGET: &str = "aarch64-unknown-none";

/// How every image is compiled and linked. What depends on this machine is added to it in
/// [`rustflags`], and the linker script says the rest.
const RUSTFLAGS: &[&str] = &[
    // The kernel maps the image where it is linked, wherever it was loaded.
    "-Crelocation-model=static",
    // Rust runs with the MMU on, where memory may be accessed at any address.
    "-Ctarget-feature=-strict-align",
    // A fault's report walks the frames.
    "-Cforce-frame-pointers=yes",
    // Permissions change at page boundaries, and pages have 4 KiB.
    "-Clink-arg=-z",
    "-Clink-arg=max-page-size=4096",
    // Ties a report to the file that can explain it.
    "-Clink-arg=--build-id",
    // Functions with the same instructions need be there only once.
    "-Clink-arg=--icf=all",
];

/// What of the standard library is built along.
const BUILD_STD: &str = "-Zbuild-std=core,alloc";

/// Build images that boot
///
/// An image is a flat file with the header of a Linux kernel for arm64, so every boot loader and
/// virtual machine monitor knows how to start it. The last line printed is its path; beside it
/// lies an ELF file of the same name, with the symbols for a debugger.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  cargo xtask build gateway
  cargo xtask build hello echo --profile unikernel")]
pub(crate) struct Arguments {
    /// The applications to build
    #[arg(required = true, value_name = "APP")]
    programs: Vec<String>,
    /// The board that the image is meant for; one image serves all, so this only checks the name
    #[arg(long, value_name = "NAME")]
    board: Option<String>,
    #[arg(long, help = PROFILE_HELP)]
    profile: Option<Profile>,
    #[command(flatten)]
    toolchain: toolchain::Options,
}

const PROFILE_HELP: &str = "How much the compiler takes its time (default: release for an \
    application, unikernel for a test's)";

/// A profile in the workspace's manifest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Profile {
    /// Small and fast
    Release,
    /// The same code, linked in seconds
    Unikernel,
}

impl Profile {
    const fn name(self) -> &'static str {
        match self {
            Self::Release => "release",
            Self::Unikernel => "unikernel",
        }
    }

    const fn of(kind: Kind) -> Self {
        match kind {
            Kind::Application => Self::Release,
            Kind::Unikernel => Self::Unikernel,
        }
    }
}

pub(crate) fn main(arguments: &Arguments) -> Result<ExitCode> {
    let workspace = Workspace::read()?;
    let programs: Vec<_> =
        arguments.programs.iter().map(|name| workspace.program(name)).collect::<Result<_>>()?;
    if let Some(board) = &arguments.board {
        elone_harness::Board::find(&workspace.boards(), board)?;
    }
    let toolchain = Toolchain::find(&arguments.toolchain, workspace.rust_version)?;
    for image in images(&workspace, &toolchain, &programs, arguments.profile)? {
        println!("{}", image.display());
    }
    Ok(ExitCode::SUCCESS)
}

/// Builds programs, those of a profile in one go, and returns their images' paths.
pub(crate) fn images(
    workspace: &Workspace,
    toolchain: &Toolchain,
    programs: &[&Program],
    profile: Option<Profile>,
) -> Result<Vec<PathBuf>> {
    let profile_of = |program: &Program| profile.unwrap_or(Profile::of(program.kind));
    for profile in [Profile::Release, Profile::Unikernel] {
        let several: Vec<_> =
            programs.iter().copied().filter(|program| profile_of(program) == profile).collect();
        if !several.is_empty() {
            compile(workspace, toolchain, &several, profile)?;
        }
    }
    fs::create_dir_all(workspace.images())?;
    programs.iter().map(|program| finish(workspace, program, profile_of(program))).collect()
}

fn compile(
    workspace: &Workspace,
    toolchain: &Toolchain,
    programs: &[&Program],
    profile: Profile,
) -> Result<()> {
    let mut cargo = cargo(workspace, toolchain, "build")?;
    cargo.args(["--profile", profile.name()]);
    for program in programs {
        cargo.args(["--package", &program.package, "--bin", &program.name]);
    }
    cargo.stdout(std::io::stderr());
    let status = cargo.status().context("running cargo")?;
    ensure!(status.success(), "building failed");
    Ok(())
}

/// The image's path, made from the linker's output if that is new.
fn finish(workspace: &Workspace, program: &Program, profile: Profile) -> Result<PathBuf> {
    let name = &program.name;
    let elf = target_directory(workspace).join(TARGET).join(profile.name()).join(name);
    let linked = fs::read(&elf).with_context(|| format!("reading {}", elf.display()))?;
    let flat = flatten(&linked).with_context(|| format!("the image of {name}"))?;
    let image = workspace.images().join(format!("{name}.img"));
    write(&workspace.images().join(format!("{name}.elf")), &linked)?;
    write(&image, &flat)?;
    Ok(image)
}

/// Writes a file in one step: a machine that boots from the old one keeps it.
fn write(file: &Path, bytes: &[u8]) -> Result<()> {
    let new = file.with_added_extension(format!("{}", std::process::id()));
    fs::write(&new, bytes)
        .and_then(|()| fs::rename(&new, file))
        .with_context(|| format!("writing {}", file.display()))
}

/// A cargo command for the target. It has a directory of its own, so that builds for the target and
/// for this machine do not undo each other.
pub(crate) fn cargo(
    workspace: &Workspace,
    toolchain: &Toolchain,
    subcommand: &str,
) -> Result<Command> {
    let mut command = toolchain.cargo();
    command.arg(subcommand).args([BUILD_STD, "--target", TARGET, "--target-dir"]);
    command.arg(target_directory(workspace)).current_dir(&workspace.root);
    let flags = rustflags(workspace, toolchain)?;
    command.env("CARGO_ENCODED_RUSTFLAGS", flags.join("\u{1f}".as_ref()));
    Ok(command)
}

fn target_directory(workspace: &Workspace) -> PathBuf {
    workspace.root.join("target/image")
}

fn rustflags(workspace: &Workspace, toolchain: &Toolchain) -> Result<Vec<OsString>> {
    let mut flags: Vec<OsString> = RUSTFLAGS.iter().map(OsString::from).collect();
    let mut flag = |prefix: &str, value: &Path, suffix: &str| {
        flags.push([prefix.as_ref(), value.as_os_str(), suffix.as_ref()].concat_into());
    };
    if let Some(linker) = &toolchain.linker {
        flag("-Clinker=", linker, "");
    }
    flag("-Clink-arg=-T", &workspace.root.join("hal/image.ld"), "");
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
        fetch.args(["fetch", "--target", TARGET]).current_dir(&workspace.root);
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
