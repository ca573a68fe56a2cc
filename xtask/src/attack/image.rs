//! The image that is attacked: what its symbols say, and copies with a protection left out.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use elone_gate::{Protection, Protections};
use object::{Object, ObjectSymbol};

/// The word that says what is not put up, and the beginning of what is in the file.
pub(super) const LEFT_OUT: &str = "ELONE_LEFT_OUT";
const START: &str = "__image_start";
/// The application's symbol that it tells offsets from.
const ANCHOR: &str = "attack_seven";
/// Where an image begins that has no random layout: the first place there is for one
/// (`hal/src/arch/places.rs`).
const FIRST_PLACE: u64 = 0xffff_0080_0000_0000;

/// An image for attacks: the file that boots, and what its ELF file knows of it.
#[derive(Clone, Debug)]
pub(crate) struct Image {
    file: PathBuf,
    bytes: Vec<u8>,
    elf: Vec<u8>,
}

impl Image {
    /// Reads the image at `file`, and the ELF file beside it.
    pub(crate) fn read(file: &Path) -> Result<Self> {
        let read =
            |file: &Path| fs::read(file).with_context(|| format!("reading {}", file.display()));
        Ok(Self {
            file: file.to_owned(),
            bytes: read(file)?,
            elf: read(&file.with_extension("elf"))?,
        })
    }

    /// The file of an image in which these are not put up: itself, or a copy in `directory`.
    pub(crate) fn without(&self, left_out: Protections, directory: &Path) -> Result<PathBuf> {
        if left_out == Protections::NONE {
            return Ok(self.file.clone());
        }
        let name = format!("{:05x}.img", left_out.bits());
        let copy = directory.join(name);
        // Two boots may want the same one: whoever is second finds it whole.
        let new = copy.with_added_extension(format!("{:?}", std::thread::current().id()));
        let offset = self.symbol(LEFT_OUT)? - self.symbol(START)?;
        fs::write(&new, patched(&self.bytes, offset, left_out)?)?;
        fs::rename(&new, &copy)?;
        Ok(copy)
    }

    /// The address of a symbol.
    pub(super) fn symbol(&self, name: &str) -> Result<u64> {
        let file = object::File::parse(&*self.elf)?;
        let found = file.symbols().find(|symbol| symbol.name() == Ok(name));
        Ok(found.with_context(|| format!("the image has no symbol {name}"))?.address())
    }

    /// Where a symbol is once the image runs, if its layout is not random.
    pub(super) fn first_place(&self, name: &str) -> Result<u64> {
        Ok(FIRST_PLACE + (self.symbol(name)? - self.symbol(START)?))
    }

    /// How far a symbol is from the place that the application tells offsets from.
    pub(super) fn offset(&self, name: &str) -> Result<u64> {
        Ok(self.symbol(name)?.wrapping_sub(self.symbol(ANCHOR)?))
    }

    /// What it was linked to.
    pub(super) fn elf(&self) -> &[u8] {
        &self.elf
    }
}

/// The names of all functions and variables of a program.
pub(super) fn names(elf: &[u8]) -> Result<Vec<String>> {
    let file = object::File::parse(elf)?;
    let symbols = file.symbols().chain(file.dynamic_symbols());
    Ok(symbols.filter_map(|symbol| symbol.name().ok().map(str::to_owned)).collect())
}

/// The image with the word at `offset` saying what is left out. The word says nothing before: this
/// is not the place where something else is.
fn patched(image: &[u8], offset: u64, left_out: Protections) -> Result<Vec<u8>> {
    let mut image = image.to_vec();
    let offset = usize::try_from(offset)?;
    let word = image.get_mut(offset..).and_then(|rest| rest.get_mut(..4));
    let word = word.context("the word lies outside of the image")?;
    ensure!(
        word == [0; 4],
        "at {offset:#x} the image has {word:02x?}, not the word that says nothing"
    );
    word.copy_from_slice(&left_out.bits().to_le_bytes());
    Ok(image)
}

/// Several protections as a set.
pub(crate) fn set(protections: impl IntoIterator<Item = Protection>) -> Protections {
    protections.into_iter().fold(Protections::NONE, Protections::with)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_protection_is_left_out_by_its_bit() {
        let left_out = set([Protection::NoAliases, Protection::StackGuards]);
        let image = patched(&[0; 12], 4, left_out).unwrap();
        assert_eq!(image, [0, 0, 0, 0, 0b1010, 0, 0, 0, 0, 0, 0, 0]);
        assert!(patched(&[0; 12], 9, left_out).is_err());
        assert!(patched(&[0; 12], u64::MAX, left_out).is_err());
        assert!(patched(&[1; 12], 4, left_out).is_err());
    }
}
