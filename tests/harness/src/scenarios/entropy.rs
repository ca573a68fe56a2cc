//! Where randomness comes from, what is said where there is none, and that the seeds of a boot are
//! nowhere to be found after it.

use std::collections::HashSet;
use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::json;

use crate::scenario::scenarios;
use crate::shim::with_tree;
use crate::tree::Tree;
use crate::{Board, Context, Ending, Guest, Machine, Scenario};

pub(super) const SCENARIOS: &[Scenario] = scenarios!["entropy":
    Quick entropy_differs,
    Quick every_source_is_named,
    Quick without_entropy_it_says_so,
    Quick require_entropy_refuses_to_boot,
    Quick seeds_that_are_all_the_same_do_not_count,
    Quick seeds_are_wiped_from_memory,
    Quick the_generator_is_renewed,
];

const PATIENCE: Duration = Duration::from_secs(60);

/// Where the machine's RAM begins.
const RAM: u64 = 0x4000_0000;
/// How much of it there is where all of it is looked at, in MiB.
const MEMORY: u32 = 64;

const KASLR_SEED: &[u8] = &[0x8d, 0x13, 0xf6, 0x2b, 0x51, 0xc4, 0xe9, 0x7a];
/// Bytes that no program and no text holds by chance.
const RNG_SEED: &[u8] = &{
    let (mut seed, mut state) = ([0; 64], 0x9e37_79b9_7f4a_7c15_u64);
    let mut index = 0;
    while index < seed.len() {
        state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
        seed[index] = state.to_be_bytes()[0];
        index += 1;
    }
    seed
};

fn entropy_differs(context: &Context) -> Result<()> {
    let mut seen = HashSet::new();
    for _ in 0..4 {
        let ending = context.machine("qemu-virt", "entropy_differs")?.boot()?.ending(PATIENCE)?;
        ending.expect_status(0)?;
        let line = ending.console.lines().find_map(|line| line.split("entropy ").nth(1));
        let bytes = line.with_context(|| format!("no entropy: {ending}"))?.trim().to_owned();
        ensure!(bytes.len() == 32 && seen.insert(bytes.clone()), "{bytes} again");
    }
    Ok(())
}

/// The emulator's own tree, with and without a device, on a core without RNDR and one with it.
fn every_source_is_named(context: &Context) -> Result<()> {
    let machine = |board| -> Result<Machine> {
        Ok(context.machine(board, "entropy_differs")?.setting("log=debug"))
    };
    for (machine, sources) in [
        (machine("qemu-virt")?.without_entropy(), "kaslr-seed, rng-seed"),
        (machine("qemu-virt")?, "kaslr-seed, rng-seed, virtio-rng"),
        (machine("qemu-virt-max")?, "kaslr-seed, rng-seed, RNDR, virtio-rng"),
        (without_seeds(machine("qemu-virt-max")?).without_entropy(), "RNDR"),
        (without_seeds(machine("qemu-virt")?), "virtio-rng"),
    ] {
        let ending = machine.boot()?.ending(PATIENCE)?;
        ending.expect_status(0)?;
        let said = ending.console.lines().find_map(|line| line.split(" entropy: ").nth(1));
        ensure!(said == Some(sources), "{said:?}, not {sources}: {ending}");
        // What comes from a driver comes too late for the layout.
        let guessable = ending.console.contains("the layout of memory can be guessed");
        ensure!(guessable == (sources == "virtio-rng"), "with {sources}: {ending}");
    }
    Ok(())
}

fn without_seeds(machine: Machine) -> Machine {
    machine.argument("-machine").argument("dtb-randomness=off")
}

/// Neither device, nor seeds in the tree, nor a core that has any.
fn barren(context: &Context, setting: &str) -> Result<Ending> {
    let machine = context.machine("qemu-virt", "entropy_differs")?.without_entropy();
    without_seeds(machine).setting(setting).boot()?.ending(PATIENCE)
}

fn without_entropy_it_says_so(context: &Context) -> Result<()> {
    let ending = barren(context, "app.none=1")?;
    ending.expect_status(1)?;
    is_told(&ending)?;
    ensure!(ending.console.contains("has given no entropy"), "no refusal: {ending}");
    Ok(())
}

fn is_told(ending: &Ending) -> Result<()> {
    for words in ["no source of entropy", "the layout of memory can be guessed"] {
        ensure!(ending.console.contains(words), "no warning: {ending}");
    }
    Ok(())
}

fn require_entropy_refuses_to_boot(context: &Context) -> Result<()> {
    refuses(&barren(context, "require-entropy")?)
}

fn refuses(ending: &Ending) -> Result<()> {
    ending.expect_status(100)?;
    ensure!(ending.console.contains("`require-entropy` is set"), "no reason: {ending}");
    ensure!(!ending.console.contains("] INFO  entropy_differs"), "it ran: {ending}");
    Ok(())
}

/// A machine without a device for entropy, on a core that has none, and with this in `/chosen`.
fn chosen(
    context: &Context,
    image: &str,
    seeds: [&'static [u8]; 2],
    bootargs: &'static str,
) -> Result<Machine> {
    let [kaslr, rng] = seeds;
    let ram = vec![(RAM, u64::from(MEMORY) << 20)];
    let seeds = vec![("kaslr-seed", kaslr), ("rng-seed", rng)];
    let tree = Tree { seeds, ram, bootargs, ..Tree::default() }.bytes()?;
    let image = with_tree(&context.image(image)?, &tree, &context.scratch, "seeds")?;
    let board = Board::find(&context.boards, "qemu-virt")?;
    Ok(Machine::new(&board, &image).memory(MEMORY).without_entropy())
}

fn seeds_that_are_all_the_same_do_not_count(context: &Context) -> Result<()> {
    let boot = |seeds, bootargs| {
        chosen(context, "entropy_differs", seeds, bootargs)?.boot()?.ending(PATIENCE)
    };
    // What kvmtool gives, and a seed that nobody has filled in.
    let same: [&[u8]; 2] = [&[0; 8], &[0xff; 32]];
    let ending = boot(same, "")?;
    ending.expect_status(1)?;
    is_told(&ending)?;
    refuses(&boot(same, "require-entropy")?)?;
    // One of the two is enough, and is the one that is named.
    for (seeds, name) in [([KASLR_SEED, same[1]], "kaslr-seed"), ([same[0], RNG_SEED], "rng-seed")]
    {
        let ending = boot(seeds, "require-entropy log=debug")?;
        ending.expect_status(0)?;
        ensure!(ending.console.contains(&format!(" entropy: {name}\n")), "no {name}: {ending}");
    }
    Ok(())
}

/// All of RAM, byte by byte: neither in the tree nor on a stack, nor in the words of a hash. The
/// same search finds them in the machine that has yet to begin, or it would prove nothing.
fn seeds_are_wiped_from_memory(context: &Context) -> Result<()> {
    let seeds = [KASLR_SEED, RNG_SEED];
    let mut guest = chosen(context, "echo", seeds, "log=debug")?.held().boot()?;
    let file = context.scratch.join("memory");
    let before = Memory::of(&mut guest, &file)?;
    for seed in seeds {
        let found = before.find(&[seed[..8].try_into()?].into());
        ensure!(found.len() == 1, "not where it should be before the boot: {found:x?}");
    }
    guest.qmp()?.execute("cont", json!({}))?;
    guest.wait_for("entropy: kaslr-seed, rng-seed", PATIENCE)?;
    guest.wait_for("echoing on ", PATIENCE)?;
    guest.qmp()?.execute("stop", json!({}))?;
    let after = Memory::of(&mut guest, &file)?;
    let found = after.find(&disguises(&seeds));
    ensure!(found.is_empty(), "found at {found:x?}, after {}", guest.console());
    // It is the memory of the machine that ran: what it was told stands there.
    let words = b"log=debug".as_slice();
    ensure!(!after.find(&[words[..8].try_into()?].into()).is_empty(), "that is another memory");
    Ok(())
}

/// What eight bytes of a seed may look like in memory: as they are, as words in the other byte order,
/// as a hash has them, and as a number in the other byte order.
fn disguises(seeds: &[&[u8]]) -> HashSet<[u8; 8]> {
    let mut all = HashSet::new();
    for bytes in seeds.iter().flat_map(|seed| seed.windows(8)) {
        let plain: [u8; 8] = std::array::from_fn(|index| bytes[index]);
        all.insert(plain);
        all.insert(std::array::from_fn(|index| bytes[7 - index]));
        all.insert(std::array::from_fn(|index| bytes[index ^ 3]));
    }
    all
}

/// A guest's memory at one moment.
struct Memory(Vec<u8>);

impl Memory {
    /// Has the emulator write it to `file`, and reads it.
    fn of(guest: &mut Guest, file: &Path) -> Result<Self> {
        let size = u64::from(MEMORY) << 20;
        let arguments = json!({ "val": RAM, "size": size, "filename": file.to_string_lossy() });
        guest.qmp()?.execute("pmemsave", arguments)?;
        let bytes = fs::read(file)?;
        fs::remove_file(file)?;
        ensure!(bytes.len() as u64 == size, "{} bytes of memory", bytes.len());
        Ok(Self(bytes))
    }

    /// Where any of these bytes are, as addresses. Most of memory is zeros, which are none of them.
    fn find(&self, wanted: &HashSet<[u8; 8]>) -> Vec<u64> {
        const PAGE: usize = 4096;
        let mut found = Vec::new();
        for start in (0..self.0.len()).step_by(PAGE) {
            // With as much of the next page as may belong to what begins in this one.
            let page = &self.0[start..(start + PAGE + 7).min(self.0.len())];
            if page == &[0; PAGE + 7][..page.len()] {
                continue;
            }
            let places = (RAM + start as u64..).zip(page.array_windows::<8>());
            found.extend(places.filter(|(_, bytes)| wanted.contains(*bytes)).map(|(at, _)| at));
        }
        found
    }
}

/// From what the core has at once, and from the device when it has answered; where nothing can be
/// had the generator goes on with what it has.
fn the_generator_is_renewed(context: &Context) -> Result<()> {
    for (board, sources) in [("qemu-virt-max", "RNDR"), ("qemu-virt", "none")] {
        let machine = context.machine(board, "entropy_is_renewed")?;
        let (fed, starved) = (machine.clone(), machine.without_entropy());
        for (machine, answers) in [(fed, 1), (starved, 0)] {
            let machine = machine.setting("log=debug").setting("watchdog=off");
            let ending = machine.boot()?.ending(PATIENCE)?;
            ending.expect_status(0)?;
            let count = |source| {
                let line = format!("entropy: renewed from {source}");
                ending.console.lines().filter(|said| said.ends_with(&line)).count()
            };
            ensure!(count(sources) == 1 && count("virtio-rng") == answers, "{ending}");
        }
    }
    Ok(())
}
