//! `size`: how large images are, and what in them is.

use std::fs;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result};
use elone_harness::Mode;
use object::read::elf::{ElfFile64, FileHeader, SectionHeader};
use object::{Object, ObjectSymbol, SymbolKind, elf};
use rustc_demangle::demangle;

use crate::build;
use crate::toolchain::{self, Toolchain};
use crate::workspace::{Kind, Workspace};

/// How many symbols are listed.
const SYMBOLS: usize = 25;

/// Show how large images are
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  cargo xtask size                    every application
  cargo xtask size hello --symbols    and what is largest in one
  cargo xtask size --contained        with the application apart from the kernel")]
pub(crate) struct Arguments {
    /// The applications (default: all)
    #[arg(value_name = "APP")]
    programs: Vec<String>,
    /// List the largest symbols
    #[arg(long)]
    symbols: bool,
    #[command(flatten)]
    mode: build::ModeOption,
    #[command(flatten)]
    toolchain: toolchain::Options,
}

pub(crate) fn main(arguments: &Arguments) -> Result<ExitCode> {
    let workspace = Workspace::read()?;
    let programs: Vec<_> = match arguments.programs.is_empty() {
        true => workspace.of(Kind::Application).collect(),
        false => {
            let named = arguments.programs.iter().map(|name| workspace.program(name));
            named.collect::<Result<_>>()?
        }
    };
    let toolchain = Toolchain::find(&arguments.toolchain, workspace.rust_version)?;
    let mode = arguments.mode.mode();
    let images = build::images(&workspace, &toolchain, mode, &programs, None)?;
    for (program, image) in programs.iter().zip(&images) {
        println!("{:24} {:>9} bytes", program.name, fs::metadata(image)?.len());
        arguments.describe(&image.with_extension("elf"))?;
        if mode == Mode::Contained {
            println!("  of which the application:");
            arguments.describe(&image.with_extension("app.elf"))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

impl Arguments {
    /// Prints what is in a linked file.
    fn describe(&self, linked: &Path) -> Result<()> {
        sections(linked)?;
        if self.symbols { symbols(linked) } else { Ok(()) }
    }
}

/// Prints the sections that take memory, in the order of their addresses.
fn sections(file: &Path) -> Result<()> {
    let bytes = fs::read(file).with_context(|| format!("reading {}", file.display()))?;
    let little = object::LittleEndian;
    let header = elf::FileHeader64::<object::LittleEndian>::parse(&bytes[..])?;
    let sections = header.sections(little, &bytes[..])?;
    for section in sections.iter() {
        let flags = section.sh_flags(little);
        if flags & u64::from(elf::SHF_ALLOC) == 0 || section.sh_size(little) == 0 {
            continue;
        }
        let name = String::from_utf8_lossy(sections.section_name(little, section)?);
        let kind = match section.sh_type(little) {
            elf::SHT_NOBITS => "in memory only",
            _ => "",
        };
        println!("  {name:22} {:>9} {kind}", section.sh_size(little));
    }
    Ok(())
}

/// Prints the largest functions and objects.
fn symbols(file: &Path) -> Result<()> {
    let bytes = fs::read(file).with_context(|| format!("reading {}", file.display()))?;
    let linked = ElfFile64::<object::LittleEndian>::parse(&bytes[..])?;
    let mut symbols: Vec<_> = linked
        .symbols()
        .filter(|symbol| matches!(symbol.kind(), SymbolKind::Text | SymbolKind::Data))
        .collect();
    symbols.sort_by_key(|symbol| std::cmp::Reverse(symbol.size()));
    for symbol in symbols.iter().take(SYMBOLS) {
        // Without the hash at the name's end.
        let name = format!("{:#}", demangle(symbol.name().unwrap_or("?")));
        println!("  {:>9}  {name}", symbol.size());
    }
    Ok(())
}
