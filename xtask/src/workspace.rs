//! What there is in this repository, as `cargo metadata` tells it.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use anyhow::{Context, Result, anyhow};
use elone_harness::Hosts;
use serde_json::Value;

use crate::toolchain::Toolchain;
use crate::{WrongArgument, program};

/// The package whose binaries are the tiny unikernels of the tests.
const UNIKERNELS: &str = "elone-unikernels";

/// The repository, and the programs that can be built to images.
#[derive(Debug)]
pub(crate) struct Workspace {
    pub(crate) root: PathBuf,
    pub(crate) programs: Vec<Program>,
    /// The oldest compiler that will do.
    pub(crate) rust_version: Version,
    /// As `cargo metadata --no-deps` prints it.
    pub(crate) metadata: Value,
}

/// A program that can be built to an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Program {
    pub(crate) name: String,
    pub(crate) package: String,
    pub(crate) kind: Kind,
}

/// What a program is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// An application, below `app/`.
    Application,
    /// A test of one promise.
    Unikernel,
}

/// A compiler's version, major and minor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Version(pub(crate) u32, pub(crate) u32);

impl Version {
    /// Reads the first two numbers of `1.95`, `1.95.0` or `1.97.0-nightly`.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut numbers = text.split('.');
        Some(Self(numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
    }
}

impl std::fmt::Display for Version {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.0, self.1)
    }
}

impl Workspace {
    /// The one that this command was built from.
    pub(crate) fn read() -> Result<Self> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("xtask has no parent")?;
        Self::at(root)
    }

    /// The one whose root is this.
    pub(crate) fn at(root: &Path) -> Result<Self> {
        let mut command = Command::new(cargo());
        command.args(["metadata", "--no-deps", "--format-version=1"]).current_dir(root);
        let metadata: Value = serde_json::from_str(&program::output(&mut command)?)?;
        let packages = metadata["packages"].as_array().context("metadata without packages")?;
        let programs = packages.iter().flat_map(|package| programs(root, package)).collect();
        let version = packages.iter().find_map(|package| package["rust_version"].as_str());
        let rust_version = version.and_then(Version::parse).context("rust-version is not set")?;
        Ok(Self { root: root.to_owned(), programs, rust_version, metadata })
    }

    /// The program of this name.
    pub(crate) fn program(&self, name: &str) -> Result<&Program> {
        if let Some(program) = self.programs.iter().find(|program| program.name == name) {
            return Ok(program);
        }
        let names = |kind| self.of(kind).map(|program| program.name.as_str()).collect::<Vec<_>>();
        let (applications, unikernels) = (names(Kind::Application), names(Kind::Unikernel));
        Err(WrongArgument(anyhow!(
            "there is no application {name:?}. There are:\n  {}\nand, for the tests:\n  {}",
            applications.join("\n  "),
            unikernels.join("\n  ")
        ))
        .into())
    }

    pub(crate) fn of(&self, kind: Kind) -> impl Iterator<Item = &Program> {
        self.programs.iter().filter(move |program| program.kind == kind)
    }

    pub(crate) fn boards(&self) -> PathBuf {
        self.root.join("boards")
    }

    /// Where everything that is built goes.
    pub(crate) fn target(&self) -> PathBuf {
        self.root.join("target")
    }

    /// Hosts for guests under KVM. What they are made of is kept for all runs.
    pub(crate) fn hosts(&self) -> Arc<Hosts> {
        Arc::new(Hosts::new(&self.boards(), &self.target().join("edge")))
    }

    pub(crate) fn images(&self, toolchain: &Toolchain) -> PathBuf {
        self.target().join(toolchain.place("images"))
    }
}

/// The cargo that runs us, or the one on the path.
pub(crate) fn cargo() -> OsString {
    env::var_os("CARGO").unwrap_or_else(|| "cargo".into())
}

/// The programs of one package.
fn programs(root: &Path, package: &Value) -> Vec<Program> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let name = text(&package["name"]);
    let manifest = PathBuf::from(text(&package["manifest_path"]));
    let kind = match name.as_str() {
        UNIKERNELS => Kind::Unikernel,
        _ if manifest.starts_with(root.join("app")) => Kind::Application,
        _ => return Vec::new(),
    };
    let targets = package["targets"].as_array().into_iter().flatten();
    let binaries = targets.filter(|target| target["kind"][0] == "bin");
    binaries
        .map(|target| Program { name: text(&target["name"]), package: name.clone(), kind })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_compare_by_number() {
        assert_eq!(Version::parse("1.95"), Some(Version(1, 95)));
        assert_eq!(Version::parse("1.97.0-nightly"), Some(Version(1, 97)));
        assert!(Version(1, 100) > Version(1, 95) && Version::parse("stable").is_none());
    }

    #[test]
    fn binaries_below_app_are_applications() {
        let package = serde_json::json!({
            "name": "gateway", "manifest_path": "/r/app/gateway/Cargo.toml",
            "targets": [{ "kind": ["lib"], "name": "gateway" }, { "kind": ["bin"], "name": "gw" }],
        });
        let found = programs(Path::new("/r"), &package);
        let expected =
            Program { name: "gw".into(), package: "gateway".into(), kind: Kind::Application };
        assert_eq!(found, [expected]);
        assert_eq!(programs(Path::new("/elsewhere"), &package), []);
    }
}
