//! `image`: everything that an operator needs to run an application: its image, what is known of
//! it, and ready files for those who start virtual machines.
//!
//! One [`Machine`] says what the machine is. Each file is made from it and from nothing else, so no
//! two of them can disagree, and the same sources, options and seed make the same folder.

mod bill;
mod files;
pub(crate) mod folder;
mod machine;
mod manifest;
pub(crate) mod promises;
mod settings;
pub(crate) mod validators;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};
use elone_harness::{Board, Mode};

use crate::deploy::folder::Folder;
use crate::deploy::machine::{Machine, Wishes};
use crate::deploy::manifest::Built;
use crate::toolchain::{self, Toolchain};
use crate::workspace::{Program, Workspace};
use crate::{WrongArgument, build, seed};

/// Build an image, and write what it takes to run it as a service
///
/// The folder holds the image, a manifest, a bill of materials with licences, checksums, the symbols
/// that explain fault reports, and files for QEMU, systemd, kvmtool, Firecracker, libvirt, KubeVirt
/// and Nomad. docs/deploying.md says what to do with them. The last line printed is the folder.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  cargo xtask image gateway --out /tmp/gateway
  cargo xtask image gateway --out g --contained --tap lan0 --address 192.168.1.20/24,192.168.1.1
  cargo xtask image gateway --out g --setting on-fault=reset --setting app.site=barn

The same sources, options and --seed make the same folder, byte for byte.")]
pub(crate) struct Arguments {
    /// The application
    #[arg(value_name = "APP")]
    program: String,
    /// Where to write it all: a folder that is empty, or not there yet
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// The machine, where it is emulated; under KVM the processor is the host's own
    #[arg(long, value_name = "NAME", default_value = "qemu-virt")]
    board: String,
    /// Link application and kernel together, at EL1; so it is without a word
    #[arg(long, conflicts_with = "contained")]
    joined: bool,
    #[command(flatten)]
    mode: build::ModeOption,
    #[command(flatten)]
    seed: seed::Options,
    #[command(flatten)]
    wishes: Wishes,
    #[command(flatten)]
    toolchain: toolchain::Options,
}

pub(crate) fn main(arguments: &Arguments) -> Result<ExitCode> {
    let workspace = Workspace::read()?;
    let program = workspace.program(&arguments.program)?;
    let board = Board::find(&workspace.boards(), &arguments.board).map_err(WrongArgument)?;
    let order = Order {
        workspace: &workspace,
        program,
        board: &board,
        mode: arguments.mode.mode(),
        wishes: &arguments.wishes,
    };
    // What is wrong is said before anything takes time.
    order.check().map_err(WrongArgument)?;
    let folder = Folder::begin(&arguments.out).map_err(WrongArgument)?;
    let toolchain = Toolchain::find(&arguments.toolchain, workspace.rust_version)?;
    let toolchain = build::for_board(&workspace, &toolchain, &board)?;
    order.write(&folder, &toolchain, arguments.seed.seed()?)?;
    println!("{}", folder.finish()?.display());
    Ok(ExitCode::SUCCESS)
}

/// What a folder is to hold.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Order<'a> {
    pub(crate) workspace: &'a Workspace,
    pub(crate) program: &'a Program,
    pub(crate) board: &'a Board,
    pub(crate) mode: Mode,
    pub(crate) wishes: &'a Wishes,
}

impl Order<'_> {
    /// Whether there can be such a machine.
    pub(crate) fn check(&self) -> Result<()> {
        machine::check(self.board, self.wishes)
    }

    /// Builds the image and writes everything.
    pub(crate) fn write(
        &self,
        folder: &Folder,
        toolchain: &Toolchain,
        seed: seed::Seed,
    ) -> Result<()> {
        let symbols = folder.place().join("symbols");
        let order = build::Order { mode: self.mode, profile: None, seed };
        let images = order.images(self.workspace, toolchain, &[self.program], &symbols)?;
        let image = images.first().context("nothing was built")?;
        let built = Built::read(image, self.mode, seed)?;
        let name = image.file_name().context("an image without a name")?;
        fs::rename(image, folder.place().join(name))?;

        let version = manifest::version(self.workspace, &self.program.package)?;
        let machine = Machine::new(self, &version, &built)?;
        let manifest = manifest::of(self, &machine, &built, toolchain)?;
        folder.json("manifest.json", &manifest)?;
        let bill = bill::of(self.workspace, self.program, self.mode, toolchain)?;
        folder.json("sbom.cdx.json", &bill.cyclonedx(&machine, &built))?;
        files::write(&machine, folder)
    }
}

/// The path of the image in a folder, for those who do not know its name.
pub(crate) fn image_in(folder: &Path) -> Result<PathBuf> {
    let manifest = fs::read(folder.join("manifest.json"))?;
    let manifest: serde_json::Value = serde_json::from_slice(&manifest)?;
    let name = manifest["image"]["file"].as_str().context("the manifest names no image")?;
    Ok(folder.join(name))
}
