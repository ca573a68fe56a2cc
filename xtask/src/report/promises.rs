//! System tests of reports in words: a fault deep in an application leads back to the functions and
//! lines that its source says, by the same code that `report` and `run` use; and of the line by which
//! a debugger is started.

use std::env;
use std::fs;
use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use elone_harness::{Context, Debugger, LeftOut, Mode, Modes, Pace, Scenario};

use super::reports;
use crate::program;
use crate::symbols::Frame;
use crate::symbols::library::Library;

/// Every such test.
pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "report::a_fault_deep_in_an_application_is_located",
        pace: Pace::Quick,
        modes: Modes::Both,
        run: a_fault_deep_in_an_application_is_located,
    },
    Scenario {
        name: "report::run_says_where_while_it_runs",
        pace: Pace::Quick,
        modes: Modes::Both,
        run: run_says_where_while_it_runs,
    },
    Scenario {
        name: "debugging::the_line_that_run_prints_starts_a_debugger",
        pace: Pace::Quick,
        modes: Modes::Both,
        run: the_line_that_run_prints_starts_a_debugger,
    },
];

/// How long a debugger may take.
const DEBUGGING: Duration = Duration::from_secs(60);

/// Fails several calls deep, at lines that its source marks.
const UNIKERNEL: &str = "faults_are_located";
const SOURCE: &str = "tests/unikernels/src/bin/faults_are_located.rs";

fn a_fault_deep_in_an_application_is_located(context: &Context) -> Result<()> {
    let image = context.image(UNIKERNEL)?;
    let target = image.ancestors().nth(2).context("the image is not below target")?;
    for (how, class) in [("write", "write-abort"), ("panic", "panic")] {
        let machine = context.machine("qemu-virt", UNIKERNEL)?;
        let machine = machine.setting(&format!("app.how={how}")).setting("on-fault=off");
        let ending = machine.boot()?.ending(Duration::from_secs(30))?;
        let mut found = Vec::new();
        reports(ending.console.as_bytes(), |report| {
            found.push(report.clone());
            Ok(())
        })?;
        let [report] = &found[..] else { anyhow::bail!("{} reports: {ending}", found.len()) };
        ensure!(report.class == class && report.whole, "not a whole {class}: {ending}");
        let program = if context.mode() == Mode::Joined { "image" } else { "application" };
        ensure!(report.program.as_deref() == Some(program), "not in the {program}: {ending}");

        let mut library = Library::new(target, &[])?;
        let symbols = library.symbols(report.build.as_deref().context("no build id")?)?;
        ensure!(report.base.is_some(), "it does not say where the {program} was: {ending}");
        let addresses = report.addresses().into_iter();
        let frames: Vec<Frame> =
            addresses.flat_map(|address| symbols.frames(address, report.base)).collect();
        expect(&frames, &marked(&root(context)?.join(SOURCE), how)?)
            .with_context(|| format!("after {how}: {ending}"))?;
    }
    Ok(())
}

/// A place that must be in a backtrace.
#[derive(Debug)]
struct Place {
    line: u32,
    function: String,
    inlined: bool,
}

/// The places that the source marks, innermost first.
fn marked(source: &Path, how: &str) -> Result<Vec<Place>> {
    let source = fs::read_to_string(source)?;
    let mut places = Vec::new();
    for number in 0.. {
        let marks = [format!("// line {number}: "), format!("// line {number} of a {how}: ")];
        let found = source.lines().zip(1..).find_map(|(text, line)| {
            let words = marks.iter().find_map(|mark| Some(text.split_once(mark)?.1))?;
            let function = words.split(' ').next()?.to_owned();
            Some(Place { line, function, inlined: words.ends_with("(inlined)") })
        });
        let Some(place) = found else { break };
        places.push(place);
    }
    ensure!(places.len() > 4, "only {places:?} are marked");
    Ok(places)
}

/// Checks that all `places` are among the frames, in their order, with nothing of the program's own
/// between them.
fn expect(frames: &[Frame], places: &[Place]) -> Result<()> {
    let own =
        frames.iter().filter(|frame| frame.place.as_ref().is_some_and(|(file, _)| file == SOURCE));
    let mut own = own.skip_while(|frame| !frame.function.ends_with(&places[0].function));
    for place in places {
        let frame = own.next().with_context(|| format!("no {place:?} in {frames:#?}"))?;
        let line = frame.place.as_ref().and_then(|(_, line)| *line);
        let function = frame.function.starts_with(&format!("{UNIKERNEL}::{}", place.function));
        // The outermost is a future, which the executor may have inlined.
        let inlined = frame.inlined == place.inlined || place.function == "main";
        let right = function && inlined && line == Some(place.line);
        ensure!(right, "{frame:?} is not {place:?} in {frames:#?}");
    }
    Ok(())
}

/// The same as people see it, from the command line, and from the text that it leaves.
fn run_says_where_while_it_runs(context: &Context) -> Result<()> {
    let mut run = run(context)?;
    let output = run.args(["--", "app.how=write", "on-fault=off"]).output()?;
    let said = String::from_utf8(output.stdout)?;
    let complaint = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.code() == Some(101), "{}: {said}\n{complaint}", output.status);

    let places = marked(&root(context)?.join(SOURCE), "write")?;
    let expected = format!("{UNIKERNEL}::below at {SOURCE}:{}\n", places[2].line);
    let (console, rest) = said.split_once("\n  backtrace ").context(said.clone())?;
    let (_, frames) = rest.split_once('\n').context(said.clone())?;
    let (frames, _) = frames.split_once("END FAULT").context(said.clone())?;
    ensure!(frames.contains(&expected), "no {expected:?} where it belongs in {said}");
    ensure!(!console.contains(&expected), "frames before the backtrace in {said}");

    // What was written down explains itself again, frames and all.
    let console = context.scratch.join("console.txt");
    fs::write(&console, &said)?;
    let output = Command::new(env::current_exe()?).arg("report").arg(&console).output()?;
    let report = String::from_utf8(output.stdout)?;
    ensure!(output.status.success() && report.contains(&expected), "no {expected:?} in {report}");
    Ok(())
}

/// The line is typed into a shell, with a script behind it.
fn the_line_that_run_prints_starts_a_debugger(context: &Context) -> Result<()> {
    if Debugger::find().is_none() {
        return Err(LeftOut("there is no debugger for aarch64 on this machine".into()).into());
    }
    let mut run = run(context)?;
    run.arg(format!("--gdb={}", free_port()?)).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut machine = elone_harness::spawn(&mut run)?;
    let mut said = BufReader::new(machine.stderr.take().context("no output")?).lines();
    let line =
        said.find_map(|line| Some(line.ok()?.strip_prefix("waiting for a debugger: ")?.to_owned()));
    let line = line.context("no line is printed")?;

    let file = context.scratch.join("debugger.txt");
    let places = marked(&root(context)?.join(SOURCE), "write")?;
    let stop = format!("{SOURCE}:{}", places[2].line);
    let typed = format!(
        "exec {line} -nx -batch -ex 'break {stop}' -ex continue -ex backtrace -ex 'list {stop}' \
         -ex delete -ex continue >'{}' 2>&1",
        file.display()
    );
    let status = program::within(Command::new("sh").args(["-c", &typed]), DEBUGGING)?;
    let told = fs::read_to_string(&file)?;
    if status.is_none() {
        machine.kill()?;
    }
    let ended = machine.wait()?;
    let caller = format!(" at {SOURCE}:{}\n", places[4].line);
    for words in ["\nBreakpoint ", &caller, "fn below("] {
        ensure!(told.contains(words), "{words:?} is not in what {line} says:\n{told}");
    }
    ensure!(ended.code() == Some(0), "{ended} after {line}:\n{told}");
    Ok(())
}

/// The command that boots the unikernel in this mode.
fn run(context: &Context) -> Result<Command> {
    let mut run = Command::new(env::current_exe()?);
    // Not the port that people use.
    let forward = format!("{}:80", free_port()?);
    run.args(["run", UNIKERNEL, "--forward", &forward]).stdin(Stdio::null());
    if context.mode() == Mode::Contained {
        run.arg("--contained");
    }
    Ok(run)
}

/// A port of 127.0.0.1 that nobody has at the moment.
fn free_port() -> Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

fn root(context: &Context) -> Result<&Path> {
    context.boards.parent().context("the boards are not in a repository")
}
