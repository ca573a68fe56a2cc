//! The programs that know the languages of the ready files: found, or installed.

use std::path::PathBuf;

use anyhow::Result;

use crate::install::{self, Need, Permission};
use crate::program;

/// A program, and what it checks.
pub(crate) struct Validator {
    pub(crate) program: &'static str,
    need: Need,
}

/// Scripts for the shell.
pub(crate) const SHELLCHECK: Validator = Validator {
    program: "shellcheck",
    need: Need {
        what: "shellcheck",
        packages: &[
            ("apt-get", &["shellcheck"]),
            ("dnf", &["ShellCheck"]),
            ("pacman", &["shellcheck"]),
            ("zypper", &["ShellCheck"]),
            ("apk", &["shellcheck"]),
        ],
        otherwise: "install shellcheck",
    },
};

/// Units of systemd.
pub(crate) const SYSTEMD: Validator = Validator {
    program: "systemd-analyze",
    need: Need {
        what: "systemd-analyze",
        packages: &[
            ("apt-get", &["systemd"]),
            ("dnf", &["systemd"]),
            ("pacman", &["systemd"]),
            ("zypper", &["systemd"]),
        ],
        otherwise: "install systemd 250 or newer",
    },
};

/// Domains of libvirt.
pub(crate) const LIBVIRT: Validator = Validator {
    program: "virt-xml-validate",
    need: Need {
        what: "virt-xml-validate",
        packages: &[
            ("apt-get", &["libvirt-clients", "libxml2-utils"]),
            ("dnf", &["libvirt-client", "libvirt-libs", "libxml2"]),
            ("pacman", &["libvirt", "libxml2"]),
            ("zypper", &["libvirt-client", "libxml2-tools"]),
            ("apk", &["libvirt-client", "libxml2-utils"]),
        ],
        otherwise: "install libvirt's clients and xmllint",
    },
};

/// All of them.
pub(crate) const ALL: [&Validator; 3] = [&SHELLCHECK, &SYSTEMD, &LIBVIRT];

impl Validator {
    /// Makes sure that it is there.
    pub(crate) fn ensure(&self, permission: Permission) -> Result<()> {
        match program::find(self.program) {
            Some(_) => Ok(()),
            None => install::install(&self.need, permission),
        }
    }

    /// Where it is, if it is there.
    pub(crate) fn find(&self) -> Option<PathBuf> {
        program::find(self.program)
    }
}
