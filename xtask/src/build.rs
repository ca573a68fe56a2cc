//! `build`: from an application's source to an image that boots.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use clap::ValueEnum;
use elone_harness::{Board, Mode};

use crate::flatten::flatten;
use crate::link::{self, Linker};
use crate::scan;
use crate::scratch::Scratch;
use crate::seed::{self, Seed};
use crate::target;
use crate::toolchain::{self, Purpose, Toolchain};
use crate::workspace::{Kind, Program, Workspace};
use crate::{WrongArgument, attack};

/// Build images that boot
///
/// An image is a flat file with the header of a Linux kernel for arm64, so every boot loader and
/// virtual machine monitor knows how to start it. The last line printed is its path; beside it
/// lies an ELF file of the same name, with the symbols for a debugger; those of a contained
/// application are in a file of their own, NAME-contained.app.elf. One for a board that has early
/// facts of its own has the name of the board's file in its own.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  cargo xtask build gateway
  cargo xtask build gateway --contained
  cargo xtask build hello echo --profile unikernel
  cargo xtask build hello --board versal            for a board with early facts of its own
  cargo xtask build gateway --seed 0x5eed           the same image, of the same source")]
pub(crate) struct Arguments {
    /// The applications to build
    #[arg(required = true, value_name = "APP")]
    programs: Vec<String>,
    /// The board that the image is meant for; one image serves all that have the same early facts
    #[arg(long, value_name = "NAME", default_value = Board::USUAL)]
    board: String,
    #[arg(long, help = PROFILE_HELP)]
    profile: Option<Profile>,
    #[command(flatten)]
    mode: ModeOption,
    #[command(flatten)]
    seed: seed::Options,
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
    let board = Board::find(&workspace.boards(), &arguments.board).map_err(WrongArgument)?;
    let toolchain = Toolchain::find(&arguments.toolchain, workspace.rust_version)?;
    let toolchain = for_board(&workspace, &toolchain, &board)?;
    let order = Order {
        mode: arguments.mode.mode(),
        profile: arguments.profile,
        seed: arguments.seed.seed()?,
    };
    let directory = workspace.images(&toolchain);
    for image in order.images(&workspace, &toolchain, &programs, &directory)? {
        println!("{}", image.display());
    }
    Ok(ExitCode::SUCCESS)
}

/// The same toolchain, for images that boot on a board: the usual ones wherever they do.
pub(crate) fn for_board(
    workspace: &Workspace,
    toolchain: &Toolchain,
    board: &Board,
) -> Result<Toolchain> {
    let usual = Board::find(&workspace.boards(), Board::USUAL)?;
    Ok(toolchain.for_board(board.image_of(&usual)))
}

/// How programs are to be built.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Order {
    pub(crate) mode: Mode,
    /// One for all, instead of each program's own.
    pub(crate) profile: Option<Profile>,
    pub(crate) seed: Seed,
}

/// Builds programs in a layout that there never was, and returns their images' paths.
pub(crate) fn images(
    workspace: &Workspace,
    toolchain: &Toolchain,
    mode: Mode,
    programs: &[&Program],
    profile: Option<Profile>,
) -> Result<Vec<PathBuf>> {
    let seed = seed::Options::default().seed()?;
    let directory = workspace.images(toolchain);
    Order { mode, profile, seed }.images(workspace, toolchain, programs, &directory)
}

impl Order {
    /// Builds programs, those of a profile in one go, and returns their images' paths below
    /// `images`.
    pub(crate) fn images(
        &self,
        workspace: &Workspace,
        toolchain: &Toolchain,
        programs: &[&Program],
        images: &Path,
    ) -> Result<Vec<PathBuf>> {
        // What can be weakened is for attacks alone.
        let others = programs.iter().any(|program| program.name != attack::PROGRAM);
        ensure!(
            toolchain.purpose != Purpose::Attack || !others,
            "only {} is attacked",
            attack::PROGRAM
        );
        fs::create_dir_all(images)?;
        let _turn = toolchain.turn(&workspace.target())?;
        let scratch = Scratch::claim(&workspace.target().join(toolchain.place("link")))?;
        let linker = Linker::new(workspace, toolchain, self.seed, &scratch.directory)?;
        let profile_of = |program: &Program| self.profile.unwrap_or(Profile::of(program.kind));
        for profile in [Profile::Release, Profile::Unikernel] {
            let several: Vec<_> =
                programs.iter().copied().filter(|program| profile_of(program) == profile).collect();
            if several.is_empty() {
                continue;
            }
            compile(workspace, toolchain, self.mode, &several, profile)?;
            let objects = target::outputs(workspace, toolchain, self.mode, profile.name());
            match self.mode {
                Mode::Joined => join(&linker, toolchain, &several, &objects, images)?,
                Mode::Contained => {
                    let kernel = link::kernel(workspace, toolchain, profile.name())?;
                    let from = (kernel.as_path(), objects.as_path());
                    contain(&linker, toolchain, from, &several, images)?;
                }
            }
        }
        let image = |program: &&Program| {
            images.join(format!("{}.img", stem(program, toolchain, self.mode)))
        };
        Ok(programs.iter().map(image).collect())
    }
}

/// What an image's files are called, up to the dot.
fn stem(program: &Program, toolchain: &Toolchain, mode: Mode) -> String {
    let mode = match mode {
        Mode::Joined => "",
        Mode::Contained => "-contained",
    };
    let board = toolchain.board.iter().map(|file| format!("-{file}")).collect::<String>();
    format!("{}{mode}{board}", program.name)
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

/// Links applications that are joined with the kernel already, and makes their images.
fn join(
    linker: &Linker,
    toolchain: &Toolchain,
    programs: &[&Program],
    objects: &Path,
    images: &Path,
) -> Result<()> {
    linked(programs, |program| {
        let image = linker.joined(&objects.join(&program.name))?;
        scan::check(&program.name, &image)?;
        finish(images, &stem(program, toolchain, Mode::Joined), &image)
    })
}

/// Links applications, and the kernel with each, and makes their images. They come from the kernel's
/// library and the directory of the applications' objects.
fn contain(
    linker: &Linker,
    toolchain: &Toolchain,
    (kernel, objects): (&Path, &Path),
    programs: &[&Program],
    images: &Path,
) -> Result<()> {
    linked(programs, |program| {
        let application = linker.application(&objects.join(&program.name))?;
        let image = linker.contained(kernel, &application)?;
        scan::check(&program.name, &application)?;
        scan::check(&program.name, &image)?;
        let stem = stem(program, toolchain, Mode::Contained);
        finish(images, &stem, &image)?;
        write(&images.join(format!("{stem}.app.elf")), &application)
    })
}

/// Does a program's last link for each, and says how long it all took.
fn linked(programs: &[&Program], link: impl Fn(&Program) -> Result<()>) -> Result<()> {
    let begin = Instant::now();
    for program in programs {
        link(program).with_context(|| format!("linking {}", program.name))?;
    }
    let (count, seconds) = (programs.len(), begin.elapsed().as_secs_f32());
    eprintln!("linked: {count} in {seconds:.1} s");
    Ok(())
}

/// Writes the image called `stem`, and the ELF file that it is made from.
fn finish(images: &Path, stem: &str, linked: &[u8]) -> Result<()> {
    let flat = flatten(linked).context("its image")?;
    write(&images.join(format!("{stem}.elf")), linked)?;
    write(&images.join(format!("{stem}.img")), &flat)
}

/// Writes a file in one step: a machine that boots from the old one keeps it.
fn write(file: &Path, bytes: &[u8]) -> Result<()> {
    let new = file.with_added_extension(format!("{}", std::process::id()));
    fs::write(&new, bytes)
        .and_then(|()| fs::rename(&new, file))
        .with_context(|| format!("writing {}", file.display()))
}
