//! How a program reaches devices: every access is noted by its address, in a section that is in the
//! file and in no memory (`hal/src/mmio/single.rs`).

use anyhow::{Context, Result, ensure};
use object::{Object, ObjectSection};

use super::allowed::Part;
use super::forms::{Form, form};
use super::linked::Linked;

/// The notes: addresses, eight bytes each.
const NOTES: &str = ".device_accesses";

/// What was noted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Access {
    pub(super) address: u64,
    /// `None` for what is no load or store.
    pub(super) form: Option<Form>,
}

/// The device accesses of a program, in the order of addresses. Of what the linker threw away there
/// are notes as well, of places where no code is.
pub(super) fn accesses(elf: &[u8], linked: &Linked<'_>) -> Result<Vec<Access>> {
    let file = object::File::parse(elf)?;
    let Some(notes) = file.section_by_name(NOTES) else { return Ok(Vec::new()) };
    let (notes, rest) = notes.data().context(NOTES)?.as_chunks();
    ensure!(rest.is_empty(), "{NOTES} is not made of addresses");
    let mut noted: Vec<_> = notes.iter().copied().map(u64::from_le_bytes).collect();
    noted.sort_unstable();
    noted.dedup();
    let mut found = Vec::new();
    for run in linked.runs() {
        let at = |address: &u64| run.binary_search_by_key(address, |(at, _)| *at).ok();
        let words = noted.iter().filter_map(at).filter_map(|index| run.get(index));
        found.extend(words.map(|&(address, word)| Access { address, form: form(word) }));
    }
    Ok(found)
}

/// Whether there are as many as such a part of a program must have: any kernel reaches for devices,
/// and no application that is contained.
pub(super) fn expect(part: Part, accesses: &[Access]) -> Result<()> {
    match (part, accesses.is_empty()) {
        (Part::Application, false) => anyhow::bail!("an application that reaches for devices"),
        (Part::Joined | Part::Kernel, true) => anyhow::bail!("no {NOTES}: they cannot be checked"),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use crate::workspace::Workspace;

    /// What may be accessed as a device is, without a note of it: all of it is memory.
    const MEMORY: [&str; 3] =
        ["hal/src/arch/measured.rs", "hal/src/arch/user.rs", "hal/src/wipe.rs"];

    /// The files below `directory` that have a volatile access in them.
    fn volatile(root: &Path, directory: &Path, found: &mut Vec<String>) {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                volatile(root, &path, found);
            } else if fs::read_to_string(&path).is_ok_and(|text| text.contains("_volatile(")) {
                found.push(path.strip_prefix(root).unwrap().display().to_string());
            }
        }
    }

    /// The compiler chooses the form of a volatile access, so that devices are reached by none.
    #[test]
    fn devices_are_accessed_by_what_is_noted_alone() {
        let root = Workspace::read().unwrap().root;
        let mut found = Vec::new();
        for part in ["hal/src", "kernel/src", "boards/src"] {
            volatile(&root, &root.join(part), &mut found);
        }
        found.sort();
        assert_eq!(found, MEMORY);
    }
}
