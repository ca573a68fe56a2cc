//! What must not be done cannot be done, and is reported by class and address.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use crate::scenario::scenarios;
use crate::{Context, Ending, Mode, Scenario};

pub(super) const SCENARIOS: &[Scenario] = scenarios!["protection":
    Quick text_is_read_only,
    Quick constants_are_read_only,
    Quick data_is_not_executable,
    Quick the_stack_is_not_executable,
    Quick the_heap_is_not_executable,
    Quick constants_are_not_executable,
    Quick null_cannot_be_read,
    Quick null_cannot_be_written,
    Quick null_cannot_be_called,
    Quick low_memory_is_unmapped,
    Quick a_deep_recursion_is_reported,
    Quick a_large_frame_is_reported,
    Quick an_undefined_instruction_is_reported,
    Quick a_supervisor_call_is_reported,
    Quick a_misaligned_jump_is_reported,
    Quick a_panic_is_reported,
    Quick an_index_out_of_bounds_is_reported,
    Quick memory_that_is_not_there_is_reported,
];

const PATIENCE: Duration = Duration::from_secs(30);

fn text_is_read_only(context: &Context) -> Result<()> {
    stopped(context, "text_is_read_only", &[], "write-abort")
}

fn constants_are_read_only(context: &Context) -> Result<()> {
    stopped(context, "constants_are_read_only", &[], "write-abort")
}

fn data_is_not_executable(context: &Context) -> Result<()> {
    stopped(context, "data_is_not_executable", &["app.where=data"], "execute-abort")
}

fn the_stack_is_not_executable(context: &Context) -> Result<()> {
    stopped(context, "data_is_not_executable", &["app.where=stack"], "execute-abort")
}

fn the_heap_is_not_executable(context: &Context) -> Result<()> {
    stopped(context, "data_is_not_executable", &["app.where=heap"], "execute-abort")
}

fn constants_are_not_executable(context: &Context) -> Result<()> {
    stopped(context, "data_is_not_executable", &["app.where=constant"], "execute-abort")
}

fn null_cannot_be_read(context: &Context) -> Result<()> {
    stopped(context, "null_is_unmapped", &["app.how=read"], "read-abort")
}

fn null_cannot_be_written(context: &Context) -> Result<()> {
    stopped(context, "null_is_unmapped", &["app.how=write"], "write-abort")
}

fn null_cannot_be_called(context: &Context) -> Result<()> {
    stopped(context, "null_is_unmapped", &["app.how=call"], "execute-abort")
}

/// Where RAM and the image are, physically: nothing low has a name, the image's own place neither.
fn low_memory_is_unmapped(context: &Context) -> Result<()> {
    for address in ["app.at=40200000", "app.at=9000000", "app.at=7ffffffff8"] {
        stopped(context, "null_is_unmapped", &["app.how=read", address], "read-abort")?;
    }
    Ok(())
}

fn a_deep_recursion_is_reported(context: &Context) -> Result<()> {
    let ending = run(context, "stack_overflow_is_reported", &["app.how=recursion"])?;
    ending.expect_fault(&["class=stack-overflow"])?;
    ensure!(ending.console.contains("the stack overflowed"), "{ending}");
    backtrace(&ending)
}

fn a_large_frame_is_reported(context: &Context) -> Result<()> {
    let ending = run(context, "stack_overflow_is_reported", &["app.how=frame"])?;
    ending.expect_fault(&["class=stack-overflow"])
}

fn an_undefined_instruction_is_reported(context: &Context) -> Result<()> {
    let ending = run(context, "faults_are_named", &["app.what=undefined"])?;
    ending.expect_fault(&["class=undefined-instruction"])?;
    backtrace(&ending)
}

fn a_supervisor_call_is_reported(context: &Context) -> Result<()> {
    let ending = run(context, "faults_are_named", &["app.what=svc"])?;
    ending.expect_fault(&["class=supervisor-call"])?;
    ensure!(ending.console.contains("svc #42"), "{ending}");
    run(context, "faults_are_named", &["app.what=brk"])?.expect_fault(&["class=breakpoint"])
}

fn a_misaligned_jump_is_reported(context: &Context) -> Result<()> {
    let ending = run(context, "faults_are_named", &["app.what=misaligned"])?;
    ending.expect_fault(&["class=misaligned"])
}

fn a_panic_is_reported(context: &Context) -> Result<()> {
    panics(context, "app.what=panic", "as asked for, 42")
}

fn an_index_out_of_bounds_is_reported(context: &Context) -> Result<()> {
    panics(context, "app.what=bounds", "the len is 3 but the index is 9")
}

fn memory_that_is_not_there_is_reported(context: &Context) -> Result<()> {
    panics(context, "app.what=memory", "memory allocation of 1099511627776 bytes failed")
}

fn panics(context: &Context, what: &str, words: &str) -> Result<()> {
    let ending = run(context, "faults_are_named", &[what])?;
    ending.expect_fault(&["class=panic"])?;
    ensure!(ending.console.contains(words), "not the reason: {ending}");
    backtrace(&ending)
}

/// A report names the build and where the fault came from, in the program whose fault it was.
fn backtrace(ending: &Ending) -> Result<()> {
    let number = |line: &str, word: &str| -> Option<Vec<u64>> {
        let words = line.trim().strip_prefix(word)?.split_whitespace();
        words.map(|word| u64::from_str_radix(word.strip_prefix("0x")?, 16).ok()).collect()
    };
    let find = |word| ending.console.lines().find_map(|line| number(line, word));
    let base = find("base ").and_then(|base| base.first().copied());
    let base = base.with_context(|| format!("no base: {ending}"))?;
    // No image has more text than that.
    let text = base..base + (4 << 20);
    let addresses = find("backtrace ").unwrap_or_default();
    let addresses = addresses.iter().filter(|address| text.contains(address)).count();
    ensure!(addresses >= 2, "a backtrace of {addresses} addresses: {ending}");
    ensure!(ending.console.contains("  build "), "no build id: {ending}");
    Ok(())
}

/// Runs an attack. It names its target; the fault must be of this class, at that address, and the
/// attack must not have come through.
fn stopped(context: &Context, image: &str, settings: &[&str], class: &str) -> Result<()> {
    let ending = run(context, image, settings)?;
    let target = ending.console.lines().find_map(|line| line.split("target 0x").nth(1));
    let target = target.with_context(|| format!("no target was named: {ending}"))?;
    let target = u64::from_str_radix(target.trim(), 16)?;
    // A call to an odd address (null itself is no function in Rust) faults at the fetch.
    let far = [format!("far={target:#018x}"), format!("far={:#018x}", target | 1)];
    let (class_is, level) = (format!("class={class} "), level(context));
    let hit = far.iter().any(|far| ending.expect_fault(&[&class_is, far, level]).is_ok());
    ensure!(hit, "expected {class} at {target:#x}: {ending}");
    ensure!(!ending.console.contains("SURVIVED"), "the attack came through: {ending}");
    Ok(())
}

/// Where an application's faults are said to come from.
fn level(context: &Context) -> &'static str {
    match context.mode() {
        Mode::Joined => "level=EL1",
        Mode::Contained => "level=EL0",
    }
}

fn run(context: &Context, image: &str, settings: &[&str]) -> Result<Ending> {
    let machine = context.machine("qemu-virt", image)?.setting("on-fault=off");
    settings
        .iter()
        .fold(machine, |machine, setting| machine.setting(setting))
        .boot()?
        .ending(PATIENCE)
}
