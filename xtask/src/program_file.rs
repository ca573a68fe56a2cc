//! Programs that were built, as somebody names them: by name, or by a file.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow};

use crate::WrongArgument;
use crate::flatten::flatten;
use crate::workspace::Workspace;

/// A linked program.
#[derive(Debug)]
pub(crate) struct ProgramFile {
    /// Its ELF file.
    pub(crate) path: PathBuf,
    pub(crate) elf: Vec<u8>,
}

impl ProgramFile {
    /// What `named` is: an ELF file; an image, which has one beside it; or the name of a program
    /// that was built. The error says what it is not.
    pub(crate) fn find(workspace: &Workspace, named: &Path) -> Result<Self> {
        let read = || {
            if named.is_file() {
                return Self::read(named);
            }
            let place = workspace.target().join("images").join(named).with_added_extension("elf");
            if named.components().count() == 1 && place.is_file() {
                return Self::read(&place);
            }
            let name = named.display();
            Err(anyhow!(
                "no such file, and nothing that was built is called so (cargo xtask build {name})"
            ))
        };
        read()
            .with_context(|| named.display().to_string())
            .map_err(|error| WrongArgument(error).into())
    }

    fn read(file: &Path) -> Result<Self> {
        let bytes = fs::read(file)?;
        if bytes.starts_with(b"\x7fELF") {
            object::File::parse(&bytes[..]).context("not a whole ELF file")?;
            return Ok(Self { path: file.to_owned(), elf: bytes });
        }
        let path = file.with_extension("elf");
        let elf = fs::read(&path).with_context(|| {
            format!("no ELF file, and there is none beside it ({})", path.display())
        })?;
        let image = flatten(&elf).with_context(|| path.display().to_string())?;
        anyhow::ensure!(image == bytes, "{} is not what it was made from", path.display());
        Ok(Self { path, elf })
    }
}
