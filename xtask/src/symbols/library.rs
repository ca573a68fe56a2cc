//! Programs by build id: the number that the linker makes of a program's contents, that the program
//! reports when it faults, and that says which of several ELF files can explain the report.

use std::collections::HashMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};
use object::Object;
use object::read::ReadCache;

use super::Symbols;
use crate::WrongArgument;

/// Where ELF files are looked for, and the symbols of those that were found.
#[derive(Debug)]
pub(crate) struct Library {
    /// `target`, whose directories of images are looked through when an id is asked for: a build
    /// may have changed them since.
    target: PathBuf,
    /// Files that were named, with their build ids.
    named: Vec<(String, PathBuf)>,
    read: HashMap<String, Symbols>,
}

impl Library {
    /// Of what was built below `target`, and of `files`.
    pub(crate) fn new(target: &Path, files: &[PathBuf]) -> Result<Self> {
        let named = files.iter().map(|file| {
            let id = build_id(file).map_err(WrongArgument)?;
            Ok((id, file.clone()))
        });
        let named = named.collect::<Result<_>>()?;
        Ok(Self { target: target.to_owned(), named, read: HashMap::new() })
    }

    /// The symbols of the program with this build id; the error says which is missing, and how to
    /// get it.
    pub(crate) fn symbols(&mut self, id: &str) -> Result<&Symbols> {
        if !self.read.contains_key(id) {
            let file = self.find(id)?;
            let bytes = fs::read(&file).with_context(|| format!("reading {}", file.display()))?;
            let symbols = Symbols::read(&bytes).with_context(|| file.display().to_string())?;
            self.read.insert(id.to_owned(), symbols);
        }
        self.read.get(id).context("no symbols")
    }

    fn find(&self, id: &str) -> Result<PathBuf> {
        let named = self.named.iter().find(|(one, _)| one == id).map(|(_, file)| file.clone());
        if let Some(file) = named {
            return Ok(file);
        }
        // What cannot be read is not the file that is looked for.
        let has_it = |file: &PathBuf| build_id(file).is_ok_and(|one| one == id);
        built(&self.target).into_iter().find(has_it).ok_or_else(|| {
            anyhow!(
                "no ELF file has build id {id}. Build the application again from the same source, by \
                 the layout seed that its boot names (cargo xtask build APP --seed N, with \
                 --contained if it was), or name the file: --elf FILE"
            )
        })
    }
}

/// The ELF files beside the images that were built, whatever toolchain they were built by.
fn built(target: &Path) -> Vec<PathBuf> {
    let list = |directory: &Path| {
        let entries = fs::read_dir(directory).into_iter().flatten().flatten();
        entries.map(|entry| entry.path()).collect::<Vec<_>>()
    };
    let of_images = |path: &PathBuf| {
        path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("images"))
    };
    let directories = list(target).into_iter().filter(of_images);
    let files = directories.flat_map(|directory| list(&directory));
    files.filter(|file| file.extension().is_some_and(|extension| extension == "elf")).collect()
}

/// A file's build id, in lower-case hexadecimal as a report has it. Of the file only what leads
/// there is read.
pub(crate) fn build_id(file: &Path) -> Result<String> {
    let read = || -> Result<String> {
        let cache = ReadCache::new(File::open(file)?);
        let Some(id) = object::File::parse(&cache)?.build_id()? else {
            bail!("it has no build id")
        };
        Ok(id.iter().map(|byte| format!("{byte:02x}")).collect())
    };
    read().with_context(|| format!("the ELF file {}", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An ELF file with nothing in it but a note: a build id.
    pub(crate) fn elf(id: &[u8]) -> Vec<u8> {
        let mut file = b"\x7fELF\x02\x01\x01".to_vec();
        file.resize(16, 0);
        file.extend([2, 0, 183, 0, 1, 0, 0, 0]); // executable, AArch64
        file.extend([0; 8]); // entry
        file.extend(64u64.to_le_bytes()); // program headers
        file.extend([0; 8 + 4]); // section headers, flags
        for half in [64_u16, 56, 1, 64, 0, 0] {
            file.extend(half.to_le_bytes());
        }
        let size = 16 + id.len() as u64;
        file.extend([4_u32, 4].map(u32::to_le_bytes).concat()); // PT_NOTE, readable
        for word in [120, 0, 0, size, size, 4] {
            file.extend(u64::to_le_bytes(word));
        }
        let length = u32::try_from(id.len()).unwrap();
        file.extend([4, length, 3].map(u32::to_le_bytes).concat()); // NT_GNU_BUILD_ID
        file.extend(b"GNU\0");
        file.extend(id);
        file
    }

    fn directory(name: &str) -> PathBuf {
        let unique = format!("elone-library-{name}-{}", std::process::id());
        let directory = std::env::temp_dir().join(unique);
        fs::create_dir_all(directory.join("images-distribution")).unwrap();
        directory
    }

    #[test]
    fn a_program_is_found_by_its_build_id_wherever_it_was_built() {
        let target = directory("found");
        fs::write(target.join("images-distribution/junk.elf"), b"no ELF file").unwrap();
        fs::write(target.join("images-distribution/a-contained.app.elf"), elf(&[0xab, 0x01]))
            .unwrap();
        let named = target.join("elsewhere");
        fs::write(&named, elf(&[0xcd; 20])).unwrap();

        let mut library = Library::new(&target, &[]).unwrap();
        assert!(library.symbols("ab01").is_ok());
        let missing = library.symbols(&"cd".repeat(20)).unwrap_err().to_string();
        assert!(missing.contains(&"cd".repeat(20)) && missing.contains("--elf"), "{missing}");
        let mut library = Library::new(&target, &[named]).unwrap();
        assert!(library.symbols(&"cd".repeat(20)).is_ok());
        fs::remove_dir_all(target).unwrap();
    }

    #[test]
    fn a_named_file_without_a_build_id_is_a_wrong_argument() {
        let target = directory("refused");
        let (junk, none) = (target.join("junk"), target.join("none"));
        fs::write(&junk, b"no ELF file").unwrap();
        for file in [junk, none] {
            let error = Library::new(&target, &[file]).unwrap_err();
            assert!(error.is::<WrongArgument>(), "{error}");
        }
        fs::remove_dir_all(target).unwrap();
    }
}
