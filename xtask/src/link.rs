//! The link of a contained image: the kernel, and the application that cargo linked without it, as
//! one file that boots.
//!
//! One link over both would let statics and inlining cross the border, so the application is an
//! ELF file of its own. It is packed, wrapped in an object with one section, and linked to the
//! kernel's static library by the image's linker script. The library is the same for every
//! application of a profile, so that this link is all that an application takes.

mod pack;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{self, Command};
use std::time::SystemTime;

use anyhow::{Context, Result, ensure};
use elone_harness::Mode;

use crate::target;
use crate::toolchain::Toolchain;
use crate::workspace::Workspace;

/// The package with the kernel, and its library.
const KERNEL: &str = "elone-kernel";
const LIBRARY: &str = "libelone_kernel.a";

/// A kernel, compiled, to be linked with packed applications.
#[derive(Debug)]
pub(crate) struct Kernel {
    linker: PathBuf,
    library: PathBuf,
    script: PathBuf,
}

impl Kernel {
    /// Compiles it, in the same way as the applications were.
    pub(crate) fn compile(
        workspace: &Workspace,
        toolchain: &Toolchain,
        profile: &str,
    ) -> Result<Self> {
        let mut cargo = target::cargo(workspace, toolchain, Mode::Contained, "rustc")?;
        cargo.args(["--profile", profile, "--package", KERNEL, "--lib"]);
        cargo.args(["--crate-type", "staticlib"]);
        ensure!(target::run(&mut cargo)?.success(), "building the kernel failed");
        Ok(Self {
            linker: linker(toolchain)?,
            library: target::outputs(workspace, toolchain, Mode::Contained, profile).join(LIBRARY),
            script: workspace.root.join(target::IMAGE_SCRIPT),
        })
    }

    /// Links it with the application `name`, whose ELF file is `application`; returns the file with
    /// both. It lies beside the application's, and is new only if anything in it is.
    pub(crate) fn link(&self, name: &str, application: &Path) -> Result<PathBuf> {
        let linked = application.with_added_extension("contained");
        // This program decides what a package looks like.
        let packer = std::env::current_exe()?;
        let inputs = [application, &self.library, &self.script, &self.linker, &packer];
        if is_newer(&linked, &inputs) {
            return Ok(linked);
        }
        let elf = read(application)?;
        let package = pack::package(&elf).with_context(|| format!("the application {name}"))?;
        // Other builds may be at the same file.
        let own =
            |what: &str| application.with_added_extension(format!("{}.{what}", process::id()));
        let (object, new) = (own("o"), own("contained"));
        fs::write(&object, pack::object(&package)?)?;
        let result = self.run(&object, &new).with_context(|| format!("linking {name}"));
        fs::remove_file(&object)?;
        result?;
        fs::rename(&new, &linked)?;
        Ok(linked)
    }

    fn run(&self, object: &Path, output: &Path) -> Result<()> {
        let mut command = Command::new(&self.linker);
        command.args(["-flavor", "gnu", "--gc-sections", "-O1"]).args(target::LINK_ARGUMENTS);
        command.arg("-T").arg(&self.script).arg("-o").arg(output);
        command.arg(&self.library).arg(object);
        let ended = command.output().with_context(|| self.linker.display().to_string())?;
        let complaint = String::from_utf8_lossy(&ended.stderr);
        ensure!(ended.status.success(), "{}", complaint.trim());
        Ok(())
    }
}

/// The linker that cargo's builds use: the one that was found with the toolchain, or its own.
fn linker(toolchain: &Toolchain) -> Result<PathBuf> {
    if let Some(linker) = &toolchain.linker {
        return Ok(linker.clone());
    }
    let hosts = fs::read_dir(toolchain.sysroot.join("lib/rustlib"))?.flatten();
    let mut linkers = hosts.map(|host| host.path().join("bin/rust-lld"));
    linkers.find(|linker| linker.is_file()).context("the toolchain has no rust-lld")
}

/// Whether `file` is there and newer than all that it was made from.
fn is_newer(file: &Path, inputs: &[&Path]) -> bool {
    let time = |file: &Path| -> Option<SystemTime> { fs::metadata(file).ok()?.modified().ok() };
    let Some(made) = time(file) else { return false };
    inputs.iter().all(|input| time(input).is_some_and(|changed| changed < made))
}

/// Reads a file of the build.
pub(crate) fn read(file: &Path) -> Result<Vec<u8>> {
    fs::read(file).with_context(|| format!("reading {}", file.display()))
}
