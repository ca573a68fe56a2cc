//! The names of a linked program's functions and data, by address, as its symbol table has them.
//!
//! Less than `symbols.rs` knows, and at once: debug information is not read.

use anyhow::{Context, Result};
use object::{Object, ObjectSection, ObjectSymbol};
use rustc_demangle::demangle;

/// Where nothing is known.
const NAMELESS: &str = "nothing that has a name";

/// The names of one program.
#[derive(Debug)]
pub(crate) struct Names {
    /// Address, size, name; in the order of addresses.
    symbols: Vec<(u64, u64, String)>,
    /// Address, size, name.
    sections: Vec<(u64, u64, String)>,
}

impl Names {
    pub(crate) fn read(elf: &[u8]) -> Result<Self> {
        Ok(Self::of(&object::File::parse(elf).context("not an ELF file")?))
    }

    pub(crate) fn of(file: &object::File<'_>) -> Self {
        let symbols = file.symbols().filter(|symbol| symbol.section_index().is_some());
        let symbols = symbols.filter_map(|symbol| {
            // `$x` and the like mark where code and data alternate (AAELF64, section 5.5.5).
            let name = symbol.name().ok().filter(|name| !name.is_empty() && !name.starts_with('$'));
            Some((symbol.address(), symbol.size(), format!("{:#}", demangle(name?))))
        });
        let mut symbols: Vec<_> = symbols.collect();
        symbols.sort();
        let sections = file.sections().filter(|section| section.address() != 0);
        let sections = sections.filter_map(|section| {
            Some((section.address(), section.size(), section.name().ok()?.to_owned()))
        });
        Self { symbols, sections: sections.collect() }
    }

    #[cfg(test)]
    pub(crate) fn made_up(
        symbols: Vec<(u64, u64, String)>,
        sections: Vec<(u64, u64, String)>,
    ) -> Self {
        Self { symbols, sections }
    }

    /// The function or datum that lies at an address, or what is before it without a size (as of
    /// assembly), or only the section.
    pub(crate) fn function(&self, address: u64) -> String {
        self.find(address).map_or_else(|| NAMELESS.to_owned(), |(_, name)| name.to_owned())
    }

    /// Where that begins; an address without a name stands for itself.
    pub(crate) fn start(&self, address: u64) -> u64 {
        self.find(address).map_or(address, |(start, _)| start)
    }

    /// The same, with how far into it the address is.
    pub(crate) fn at(&self, address: u64) -> String {
        match self.find(address) {
            Some((start, name)) if start == address => name.to_owned(),
            Some((start, name)) => format!("{name}+{:#x}", address - start),
            None => NAMELESS.to_owned(),
        }
    }

    fn find(&self, address: u64) -> Option<(u64, &str)> {
        let upto = self.symbols.partition_point(|(start, ..)| *start <= address);
        let start = upto.checked_sub(1).map(|last| self.symbols[last].0);
        let last = self.symbols[..upto].iter().rev().take_while(|(one, ..)| Some(*one) == start);
        let reaches = last.filter(|(start, size, _)| *size == 0 || address - start < *size);
        let symbol = reaches.max_by_key(|(_, size, _)| *size);
        let within =
            |(start, size, _): &&(u64, u64, String)| (*start..start + size).contains(&address);
        let section = || self.sections.iter().find(within);
        let (start, _, name) = symbol.or_else(section)?;
        Some((*start, name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_the_name_of_what_it_lies_in() {
        let one = |start, size, name: &str| (start, size, name.to_owned());
        let names = Names {
            symbols: vec![one(8, 0, "label"), one(16, 8, "function"), one(32, 0, "end")],
            sections: vec![one(8, 24, ".text")],
        };
        let told = [7, 8, 12, 16, 23, 24, 40].map(|address| names.at(address));
        assert_eq!(
            told,
            [NAMELESS, "label", "label+0x4", "function", "function+0x7", ".text+0x10", "end+0x8"]
        );
        assert_eq!(names.function(23), "function");
    }
}
