//! The seed of a layout: which order an image's functions, constants and variables lie in.
//!
//! No two builds share a layout unless they share this number, and the same number makes the same
//! image of the same source. It is in the image, beside the symbol [`SYMBOL`], so that whoever has
//! a program's file can make it again.

use std::fmt;
use std::fs::File;
use std::io::Read;
use std::str::FromStr;

use anyhow::{Context, Result, bail};
use object::write::{self, Symbol, SymbolSection};
use object::{Architecture, BinaryFormat, Endianness, SectionKind, SymbolFlags};
use object::{Object, ObjectSection, ObjectSymbol, SymbolKind, SymbolScope};

/// Stands for the eight bytes, little-endian, that are the seed; defined in every linked program.
pub(crate) const SYMBOL: &str = "__elone_layout_seed";

/// What is shuffled: input sections, each of which is one function, constant or variable.
const SHUFFLED: [&str; 5] = [".text*", ".rodata*", ".data*", ".bss*", ".ro_after_init*"];

/// The linker knows as many layouts of a kind of section as there are 32-bit numbers; it is told to
/// shuffle twice, by halves that do not depend on each other.
const ROUNDS: u64 = 2;

/// What both linker scripts leave free before a program's data, in bytes: of few variables the order
/// alone would too often be the same one. At most a page, in steps that keep every alignment but a
/// page's.
const SLACK: &str = "__data_slack";
const SLACK_STEP: u64 = 16;
const SLACK_STEPS: u64 = 256;

/// The seed of a layout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seed(u64);

/// The option of every command that builds images for somebody to use.
#[derive(Clone, Copy, Debug, Default, clap::Args)]
#[group(skip)]
pub(crate) struct Options {
    /// Lay images out as in another build, whose seed this is (default: as in none before)
    #[arg(long, value_name = "N")]
    seed: Option<Seed>,
}

impl Options {
    /// The seed that was given, or a new one, which is then said.
    pub(crate) fn seed(self) -> Result<Seed> {
        if let Some(seed) = self.seed {
            return Ok(seed);
        }
        let seed = Seed::new()?;
        eprintln!("layout seed {seed}");
        Ok(seed)
    }
}

impl Seed {
    /// One that the system's random numbers make.
    fn new() -> Result<Self> {
        let mut bytes = [0; 8];
        let mut source = File::open("/dev/urandom").context("/dev/urandom")?;
        source.read_exact(&mut bytes).context("/dev/urandom")?;
        Ok(Self(u64::from_le_bytes(bytes)))
    }

    /// What tells the linker to lay out by this seed.
    pub(crate) fn link_arguments(self) -> impl Iterator<Item = String> {
        let numbers = (0..).map(move |index| self.derived(index));
        let sections = (0..ROUNDS).flat_map(|_| SHUFFLED);
        let shuffle = |(section, number)| format!("--shuffle-sections={section}={number}");
        let slack = self.derived(SHUFFLED.len() as u64 * ROUNDS) % SLACK_STEPS * SLACK_STEP;
        let others = [format!("--undefined={SYMBOL}"), format!("--defsym={SLACK}={slack}")];
        sections.zip(numbers).map(shuffle).chain(others)
    }

    /// A number of 32 bits for the linker, another for each `index`: SplitMix64 (Steele, Lea and
    /// Flood, 2014). To the linker 0 is a number that it chooses, and the largest none at all.
    fn derived(self, index: u64) -> u64 {
        let step = 0x9e37_79b9_7f4a_7c15_u64.wrapping_mul(index + 1);
        let mut value = self.0.wrapping_add(step);
        value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (value ^ (value >> 31)) % (u64::from(u32::MAX) - 1) + 1
    }

    /// An object file that defines [`SYMBOL`], as a constant like others.
    pub(crate) fn object(self) -> Result<Vec<u8>> {
        let (format, machine) = (BinaryFormat::Elf, Architecture::Aarch64);
        let mut object = write::Object::new(format, machine, Endianness::Little);
        let name = format!(".rodata.{SYMBOL}").into_bytes();
        let section = object.add_section(Vec::new(), name, SectionKind::ReadOnlyData);
        object.set_section_data(section, self.0.to_le_bytes().to_vec(), 8);
        object.add_symbol(Symbol {
            name: SYMBOL.into(),
            value: 0,
            size: 8,
            kind: SymbolKind::Data,
            scope: SymbolScope::Linkage,
            weak: false,
            section: SymbolSection::Section(section),
            flags: SymbolFlags::None,
        });
        Ok(object.write()?)
    }

    /// The seed that a linked program was laid out by.
    pub(crate) fn of(program: &object::File<'_>) -> Result<Self> {
        let named = |symbol: &object::Symbol<'_, '_>| symbol.name() == Ok(SYMBOL);
        let Some(symbol) = program.symbols().find(named) else { bail!("it has no {SYMBOL}") };
        let section = symbol.section_index().context("its seed is in no section")?;
        let section = program.section_by_index(section)?;
        let bytes = section.data_range(symbol.address(), 8)?.context("its seed is not in it")?;
        Ok(Self(u64::from_le_bytes(bytes.try_into()?)))
    }
}

impl fmt::Display for Seed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#018x}", self.0)
    }
}

impl FromStr for Seed {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = match text.strip_prefix("0x") {
            Some(digits) if !digits.starts_with('+') => u64::from_str_radix(digits, 16),
            _ => text.parse(),
        };
        let told = |_| "it takes a number below 2 to the 64th, decimal or 0x and hexadecimal";
        number.map(Self).map_err(told).map_err(str::to_owned)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn a_seed_is_read_as_it_is_written() {
        for seed in [0, 1, 0xfeed, u64::MAX].map(Seed) {
            assert_eq!(seed.to_string().parse(), Ok(seed));
            assert_eq!(seed.0.to_string().parse(), Ok(seed));
        }
        for wrong in ["", "0x", "x", "-1", "0x+1", "18446744073709551616", "0x1_0", "ff"] {
            assert!(wrong.parse::<Seed>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn new_seeds_differ() {
        assert_ne!(Seed::new().unwrap(), Seed::new().unwrap());
    }

    /// A number from the middle of the range, both ends, and what SplitMix64 maps to 0.
    #[test]
    fn the_linker_gets_other_numbers_for_each_section_and_seed() {
        let mut all = HashSet::new();
        for seed in [0, 1, 2, 7 << 40, u64::MAX, 0u64.wrapping_sub(0x9e37_79b9_7f4a_7c15)] {
            for index in 0..10 {
                let number = Seed(seed).derived(index);
                assert!((1..u64::from(u32::MAX)).contains(&number));
                all.insert(number);
            }
        }
        // 0 and 2^64 - 0x9e37… share what a step apart makes them share, bar the ends.
        assert!(all.len() >= 50, "{}", all.len());
        let arguments: Vec<_> = Seed(1).link_arguments().collect();
        assert_eq!(arguments.len(), 12);
        assert_eq!(arguments, Seed(1).link_arguments().collect::<Vec<_>>());
    }

    #[test]
    fn a_seed_is_found_in_the_program_that_it_laid_out() {
        let bytes = Seed(0x1234_5678_9abc_def0).object().unwrap();
        let file = object::File::parse(&bytes[..]).unwrap();
        assert_eq!(Seed::of(&file).unwrap(), Seed(0x1234_5678_9abc_def0));
        let other = crate::made_up::elf(0, &[]);
        let file = object::File::parse(&other[..]).unwrap();
        assert!(Seed::of(&file).unwrap_err().to_string().contains(SYMBOL));
    }
}
