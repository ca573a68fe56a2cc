//! A program of another system with everything that it loads, read from its ELF files: nothing of
//! it can be asked to run here.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use object::LittleEndian;
use object::elf::{DT_NEEDED, FileHeader64};
use object::read::elf::{Dyn, FileHeader, ProgramHeader};

/// Where libraries are, in packages from before and after `/lib` became a link to `/usr/lib`.
const LIBRARIES: [&str; 4] =
    ["usr/lib/aarch64-linux-gnu", "lib/aarch64-linux-gnu", "usr/lib", "lib"];
/// Where the loader looks for them first.
const PLACE: &str = "lib/aarch64-linux-gnu";

/// What a file asks for.
#[derive(Debug, Default, PartialEq, Eq)]
struct Needs {
    /// The path of the loader, for a program.
    loader: Option<String>,
    libraries: Vec<String>,
}

/// A program of the packages unpacked at `root`, its loader and its libraries: path → contents.
pub(super) fn program_with_libraries(
    root: &Path,
    program: &str,
) -> Result<BTreeMap<String, Vec<u8>>> {
    let mut files = BTreeMap::new();
    let mut wanted = vec![(relative(program), root.join(relative(program)))];
    while let Some((path, file)) = wanted.pop() {
        if files.contains_key(&path) {
            continue;
        }
        let contents = fs::read(&file).with_context(|| format!("reading {}", file.display()))?;
        let needs = needs(&contents).with_context(|| format!("reading {}", file.display()))?;
        if let Some(loader) = needs.loader {
            let name = loader.rsplit('/').next().unwrap_or_default();
            wanted.push((relative(&loader), library(root, name)?));
        }
        for name in &needs.libraries {
            // The loader is a library too, where a library asks for it.
            let known = files.keys().chain(wanted.iter().map(|(path, _)| path));
            if !known.into_iter().any(|path| path.rsplit('/').next() == Some(name)) {
                wanted.push((format!("{PLACE}/{name}"), library(root, name)?));
            }
        }
        files.insert(path, contents);
    }
    Ok(files)
}

fn relative(path: &str) -> String {
    path.trim_start_matches('/').to_owned()
}

/// Where the library of this name is. A link that leads out of the packages leads to a file of this
/// machine, which is another one.
fn library(root: &Path, name: &str) -> Result<PathBuf> {
    let root = root.canonicalize()?;
    let mut places = LIBRARIES.iter().map(|directory| root.join(directory).join(name));
    let file = places.find_map(|place| place.canonicalize().ok());
    let file = file.with_context(|| format!("{name} is in none of the packages"))?;
    ensure!(file.starts_with(&root), "{name} leads out of the packages");
    Ok(file)
}

fn needs(bytes: &[u8]) -> Result<Needs> {
    let little = LittleEndian;
    let header = FileHeader64::<LittleEndian>::parse(bytes)?;
    let mut needs = Needs::default();
    for segment in header.program_headers(little, bytes)? {
        if let Some(path) = segment.interpreter(little, bytes)? {
            needs.loader = Some(String::from_utf8_lossy(path).into_owned());
        }
    }
    let sections = header.sections(little, bytes)?;
    let Some((dynamic, strings)) = sections.dynamic(little, bytes)? else { return Ok(needs) };
    let strings = sections.strings(little, bytes, strings)?;
    for entry in dynamic.iter().filter(|entry| entry.tag32(little) == Some(DT_NEEDED)) {
        let name = entry.string(little, strings)?;
        needs.libraries.push(String::from_utf8_lossy(name).into_owned());
    }
    Ok(needs)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// This very test is a program for the system that runs it.
    #[test]
    #[cfg(all(target_os = "linux", target_endian = "little", target_pointer_width = "64"))]
    fn a_program_names_its_loader_and_its_libraries() {
        let program = std::env::current_exe().unwrap();
        let needs = needs(&fs::read(program).unwrap()).unwrap();
        assert!(needs.loader.is_some_and(|loader| loader.contains("ld-")));
        assert!(needs.libraries.iter().any(|name| name.starts_with("libc.")));
    }

    #[test]
    fn what_is_no_elf_file_is_refused() {
        assert!(needs(b"#!/bin/sh\n").is_err());
    }
}
