//! System tests of contained images whose package is not as it must be: each is refused at boot,
//! with the reason, and nothing of it runs. What the build refuses is tested beside it
//! (`link/pack.rs`); these are images that were changed since.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, ensure};
use elone_gate::package::{self, LONGEST, Package, Segment};
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
const TEXT: usize = 64;
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

fn damages(length: usize) -> Vec<Damage> {
    let word = |name, at, number: u64, reason| Damage {
        name,
        at,
        bytes: number.to_le_bytes().to_vec(),
        reason,
    };
    let half = |name, at, number: u32, reason| Damage {
        name,
        at,
        bytes: number.to_le_bytes().to_vec(),
        reason,
    };
    vec![
        word("absent", 0, 0, "not a package"),
        half("other-version", VERSION, 99, "packed in an unknown form (99)"),
        half("other-mode", MODE, 0, "built for another mode"),
        word("truncated", LENGTH, length as u64 + 4096, "truncated"),
        half("cut", length - 4, 0, "truncated"),
        word("too-large", LENGTH, LONGEST + 1, "too large: "),
        half("empty", COUNT, 0, "it has no segments"),
        half("writable-text", TEXT + ACCESS, 7, "segment 0: writable and executable"),
        word("misaligned", TEXT + ADDRESS, 0x40_0008, "segment 0: misaligned address 0x400008"),
        word("misplaced", TEXT + OFFSET, 4104, "segment 0: misaligned contents at 0x1008"),
        word(
            "overlapping",
            CONSTANTS + ADDRESS,
            0x40_0000,
            "segment 1: at 0x400000 it overlaps the segment before it",
        ),
        word(
            "joined",
            TEXT + ADDRESS,
            0xffff_ff80_0000_1000,
            "segment 0: built for joined mode: linked in the upper half, at 0xffffff8000001000",
        ),
        word("too-long", TEXT + MEMORY, 1 << 40, "segment 0: 0x10000000000 bytes at 0x400000"),
    ]
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
    for Damage { name, at, bytes, reason } in damages(image.package().len()) {
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
    let mut package = Vec::new();
    let mut sink = |piece: &[u8]| package.extend_from_slice(piece);
    package::write(read.entry(), read.build_id(), &segments, &mut sink);
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
