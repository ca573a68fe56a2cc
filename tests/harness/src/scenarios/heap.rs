//! What an application does wrong to a block of its heap is found, and said; what it does right is
//! not.

use std::time::Duration;

use anyhow::{Result, ensure};

use crate::scenario::scenarios;
use crate::{Context, Ending, LeftOut, Scenario};

pub(super) const SCENARIOS: &[Scenario] = scenarios!["heap":
    Quick blocks_keep_what_they_hold,
    Quick an_overrun_by_one_is_found,
    Quick an_underrun_by_one_is_found,
    Quick a_write_after_free_is_found,
    Quick a_double_free_is_found,
    Quick a_free_of_no_block_is_found,
    Quick memory_without_tags_is_checked,
    Quick tagged_memory_faults_at_once,
    Quick a_tagged_block_is_freed_once,
    Quick an_overrun_within_a_granule_is_found,
];

const PATIENCE: Duration = Duration::from_secs(60);
/// A core without memory tags, and one with them.
const CHECKED: &str = "qemu-virt";
const TAGGED: &str = "qemu-virt-mte";
/// Of a byte, of less than a header, of what fills its granules, of more than is poisoned, and of more
/// than waits.
const SIZES: [usize; 5] = [1, 9, 48, 1_000, 70_000];

/// What is said where an emulator has tags in name only, as QEMU 7.2 has.
const NO_TAGS: &str = "the heap's memory keeps no tags";

fn blocks_keep_what_they_hold(context: &Context) -> Result<()> {
    for (board, guard) in [(CHECKED, "heap-checks"), (TAGGED, "heap-tags")] {
        let ending =
            context.machine(board, "blocks_keep_what_they_hold")?.boot()?.ending(PATIENCE)?;
        ending.expect_status(0)?;
        ensure!(ending.console.contains("\nkept by the heap, told to the kernel\n"), "{ending}");
        ensure!(ending.console.contains("steps, guarded by: "), "{ending}");
        // An emulator's memory that keeps no tags is guarded as any other.
        let guard = if ending.console.contains(NO_TAGS) { "heap-checks" } else { guard };
        ensure!(ending.console.contains(guard), "{guard} is not in force: {ending}");
        // What must not be done is what is found: the same without it ends well.
        run(context, board, "nothing", 48)?.expect_status(0)?;
    }
    Ok(())
}

fn an_overrun_by_one_is_found(context: &Context) -> Result<()> {
    SIZES.iter().try_for_each(|size| found(context, "overrun", *size, "was overrun"))
}

fn an_underrun_by_one_is_found(context: &Context) -> Result<()> {
    SIZES.iter().try_for_each(|size| found(context, "underrun", *size, "has no valid header"))
}

/// Of a block that is small enough to wait.
fn a_write_after_free_is_found(context: &Context) -> Result<()> {
    let words = "was written after it was freed";
    SIZES[1..4].iter().try_for_each(|size| found(context, "write-after-free", *size, words))
}

fn a_double_free_is_found(context: &Context) -> Result<()> {
    SIZES[..4].iter().try_for_each(|size| found(context, "double-free", *size, "was freed twice"))
}

fn a_free_of_no_block_is_found(context: &Context) -> Result<()> {
    found(context, "wild-free", 48, "has no valid header")
}

/// Where the core has tags, but the memory keeps none, the heap is guarded as on any other core.
fn memory_without_tags_is_checked(context: &Context) -> Result<()> {
    let ending = run(context, TAGGED, "overrun", 48)?;
    if !ending.console.contains(NO_TAGS) {
        return Err(LeftOut("this emulator's memory keeps tags".to_owned()).into());
    }
    ending.expect_fault(&["class=panic"])?;
    ensure!(ending.console.contains("was overrun"), "{ending}");
    run(context, TAGGED, "nothing", 48)?.expect_status(0)
}

/// By the core, at the access itself, at the address where it was: with the tag that the pointer has.
fn tagged_memory_faults_at_once(context: &Context) -> Result<()> {
    for (what, size, at) in [
        ("overrun", 48, 48),
        ("far-overrun", 41, 48),
        ("underrun", 48, -1),
        ("write-after-free", 48, 1),
        ("read-after-free", 48, 0),
        ("write-after-free", 70_000, 1),
    ] {
        let ending = tagged(context, what, size)?;
        let block = block(&ending)?;
        let far = format!("far={:#018x}", block.wrapping_add_signed(at));
        ending.expect_fault(&["class=tag-check", &far])?;
        ensure!(!ending.console.contains("SURVIVED"), "{ending}");
        ensure!(ending.console.contains("the memory has another tag"), "{ending}");
    }
    Ok(())
}

fn a_tagged_block_is_freed_once(context: &Context) -> Result<()> {
    let ending = tagged(context, "double-free", 48)?;
    ending.expect_fault(&["class=tag-check"])?;
    ensure!(
        ending.console.contains("said: ") && ending.console.contains("freed twice"),
        "{ending}"
    );
    let ending = tagged(context, "wild-free", 48)?;
    ending.expect_fault(&["class=panic"])?;
    ensure!(ending.console.contains("of another size or alignment"), "{ending}");
    Ok(())
}

/// No tag tells where a block ends within its last 16 bytes; the checks do, when it is freed.
fn an_overrun_within_a_granule_is_found(context: &Context) -> Result<()> {
    let ending = tagged(context, "overrun", 41)?;
    ending.expect_fault(&["class=panic"])?;
    ensure!(ending.console.contains("heap: block of 41 bytes at 0x"), "{ending}");
    ensure!(ending.console.contains("was overrun"), "{ending}");
    Ok(())
}

/// Does it on a core with tags, if the emulator has a tag for each granule.
fn tagged(context: &Context, what: &str, size: usize) -> Result<Ending> {
    let ending = run(context, TAGGED, what, size)?;
    if ending.console.contains(NO_TAGS) {
        return Err(LeftOut(
            "this emulator's memory keeps no tags (QEMU 8 and later do)".to_owned(),
        )
        .into());
    }
    Ok(ending)
}

/// Does it on a core without tags: the application ends by a panic that says what and where.
fn found(context: &Context, what: &str, size: usize, words: &str) -> Result<()> {
    let ending = run(context, CHECKED, what, size)?;
    ending.expect_fault(&["class=panic"])?;
    ensure!(!ending.console.contains("SURVIVED"), "{what} of {size}: {ending}");
    let address = block(&ending)?;
    // What is freed is another address there.
    let address = if what == "wild-free" { address + 16 } else { address };
    let said = format!("heap: block of {size} bytes at {address:#x} {words}");
    ensure!(ending.console.contains(&said), "{said:?} is not said: {ending}");
    Ok(())
}

/// The address of the block that it was done to.
fn block(ending: &Ending) -> Result<u64> {
    let address = ending.console.lines().find_map(|line| {
        let (_, rest) = line.split_once("block 0x")?;
        u64::from_str_radix(rest.split_once(',')?.0, 16).ok()
    });
    address.ok_or_else(|| anyhow::anyhow!("no block: {ending}"))
}

fn run(context: &Context, board: &str, what: &str, size: usize) -> Result<Ending> {
    let machine = context.machine(board, "heap_errors_are_found")?;
    let machine = machine.setting(&format!("app.what={what}"));
    machine.setting(&format!("app.size={size}")).setting("on-fault=off").boot()?.ending(PATIENCE)
}
