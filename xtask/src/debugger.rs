//! The debugger: found, or installed.

use std::path::PathBuf;

use anyhow::{Context, Result};
use elone_harness::Debugger;

use crate::install::{self, Need, Permission};

const NEED: Need = Need {
    what: "a debugger for aarch64",
    packages: &[
        ("apt-get", &["gdb-multiarch"]),
        ("dnf", &["gdb"]),
        ("pacman", &["aarch64-linux-gnu-gdb"]),
        ("zypper", &["gdb"]),
        ("apk", &["gdb-multiarch"]),
    ],
    otherwise: "install GDB 12 or newer, built for all architectures or for aarch64",
};

/// Makes sure that there is a debugger.
pub(crate) fn ensure(permission: Permission) -> Result<PathBuf> {
    if let Some(program) = Debugger::find() {
        return Ok(program);
    }
    install::install(&NEED, permission)?;
    Debugger::find().context("a debugger is installed, but it is not on the PATH")
}
