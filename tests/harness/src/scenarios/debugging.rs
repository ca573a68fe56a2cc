//! A debugger at work, as people start it: it is given what `cargo xtask run --gdb` prints, and
//! then a script.
//!
//! The unikernel stops nowhere by itself: [`UNIKERNEL`] is asked for no fault, and has to end well
//! once the debugger lets it go on. Lines are not written down here but found in its source, at the
//! comments that begin with `line`.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::json;

use crate::scenario::scenarios;
use crate::{Context, Debugger, Ending, LeftOut, Machine, Mode, Scenario, spawn};

pub(super) const SCENARIOS: &[Scenario] = scenarios!["debugging":
    Quick a_breakpoint_in_the_application_stops_there,
    Quick a_breakpoint_in_the_kernel_stops_there,
    Quick a_breakpoint_before_the_tables_are_on_stops_there,
];

const UNIKERNEL: &str = "faults_are_located";
const SOURCE: &str = "tests/unikernels/src/bin/faults_are_located.rs";

/// How long a machine and its debugger may take.
const PATIENCE: Duration = Duration::from_secs(60);

fn a_breakpoint_in_the_application_stops_there(context: &Context) -> Result<()> {
    let sitting = Sitting::new(context)?;
    let commands =
        ["break faults_are_located::fails", "continue", "info registers x1", "backtrace"];
    let said = sitting.run(&commands)?;
    stopped(&said, "faults_are_located::fails")?;
    // Its second argument (AAPCS64, section 6.8.2): 16 times 40 and what its callers added.
    let argument = said.lines().find(|line| line.starts_with("x1 "));
    ensure!(argument.is_some_and(|line| line.ends_with(" 672")), "{argument:?} in\n{said}");
    // Its callers, through what was inlined: those that the source has marked.
    let source = fs::read_to_string(root(context)?.join(SOURCE))?;
    for number in 1..=5 {
        let (line, function) = marked(&source, number)?;
        let place = format!("{SOURCE}:{line}");
        let frame = frames(&said).find(|frame| frame.ends_with(&place));
        let frame = frame.with_context(|| format!("no frame at {place} in\n{said}"))?;
        ensure!(frame.contains(&format!("faults_are_located::{function}")), "{frame} in\n{said}");
    }
    Ok(())
}

fn a_breakpoint_in_the_kernel_stops_there(context: &Context) -> Result<()> {
    let sitting = Sitting::new(context)?;
    // In the middle of a call that an application makes, or, joined, after its last.
    let function = match context.mode() {
        Mode::Joined => "elone_kernel::power::end",
        Mode::Contained => "elone_kernel::mode::calls::serve",
    };
    let said = sitting.run(&[&format!("break {function}"), "continue", "backtrace"])?;
    stopped(&said, function)?;
    let outermost = frames(&said).find(|frame| frame.contains("elone_kernel::boot::start"));
    let outermost = outermost.with_context(|| format!("no caller in\n{said}"))?;
    ensure!(outermost.contains(" at kernel/src/boot.rs:"), "{outermost} in\n{said}");
    ensure!(!said.contains("corrupt stack"), "the backtrace does not end cleanly:\n{said}");
    Ok(())
}

/// Where the loader jumps to there are no tables yet, so nothing is where it is linked, and memory
/// cannot be written to set a breakpoint: the core's own have to do.
fn a_breakpoint_before_the_tables_are_on_stops_there(context: &Context) -> Result<()> {
    let sitting = Sitting::new(context)?;
    let script = context.image(UNIKERNEL)?.with_extension("gdb");
    let said = sitting.run_from_the_first_instruction(&[
        &format!("hbreak *{ENTRY:#x}"),
        "continue",
        // The header's first instruction: a branch over the header.
        "x/i $pc",
        &format!("source {}", script.display()),
        "hbreak elone_kernel::boot::start",
        "continue",
        "backtrace",
    ])?;
    ensure!(said.contains(&format!("=> {ENTRY:#x}:\tb\t")), "not at the entry:\n{said}");
    // What the function begins with may be inlined there.
    stopped(&said, "elone_kernel::boot::")?;
    let first = frames(&said).find(|frame| frame.contains("elone_kernel::boot::start"));
    ensure!(first.is_some(), "not at the kernel's begin:\n{said}");
    Ok(())
}

/// Where the emulator's loader puts an image that may lie anywhere: 2 MiB above the begin of RAM
/// (QEMU, hw/arm/boot.c).
const ENTRY: u64 = 0x4020_0000;

/// A machine that is held before its first instruction, and a debugger to let it go on.
struct Sitting<'a> {
    context: &'a Context,
    debugger: PathBuf,
    machine: Machine,
}

impl<'a> Sitting<'a> {
    fn new(context: &'a Context) -> Result<Self> {
        let Some(debugger) = Debugger::find() else {
            return Err(LeftOut("there is no debugger for aarch64 on this machine".into()).into());
        };
        let machine = context.machine("qemu-virt", UNIKERNEL)?;
        // The emulator takes a port that is free, and is asked which.
        let chosen = "socket,id=debugger,host=127.0.0.1,port=0,server=on,wait=off";
        let machine = machine.argument("-chardev").argument(chosen);
        let machine = machine.argument("-gdb").argument("chardev:debugger").held();
        Ok(Self { context, debugger, machine })
    }

    /// Has the debugger go to where the image has moved and do `commands`, then lets the machine run
    /// to its end, which must be a good one. Returns what the debugger said.
    fn run(self, commands: &[&str]) -> Result<String> {
        self.do_all(commands, Debugger::arguments)
    }

    /// The same, from where the machine begins.
    fn run_from_the_first_instruction(self, commands: &[&str]) -> Result<String> {
        self.do_all(commands, Debugger::connecting)
    }

    fn do_all(self, commands: &[&str], first: impl Fn(&Debugger) -> &[String]) -> Result<String> {
        let Self { context, debugger, machine } = self;
        let mut guest = machine.boot()?;
        let devices = guest.qmp()?.execute("query-chardev", json!({}))?.to_string();
        let port = devices.split("tcp:127.0.0.1:").nth(1).context("no port")?;
        let port: String = port.chars().take_while(char::is_ascii_digit).collect();

        let script = context.scratch.join("script.gdb");
        // The last command ends with the connection, which the debugger takes for an error.
        fs::write(&script, [commands, &["delete", "continue", ""]].concat().join("\n"))?;
        let address = format!("127.0.0.1:{port}");
        let told = Debugger::new(&context.image(UNIKERNEL)?, root(context)?, &address)?;
        let mut command = Command::new(debugger);
        command.args(["-nx", "-batch"]).args(first(&told)).arg("-x").arg(&script);
        let said = within(&mut command, &context.scratch.join("debugger.txt"))?;

        let ending: Ending = guest.ending(PATIENCE).with_context(|| format!("after {said}"))?;
        ending.expect_status(0).with_context(|| format!("after {said}"))?;
        Ok(said)
    }
}

/// Runs a debugger to its end; returns all that it said, which is also left in a file.
fn within(command: &mut Command, file: &Path) -> Result<String> {
    let output = File::create(file)?;
    command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
    // It would ask a server for symbols of what it does not know.
    command.env_remove("DEBUGINFOD_URLS");
    let mut debugger = spawn(command)?;
    let deadline = Instant::now() + PATIENCE;
    while debugger.try_wait()?.is_none() {
        if Instant::now() > deadline {
            debugger.kill()?;
            debugger.wait()?;
            bail!("the debugger is stuck:\n{}", fs::read_to_string(file)?);
        }
        thread::sleep(Duration::from_millis(20));
    }
    Ok(String::from_utf8_lossy(&fs::read(file)?).into_owned())
}

fn root(context: &Context) -> Result<&Path> {
    context.boards.parent().context("the boards are not in a repository")
}

/// Checks that it stopped at a breakpoint in this function.
fn stopped(said: &str, function: &str) -> Result<()> {
    let hit = said.lines().any(|line| line.starts_with("Breakpoint ") && line.contains(function));
    ensure!(hit, "it did not stop in {function}:\n{said}");
    Ok(())
}

/// The frames of a backtrace, a line each.
fn frames(said: &str) -> impl Iterator<Item = &str> {
    said.lines().filter(|line| line.starts_with('#'))
}

/// The line that the source has marked as this place of the backtrace, and its function.
fn marked(source: &str, number: u32) -> Result<(usize, &str)> {
    let mark = format!("// line {number}: ");
    let found = source.lines().zip(1..).find_map(|(text, line)| {
        let function = text.split_once(&mark)?.1;
        Some((line, function.split(' ').next()?))
    });
    found.with_context(|| format!("no line is marked {mark:?}"))
}
