//! The last link of everything that boots.
//!
//! Cargo leaves a program as one relocatable object, in which every function, constant and variable
//! still has a section of its own. Here they are put in an order that a [`Seed`] decides, and at the
//! addresses of a linker script: the kernel and the application as one program where they are
//! joined.
//!
//! Where the application is contained, one link over both would let statics and inlining cross the
//! border, so it is linked to an ELF file of its own, packed, wrapped in an object with one
//! section, and linked to the kernel's static library by the image's linker script. The library is
//! the same for every application of a profile.

mod pack;
mod relocations;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use elone_harness::Mode;

use crate::seed::Seed;
use crate::target;
use crate::toolchain::Toolchain;
use crate::workspace::Workspace;

/// The package with the kernel, and its library.
const KERNEL: &str = "elone-kernel";
const LIBRARY: &str = "libelone_kernel.a";

/// How everything is linked: to run at an address that its start chooses. What depends on that
/// address is listed in the compact form (RELR), holds what it is at the address linked for, and is
/// never in code or in constants that are read where they lie.
const ARGUMENTS: &[&str] = &[
    "-flavor",
    "gnu",
    "-O1",
    "--gc-sections",
    "-pie",
    "--no-dynamic-linker",
    "-z",
    "text",
    "--pack-dyn-relocs=relr",
    "--apply-dynamic-relocs",
    // Functions with the same instructions need be there only once.
    "--icf=all",
    // Permissions change at page boundaries, and pages have 4 KiB.
    "-z",
    "max-page-size=4096",
    // Ties a report to the file that can explain it.
    "--build-id",
];

/// Links programs, each by the same seed.
#[derive(Debug)]
pub(crate) struct Linker {
    program: PathBuf,
    image_script: PathBuf,
    application_script: PathBuf,
    seed: Seed,
    /// Where it puts what only the linker reads.
    scratch: PathBuf,
}

impl Linker {
    /// Of a toolchain; `scratch` is a directory that nobody else uses meanwhile.
    pub(crate) fn new(
        workspace: &Workspace,
        toolchain: &Toolchain,
        seed: Seed,
        scratch: &Path,
    ) -> Result<Self> {
        Ok(Self {
            program: program(toolchain)?,
            image_script: workspace.root.join("hal/image.ld"),
            application_script: workspace.root.join("app/elone/application.ld"),
            seed,
            scratch: scratch.to_owned(),
        })
    }

    /// Links a joined program, which cargo left at `object`, to an ELF file.
    pub(crate) fn joined(&self, object: &Path) -> Result<Vec<u8>> {
        self.link(&self.image_script, &[object])
    }

    /// Links an application, which cargo left at `object`, to run at EL0.
    pub(crate) fn application(&self, object: &Path) -> Result<Vec<u8>> {
        self.link(&self.application_script, &[object])
    }

    /// Links the kernel in `library` with an `application` that [`Self::application`] linked.
    pub(crate) fn contained(&self, library: &Path, application: &[u8]) -> Result<Vec<u8>> {
        let package = pack::package(application).context("the application")?;
        let packed = self.scratch.join("application.o");
        fs::write(&packed, pack::object(&package)?)?;
        self.link(&self.image_script, &[library, &packed])
    }

    fn link(&self, script: &Path, inputs: &[&Path]) -> Result<Vec<u8>> {
        let (seed, output) = (self.scratch.join("seed.o"), self.scratch.join("linked"));
        fs::write(&seed, self.seed.object()?)?;
        let mut command = Command::new(&self.program);
        command.args(ARGUMENTS).args(self.seed.link_arguments());
        command.arg("-T").arg(script).arg("-o").arg(&output).args(inputs).arg(&seed);
        let ended = command.output().with_context(|| self.program.display().to_string())?;
        let complaint = String::from_utf8_lossy(&ended.stderr);
        ensure!(ended.status.success(), "{}", complaint.trim());
        let linked = read(&output)?;
        relocations::check(&linked)?;
        Ok(linked)
    }
}

/// Compiles the kernel to be linked with packed applications, in the same way as those were;
/// returns its library.
pub(crate) fn kernel(
    workspace: &Workspace,
    toolchain: &Toolchain,
    profile: &str,
) -> Result<PathBuf> {
    let mut cargo = target::cargo(workspace, toolchain, Mode::Contained, "rustc")?;
    cargo.args(["--profile", profile, "--package", KERNEL, "--lib"]);
    cargo.args(["--crate-type", "staticlib"]);
    ensure!(target::run(&mut cargo)?.success(), "building the kernel failed");
    Ok(target::outputs(workspace, toolchain, Mode::Contained, profile).join(LIBRARY))
}

/// The linker that cargo's builds use: the one that was found with the toolchain, or its own.
fn program(toolchain: &Toolchain) -> Result<PathBuf> {
    if let Some(linker) = &toolchain.linker {
        return Ok(linker.clone());
    }
    let hosts = fs::read_dir(toolchain.sysroot.join("lib/rustlib"))?.flatten();
    let mut linkers = hosts.map(|host| host.path().join("bin/rust-lld"));
    linkers.find(|linker| linker.is_file()).context("the toolchain has no rust-lld")
}

/// Reads a file of the build.
fn read(file: &Path) -> Result<Vec<u8>> {
    fs::read(file).with_context(|| format!("reading {}", file.display()))
}
