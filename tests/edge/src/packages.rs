//! Debian's packages for arm64 as raw material: fetched by this machine's own apt from its own
//! sources, with state in a directory of ours, and unpacked.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Error, Result, bail};

use crate::Unavailable;

/// Packages that are unpacked together.
#[derive(Debug)]
pub(crate) struct Set {
    /// The directory's name.
    pub(crate) name: &'static str,
    pub(crate) packages: &'static [&'static str],
    pub(crate) with: With,
}

/// What is unpacked along with packages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum With {
    NothingElse,
    WhatItDependsOn,
}

/// What of a package is unpacked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    Everything,
    /// Device trees alone.
    Trees,
}

impl What {
    fn unpack(self, package: &Path, directory: &Path) -> Result<()> {
        if self == Self::Everything {
            let unpack = [OsStr::new("-x"), package.as_os_str(), directory.as_os_str()];
            return output(Command::new("dpkg-deb").args(unpack)).map(drop);
        }
        let mut archive = Command::new("dpkg-deb");
        archive.arg("--fsys-tarfile").arg(package).stdin(Stdio::null()).stdout(Stdio::piped());
        let mut archive = archive.spawn().map_err(|error| absent("dpkg-deb", &error))?;
        let files = archive.stdout.take().context("dpkg-deb has no output")?;
        let mut tar = Command::new("tar");
        tar.arg("-xC").arg(directory).args(["--wildcards", "*.dtb"]).stdin(files);
        let unpacked = tar.status().map_err(|error| absent("tar", &error))?;
        let read = archive.wait()?;
        if !(unpacked.success() && read.success()) {
            bail!(Unavailable(format!("{} holds no device tree", package.display())));
        }
        Ok(())
    }
}

/// This machine's apt, made to know arm64 alone and to keep to a directory.
#[derive(Debug)]
pub(crate) struct Apt {
    cache: PathBuf,
    /// Whether the lists were read in this run.
    fresh: bool,
    /// What was said against it then, which need not matter.
    trouble: Option<String>,
}

impl Apt {
    pub(crate) fn at(cache: &Path) -> Self {
        Self { cache: cache.to_owned(), fresh: false, trouble: None }
    }

    /// The directory into which a set is unpacked; fetched if it is not there yet.
    pub(crate) fn unpacked(&mut self, set: &Set) -> Result<PathBuf> {
        self.unpack(set.name, set.packages, set.with, What::Everything)
    }

    /// The same of one package by itself, into the directory `name`.
    pub(crate) fn alone(&mut self, name: &str, package: &str) -> Result<PathBuf> {
        self.unpack(name, &[package], With::NothingElse, What::Everything)
    }

    /// The names of all packages that begin so, a line each.
    pub(crate) fn names(&mut self, prefix: &str) -> Result<String> {
        self.read_lists()?;
        self.run("apt-cache", &["pkgnames", prefix]).map_err(|error| self.explained(error))
    }

    /// The same of the kernel that the package `latest` stands for.
    pub(crate) fn kernel(&mut self, latest: &str) -> Result<PathBuf> {
        self.kernel_as("kernel", latest, What::Everything)
    }

    /// The device trees of such a kernel, which drives boards: a tenth of its package.
    pub(crate) fn trees(&mut self, latest: &str) -> Result<PathBuf> {
        self.kernel_as(&format!("trees-{latest}"), latest, What::Trees)
    }

    fn kernel_as(&mut self, name: &str, latest: &str, what: What) -> Result<PathBuf> {
        let directory = self.cache.join(name);
        if directory.is_dir() {
            return Ok(directory);
        }
        self.read_lists()?;
        let said = self.run("apt-cache", &["depends", "--important", latest]);
        let said = said.map_err(|error| self.explained(error))?;
        let Some(package) = depends_on(&said, "linux-image-") else {
            bail!(Unavailable(format!("this machine's apt knows no {latest}")));
        };
        self.unpack(name, &[package], With::NothingElse, what)
    }

    fn unpack(&mut self, name: &str, packages: &[&str], with: With, what: What) -> Result<PathBuf> {
        let directory = self.cache.join(name);
        // It is given its name when it is complete.
        if directory.is_dir() {
            return Ok(directory);
        }
        self.read_lists()?;
        eprintln!("edge: fetching {} for arm64", packages.join(" "));
        let archives = self.cache.join(format!("{name}.archives"));
        let unfinished = self.cache.join(format!("{name}.unfinished"));
        for place in [&archives, &unfinished] {
            remove(place)?;
        }
        fs::create_dir_all(archives.join("partial"))?;
        fs::create_dir(&unfinished)?;
        self.fetch(&archives, packages, with).map_err(|error| self.explained(error))?;
        for entry in fs::read_dir(&archives)? {
            let file = entry?.path();
            if file.extension() == Some(OsStr::new("deb")) {
                what.unpack(&file, &unfinished)?;
            }
        }
        remove(&archives)?;
        fs::rename(&unfinished, &directory)?;
        Ok(directory)
    }

    fn fetch(&self, archives: &Path, packages: &[&str], with: With) -> Result<String> {
        match with {
            With::NothingElse => {
                let mut command = self.command("apt-get");
                output(command.arg("download").args(packages).current_dir(archives))
            }
            With::WhatItDependsOn => {
                let place = format!("-oDir::Cache::archives={}", archives.display());
                let words = [&place, "--yes", "--no-install-recommends", "--download-only"];
                self.run("apt-get", &[&words[..], &["install"], packages].concat())
            }
        }
    }

    /// Has apt read what there is for arm64, once a run.
    fn read_lists(&mut self) -> Result<()> {
        if self.fresh {
            return Ok(());
        }
        for place in ["lists/partial", "archives/partial"] {
            fs::create_dir_all(self.cache.join("apt").join(place))?;
        }
        // Nothing is installed for arm64, as far as apt is to know.
        fs::write(self.cache.join("apt/status"), "")?;
        eprintln!("edge: reading what packages there are for arm64");
        let mut update = self.command("apt-get");
        let update = update.arg("update").stdin(Stdio::null()).output();
        // A source that has nothing for arm64 makes it complain; what is missing is missed later.
        let said = update.map_err(|error| absent("apt-get", &error))?.stderr;
        self.trouble = complaint(&String::from_utf8_lossy(&said)).map(str::to_owned);
        self.fresh = true;
        Ok(())
    }

    /// With what was said when the lists were read: without a network that is the reason.
    fn explained(&self, error: Error) -> Error {
        match (&self.trouble, error.downcast_ref()) {
            (Some(trouble), Some(Unavailable(reason))) => {
                Unavailable(format!("{reason} (before: {trouble})")).into()
            }
            _ => error,
        }
    }

    fn run(&self, program: &str, arguments: &[&str]) -> Result<String> {
        output(self.command(program).args(arguments))
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.args(options(&self.cache.join("apt"))).env("LC_ALL", "C");
        command
    }
}

/// What makes apt know arm64 alone, and keep everything that it writes in `directory`.
fn options(directory: &Path) -> Vec<String> {
    let place = |name: &str, file: &str| format!("-o{name}={}", directory.join(file).display());
    vec![
        "-oAPT::Architecture=arm64".to_owned(),
        "-oAPT::Architectures=arm64".to_owned(),
        place("Dir::State::Lists", "lists"),
        place("Dir::State::status", "status"),
        place("Dir::Cache", ""),
        // Nobody else writes here, so nobody has to be kept out, nor has a user to be changed to.
        "-oDebug::NoLocking=1".to_owned(),
        "-oAPT::Sandbox::User=root".to_owned(),
        "-oAcquire::Languages=none".to_owned(),
        // Without a network it is told soon.
        "-oAcquire::Retries=1".to_owned(),
        "-oAcquire::http::Timeout=30".to_owned(),
        "-oAcquire::https::Timeout=30".to_owned(),
        "-qq".to_owned(),
    ]
}

/// The package whose name begins with `prefix` in a list such as `  Depends: linux-image-6.1-arm64`.
fn depends_on<'a>(said: &'a str, prefix: &str) -> Option<&'a str> {
    let names = said.lines().filter_map(|line| line.trim_start().strip_prefix("Depends: "));
    names.map(str::trim).find(|name| name.starts_with(prefix))
}

/// Runs a program that fetches or unpacks. Whatever it fails of is this machine's: no sources for
/// arm64, no network, no room.
fn output(command: &mut Command) -> Result<String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command.stdin(Stdio::null()).output().map_err(|error| absent(&name, &error))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        let reason = complaint(&said).unwrap_or(said.trim());
        bail!(Unavailable(format!("{name} failed: {reason}")));
    }
    String::from_utf8(output.stdout).context("it printed no text")
}

/// The first complaint in what apt says: an error, or else a warning.
fn complaint(said: &str) -> Option<&str> {
    let find = |prefix| said.lines().find(|line| line.starts_with(prefix));
    find("E:").or_else(|| find("W:"))
}

fn absent(program: &str, error: &std::io::Error) -> Unavailable {
    Unavailable(format!(
        "{program} cannot be run ({error}), and the host is made of Debian's packages"
    ))
}

fn remove(directory: &Path) -> Result<()> {
    if directory.exists() {
        fs::remove_dir_all(directory)
            .with_context(|| format!("clearing {}", directory.display()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_that_apt_writes_is_in_one_directory() {
        let options = options(Path::new("/c"));
        for (name, value) in [
            ("APT::Architecture", "arm64"),
            ("APT::Architectures", "arm64"),
            ("Dir::State::Lists", "/c/lists"),
            ("Dir::State::status", "/c/status"),
            ("Dir::Cache", "/c/"),
        ] {
            let option = format!("-o{name}={value}");
            assert!(options.contains(&option), "{option} is not in {options:?}");
        }
    }

    #[test]
    fn the_kernel_behind_a_name_is_found() {
        let said = "linux-image-cloud-arm64\n  Depends: linux-base\n  \
                    Depends: linux-image-6.1.0-40-cloud-arm64\n";
        assert_eq!(depends_on(said, "linux-image-"), Some("linux-image-6.1.0-40-cloud-arm64"));
        assert_eq!(depends_on("linux-image-cloud-arm64\n", "linux-image-"), None);
    }

    #[test]
    fn what_cannot_be_had_is_told_as_such() {
        let without = output(&mut Command::new("/no/such/apt-get")).unwrap_err();
        assert!(without.is::<Unavailable>() && without.to_string().contains("/no/such/apt-get"));
        let script = "echo ignored >&2; echo 'E: Unable to locate package moon' >&2; exit 100";
        let failed = output(Command::new("sh").args(["-c", script])).unwrap_err();
        assert_eq!(failed.to_string(), "sh failed: E: Unable to locate package moon");
        assert!(failed.is::<Unavailable>());
    }

    /// A package is unknown, too, where the lists could not be had.
    #[test]
    fn what_was_said_before_is_told_along() {
        let trouble = complaint("W: Failed to fetch x\nW: Some index files\n").map(str::to_owned);
        let apt = Apt { trouble, ..Apt::at(Path::new("/c")) };
        let error = apt.explained(Unavailable("no such package".to_owned()).into());
        assert_eq!(error.to_string(), "no such package (before: W: Failed to fetch x)");
        assert!(error.is::<Unavailable>());
        assert!(!apt.explained(anyhow::anyhow!("the disk is full")).is::<Unavailable>());
    }

    /// What is complete is not asked for again: there is no apt in this directory to ask.
    #[test]
    fn a_set_that_is_there_is_taken_as_it_is() {
        let cache = std::env::temp_dir().join(format!("elone-packages-{}", std::process::id()));
        let set = Set { name: "set", packages: &["no-such-package"], with: With::NothingElse };
        fs::create_dir_all(cache.join("set")).unwrap();
        let mut apt = Apt::at(&cache);
        assert_eq!(apt.unpacked(&set).unwrap(), cache.join("set"));
        assert!(!apt.fresh);
        fs::remove_dir_all(cache).unwrap();
    }
}
