//! `build`: from an application's source to an image that boots.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, ensure};
use clap::ValueEnum;

use crate::WrongArgument;
use crate::flatten::flatten;
use crate::target;
use crate::toolchain::{self, Toolchain};
use crate::workspace::{Kind, Program, Workspace};

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
        elone_harness::Board::find(&workspace.boards(), board).map_err(WrongArgument)?;
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
    let images = workspace.images(toolchain);
    fs::create_dir_all(&images)?;
    programs
        .iter()
        .map(|program| finish(workspace, toolchain, program, profile_of(program)))
        .collect()
}

fn compile(
    workspace: &Workspace,
    toolchain: &Toolchain,
    programs: &[&Program],
    profile: Profile,
) -> Result<()> {
    let mut cargo = target::cargo(workspace, toolchain, "build")?;
    cargo.args(["--profile", profile.name()]);
    for program in programs {
        cargo.args(["--package", &program.package, "--bin", &program.name]);
    }
    ensure!(target::run(&mut cargo)?.success(), "building failed");
    Ok(())
}

/// The image's path, made from the linker's output if that is new.
fn finish(
    workspace: &Workspace,
    toolchain: &Toolchain,
    program: &Program,
    profile: Profile,
) -> Result<PathBuf> {
    let name = &program.name;
    let elf =
        target::directory(workspace, toolchain).join(target::NAME).join(profile.name()).join(name);
    let linked = fs::read(&elf).with_context(|| format!("reading {}", elf.display()))?;
    let flat = flatten(&linked).with_context(|| format!("the image of {name}"))?;
    let image = workspace.images(toolchain).join(format!("{name}.img"));
    write(&workspace.images(toolchain).join(format!("{name}.elf")), &linked)?;
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
