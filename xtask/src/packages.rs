//! System tests of contained images whose package is not as it must be: each is refused at boot,
//! with the reason, and nothing of it runs. What the build refuses is tested beside it
//! (`link/pack.rs`); these are images that were changed since.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, ensure};
use elone_gate::package::{self, Content, LONGEST, Package, Segment};
use elone_harness::{Board, Context, Machine, Mode, Modes, Pace, Scenario};

/// Every such test.
pub(crate) const SCENARIOS: &[Scenario] = &[
    scenario("packages::what_is_in_order_boots", what_is_in_order_boots),
    scenario("packages::what_is_not_is_refused", what_is_not_is_refused),
    scenario("packages::more_data_than_memory_is_refused", more_data_than_memory_is_refused),
];

const fn scenario(name: &'static str, run: fn(&Context) -> Result<()>) -> Scenario {
    Scenario { name, pace: Pace::Quick, modes: Modes::Only(Mode::Contained), run }
}

const PROGRAM: &str = "hello";
/// What a machine that cannot be brought up ends with.
const REFUSED: u8 = 100;
const PATIENCE: Duration = Duration::from_secs(30);

/// Where things stand in a package: in its header, and in the table's entries.
const VERSION: usize = 8;
const MODE: usize = 12;
const COUNT: usize = 24;
const LENGTH: usize = 32;
const RELOCATIONS: usize = 64;
const TEXT: usize = 72;
const CONSTANTS: usize = TEXT + 40;
const ADDRESS: usize = 0;
const MEMORY: usize = 8;
const OFFSET: usize = 16;
const ACCESS: usize = 32;

/// One change to a package, and what the boot says of it.
struct Damage {
    name: &'static str,
    at: usize,
    bytes: Vec<u8>,
    reason: &'static str,
}

/// A number in a package, instead of the one that was there.
fn word(name: &'static str, at: usize, number: u64, reason: &'static str) -> Damage {
    Damage { name, at, bytes: number.to_le_bytes().to_vec(), reason }
}

fn half(name: &'static str, at: usize, number: u32, reason: &'static str) -> Damage {
    Damage { name, at, bytes: number.to_le_bytes().to_vec(), reason }
}

fn damages(length: usize) -> Vec<Damage> {
    vec![
        word("absent", 0, 0, "not a package"),
        half("other-version", VERSION, 99, "packed in an unknown form (99)"),
        half("other-mode", MODE, 0, "built for another mode"),
        word("truncated", LENGTH, length as u64 + 4096, "truncated"),
        half("cut", length - 4, 0, "truncated"),
        word("too-large", LENGTH, LONGEST + 1, "too large: "),
        half("empty", COUNT, 0, "it has no segments"),
        half("writable-text", TEXT + ACCESS, 7, "segment 0: writable and executable"),
        word("misaligned", TEXT + ADDRESS, 8, "segment 0: misaligned address 0x8"),
        word("misplaced", TEXT + OFFSET, 4104, "segment 0: misaligned contents at 0x1008"),
        word("overlapping", CONSTANTS + ADDRESS, 0, "segment 1: at 0x0 it overlaps the segment"),
        word("upper-half", TEXT + ADDRESS, 0xffff_ff80_0000_1000, "segment 0: 0x"),
        word("too-long", TEXT + MEMORY, 1 << 40, "segment 0: 0x10000000000 bytes at 0x0"),
        word("no-relocations", RELOCATIONS, 1 << 61, "2305843009213693952 words of relocations"),
    ]
}

/// The same of the relocations of the package in `bytes`.
fn damaged_relocations(bytes: &[u8]) -> Result<Vec<Damage>> {
    let package = Package::read(bytes).map_err(|error| anyhow!("{error}"))?;
    ensure!(package.relocations().words().count() > 1, "there are hardly any relocations");
    let table = bytes.len() - 8 - 8 * package.relocations().words().count();
    let address = package.relocations().addresses().next().context("there are none")?;
    // The word that the first one is for.
    let mut segments = package.segments();
    let segment = segments.find(|segment| address < segment.address + segment.memory);
    let segment = segment.context("it is for no word")?;
    let contents = segment.contents.as_ptr().addr() - bytes.as_ptr().addr();
    let place = contents + usize::try_from(address - segment.address)?;
    Ok(vec![
        word("relocated-text", table, 0, "relocation 0: no word that is copied is at 0x0"),
        word("relocated-beyond", table, 1 << 40, "relocation 0: no word that is copied is at 0x1"),
        word("relocated-askew", table, address + 4, "relocation 0: misaligned word at 0x"),
        word("relocated-nowhere", table, 0b11, "relocation 0: a bitmap without an address"),
        word("relocated-twice", table + 8, address, "relocation 1: 0x"),
        word("astray", place, 1 << 40, "relocation 0: the word at 0x"),
    ])
}

/// A contained image, and where the package is in it.
struct Image {
    bytes: Vec<u8>,
    at: usize,
}

impl Image {
    fn of(context: &Context) -> Result<Self> {
        let bytes = fs::read(context.image(PROGRAM)?)?;
        let pages = (0..bytes.len()).step_by(4096);
        let mut found = pages.filter(|&at| Self::length_at(&bytes, at).is_some());
        let at = found.next().context("there is no package in the image")?;
        ensure!(found.next().is_none(), "there is more than one package in the image");
        Ok(Self { bytes, at })
    }

    /// The length of the package that begins at a page of an image, if one does.
    fn length_at(image: &[u8], at: usize) -> Option<usize> {
        let length = image.get(at..)?.get(LENGTH..LENGTH + 8)?;
        let length = usize::try_from(u64::from_le_bytes(length.try_into().ok()?)).ok()?;
        Package::read(image.get(at..at.checked_add(length)?)?).ok().map(|_| length)
    }

    fn package(&self) -> &[u8] {
        let length = Self::length_at(&self.bytes, self.at).unwrap_or_default();
        &self.bytes[self.at..self.at + length]
    }

    /// Puts another package in its place, which must be as long.
    fn save(&self, context: &Context, name: &str, package: &[u8]) -> Result<PathBuf> {
        ensure!(package.len() == self.package().len(), "the package does not fit its place");
        let mut bytes = self.bytes.clone();
        bytes[self.at..self.at + package.len()].copy_from_slice(package);
        let file = context.scratch.join(format!("{name}.img"));
        fs::write(&file, bytes)?;
        Ok(file)
    }
}

fn machine(context: &Context, image: &Path) -> Result<Machine> {
    Ok(Machine::new(&Board::find(&context.boards, "qemu-virt")?, image))
}

/// That the tests below change what they think they change.
fn what_is_in_order_boots(context: &Context) -> Result<()> {
    let image = Image::of(context)?;
    let file = image.save(context, "whole", image.package())?;
    let ending = machine(context, &file)?.boot()?.ending(PATIENCE)?;
    ending.expect_status(0)?;
    ensure!(ending.console.lines().any(|line| line.starts_with("Hello")), "no greeting: {ending}");
    Ok(())
}

fn what_is_not_is_refused(context: &Context) -> Result<()> {
    let image = Image::of(context)?;
    let mut damages = damages(image.package().len());
    damages.extend(damaged_relocations(image.package())?);
    for Damage { name, at, bytes, reason } in damages {
        let mut package = image.package().to_vec();
        package[at..at + bytes.len()].copy_from_slice(&bytes);
        let file = image.save(context, name, &package)?;
        refused(machine(context, &file)?, reason).with_context(|| name)?;
    }
    Ok(())
}

/// The package is in order, and asks for more zeros than the machine has memory.
fn more_data_than_memory_is_refused(context: &Context) -> Result<()> {
    let image = Image::of(context)?;
    let read = Package::read(image.package()).map_err(|error| anyhow!("{error}"))?;
    let mut segments: Vec<Segment<'_>> = read.segments().collect();
    let data = segments.last_mut().context("there are no segments")?;
    ensure!(data.access == package::Access::Data, "the last segment is not data");
    data.memory = 512 << 20;
    let relocations: Vec<u64> = read.relocations().words().collect();
    let (entry, build_id) = (read.entry(), read.build_id());
    let content = Content { entry, build_id, segments: &segments, relocations: &relocations };
    let mut package = Vec::new();
    package::write(&content, &mut |piece: &[u8]| package.extend_from_slice(piece));
    let file = image.save(context, "large", &package)?;
    refused(machine(context, &file)?.memory(128), "it needs 524288 KiB in one piece, ")
}

/// Boots what is to be refused for this reason.
fn refused(machine: Machine, reason: &str) -> Result<()> {
    let ending = machine.boot()?.ending(PATIENCE)?;
    ending.expect_status(REFUSED)?;
    let said = format!("cannot boot: the application: {reason}");
    ensure!(ending.console.contains(&said), "it does not say {said:?}: {ending}");
    ensure!(!ending.console.contains("Hello"), "it ran: {ending}");
    Ok(())
}
