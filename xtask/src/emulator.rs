//! The emulator: found, or installed.

use std::path::PathBuf;

use anyhow::{Context, Result};

use crate::install::{self, Need, Permission};
use crate::program;

pub(crate) const PROGRAM: &str = "qemu-system-aarch64";

const NEED: Need = Need {
    what: PROGRAM,
    packages: &[
        ("apt-get", &["qemu-system-arm"]),
        ("dnf", &["qemu-system-aarch64-core"]),
        ("pacman", &["qemu-system-aarch64"]),
        ("zypper", &["qemu-arm"]),
        ("apk", &["qemu-system-aarch64"]),
    ],
    otherwise: "install QEMU 7.2 or newer with its system emulator for aarch64",
};

/// Makes sure that there is an emulator.
pub(crate) fn ensure(permission: Permission) -> Result<PathBuf> {
    if let Some(program) = program::find(PROGRAM) {
        return Ok(program);
    }
    install::install(&NEED, permission)?;
    program::find(PROGRAM).with_context(|| format!("{PROGRAM} is installed, but not on the PATH"))
}
