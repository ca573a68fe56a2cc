//! What a gate call takes: the way from the application to the kernel and back, with as little as
//! can be done there.

use anyhow::{Context, Result};

use super::Bench;
use super::beside::Beside;
use super::report::{Figure, Samples, Section, Target, Unit};
use super::subject::{PATIENCE, Subject};

/// How many calls of each kind `calls_are_cheap` makes.
const CALLS: f64 = 100_000.0;

/// What one call takes, in guest instructions.
#[derive(Clone, Copy, Debug)]
struct Costs {
    now: f64,
    send: f64,
    receive: f64,
}

pub(super) fn measure(bench: &Bench) -> Result<Section> {
    let costs = bench.each(|guests| &guests.calls).try_map(|subject| count(bench, subject))?;
    let figure = |name, label, of: Beside<f64>| {
        Figure::new(name, label, Unit::PerRequest, of.map(Samples::one))
    };
    let mut figures = vec![figure("call.now", "the time", costs.map(|costs| costs.now))];
    if let Some(Costs { now, .. }) = costs.contained {
        let empty = figure("call.empty", "the time, contained", Beside::contained(now));
        figures.push(empty.contained_target(Target::AtMost(400.0)));
    }
    figures.push(figure("call.send", "sending no frame", costs.map(|costs| costs.send)));
    let receive = costs.map(|costs| costs.receive);
    figures.push(figure("call.receive", "receiving, where no frame is", receive));
    Ok(Section { title: "Guest instructions of a gate call, there and back", figures })
}

fn count(bench: &Bench, subject: &Subject) -> Result<Costs> {
    eprintln!("bench: counting the calls of {}", subject.name);
    let process = subject.start_counted(&bench.plugin)?;
    process.wait_for("exit status 0", PATIENCE)?;
    let counters = process.counters()?;
    let console = String::from_utf8_lossy(&process.console()).into_owned();
    // From the byte that ends one line to the first one of the other.
    let loop_of = |kind: &str| -> Result<f64> {
        let (begin, end) = (format!("begin {kind}\r\n"), format!("end {kind}\r\n"));
        let place = |line: &str| console.find(line).with_context(|| format!("no line {line:?}"));
        let (begin, end) = (place(&begin)? + begin.len() - 1, place(&end)?);
        let at = |byte: usize| counters.at_console_byte(byte.try_into()?);
        Ok((at(end)? - at(begin)?).instructions as f64)
    };
    let nothing = loop_of("nothing")?;
    let call = |kind| -> Result<f64> { Ok((loop_of(kind)? - nothing) / CALLS) };
    Ok(Costs { now: call("now")?, send: call("send")?, receive: call("receive")? })
}
