//! `manifest.json`: what the image is, what made it, and what it needs.

use std::env;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use elone_harness::Mode;
use serde_json::{Map, Value, json};

use super::Order;
use super::folder::sha256;
use super::machine::Machine;
use crate::program;
use crate::seed::Seed;
use crate::symbols::library::build_id;
use crate::toolchain::Toolchain;
use crate::workspace::Workspace;

/// What is known of an image once it is built.
#[derive(Clone, Debug)]
pub(crate) struct Built {
    /// The image's name.
    pub(crate) file: String,
    pub(crate) sha256: String,
    /// In bytes, as it lies in the folder.
    pub(crate) size: usize,
    /// In bytes, as it lies in memory.
    memory: u64,
    pub(crate) mode: Mode,
    pub(crate) seed: Seed,
    /// Of the image; and of the application, where it is a program of its own. By these a fault
    /// report says what faulted.
    build_ids: Vec<(&'static str, String)>,
}

/// Where the header of an image for arm64 says how much memory it takes (Linux,
/// Documentation/arch/arm64/booting.rst).
const IMAGE_SIZE: std::ops::Range<usize> = 16..24;

impl Built {
    /// Reads what was built: an image, with its programs beside it.
    pub(crate) fn read(image: &Path, mode: Mode, seed: Seed) -> Result<Self> {
        let bytes = fs::read(image).with_context(|| image.display().to_string())?;
        let file = image.file_name().and_then(|name| name.to_str()).context("no name")?;
        let memory = bytes.get(IMAGE_SIZE).context("an image without a header")?;
        let programs: &[(&str, &str)] = match mode {
            Mode::Joined => &[("image", "elf")],
            Mode::Contained => &[("kernel", "elf"), ("application", "app.elf")],
        };
        let id = |&(what, kind): &(&'static str, &str)| {
            Ok((what, build_id(&image.with_extension(kind))?))
        };
        Ok(Self {
            file: file.to_owned(),
            sha256: sha256(&bytes),
            size: bytes.len(),
            memory: u64::from_le_bytes(memory.try_into()?),
            mode,
            seed,
            build_ids: programs.iter().map(id).collect::<Result<_>>()?,
        })
    }
}

/// The manifest.
pub(crate) fn of(
    order: &Order<'_>,
    machine: &Machine,
    built: &Built,
    toolchain: &Toolchain,
) -> Result<Value> {
    let ids = built.build_ids.iter().map(|(what, id)| ((*what).to_owned(), id.clone().into()));
    let mode = match built.mode {
        Mode::Joined => "joined",
        Mode::Contained => "contained",
    };
    let mut manifest = json!({
        "application": { "name": machine.name, "version": machine.version },
        "elone": elone(order.workspace)?,
        "mode": mode,
        "image": {
            "file": machine.image,
            "sha256": built.sha256,
            "size": built.size,
            "architecture": "aarch64",
        },
        "build_ids": ids.collect::<Map<String, Value>>(),
        "layout_seed": built.seed.to_string(),
        "machine": {
            "board": machine.board.name,
            "processors": 1,
            "memory_mib": machine.memory,
            "memory_of_image_kib": built.memory.div_ceil(1024),
            "settings": machine.settings,
            "devices": devices(machine),
        },
        "toolchain": toolchain.version,
    });
    if let Some(date) = date(env::var("SOURCE_DATE_EPOCH").ok().as_deref())? {
        manifest["source_date_epoch"] = date.into();
    }
    Ok(manifest)
}

fn devices(machine: &Machine) -> Value {
    let mut devices = json!([
        { "kind": "network", "host": machine.tap, "mac": machine.mac },
        { "kind": "black box", "size": 65536, "optional": true },
    ]);
    if machine.board.devices.entropy.is_some()
        && let Some(devices) = devices.as_array_mut()
    {
        devices.push(json!({ "kind": "entropy" }));
    }
    devices
}

/// Seconds since 1970, where the build is told which time it is. Of its own accord it does not say:
/// the same sources would make another folder each time.
fn date(value: Option<&str>) -> Result<Option<u64>> {
    let number = value.filter(|value| !value.is_empty()).map(str::parse).transpose();
    number.with_context(|| "SOURCE_DATE_EPOCH is no number of seconds")
}

/// The version of everything below the application: the commit, where there is one to name.
fn elone(workspace: &Workspace) -> Result<Value> {
    let mut elone = json!({ "version": version(workspace, "elone-kernel")? });
    let git = |arguments: &[&str]| {
        program::output(Command::new("git").args(arguments).current_dir(&workspace.root))
    };
    // A copy of the sources in somebody else's repository has no commit of its own.
    let root = git(&["rev-parse", "--show-toplevel"]).ok().map(fs::canonicalize);
    if root.is_some_and(|root| root.ok() == fs::canonicalize(&workspace.root).ok())
        && let Ok(commit) = git(&["rev-parse", "HEAD"])
    {
        elone["commit"] = commit.into();
        elone["modified"] = (!git(&["status", "--porcelain"])?.is_empty()).into();
    }
    Ok(elone)
}

/// The version of a package of this workspace.
pub(crate) fn version(workspace: &Workspace, package: &str) -> Result<String> {
    let packages = workspace.metadata["packages"].as_array().into_iter().flatten();
    let mut versions = packages.filter(|one| one["name"] == package);
    let version = versions.next().and_then(|one| one["version"].as_str());
    let version = version.with_context(|| format!("{package} has no version"))?;
    ensure!(!version.is_empty(), "{package} has no version");
    Ok(version.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Built {
        /// One that nobody built.
        pub(crate) fn made_up(mode: Mode) -> Self {
            let (file, sha256) = ("gateway.img".to_owned(), sha256(b""));
            let (seed, build_ids) = ("1".parse().unwrap(), Vec::new());
            Self { file, sha256, size: 0, memory: 0, mode, seed, build_ids }
        }
    }

    #[test]
    fn the_date_is_what_the_build_is_told() {
        assert_eq!(date(None).unwrap(), None);
        assert_eq!(date(Some("")).unwrap(), None);
        assert_eq!(date(Some("1700000000")).unwrap(), Some(1_700_000_000));
        assert!(date(Some("yesterday")).unwrap_err().to_string().contains("SOURCE_DATE_EPOCH"));
    }
}
