//! Debian's packages for arm64 as raw material: fetched by apt, unpacked, never installed.
//!
//! apt takes its sources from this machine's own configuration; its lists and its cache are
//! redirected, so the machine's package state is neither read nor changed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

use crate::program;

/// What this takes. Other distributions have other packages, so nothing is installed for it.
const PROGRAMS: [&str; 3] = ["apt-get", "apt-cache", "dpkg-deb"];

/// Whether a package's dependencies are wanted as well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dependencies {
    With,
    Without,
}

/// Packages below a directory of their own.
#[derive(Debug)]
pub(super) struct Packages {
    directory: PathBuf,
    /// Whether the lists were fetched in this run.
    listed: bool,
}

impl Packages {
    pub(super) fn new(directory: &Path) -> Result<Self> {
        let missing: Vec<_> =
            PROGRAMS.into_iter().filter(|name| program::find(name).is_none()).collect();
        ensure!(
            missing.is_empty(),
            "a Linux guest is made of Debian's packages, which takes Debian's tools; {} is not here",
            missing.join(", ")
        );
        for part in ["apt/lists/partial", "apt/cache/archives/partial"] {
            fs::create_dir_all(directory.join(part))
                .with_context(|| format!("making {}", directory.display()))?;
        }
        // No package is installed in this world.
        fs::write(directory.join("apt/status"), "")?;
        Ok(Self { directory: directory.to_owned(), listed: false })
    }

    /// The package with a name that begins with `prefix` on which `package` depends. An earlier
    /// answer is kept: what was measured does not change by itself.
    pub(super) fn depended_on(&mut self, package: &str, prefix: &str) -> Result<String> {
        let known = self.directory.join(format!("{package}.depends"));
        if let Ok(name) = fs::read_to_string(&known) {
            return Ok(name);
        }
        self.list()?;
        let text = program::output(self.apt("apt-cache").args(["depends", "--important", package]))
            .with_context(|| format!("apt has no {package} for arm64; is this Debian?"))?;
        let mut names = text.lines().filter_map(|line| line.trim().strip_prefix("Depends: "));
        let name = names.find(|name| name.starts_with(prefix));
        let name = name.with_context(|| format!("{package} depends on no {prefix}…: {text}"))?;
        fs::write(&known, name)?;
        Ok(name.to_owned())
    }

    /// The directory where `package` is unpacked, fetched first if it is not there yet.
    pub(super) fn unpacked(&mut self, package: &str, with: Dependencies) -> Result<PathBuf> {
        let root = self.directory.join(package);
        if root.is_dir() {
            return Ok(root);
        }
        self.list()?;
        eprintln!("bench: fetching {package} for arm64");
        let archives = self.directory.join("apt/fetched");
        let _ = fs::remove_dir_all(&archives);
        fs::create_dir_all(archives.join("partial"))?;
        let mut apt = self.apt("apt-get");
        match with {
            Dependencies::Without => apt.args(["download", package]),
            Dependencies::With => {
                apt.arg(format!("-oDir::Cache::archives={}", archives.display()));
                apt.args(["--yes", "--no-install-recommends", "--download-only"]);
                apt.args(["install", package])
            }
        };
        loud(apt.current_dir(&archives)).with_context(|| format!("fetching {package}"))?;

        // Under its name only once it is whole.
        let unfinished = self.directory.join(format!("{package}.unfinished"));
        let _ = fs::remove_dir_all(&unfinished);
        fs::create_dir_all(&unfinished)?;
        for archive in fs::read_dir(&archives)? {
            let archive = archive?.path();
            if archive.extension().is_some_and(|extension| extension == "deb") {
                program::output(
                    Command::new("dpkg-deb").arg("--extract").args([&archive, &unfinished]),
                )?;
            }
        }
        fs::remove_dir_all(&archives)?;
        fs::rename(&unfinished, &root)?;
        Ok(root)
    }

    /// Fetches the lists of what there is.
    fn list(&mut self) -> Result<()> {
        if !self.listed {
            eprintln!("bench: fetching the lists of arm64 packages");
            // A source without packages for arm64 makes this fail; what is missing shows later.
            let _ = loud(self.apt("apt-get").arg("update"));
            self.listed = true;
        }
        Ok(())
    }

    /// An apt that knows nothing of this machine but its sources.
    fn apt(&self, program: &str) -> Command {
        let apt = self.directory.join("apt");
        let mut command = Command::new(program);
        command.args(["-q", "-oAPT::Architecture=arm64", "-oAPT::Architectures=arm64"]);
        for (option, part) in
            [("Dir::State", ""), ("Dir::State::status", "status"), ("Dir::Cache", "cache")]
        {
            command.arg(format!("-o{option}={}", apt.join(part).display()));
        }
        // A user of its own could not write below our directory; nothing is locked, as nothing is
        // shared; and descriptions are not read.
        command.args(["-oAPT::Sandbox::User=root", "-oDebug::NoLocking=1"]);
        command.args(["-oAcquire::Languages=none", "-oAcquire::Retries=3"]);
        command
    }
}

/// Runs a command whose own talk is the progress: on standard error, as our output is for results.
fn loud(command: &mut Command) -> Result<()> {
    let status = command.stdin(Stdio::null()).stdout(std::io::stderr()).status()?;
    ensure!(status.success(), "{}: {status}", command.get_program().to_string_lossy());
    Ok(())
}

/// The first file below `directory` whose name is the right one, in the order of paths.
pub(super) fn find_below(
    directory: &Path,
    is_it: impl Fn(&str) -> bool + Copy,
) -> Result<Option<PathBuf>> {
    let entries =
        fs::read_dir(directory).with_context(|| format!("reading {}", directory.display()))?;
    let mut paths: Vec<_> = entries.map(|entry| Ok(entry?.path())).collect::<Result<_>>()?;
    paths.sort();
    for path in paths {
        if path.is_dir() && !path.is_symlink() {
            if let Some(found) = find_below(&path, is_it)? {
                return Ok(Some(found));
            }
        } else if is_it(&path.file_name().unwrap_or_default().to_string_lossy()) {
            return Ok(Some(path));
        }
    }
    Ok(None)
}
