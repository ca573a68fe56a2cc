//! What a dynamically linked program needs besides itself: its interpreter and its libraries, found
//! among files that were unpacked and not installed.

use std::collections::{BTreeMap, VecDeque};
use std::fs;
use std::path::{Component, Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use object::elf::{DT_NEEDED, DT_RPATH, DT_RUNPATH, FileHeader64};
use object::read::elf::{Dyn, FileHeader, ProgramHeader};
use object::{Endianness, FileKind};

/// Where Debian's dynamic linker looks.
pub(crate) const DIRECTORY: &str = "/lib/aarch64-linux-gnu";
const DIRECTORIES: [&str; 4] = [DIRECTORY, "/usr/lib/aarch64-linux-gnu", "/lib", "/usr/lib"];
/// More links than any path has.
const LINKS: u32 = 40;

/// What a file says that it needs.
#[derive(Debug, Default, PartialEq, Eq)]
struct Needs {
    interpreter: Option<String>,
    libraries: Vec<String>,
    /// Where else to look for them.
    places: Vec<String>,
}

/// Where the files that `program` needs belong on a host, and their contents: itself, its
/// interpreter, and its libraries, theirs too, all in [`DIRECTORY`].
pub(crate) fn with_libraries(root: &Path, program: &str) -> Result<BTreeMap<String, Vec<u8>>> {
    let mut files = BTreeMap::new();
    let mut queue = VecDeque::from([(program.to_owned(), program.to_owned())]);
    while let Some((name, source)) = queue.pop_front() {
        if files.contains_key(&name) {
            continue;
        }
        let file = resolve(root, &source).with_context(|| format!("{source} is not there"))?;
        let contents = fs::read(&file).with_context(|| format!("reading {}", file.display()))?;
        let needs = needs(&contents).with_context(|| format!("reading {}", file.display()))?;
        if let Some(interpreter) = needs.interpreter {
            queue.push_back((interpreter.clone(), interpreter));
        }
        for library in needs.libraries {
            let places = needs.places.iter().map(String::as_str).chain(DIRECTORIES);
            let mut found = places.map(|place| format!("{place}/{library}"));
            let Some(source) = found.find(|path| resolve(root, path).is_some()) else {
                bail!("{library}, needed by {source}, is in none of the packages");
            };
            queue.push_back((format!("{DIRECTORY}/{library}"), source));
        }
        files.insert(name, contents);
    }
    Ok(files)
}

/// Reads what is needed from the program headers and the dynamic section (ELF gABI, chapter 5).
fn needs(file: &[u8]) -> Result<Needs> {
    let mut needs = Needs::default();
    if FileKind::parse(file)? != FileKind::Elf64 {
        bail!("it is no 64-bit ELF file");
    }
    let header = FileHeader64::<Endianness>::parse(file)?;
    let endian = header.endian()?;
    let segments = header.program_headers(endian, file)?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    for segment in segments {
        if let Some(interpreter) = segment.interpreter(endian, file)? {
            needs.interpreter = Some(text(interpreter));
        }
        let Some(entries) = segment.dynamic(endian, file)? else { continue };
        let sections = header.sections(endian, file)?;
        let Some((_, index)) = sections.dynamic(endian, file)? else { continue };
        let strings = sections.strings(endian, file, index)?;
        for entry in entries {
            let tag = entry.tag32(endian).unwrap_or_default();
            if ![DT_NEEDED, DT_RPATH, DT_RUNPATH].contains(&tag) {
                continue;
            }
            let string = text(entry.string(endian, strings)?);
            match tag {
                DT_NEEDED => needs.libraries.push(string),
                _ => needs.places.extend(
                    string.split(':').filter(|place| place.starts_with('/')).map(str::to_owned),
                ),
            }
        }
    }
    Ok(needs)
}

/// Follows links inside `root` as if it were `/`, never out of it; `None` if nothing is there.
pub(crate) fn resolve(root: &Path, path: &str) -> Option<PathBuf> {
    // Where `/lib` is a link to `/usr/lib` once a system is installed, packages have only the latter.
    follow(root, Path::new(path)).or_else(|| follow(root, Path::new(&format!("/usr{path}"))))
}

fn follow(root: &Path, path: &Path) -> Option<PathBuf> {
    let mut ahead: Vec<PathBuf> =
        path.components().rev().map(|part| part.as_os_str().into()).collect();
    let (mut at, mut links) = (PathBuf::new(), 0);
    while let Some(part) = ahead.pop() {
        match part.components().next()? {
            Component::RootDir => at.clear(),
            Component::ParentDir => drop(at.pop()),
            Component::Normal(name) => {
                let there = root.join(&at).join(name);
                let Ok(target) = fs::read_link(&there) else {
                    at.push(name);
                    continue;
                };
                links += 1;
                if links > LINKS {
                    return None;
                }
                ahead.extend(target.components().rev().map(|part| part.as_os_str().into()));
            }
            _ => {}
        }
    }
    let found = root.join(at);
    found.is_file().then_some(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn links_are_followed_inside_the_root_alone() {
        let root = std::env::temp_dir().join(format!("elone-links-{}", std::process::id()));
        fs::create_dir_all(root.join("usr/lib/deep")).unwrap();
        fs::write(root.join("usr/lib/deep/file.so.1.2"), "x").unwrap();
        symlink("file.so.1.2", root.join("usr/lib/deep/relative")).unwrap();
        symlink("/usr/lib/deep/relative", root.join("usr/lib/absolute")).unwrap();
        symlink("../../../../usr/lib/absolute", root.join("usr/lib/upwards")).unwrap();
        symlink("/usr/lib/circle", root.join("usr/lib/circle")).unwrap();
        symlink("/etc/passwd", root.join("usr/lib/outside")).unwrap();
        let file = Some(root.join("usr/lib/deep/file.so.1.2"));
        for path in
            ["/usr/lib/deep/relative", "/usr/lib/absolute", "/usr/lib/upwards", "/lib/absolute"]
        {
            assert_eq!(resolve(&root, path), file, "{path}");
        }
        for path in ["/usr/lib/circle", "/usr/lib/outside", "/usr/lib/deep", "/absent"] {
            assert_eq!(resolve(&root, path), None, "{path}");
        }
        fs::remove_dir_all(root).unwrap();
    }

    /// This very program, whatever this machine is.
    #[test]
    fn a_program_says_what_it_needs() {
        let own = fs::read(std::env::current_exe().unwrap()).unwrap();
        let needs = needs(&own).unwrap();
        if needs.interpreter.is_some() {
            assert!(needs.libraries.iter().any(|name| name.starts_with("libc.")), "{needs:?}");
        }
        assert!(super::needs(b"#!/bin/sh\n").is_err());
    }

    #[test]
    fn what_is_in_no_package_is_named() {
        let root = std::env::temp_dir().join(format!("elone-libraries-{}", std::process::id()));
        fs::create_dir_all(&root).unwrap();
        let message = format!("{:#}", with_libraries(&root, "/bin/x").unwrap_err());
        assert!(message.contains("/bin/x"), "{message}");
        fs::remove_dir_all(root).unwrap();
    }
}
