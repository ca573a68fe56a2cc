//! The toolchain that builds images: a stable compiler that has the sources of core and alloc, as
//! they are built with the image, and a linker for ELF.
//!
//! Looked for in this order: what rustup has with its sources; what rustup can add them to; the
//! distribution's own packages. The first that will do is used.

use std::env;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, anyhow};
use clap::ValueEnum;

use crate::install::{self, Missing, Need, Permission};
use crate::rustup::Rustup;
use crate::workspace::Version;
use crate::{WrongArgument, program};

/// Where a toolchain comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Origin {
    /// rustup, with its component rust-src
    Rustup,
    /// The distribution's packages (Debian: rustc-web, cargo-web, rust-web-src, lld)
    Distribution,
}

/// Options of every command that builds images.
#[derive(Clone, Debug, Default, clap::Args)]
#[group(skip)]
pub(crate) struct Options {
    /// Build images with the toolchain from there, and with no other
    #[arg(long, value_name = "ORIGIN")]
    toolchain: Option<Origin>,
    #[command(flatten)]
    pub(crate) install: install::Options,
}

/// A toolchain that can build images.
#[derive(Clone, Debug)]
pub(crate) struct Toolchain {
    /// For messages: `rustup stable-…`, `distribution`.
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) sysroot: PathBuf,
    /// The sources of core and alloc are below this.
    pub(crate) sources: PathBuf,
    /// The linker, where the compiler does not bring one of its own.
    pub(crate) linker: Option<PathBuf>,
    pub(crate) purpose: Purpose,
    /// The board file whose early facts are in the images, where they are not the usual ones.
    pub(crate) board: Option<String>,
}

/// What images are built for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// To be run.
    Use,
    /// To be attacked, with a word in them that leaves protections out (`attack.rs`).
    Attack,
    /// To be measured with a protection and without it: the same, of any program (`bench`).
    Cost,
    /// To be weighed: without signed returns and landing pads (`bench`).
    Unmarked,
}

const DISTRIBUTION: Need = Need {
    what: "a Rust toolchain with its sources",
    packages: &[("apt-get", &["rustc-web", "cargo-web", "rust-web-src", "lld"])],
    otherwise: "install rustup, then: rustup component add rust-src",
};

/// Where the distribution's compiler is; rustup's stand-ins come earlier on the PATH.
const DISTRIBUTION_SYSROOT: &str = "/usr";
/// What linkers are called, the newest first.
const LINKERS: [&str; 3] = ["ld.lld-22", "ld.lld", "rust-lld"];

impl Toolchain {
    /// Finds one that is at least `oldest`, installing what is missing, and says which it is.
    pub(crate) fn find(options: &Options, oldest: Version) -> Result<Self> {
        let origin = match options.toolchain {
            Some(origin) => Some(origin),
            None => wanted(env::var("ELONE_TOOLCHAIN").ok().as_deref())?,
        };
        let permission = options.install.permission();
        let toolchain = match origin {
            Some(Origin::Rustup) => Self::from_rustup(oldest, permission)?
                .ok_or_else(|| missing(oldest, "rustup has none that will do"))?,
            Some(Origin::Distribution) => Self::from_distribution(oldest, permission)?,
            None => match Self::from_rustup(oldest, permission)? {
                Some(toolchain) => toolchain,
                None => Self::from_distribution(oldest, permission)?,
            },
        };
        eprintln!("toolchain: {}, {}", toolchain.name, toolchain.version);
        Ok(toolchain)
    }

    fn from_rustup(oldest: Version, permission: Permission) -> Result<Option<Self>> {
        let Some(rustup) = Rustup::find() else { return Ok(None) };
        let names = rustup.names();
        let at = |name: &String| Self::at(format!("rustup {name}"), &rustup.sysroot(name), oldest);
        if let Some(toolchain) = names.iter().filter_map(at).find(Self::has_sources) {
            return Ok(Some(toolchain));
        }
        if permission == Permission::Denied {
            return Ok(None);
        }
        for name in names.iter().filter(|name| at(name).is_some()) {
            if rustup.add("rust-src", name)? {
                return Ok(at(name).filter(Self::has_sources));
            }
        }
        Ok(None)
    }

    fn from_distribution(oldest: Version, permission: Permission) -> Result<Self> {
        let find = || {
            let found =
                Self::at("distribution".to_owned(), Path::new(DISTRIBUTION_SYSROOT), oldest)?;
            let linker = LINKERS.iter().find_map(|name| program::find(name))?;
            let found = Self { linker: Some(linker), ..found };
            found.has_sources().then_some(found)
        };
        if let Some(toolchain) = find() {
            return Ok(toolchain);
        }
        install::install(&DISTRIBUTION, permission)?;
        match find() {
            Some(toolchain) => Ok(toolchain),
            None => Err(missing(oldest, "the distribution's does not do").into()),
        }
    }

    /// The toolchain at `sysroot`, if there is one and it is new enough.
    fn at(name: String, sysroot: &Path, oldest: Version) -> Option<Self> {
        let version = program::output(Command::new(sysroot.join("bin/rustc")).arg("-V")).ok()?;
        let cargo = sysroot.join("bin/cargo").is_file();
        let number = version.strip_prefix("rustc ").and_then(Version::parse)?;
        let sources = sysroot.join("lib/rustlib/src/rust");
        // The distribution links to where its sources are, and the compiler follows the link.
        let sources = fs::canonicalize(&sources).unwrap_or(sources);
        let sysroot = sysroot.to_owned();
        (cargo && number >= oldest).then_some(Self {
            name,
            version,
            sysroot,
            sources,
            linker: None,
            purpose: Purpose::Use,
            board: None,
        })
    }

    /// The same, for images that are to be attacked.
    pub(crate) fn attackable(self) -> Self {
        self.purpose(Purpose::Attack)
    }

    /// The same, for other images.
    pub(crate) fn purpose(self, purpose: Purpose) -> Self {
        Self { purpose, ..self }
    }

    /// The same, for images that carry the early facts of a board file.
    pub(crate) fn for_board(&self, file: Option<&str>) -> Self {
        Self { board: file.map(str::to_owned), ..self.clone() }
    }

    /// The name of a place for what this kind of toolchain makes on the way to such images. Boards share
    /// one, one after the other ([`Self::turn`]): they differ in the kernel alone, and the usual one is
    /// not built again because of them.
    pub(crate) fn build_place(&self, name: &str) -> String {
        let boards = if self.board.is_some() { "-boards" } else { "" };
        self.place(name) + boards
    }

    /// Waits until nobody else builds for a board below `target`; nobody does until this is dropped.
    pub(crate) fn turn(&self, target: &Path) -> Result<Option<File>> {
        if self.board.is_none() {
            return Ok(None);
        }
        fs::create_dir_all(target)?;
        let turn = File::create(target.join(self.build_place("lock")))?;
        turn.lock()?;
        Ok(Some(turn))
    }

    /// The name of a place for what this kind of toolchain makes: rustup's is the usual one.
    pub(crate) fn place(&self, name: &str) -> String {
        let purpose = match self.purpose {
            Purpose::Use => "",
            Purpose::Attack | Purpose::Cost => "-attackable",
            Purpose::Unmarked => "-unmarked",
        };
        let origin = if self.linker.is_none() { "" } else { "-distribution" };
        format!("{name}{purpose}{origin}")
    }

    fn has_sources(&self) -> bool {
        self.sources.join("library/core/src/lib.rs").is_file()
    }

    /// Whether a tool of this toolchain is installed, for example `cargo-clippy`.
    pub(crate) fn has(&self, tool: &str) -> bool {
        self.sysroot.join("bin").join(tool).is_file()
    }

    /// Its cargo, set up to build for the target: this compiler and no other, and the features that
    /// building core takes, which are not stable yet.
    pub(crate) fn cargo(&self) -> Command {
        let binaries = self.sysroot.join("bin");
        let mut command = Command::new(binaries.join("cargo"));
        let path = env::var_os("PATH").unwrap_or_default();
        let path = std::iter::once(binaries.clone()).chain(env::split_paths(&path));
        if let Ok(path) = env::join_paths(path) {
            command.env("PATH", path);
        }
        command.env("RUSTC", binaries.join("rustc")).env("RUSTDOC", binaries.join("rustdoc"));
        command.env("RUSTC_BOOTSTRAP", "1").env_remove("RUSTUP_TOOLCHAIN");
        command.env_remove("RUSTC_WRAPPER").env_remove("RUSTC_WORKSPACE_WRAPPER");
        match &self.board {
            Some(file) => command.env("ELONE_BOARD", file),
            None => command.env_remove("ELONE_BOARD"),
        };
        // Set by the cargo that runs us, to the libraries of what may be another compiler.
        command.env_remove("LD_LIBRARY_PATH");
        command
    }
}

fn missing(oldest: Version, why: &str) -> Missing {
    let remedy = vec![
        "rustup update stable".to_owned(),
        "rustup component add rust-src --toolchain stable".to_owned(),
    ];
    Missing::new(&format!("Rust {oldest} or newer, with its sources"), why, remedy)
}

/// What the environment asks for.
fn wanted(value: Option<&str>) -> Result<Option<Origin>> {
    let Some(value) = value.filter(|value| !value.is_empty()) else { return Ok(None) };
    match Origin::from_str(value, false) {
        Ok(origin) => Ok(Some(origin)),
        Err(_) => {
            let message = anyhow!("ELONE_TOOLCHAIN={value}: it takes rustup or distribution");
            Err(WrongArgument(message).into())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_names_an_origin_or_is_refused() {
        assert_eq!(wanted(None).unwrap(), None);
        assert_eq!(wanted(Some("")).unwrap(), None);
        assert_eq!(wanted(Some("distribution")).unwrap(), Some(Origin::Distribution));
        let error = wanted(Some("moon")).unwrap_err();
        assert!(error.is::<WrongArgument>() && error.to_string().contains("moon"), "{error}");
    }

    #[test]
    fn a_compiler_that_is_too_old_is_none() {
        let sysroot = program::output(Command::new("rustc").args(["--print", "sysroot"])).unwrap();
        let at = |oldest| Toolchain::at("here".to_owned(), Path::new(&sysroot), oldest);
        assert!(at(Version(1, 0)).is_some());
        assert!(at(Version(9, 0)).is_none());
    }
}
