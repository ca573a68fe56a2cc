//! Tests under Miri, which finds undefined behaviour that a test on real hardware passes over. It
//! runs where rustup has a nightly toolchain with Miri; elsewhere it is left out, and that is said.

use std::process::Command;

use anyhow::Result;

use crate::rustup::Rustup;
use crate::tally::Tally;
use crate::test::{self, Selection};
use crate::workspace::Workspace;

/// The crates with unsafe code that can run on a host.
const PACKAGES: [&str; 2] = ["elone-hal", "elone-gate"];
/// A crate whose other tests take Miri too long, and what is in the names of those that do not.
const IN_PART: (&str, &str) = ("elone", "heap::tests::checked");

pub(crate) fn run(workspace: &Workspace, selection: &Selection) -> Result<Tally> {
    let rustup = Rustup::find();
    let has_miri = |rustup: &Rustup, name: &String| {
        let sysroot = rustup.sysroot(name);
        sysroot.join("bin/cargo-miri").is_file()
            && sysroot.join("lib/rustlib/src/rust/library/core/src/lib.rs").is_file()
    };
    let toolchain = rustup.as_ref().and_then(|rustup| {
        rustup.names().into_iter().find(|name| has_miri(rustup, name)).map(|name| (rustup, name))
    });
    let Some((rustup, name)) = toolchain else {
        println!("left out: Miri is not here (rustup +nightly component add miri rust-src)");
        return Ok(Tally::SKIPPED);
    };
    eprintln!("tests under Miri ({name})");
    let mut tally = miri(workspace, rustup, &name, &PACKAGES, selection)?;
    if selection.is_everything() {
        let (package, part) = IN_PART;
        tally += miri(workspace, rustup, &name, &[package], &selection.named(part))?;
    }
    Ok(tally)
}

fn miri(
    workspace: &Workspace,
    rustup: &Rustup,
    toolchain: &str,
    packages: &[&str],
    selection: &Selection,
) -> Result<Tally> {
    let mut command = Command::new("cargo");
    // rustup's stand-in for cargo does the rest.
    command.env("RUSTUP_TOOLCHAIN", toolchain).env("PATH", rustup.path()?);
    for variable in ["RUSTC", "CARGO", "RUSTC_BOOTSTRAP", "LD_LIBRARY_PATH"] {
        command.env_remove(variable);
    }
    command.args(["miri", "test", "--no-fail-fast", "--lib", "--tests", "--target-dir"]);
    command.arg(workspace.root.join("target/miri")).current_dir(&workspace.root);
    for package in packages {
        command.args(["--package", package]);
    }
    test::count(&mut command, "Miri", selection)
}
