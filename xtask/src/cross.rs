//! Programs of this workspace for an arm64 Linux host, such as the emulated one that runs guests
//! under KVM (`tests/edge`): built here, linked statically, so that the host needs nothing for them.

use std::path::PathBuf;

use anyhow::{Result, ensure};
use elone_harness::LeftOut;

use crate::install::Permission;
use crate::rustup::Rustup;
use crate::toolchain::Toolchain;
use crate::workspace::Workspace;

/// An arm64 Linux with everything in the program itself.
const TARGET: &str = "aarch64-unknown-linux-musl";
/// The toolchain brings a linker and the C library's objects, so that no compiler of another
/// language is needed. Without what is for a debugger a program is a tenth of the size.
const FLAGS: [&str; 4] = [
    "-Clinker=rust-lld",
    "-Clink-self-contained=yes",
    "-Ctarget-feature=+crt-static",
    "-Cstrip=symbols",
];

/// Has the toolchain's libraries for the target added, where it has a rustup and may.
///
/// # Errors
/// They are not there and cannot be had; the message says why.
pub(crate) fn ensure(toolchain: &Toolchain, permission: Permission) -> Result<()> {
    if has_libraries(toolchain) {
        return Ok(());
    }
    let name = toolchain.sysroot.file_name().unwrap_or_default().to_string_lossy();
    if let (Permission::Granted, Some(rustup)) = (permission, Rustup::find())
        && rustup.names().contains(&name.as_ref().to_owned())
    {
        rustup.add_target(TARGET, &name)?;
    }
    ensure!(has_libraries(toolchain), "{}", lacking(toolchain));
    Ok(())
}

/// Builds the program of a package, and returns where it is.
///
/// # Errors
/// [`LeftOut`] where the toolchain cannot build for the target; else it does not build.
pub(crate) fn build(
    workspace: &Workspace,
    toolchain: &Toolchain,
    package: &str,
) -> Result<PathBuf> {
    ensure!(has_libraries(toolchain), LeftOut(lacking(toolchain)));
    // Apart from images, whose flags are others.
    let directory = workspace.target().join(toolchain.place("linux"));
    let mut command = toolchain.cargo();
    command.args(["build", "--release", "--package", package, "--target", TARGET, "--target-dir"]);
    command.arg(&directory).current_dir(&workspace.root);
    command.env("CARGO_ENCODED_RUSTFLAGS", FLAGS.join("\u{1f}"));
    ensure!(command.status()?.success(), "{package} does not build for {TARGET}");
    Ok(directory.join(TARGET).join("release").join(package))
}

fn has_libraries(toolchain: &Toolchain) -> bool {
    toolchain.sysroot.join("lib/rustlib").join(TARGET).join("lib").is_dir()
}

fn lacking(toolchain: &Toolchain) -> String {
    format!("{} cannot build for {TARGET} (rustup target add {TARGET})", toolchain.name)
}
