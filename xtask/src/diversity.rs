//! System tests of what images are made of: laid out differently in each build, the same again when
//! that is asked for, and without what could start a program.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use elone_harness::{Board, Context, Machine, Mode, Modes, Pace, Scenario};
use object::{Object, ObjectSegment};

use crate::build::{Order, Profile};
use crate::layout::{self, Layout};
use crate::scan;
use crate::toolchain::Toolchain;
use crate::workspace::Workspace;

/// Every such test.
pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "layout::two_seeds_share_no_layout",
        pace: Pace::Quick,
        modes: Modes::Both,
        run: two_seeds_share_no_layout,
    },
    Scenario {
        name: "layout::a_seed_makes_the_same_image_in_another_folder",
        pace: Pace::Long,
        // It is about both, and what they share takes minutes to build in another folder.
        modes: Modes::Only(Mode::Contained),
        run: a_seed_makes_the_same_image_in_another_folder,
    },
    Scenario {
        name: "scan::nothing_in_an_image_starts_programs",
        pace: Pace::Quick,
        modes: Modes::Both,
        run: nothing_in_an_image_starts_programs,
    },
    Scenario {
        name: "scan::device_accesses_can_be_answered",
        pace: Pace::Quick,
        modes: Modes::Both,
        run: device_accesses_can_be_answered,
    },
];

/// How many functions may be at the same offset in two builds.
const SHARE: f64 = 0.05;

fn two_seeds_share_no_layout(context: &Context) -> Result<()> {
    let workspace = Workspace::read()?;
    let images = ["1", "0x8000000000000001"].map(|seed| {
        let directory = context.scratch.join(seed);
        let built = built(&workspace, context.mode(), None, seed, &directory)?;
        let board = Board::find(&context.boards, "qemu-virt")?;
        let ending = Machine::new(&board, &built).boot()?.ending(Duration::from_secs(60))?;
        ending.expect_status(0)?;
        Ok::<_, anyhow::Error>(built)
    });
    let [one, other] = images;
    let (one, other) = (one?, other?);
    for kind in files(context.mode()).iter().filter(|kind| kind.ends_with("elf")) {
        let read = |image: &Path| Layout::of(&fs::read(image.with_extension(kind))?);
        let (one, other) = (read(&one)?, read(&other)?);
        let functions = layout::common(&one.functions, &other.functions);
        let data = layout::common(&one.data, &other.data);
        let told = format!("{kind}: functions {functions:?}, data {data:?}");
        ensure!(functions.both >= 30, "too few to tell: {told}");
        ensure!(functions.share() < SHARE, "{told}");
        // The same file is in the same place wherever it is compared.
        let same = layout::common(&one.functions, &one.functions);
        ensure!(same.both == same.kept, "{same:?}");
    }
    Ok(())
}

/// Nothing but the crates that cargo unpacked is shared by the two.
fn a_seed_makes_the_same_image_in_another_folder(context: &Context) -> Result<()> {
    let seed = "0x5eed";
    let here = Workspace::read()?;
    let elsewhere = context.scratch.join("elsewhere");
    copy(&here.root, &elsewhere).context("copying the sources")?;
    let there = Workspace::at(&elsewhere)?;
    let profile = Some(Profile::Unikernel);
    for mode in [Mode::Joined, Mode::Contained] {
        let one = built(&here, mode, profile, seed, &context.scratch.join("here"))?;
        let other = built(&there, mode, profile, seed, &context.scratch.join("there"))?;
        for kind in files(mode) {
            let [one, other] = [&one, &other].map(|image| image.with_extension(kind));
            let (first, second) = (fs::read(&one)?, fs::read(&other)?);
            let same = first == second;
            ensure!(same, "{} and {} differ", one.display(), other.display());
        }
    }
    Ok(())
}

fn nothing_in_an_image_starts_programs(context: &Context) -> Result<()> {
    for name in ["hello", "gateway"] {
        let image = context.image(name)?;
        for kind in files(context.mode()).iter().filter(|kind| kind.ends_with("elf")) {
            let found = scan::loaders(&fs::read(image.with_extension(kind))?)?;
            ensure!(found.is_empty(), "{name}: {found:?}");
        }
    }
    Ok(())
}

/// The build has looked at all of them already; here it has to find those that are put in.
fn device_accesses_can_be_answered(context: &Context) -> Result<()> {
    /// `ldr w0, [x1], #4`; `stp w0, w2, [x1]`; `ldr s0, [x1]`; `ldxr w0, [x1]`; `nop`.
    const WRONG: [(u32, &str); 5] = [
        (0xb840_4420, "write-back"),
        (0x2900_0820, "a pair of registers"),
        (0xbd40_0020, "a vector register"),
        (0x885f_7c20, "an atomic access"),
        (0xd503_201f, "something else"),
    ];
    let elf = fs::read(context.image("gateway")?.with_extension("elf"))?;
    scan::check("gateway", &elf)?;
    let accesses = scan::accesses(&elf)?;
    ensure!(accesses.len() > 50, "only {} device accesses", accesses.len());
    for at in [accesses[0], accesses[accesses.len() / 2], accesses[accesses.len() - 1]] {
        for (word, form) in WRONG {
            let told = scan::check("gateway", &with_word(&elf, at, word)?);
            let told = told.err().with_context(|| format!("{form} at {at:#x} is let be"))?;
            let expected = format!("a device access by {form} at {at:#x}");
            ensure!(told.to_string().contains(&expected), "{told:#}, and not {expected}");
        }
    }
    Ok(())
}

/// An ELF file with another word at an address.
fn with_word(elf: &[u8], address: u64, word: u32) -> Result<Vec<u8>> {
    let file = object::File::parse(elf)?;
    let segment = file
        .segments()
        .find(|segment| (segment.address()..segment.address() + segment.size()).contains(&address));
    let segment = segment.context("no segment has it")?;
    let at = usize::try_from(segment.file_range().0 + (address - segment.address()))?;
    let mut changed = elf.to_vec();
    changed[at..at + 4].copy_from_slice(&word.to_le_bytes());
    Ok(changed)
}

/// What the files of an image end with.
const fn files(mode: Mode) -> &'static [&'static str] {
    match mode {
        Mode::Joined => &["img", "elf"],
        Mode::Contained => &["img", "elf", "app.elf"],
    }
}

/// Builds the smallest application by `seed`.
fn built(
    workspace: &Workspace,
    mode: Mode,
    profile: Option<Profile>,
    seed: &str,
    directory: &Path,
) -> Result<PathBuf> {
    let toolchain = Toolchain::find(&Default::default(), workspace.rust_version)?;
    let seed = seed.parse().map_err(anyhow::Error::msg)?;
    let order = Order { mode, profile, seed };
    let images = order.images(workspace, &toolchain, &[workspace.program("hello")?], directory)?;
    images.into_iter().next().context("nothing was built")
}

/// Copies what is kept of a repository: not what was built, nor its history.
fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let name = entry.file_name();
        if name == "target" || name == ".git" {
            continue;
        }
        let (from, to) = (entry.path(), to.join(&name));
        if entry.file_type()?.is_dir() {
            copy(&from, &to)?;
        } else {
            fs::copy(&from, &to)?;
        }
    }
    Ok(())
}
