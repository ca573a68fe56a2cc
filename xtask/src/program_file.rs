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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::made_up::{self, Part};

    /// An ELF file whose image begins with the header that loaders read.
    fn elf() -> Vec<u8> {
        let mut header = [0; 64];
        header[16] = 64;
        header[56..60].copy_from_slice(b"ARM\x64");
        made_up::elf(0, &[Part { flags: 4, address: 0x1000, bytes: &header, memory: 64 }])
    }

    #[test]
    fn a_program_is_a_file_or_an_image_with_one_beside_it() {
        let name = format!("elone-program-{}", std::process::id());
        let directory = std::env::temp_dir().join(name);
        fs::create_dir_all(&directory).unwrap();
        let [linked, image] = ["a.elf", "a.img"].map(|name| directory.join(name));
        fs::write(&linked, elf()).unwrap();
        fs::write(&image, flatten(&elf()).unwrap()).unwrap();
        let workspace = Workspace::read().unwrap();
        let find = |file: &Path| ProgramFile::find(&workspace, file);
        assert_eq!(find(&linked).unwrap().elf, elf());
        assert_eq!(find(&image).unwrap().path, linked);

        let refused = |file: &Path| {
            let error = find(file).unwrap_err();
            assert!(error.is::<WrongArgument>());
            format!("{error:#}")
        };
        fs::write(&image, b"another").unwrap();
        assert!(refused(&image).contains("is not what it was made from"));
        fs::write(&linked, b"\x7fELF").unwrap();
        assert!(refused(&linked).contains("a.elf: not a whole ELF file"));
        fs::remove_file(&linked).unwrap();
        assert!(refused(&image).contains("none beside it"));
        assert!(refused(&linked).contains("no such file"));
        assert!(refused(Path::new("nosuchprogram")).contains("cargo xtask build nosuchprogram"));
        fs::remove_dir_all(directory).unwrap();
    }
}
