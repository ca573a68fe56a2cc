//! `build`: from an application's source to an image that boots.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use clap::ValueEnum;
use elone_harness::Mode;

use crate::WrongArgument;
use crate::flatten::flatten;
use crate::link::{self, Kernel};
use crate::target;
use crate::toolchain::{self, Toolchain};
use crate::workspace::{Kind, Program, Workspace};

/// Build images that boot
///
/// An image is a flat file with the header of a Linux kernel for arm64, so every boot loader and
/// virtual machine monitor knows how to start it. The last line printed is its path; beside it
/// lies an ELF file of the same name, with the symbols for a debugger; those of a contained
/// application are in a file of their own, NAME-contained.app.elf.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  cargo xtask build gateway
  cargo xtask build gateway --contained
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
    mode: ModeOption,
    #[command(flatten)]
    toolchain: toolchain::Options,
}

/// The mode that an image is built for.
#[derive(Clone, Copy, Debug, clap::Args)]
#[group(skip)]
pub(crate) struct ModeOption {
    /// Put the application at EL0, linked apart from the kernel, instead of joining the two at EL1
    #[arg(long)]
    contained: bool,
}

impl ModeOption {
    pub(crate) const fn mode(self) -> Mode {
        if self.contained { Mode::Contained } else { Mode::Joined }
    }
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
    let mode = arguments.mode.mode();
    for image in images(&workspace, &toolchain, mode, &programs, arguments.profile)? {
        println!("{}", image.display());
    }
    Ok(ExitCode::SUCCESS)
}

/// Builds programs, those of a profile in one go, and returns their images' paths.
pub(crate) fn images(
    workspace: &Workspace,
    toolchain: &Toolchain,
    mode: Mode,
    programs: &[&Program],
    profile: Option<Profile>,
) -> Result<Vec<PathBuf>> {
    let images = workspace.images(toolchain);
    fs::create_dir_all(&images)?;
    let profile_of = |program: &Program| profile.unwrap_or(Profile::of(program.kind));
    for profile in [Profile::Release, Profile::Unikernel] {
        let several: Vec<_> =
            programs.iter().copied().filter(|program| profile_of(program) == profile).collect();
        if several.is_empty() {
            continue;
        }
        compile(workspace, toolchain, mode, &several, profile)?;
        let outputs = target::outputs(workspace, toolchain, mode, profile.name());
        match mode {
            Mode::Joined => several.iter().try_for_each(|program| {
                finish(&images, &program.name, &outputs.join(&program.name))
            })?,
            Mode::Contained => {
                let kernel = Kernel::compile(workspace, toolchain, profile.name())?;
                contain(&kernel, &several, &outputs, &images)?;
            }
        }
    }
    Ok(programs.iter().map(|program| images.join(format!("{}.img", stem(program, mode)))).collect())
}

/// What an image's files are called, up to the dot.
fn stem(program: &Program, mode: Mode) -> String {
    match mode {
        Mode::Joined => program.name.clone(),
        Mode::Contained => format!("{}-contained", program.name),
    }
}

fn compile(
    workspace: &Workspace,
    toolchain: &Toolchain,
    mode: Mode,
    programs: &[&Program],
    profile: Profile,
) -> Result<()> {
    let mut cargo = target::cargo(workspace, toolchain, mode, "build")?;
    cargo.args(["--profile", profile.name()]);
    for program in programs {
        cargo.args(["--package", &program.package, "--bin", &program.name]);
    }
    ensure!(target::run(&mut cargo)?.success(), "building failed");
    Ok(())
}

/// Links applications with a kernel, and makes their images.
fn contain(kernel: &Kernel, programs: &[&Program], outputs: &Path, images: &Path) -> Result<()> {
    let begin = Instant::now();
    for program in programs {
        let application = outputs.join(&program.name);
        let linked = kernel.link(&program.name, &application)?;
        let stem = stem(program, Mode::Contained);
        finish(images, &stem, &linked)?;
        write(&images.join(format!("{stem}.app.elf")), &link::read(&application)?)?;
    }
    let (count, seconds) = (programs.len(), begin.elapsed().as_secs_f32());
    eprintln!("packed and linked with the kernel: {count} in {seconds:.1} s");
    Ok(())
}

/// Makes the image called `stem` from the linker's output.
fn finish(images: &Path, stem: &str, linked: &Path) -> Result<()> {
    let linked = link::read(linked)?;
    let flat = flatten(&linked).with_context(|| format!("the image of {stem}"))?;
    write(&images.join(format!("{stem}.elf")), &linked)?;
    write(&images.join(format!("{stem}.img")), &flat)
}

/// Writes a file in one step: a machine that boots from the old one keeps it.
fn write(file: &Path, bytes: &[u8]) -> Result<()> {
    let new = file.with_added_extension(format!("{}", std::process::id()));
    fs::write(&new, bytes)
        .and_then(|()| fs::rename(&new, file))
        .with_context(|| format!("writing {}", file.display()))
}
