//! `layout`: how much two images have in common in where things lie.

use std::collections::HashMap;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use object::{Object, ObjectSegment, ObjectSymbol, SymbolKind};

use crate::WrongArgument;
use crate::program_file::ProgramFile;
use crate::seed::Seed;
use crate::workspace::Workspace;

/// Compare where two images have their functions and data
///
/// Every build lays an image out anew, unless it is told an earlier one's seed. What knows where
/// something lies in one image should know nothing of another: this counts what lies at the same
/// offset in both.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  cargo xtask layout hello gateway
  cargo xtask layout old/hello.img target/images/hello.img")]
pub(crate) struct Arguments {
    /// A program that was built, or an image or ELF file
    #[arg(value_name = "A")]
    one: PathBuf,
    /// Another
    #[arg(value_name = "B")]
    other: PathBuf,
}

pub(crate) fn main(arguments: &Arguments) -> Result<ExitCode> {
    let workspace = Workspace::read()?;
    let [one, other] = [&arguments.one, &arguments.other].map(|named| {
        let file = ProgramFile::find(&workspace, named)?;
        let layout = Layout::of(&file.elf).with_context(|| named.display().to_string());
        Ok::<_, anyhow::Error>((file.path, layout.map_err(WrongArgument)?))
    });
    let (one, other) = (one?, other?);
    for (path, layout) in [&one, &other] {
        println!("seed {}  {}", layout.seed, path.display());
    }
    println!("{:12} {:>8} {:>16}", "", "in both", "same offset");
    let (one, other) = (one.1, other.1);
    for (what, common) in [
        ("functions", common(&one.functions, &other.functions)),
        ("data", common(&one.data, &other.data)),
    ] {
        let share = format!("{} ({:.1} %)", common.kept, common.share() * 100.0);
        println!("{what:12} {:>8} {share:>16}", common.both);
    }
    Ok(ExitCode::SUCCESS)
}

/// By name, how far from the program's beginning it lies.
type Offsets = HashMap<String, u64>;

/// Where a program has what.
#[derive(Debug)]
pub(crate) struct Layout {
    seed: Seed,
    pub(crate) functions: Offsets,
    pub(crate) data: Offsets,
}

impl Layout {
    /// Of an ELF file.
    pub(crate) fn of(elf: &[u8]) -> Result<Self> {
        let file = object::File::parse(elf).context("not an ELF file")?;
        let seed = Seed::of(&file)?;
        let start = file.segments().filter(|segment| segment.size() > 0);
        let start = start.map(|segment| segment.address()).min().context("nothing is loaded")?;
        let offsets = |kind| {
            let (mut offsets, mut twice) = (Offsets::new(), Vec::new());
            let symbols = file.symbols().filter(|symbol| symbol.kind() == kind);
            for symbol in symbols.filter(|symbol| symbol.is_definition() && symbol.size() > 0) {
                let Ok(name) = symbol.name() else { continue };
                let offset = symbol.address().wrapping_sub(start);
                if offsets.insert(name.to_owned(), offset).is_some() {
                    twice.push(name.to_owned());
                }
            }
            // A name that several share does not say which of them is meant.
            offsets.retain(|name, _| !twice.contains(name));
            offsets
        };
        Ok(Self { seed, functions: offsets(SymbolKind::Text), data: offsets(SymbolKind::Data) })
    }
}

/// What two programs have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Common {
    /// How many names are in both.
    pub(crate) both: u32,
    /// How many of these are at the same offset.
    pub(crate) kept: u32,
}

impl Common {
    /// Which part of what is in both is at the same offset.
    pub(crate) fn share(self) -> f64 {
        f64::from(self.kept) / f64::from(self.both.max(1))
    }
}

pub(crate) fn common(one: &Offsets, other: &Offsets) -> Common {
    let mut common = Common { both: 0, kept: 0 };
    for (name, offset) in one {
        let Some(there) = other.get(name) else { continue };
        common.both += 1;
        common.kept += u32::from(there == offset);
    }
    common
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offsets(of: &[(&str, u64)]) -> Offsets {
        of.iter().map(|(name, offset)| ((*name).to_owned(), *offset)).collect()
    }

    #[test]
    fn what_is_in_both_is_compared() {
        let one = offsets(&[("a", 0), ("b", 8), ("c", 16), ("gone", 24)]);
        let other = offsets(&[("a", 0), ("b", 16), ("c", 8), ("new", 24)]);
        let common = common(&one, &other);
        assert_eq!(common, Common { both: 3, kept: 1 });
        assert!((common.share() - 1.0 / 3.0).abs() < 1e-9);
        assert!(super::common(&one, &offsets(&[])).share() < 1e-9);
    }

    #[test]
    fn what_has_no_seed_was_not_laid_out_by_this_build() {
        let error = Layout::of(&crate::made_up::elf(0, &[])).unwrap_err().to_string();
        assert!(error.contains("__elone_layout_seed"), "{error}");
        assert!(Layout::of(b"an image").is_err());
    }
}
