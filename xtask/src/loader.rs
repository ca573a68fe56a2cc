//! `loader`: the program that boots images where firmware is UEFI, built for that.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context as _, Result, ensure};
use elone_harness::LeftOut;

use crate::program;
use crate::toolchain::{self, Toolchain};
use crate::workspace::Workspace;

/// What firmware's applications are built for.
const TARGET: &str = "aarch64-unknown-uefi";
const PACKAGE: &str = "elone-loader";
/// What the distribution's linker is called for programs of that form; rustup brings its own.
const LINKER: &str = "lld-link";

/// Build the loader for machines whose firmware is UEFI
///
/// Firmware starts it as \EFI\BOOT\BOOTAA64.EFI on a FAT volume; it boots \elone.img from there, with
/// the settings in \elone.txt if there is one. The last line printed is its path.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  cargo xtask loader
  cargo xtask loader --out /media/esp/EFI/BOOT/BOOTAA64.EFI")]
pub(crate) struct Arguments {
    /// Put it there as well
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    #[command(flatten)]
    toolchain: toolchain::Options,
}

pub(crate) fn main(arguments: &Arguments) -> Result<ExitCode> {
    let workspace = Workspace::read()?;
    let toolchain = Toolchain::find(&arguments.toolchain, workspace.rust_version)?;
    let mut program = build(&workspace, &toolchain)?;
    if let Some(file) = &arguments.out {
        fs::create_dir_all(file.parent().unwrap_or(Path::new("")))
            .and_then(|()| fs::copy(&program, file))
            .with_context(|| format!("writing {}", file.display()))?;
        program.clone_from(file);
    }
    println!("{}", program.display());
    Ok(ExitCode::SUCCESS)
}

/// Builds it, and returns where it is.
///
/// # Errors
/// [`LeftOut`] where the toolchain has no linker for it; else it does not build.
pub(crate) fn build(workspace: &Workspace, toolchain: &Toolchain) -> Result<PathBuf> {
    let mut command = cargo(workspace, toolchain, "build");
    // None of it is for a debugger, and no path of this machine is in it.
    let mut flags = vec!["-Cstrip=symbols".to_owned(), "-Zlocation-detail=none".to_owned()];
    if toolchain.linker.is_some() {
        let there = program::find(LINKER).is_some();
        let name = &toolchain.name;
        ensure!(there, LeftOut(format!("{name} cannot build for {TARGET}: there is no {LINKER}")));
        flags.push(format!("-Clinker={LINKER}"));
    }
    command.env("CARGO_ENCODED_RUSTFLAGS", flags.join("\u{1f}"));
    ensure!(command.status()?.success(), "{PACKAGE} does not build for {TARGET}");
    let built = directory(workspace, toolchain).join(TARGET).join("release");
    Ok(built.join(format!("{PACKAGE}.efi")))
}

/// Has cargo do something with it, for firmware.
pub(crate) fn cargo(workspace: &Workspace, toolchain: &Toolchain, subcommand: &str) -> Command {
    let mut command = toolchain.cargo();
    command.args([subcommand, "--release", "--package", PACKAGE, "--bin", PACKAGE]);
    command.args(["-Zbuild-std=core,alloc", "--target", TARGET, "--target-dir"]);
    command.arg(directory(workspace, toolchain)).current_dir(&workspace.root);
    command
}

fn directory(workspace: &Workspace, toolchain: &Toolchain) -> PathBuf {
    workspace.target().join(toolchain.place("uefi"))
}
