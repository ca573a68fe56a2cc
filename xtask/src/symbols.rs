//! What stands at an address: functions, files and lines, from the debug information (DWARF 4 and
//! 5) of the ELF file that an image was made from.
//!
//! Paths in our images begin with names instead of places of the machine that built them (see
//! `target.rs`): `elone` is this repository, and is left out here, so that a path can be opened
//! from its root. `rust` (its standard library) and `crates` stay as they are.

pub(crate) mod library;

use std::fmt;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use gimli::{DwarfSections, EndianArcSlice, RunTimeEndian, SectionId};
use object::{Object, ObjectSection, ObjectSegment, ObjectSymbol, SectionKind, SymbolKind};
use rustc_demangle::demangle;

type Reader = EndianArcSlice<RunTimeEndian>;

/// How paths of this repository begin in its images.
const WORKSPACE: &str = "elone/";

/// An address in a program, and what it is the address of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Address {
    /// An instruction: where the program stood.
    Exact(u64),
    /// Where a call returns to. The call is the instruction before; after a call that never
    /// returns, what follows may be another line, or another function.
    Return(u64),
}

impl Address {
    /// The address as it was reported.
    pub(crate) const fn reported(self) -> u64 {
        let (Self::Exact(address) | Self::Return(address)) = self;
        address
    }

    /// An address inside of the instruction that is meant.
    const fn probe(self) -> u64 {
        match self {
            Self::Exact(address) => address,
            Self::Return(address) => address.saturating_sub(1),
        }
    }

    /// The same place where the program lies lower by `slide`.
    const fn below(self, slide: u64) -> Self {
        match self {
            Self::Exact(address) => Self::Exact(address.wrapping_sub(slide)),
            Self::Return(address) => Self::Return(address.wrapping_sub(slide)),
        }
    }
}

/// A function that was being executed at an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    /// Its name as its source has it, without the hash.
    pub(crate) function: String,
    /// Its file, and the line in it, as far as they are known.
    pub(crate) place: Option<(String, Option<u32>)>,
    /// Whether its code lies within the next frame's function.
    pub(crate) inlined: bool,
}

impl fmt::Display for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.function)?;
        match &self.place {
            Some((file, Some(line))) => write!(f, " at {file}:{line}")?,
            Some((file, None)) => write!(f, " at {file}")?,
            None => {}
        }
        if self.inlined { f.write_str(" (inlined)") } else { Ok(()) }
    }
}

/// The symbols of one program.
pub(crate) struct Symbols {
    lines: addr2line::Context<Reader>,
    /// Address, size (0: up to the next), name; in the order of addresses. What assembly defines
    /// is only here.
    named: Vec<(u64, u64, String)>,
    /// Where its code is. Debug information also describes functions that the linker threw away,
    /// at addresses that nothing has.
    code: Vec<std::ops::Range<u64>>,
    /// The lowest address that it is linked for.
    base: u64,
}

impl fmt::Debug for Symbols {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Symbols").field("code", &self.code).finish_non_exhaustive()
    }
}

impl Symbols {
    /// Reads an ELF file.
    pub(crate) fn read(bytes: &[u8]) -> Result<Self> {
        let file = object::File::parse(bytes).context("not an ELF file")?;
        let endian =
            if file.is_little_endian() { RunTimeEndian::Little } else { RunTimeEndian::Big };
        let section = |id: SectionId| -> Result<Arc<[u8]>> {
            let Some(section) = file.section_by_name(id.name()) else { return Ok(Arc::from([])) };
            let data = section.uncompressed_data();
            Ok(Arc::from(&*data.with_context(|| format!("its {}", id.name()))?))
        };
        let sections = DwarfSections::load(section)?;
        let dwarf = sections.borrow(|section| Reader::new(Arc::clone(section), endian));
        let lines = addr2line::Context::from_dwarf(dwarf).context("its debug information")?;
        let code = file.sections().filter(|section| section.kind() == SectionKind::Text);
        let code = code.map(|section| section.address()..section.address() + section.size());
        let base = file.segments().map(|segment| segment.address()).min().unwrap_or(0);
        Ok(Self { lines, named: named(&file), code: code.collect(), base })
    }

    /// The functions at an address of the program whose lowest address lies at `base`, or where it is
    /// linked if nobody says where; innermost first, all but the last are inlined there. None if the
    /// program has no code at that address.
    pub(crate) fn frames(&self, address: Address, base: Option<u64>) -> Vec<Frame> {
        let address = address.below(base.unwrap_or(self.base).wrapping_sub(self.base));
        let probe = address.probe();
        if !self.code.iter().any(|range| range.contains(&probe)) {
            return Vec::new();
        }
        let mut frames = self.described(probe).unwrap_or_default();
        if let Some(last) = frames.last_mut() {
            last.inlined = false;
        } else if let Some((name, start)) = self.symbol(probe) {
            let function = format!("{name}+{:#x}", address.reported() - start);
            frames.push(Frame { function, place: None, inlined: false });
        }
        frames
    }

    /// What the debug information says of an address.
    fn described(&self, probe: u64) -> Result<Vec<Frame>> {
        let mut found = self.lines.find_frames(probe).skip_all_loads()?;
        let mut frames = Vec::new();
        while let Some(frame) = found.next()? {
            let named = frame.function.as_ref().and_then(|name| name.raw_name().ok());
            let named = named.map(|name| format!("{:#}", demangle(name.as_ref())));
            let symbol = || self.symbol(probe).map(|(name, _)| name.to_owned());
            let function = named.or_else(symbol).unwrap_or_else(|| "?".to_owned());
            let place = frame.location.and_then(|at| Some((shown(at.file?), at.line)));
            frames.push(Frame { function, place, inlined: true });
        }
        Ok(frames)
    }

    /// The symbol that an address belongs to, and where that begins.
    fn symbol(&self, probe: u64) -> Option<(&str, u64)> {
        let after = self.named.partition_point(|(start, ..)| *start <= probe);
        let (start, size, name) = self.named.get(after.checked_sub(1)?)?;
        (*size == 0 || probe - start < *size).then_some((name, *start))
    }
}

/// The symbols of functions and of places in assembly.
fn named(file: &object::File<'_>) -> Vec<(u64, u64, String)> {
    let kinds = [SymbolKind::Text, SymbolKind::Label, SymbolKind::Unknown];
    let symbols = file.symbols().filter(|symbol| kinds.contains(&symbol.kind()));
    let mut named: Vec<_> = symbols
        .filter(|symbol| symbol.is_definition() || symbol.kind() != SymbolKind::Text)
        .filter(|symbol| symbol.section_index().is_some())
        .filter_map(|symbol| Some((symbol.address(), symbol.size(), symbol.name().ok()?)))
        // `$x` and the like mark where code and data alternate (AAELF64, section 5.5.5).
        .filter(|(_, _, name)| !name.is_empty() && !name.starts_with('$'))
        .map(|(address, size, name)| (address, size, format!("{:#}", demangle(name))))
        .collect();
    // Of several at one address the one with a size, which comes last, is found.
    named.sort();
    named
}

/// A path as people see it: one of this repository relative to its root.
fn shown(path: &str) -> String {
    path.strip_prefix(WORKSPACE).unwrap_or(path).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEFORE: u32 = line!();

    #[inline(never)]
    fn outer() -> u64 {
        std::hint::black_box(std::hint::black_box(7_u64).wrapping_mul(3))
    }

    const AFTER: u32 = line!();

    /// This test's own program is an ELF file with debug information.
    #[test]
    #[cfg(target_os = "linux")]
    fn a_function_of_this_very_program_is_found_with_its_line() {
        let program = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        let symbols = Symbols::read(&program).unwrap();
        let name = "xtask::symbols::tests::outer";
        let (start, size, _) = symbols.named.iter().find(|(_, _, one)| one == name).unwrap();
        assert!(outer() > 0 && *size > 4);
        for address in [Address::Exact(*start), Address::Return(start + size)] {
            let frames = symbols.frames(address, None);
            let last = frames.last().unwrap();
            assert_eq!((last.function.as_str(), last.inlined), (name, false));
            let (file, line) = last.place.as_ref().unwrap();
            assert!(file.ends_with("src/symbols.rs"), "{file}");
            assert!(line.is_some_and(|line| (BEFORE..AFTER).contains(&line)), "{frames:?}");
        }
        // Wherever it lies.
        for base in [0x1234_5678_9000, u64::MAX - 0xfff] {
            let at = start.wrapping_sub(symbols.base).wrapping_add(base);
            let there = symbols.frames(Address::Exact(at), Some(base));
            assert_eq!(there, symbols.frames(Address::Exact(*start), None));
        }
        // As a return address, its first instruction's address is the end of whatever is before.
        let before = symbols.frames(Address::Return(*start), None);
        assert!(before.iter().all(|frame| frame.function != name), "{before:?}");
    }

    #[test]
    fn an_address_that_is_nowhere_has_no_frames() {
        let program = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        let symbols = Symbols::read(&program).unwrap();
        for address in [0, 1, u64::MAX] {
            assert_eq!(symbols.frames(Address::Exact(address), None), []);
            assert_eq!(symbols.frames(Address::Return(address), None), []);
        }
    }

    #[test]
    fn what_is_no_elf_file_is_refused() {
        assert!(Symbols::read(b"").is_err());
        assert!(Symbols::read(b"\x7fELF\x02\x01\x01 and nothing more").is_err());
    }

    #[test]
    fn paths_of_this_repository_begin_at_its_root() {
        assert_eq!(shown("elone/app/hello/src/main.rs"), "app/hello/src/main.rs");
        assert_eq!(
            shown("rust/library/core/src/panicking.rs"),
            "rust/library/core/src/panicking.rs"
        );
    }
}
