//! How long it takes until an application that has faulted is there again: reported, torn down, its
//! device taken back, laid out anew and started. By the guest's clock, and counted.

use anyhow::{Context, Result, ensure};

use super::Bench;
use super::beside::Beside;
use super::plugin::Counts;
use super::report::{Figure, Samples, Section, Target, Unit};
use super::subject::{PATIENCE, Subject};

/// What the restart's line says before its time, and behind it.
const MARK: (&str, &str) = (" took ", " ns");
/// Guest time that is made of instructions, a nanosecond each.
const COUNTED: [&str; 2] = ["-icount", "shift=0"];
const NANOSECONDS: f64 = 1e-6;

pub(super) fn measure(bench: &Bench) -> Result<Option<Section>> {
    let Some(guests) = &bench.contained else { return Ok(None) };
    let times = bench.choose(1000, 100);
    let subject =
        guests.restarts.setting("fault-limit=none").setting(&format!("app.times={times}"));
    eprintln!("bench: restarting an application {times} times, in three ways");
    let by_clock = run(&subject, times)?;
    let by_count = run(&subject.arguments(&COUNTED), times)?;
    let counts = counts(bench, &subject, times)?;

    let figure =
        |name, label, unit, samples| Figure::new(name, label, unit, Beside::contained(samples));
    let time = |name, label, samples| figure(name, label, Unit::Milliseconds, samples);
    let p99 = |samples: &Samples| Samples::of(samples.percentile(99));
    let of =
        |value: fn(&Counts) -> u64| Samples::of(counts.iter().map(|counts| value(counts) as f64));
    let ten = Target::AtMost(10.0);
    Ok(Some(Section {
        title: "From an application's fault to its next life",
        figures: vec![
            time("restart.p99", "p99, guest time", p99(&by_clock)).contained_target(ten),
            time("restart.time", "median, guest time", by_clock),
            time("restart.counted.p99", "p99, at 1 ns an instruction", p99(&by_count))
                .contained_target(ten),
            time("restart.counted", "median, at 1 ns an instruction", by_count),
            figure(
                "restart.instructions",
                "guest instructions",
                Unit::Count,
                of(|counts| counts.instructions),
            ),
            figure(
                "restart.accesses",
                "device accesses, the report's characters among them",
                Unit::Count,
                of(|counts| counts.accesses),
            ),
        ],
    }))
}

/// Milliseconds of every restart, from the instruction before the fault to the next life's first.
fn run(subject: &Subject, times: usize) -> Result<Samples> {
    let process = subject.start()?;
    process.wait_for("exit status 0", PATIENCE)?;
    let console = String::from_utf8_lossy(&process.console()).into_owned();
    let lines = console.lines().filter_map(|line| line.split_once(MARK.0));
    let times_taken = lines.map(|(_, time)| {
        let time: u64 = time.trim_end().strip_suffix(MARK.1).unwrap_or_default().parse()?;
        Ok(time as f64 * NANOSECONDS)
    });
    let times_taken: Vec<f64> =
        times_taken.collect::<Result<_>>().context("a line of a restart")?;
    ensure!(times_taken.len() == times, "{} restarts of {times}", times_taken.len());
    Ok(Samples::of(times_taken))
}

/// What is executed from the end of one life's line to the beginning of the next one's.
fn counts(bench: &Bench, subject: &Subject, times: usize) -> Result<Vec<Counts>> {
    let process = subject.start_counted(&bench.plugin)?;
    process.wait_for("exit status 0", PATIENCE)?;
    let (console, counters) = (process.console(), process.counters()?);
    let (mut begin, mut ends, mut counts) = (0, None, Vec::new());
    for line in console.split_inclusive(|byte| *byte == b'\n') {
        let end = begin + line.len() as u64 - 1;
        if String::from_utf8_lossy(line).contains(MARK.0) {
            if let Some(last) = ends {
                counts.push(counters.at_console_byte(begin)? - counters.at_console_byte(last)?);
            }
            ends = Some(end);
        }
        begin = end + 1;
    }
    ensure!(counts.len() + 1 == times, "{} restarts were counted", counts.len());
    Ok(counts)
}
