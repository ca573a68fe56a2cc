//! The folder that an operator gets: all of it or nothing, and nothing of anybody else's in it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::scratch::Scratch;

/// What a file's owner, its group and everybody may do with it: read it, or run it as well.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    Text,
    Script,
}

/// A folder at work: made beside where it is to be, and put there in one step once it is whole.
#[derive(Debug)]
pub(crate) struct Folder {
    scratch: Scratch,
    out: PathBuf,
}

impl Folder {
    /// Begins one that is to be called `out`.
    ///
    /// # Errors
    /// There is something already which is not an empty folder. What it holds may be what a machine
    /// runs from at this moment, so it is for the operator to move it away.
    pub(crate) fn begin(out: &Path) -> Result<Self> {
        let name = out.display();
        match fs::read_dir(out) {
            Ok(mut entries) => ensure!(entries.next().is_none(), "{name} is not empty"),
            Err(_) => ensure!(fs::symlink_metadata(out).is_err(), "{name} is no folder"),
        }
        let out = std::path::absolute(out)?;
        let above = out.parent().context("the root is not empty")?;
        fs::create_dir_all(above).with_context(|| above.display().to_string())?;
        let scratch = Scratch::claim(&above.join(".elone-image"))?;
        Ok(Self { scratch, out })
    }

    /// Where it is being made.
    pub(crate) fn place(&self) -> &Path {
        &self.scratch.directory
    }

    /// Writes a file into it.
    pub(crate) fn text(&self, name: &str, text: &str, kind: Kind) -> Result<()> {
        let file = self.place().join(name);
        fs::write(&file, text).with_context(|| file.display().to_string())?;
        let mode = match kind {
            Kind::Text => 0o644,
            Kind::Script => 0o755,
        };
        Ok(fs::set_permissions(&file, fs::Permissions::from_mode(mode))?)
    }

    /// Writes a file of JSON into it.
    pub(crate) fn json(&self, name: &str, value: &Value) -> Result<()> {
        self.text(name, &format!("{value:#}\n"), Kind::Text)
    }

    /// Adds the checksums of all there is, in the form of sha256sum(1), and puts the folder where it
    /// belongs.
    pub(crate) fn finish(self) -> Result<PathBuf> {
        let mut files = Vec::new();
        list(self.place(), Path::new(""), &mut files)?;
        files.sort();
        let mut sums = String::new();
        for name in files {
            let bytes = fs::read(self.place().join(&name))?;
            sums += &format!("{}  {}\n", sha256(&bytes), name.display());
        }
        self.text("SHA256SUMS", &sums, Kind::Text)?;
        // An empty folder of that name gives way.
        let name = || format!("writing {}", self.out.display());
        fs::rename(self.place(), &self.out).with_context(name)?;
        let above = self.place().parent().map(Path::to_owned);
        let out = self.out.clone();
        drop(self);
        // Another may be at work in it; then it stays.
        let _ = above.map(tidy);
        Ok(out)
    }
}

/// Removes a place of scratch folders that nobody uses any more.
fn tidy(place: PathBuf) -> std::io::Result<()> {
    let locks = fs::read_dir(&place)?.collect::<Result<Vec<_>, _>>()?;
    if locks.iter().all(|entry| entry.path().is_file()) {
        fs::remove_dir_all(place)?;
    }
    Ok(())
}

/// Every file below `root`, named from there.
fn list(root: &Path, below: &Path, found: &mut Vec<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(root.join(below))? {
        let entry = entry?;
        let name = below.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            list(root, &name, found)?;
        } else {
            found.push(name);
        }
    }
    Ok(())
}

/// The SHA-256 of bytes, in hexadecimal.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(name: &str) -> PathBuf {
        std::env::temp_dir().join(format!("elone-folder-{name}-{}", std::process::id()))
    }

    #[test]
    fn a_folder_appears_whole_with_its_checksums() {
        let above = place("whole");
        let out = above.join("deep/out");
        let folder = Folder::begin(&out).unwrap();
        folder.text("run", "#!/bin/sh\n", Kind::Script).unwrap();
        folder.json("a.json", &serde_json::json!({ "a": 1 })).unwrap();
        assert!(!out.exists(), "it is there before it is whole");
        assert_eq!(folder.finish().unwrap(), out);
        let sums = fs::read_to_string(out.join("SHA256SUMS")).unwrap();
        let names: Vec<_> = sums.lines().filter_map(|line| line.get(66..)).collect();
        assert_eq!(names, ["a.json", "run"]);
        // Of "#!/bin/sh\n", by sha256sum(1).
        let known = "a8076d3d28d21e02012b20eaf7dbf75409a6277134439025f282e368e3305abf  run";
        assert!(sums.lines().any(|line| line == known), "{sums}");
        let mode = fs::metadata(out.join("run")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o755);
        let left: Vec<_> = fs::read_dir(out.parent().unwrap()).unwrap().collect();
        assert_eq!(left.len(), 1, "{left:?}");
        fs::remove_dir_all(above).unwrap();
    }

    #[test]
    fn what_is_there_already_is_left_alone() {
        let above = place("there");
        fs::create_dir_all(above.join("empty")).unwrap();
        fs::create_dir_all(above.join("full/er")).unwrap();
        fs::write(above.join("file"), "a letter").unwrap();
        let refused = |name| Folder::begin(&above.join(name)).unwrap_err().to_string();
        assert!(refused("full").ends_with("full is not empty"));
        assert!(refused("file").ends_with("file is no folder"));
        Folder::begin(&above.join("empty")).unwrap().finish().unwrap();
        assert!(above.join("empty/SHA256SUMS").is_file());
        assert_eq!(fs::read(above.join("file")).unwrap(), b"a letter");
        fs::remove_dir_all(above).unwrap();
    }
}
