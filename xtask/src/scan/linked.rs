//! A linked program as the scan looks at it: what the machine may run, and which part of that is
//! gone once the machine is sealed.

use std::ops::Range;

use anyhow::{Context, Result, ensure};
use object::elf::{FileHeader64, PF_X, PT_LOAD, SHF_EXECINSTR};
use object::endian::LittleEndian;
use object::read::elf::{FileHeader, ProgramHeader, SectionHeader};
use object::{Object, ObjectSymbol};

use super::allowed::Part;

/// Sections of what only the boot runs begin so; what the boot alone reads may be behind them, up to
/// the symbol.
const INIT: &str = ".init";
const INIT_END: &str = "__init_end";
/// Where a contained application is entered.
const APPLICATION_ENTRY: &str = "elone_application_entry";
/// Holds the package of one, in the kernel's image.
const PACKAGE: &str = ".application";

/// Bytes in memory.
#[derive(Clone, Debug)]
pub(super) struct Bytes<'a> {
    address: u64,
    contents: &'a [u8],
}

impl Bytes<'_> {
    fn range(&self) -> Range<u64> {
        self.address..self.address + self.contents.len() as u64
    }
}

/// The program.
#[derive(Debug)]
pub(super) struct Linked<'a> {
    pub(super) part: Part,
    /// Everything that is loaded from the file.
    loaded: Vec<Bytes<'a>>,
    /// What of it is executable.
    executable: Vec<Bytes<'a>>,
    init: Vec<Range<u64>>,
    /// Where addresses are in memory that the start moves (RELR).
    pointers: Vec<u64>,
}

impl<'a> Linked<'a> {
    /// Reads it. Whatever a segment makes executable counts, whether or not a section names it.
    pub(super) fn read(elf: &'a [u8]) -> Result<Self> {
        let little = LittleEndian;
        let header = FileHeader64::<LittleEndian>::parse(elf).context("not a whole ELF file")?;
        let (mut loaded, mut executable) = (Vec::new(), Vec::new());
        for segment in header.program_headers(little, elf).context("truncated")? {
            if segment.p_type(little) != PT_LOAD {
                continue;
            }
            let address = segment.p_vaddr(little);
            let contents = segment.data(little, elf).ok().context("truncated")?;
            let bytes = Bytes { address, contents };
            if segment.p_flags(little) & PF_X != 0 {
                let whole = contents.len() as u64 == segment.p_memsz(little);
                ensure!(whole && address.is_multiple_of(4), "text is not in the file as it is run");
                executable.push(bytes.clone());
            }
            loaded.push(bytes);
        }

        let sections = header.sections(little, elf).context("truncated")?;
        let (mut init, mut pointers) = (Vec::new(), Vec::new());
        let mut part = Part::Joined;
        for section in sections.iter() {
            let start = section.sh_addr(little);
            let range = start..start + section.sh_size(little);
            let name = String::from_utf8_lossy(sections.section_name(little, section)?);
            if section.sh_flags(little) & u64::from(SHF_EXECINSTR) != 0 && !range.is_empty() {
                let inside = |bytes: &Bytes<'_>| {
                    bytes.range().contains(&range.start) && range.end <= bytes.range().end
                };
                ensure!(executable.iter().any(inside), "{name} is executable, and not loaded so");
                if name.starts_with(INIT) {
                    init.push(range.clone());
                }
            }
            if name == PACKAGE && !range.is_empty() {
                part = Part::Kernel;
            }
            pointers.extend(section.relr(little, elf)?.into_iter().flatten());
        }
        let file = object::File::parse(elf)?;
        let end = file.symbols().find(|symbol| symbol.name() == Ok(INIT_END));
        if let (Some(end), Some(start)) = (end, init.iter().map(|range| range.start).min()) {
            init.push(start..end.address());
        }
        if file.symbols().any(|symbol| symbol.name() == Ok(APPLICATION_ENTRY)) {
            part = Part::Application;
        }
        Ok(Self { part, loaded, executable, init, pointers })
    }

    /// Every word that can be run, with its address: those that lie behind one another together.
    pub(super) fn runs(&self) -> impl Iterator<Item = Vec<(u64, u32)>> {
        self.executable.iter().map(|bytes| {
            let words = bytes.contents.chunks(4).map(|chunk| {
                let mut word = [0; 4];
                word[..chunk.len()].copy_from_slice(chunk);
                u32::from_le_bytes(word)
            });
            (bytes.address..).step_by(4).zip(words).collect()
        })
    }

    /// Every word that can be run once the machine is sealed, with its address.
    pub(super) fn live(&self) -> impl Iterator<Item = (u64, u32)> {
        self.runs().flatten().filter(|(address, _)| !self.is_init(*address))
    }

    /// Whether what is at this address is there for the boot alone.
    pub(super) fn is_init(&self, address: u64) -> bool {
        self.init.iter().any(|range| range.contains(&address))
    }

    /// The addresses that are in memory from the start on: where each is, and what it is.
    pub(super) fn pointers(&self) -> impl Iterator<Item = (u64, u64)> {
        self.pointers.iter().filter_map(|&place| Some((place, self.double_word(place)?)))
    }

    fn double_word(&self, address: u64) -> Option<u64> {
        let bytes = self.loaded.iter().find(|bytes| bytes.range().contains(&address))?;
        let at = usize::try_from(address - bytes.address).ok()?;
        let eight = bytes.contents.get(at..at + 8)?;
        Some(u64::from_le_bytes(eight.try_into().ok()?))
    }
}
