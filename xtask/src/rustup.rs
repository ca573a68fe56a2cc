//! Toolchains that rustup keeps.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::Result;

use crate::program;

/// How long rustup may take to fetch a component: a slow line needs a minute, none hangs for ever.
const FETCH: Duration = Duration::from_secs(180);

/// Where rustup is, and what it keeps.
#[derive(Debug)]
pub(crate) struct Rustup {
    program: PathBuf,
    directory: PathBuf,
    /// The toolchain that is active here, if any.
    pub(crate) active: Option<String>,
}

impl Rustup {
    pub(crate) fn find() -> Option<Self> {
        let beside = env::var_os("CARGO_HOME").map(PathBuf::from);
        let beside = beside.or_else(|| env::home_dir().map(|home| home.join(".cargo")));
        let beside = beside.map(|home| home.join("bin/rustup")).filter(|file| file.is_file());
        let program = program::find("rustup").or(beside)?;
        let home = program::output(Command::new(&program).args(["show", "home"])).ok()?;
        let active = program::output(Command::new(&program).args(["show", "active-toolchain"]));
        // `NAME (why it is active)`
        let active = active.ok().and_then(|line| line.split(' ').next().map(str::to_owned));
        Some(Self { program, directory: Path::new(&home).join("toolchains"), active })
    }

    /// The toolchains there are: the active one first, then by name from the end, which puts
    /// `stable` before `nightly` before numbers.
    pub(crate) fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(&self.directory).into_iter().flatten().flatten();
        let mut names: Vec<_> =
            entries.filter_map(|entry| entry.file_name().into_string().ok()).collect();
        names.sort_by(|a, b| b.cmp(a));
        names.sort_by_key(|name| Some(name) != self.active.as_ref());
        names
    }

    /// The search path with rustup's own programs first: its stand-ins for cargo and the like.
    pub(crate) fn path(&self) -> Result<OsString> {
        let own = self.program.parent().map(Path::to_owned);
        let rest = env::var_os("PATH").unwrap_or_default();
        Ok(env::join_paths(own.into_iter().chain(env::split_paths(&rest)))?)
    }

    /// Where a toolchain is.
    pub(crate) fn sysroot(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// Has a component added; whether that worked. Never waits for long: without a network rustup
    /// may hang.
    pub(crate) fn add(&self, component: &str, toolchain: &str) -> Result<bool> {
        self.fetch(["component", "add", component, "--toolchain", toolchain])
    }

    /// Has the libraries for a target added, in the same way.
    pub(crate) fn add_target(&self, target: &str, toolchain: &str) -> Result<bool> {
        self.fetch(["target", "add", target, "--toolchain", toolchain])
    }

    fn fetch(&self, arguments: [&str; 5]) -> Result<bool> {
        eprintln!("+ rustup {}", arguments.join(" "));
        let mut command = Command::new(&self.program);
        command.args(arguments).stdout(std::io::stderr());
        let status = program::within(&mut command, FETCH)?;
        Ok(status.is_some_and(|status| status.success()))
    }
}
