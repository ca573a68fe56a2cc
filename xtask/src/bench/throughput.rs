//! How many requests a second, and how long each takes.

use std::time::Duration;

use anyhow::Result;

use super::Bench;
use super::beside::Beside;
use super::http::Use;
use super::load::Seen;
use super::report::{Figure, Samples, Section, Target, Unit};
use super::subject::PATIENCE;

/// What Elone's keep-alive throughput is to be, in Linux's.
const TIMES_LINUX: f64 = 15.0;
/// What it is to be contained, at least, in what it is joined.
const CONTAINED_IN_JOINED: f64 = 0.8;
/// What the slow requests may take, in what the others take.
const TAIL: f64 = 10.0;

/// Names of the figures of one kind of load, for data.
struct Names {
    title: &'static str,
    rate: &'static str,
    middle: &'static str,
    slow: &'static str,
    tail: &'static str,
    ratio: &'static str,
    share: &'static str,
}

pub(super) fn keep_alive(bench: &Bench, notes: &mut Vec<String>) -> Result<Section> {
    let names = Names {
        title: "HTTP on 8 kept connections",
        rate: "keep_alive.rate",
        middle: "keep_alive.p50",
        slow: "keep_alive.p99",
        tail: "keep_alive.tail",
        ratio: "keep_alive.times_linux",
        share: "keep_alive.contained_in_joined",
    };
    measure(bench, notes, Use::Kept, &names)
}

pub(super) fn connections(bench: &Bench, notes: &mut Vec<String>) -> Result<Section> {
    let names = Names {
        title: "HTTP with a connection each, 8 at a time",
        rate: "connections.rate",
        middle: "connections.p50",
        slow: "connections.p99",
        tail: "connections.tail",
        ratio: "connections.times_linux",
        share: "connections.contained_in_joined",
    };
    measure(bench, notes, Use::Once, &names)
}

fn measure(bench: &Bench, notes: &mut Vec<String>, purpose: Use, names: &Names) -> Result<Section> {
    let (runs, time) = bench.choose((5, 5), (3, 2));
    let mut seen = bench.servers().map(|subject| (subject, Vec::new()));
    for run in 1..=runs {
        for (subject, all) in seen.each_mut() {
            // A fresh boot each: what a run leaves behind is not the next one's burden.
            let process = subject.start()?;
            subject.first_answer(&process, PATIENCE)?;
            let one = subject.load(&process, purpose).run_for(Duration::from_secs(time))?;
            eprintln!(
                "bench: {}, {}, run {run} of {runs}: {:.0}/s, p50 {:?}, p99 {:?}, slowest {:?}",
                names.title,
                subject.name,
                one.per_second(),
                one.percentile(50),
                one.percentile(99),
                one.slowest(),
            );
            all.push(one);
        }
    }
    for (subject, all) in seen.as_ref().each() {
        let failures: usize = all.iter().map(|seen| seen.failures).sum();
        let requests: usize = all.iter().map(Seen::requests).sum();
        if failures > 0 {
            notes.push(format!(
                "{}: {}: {failures} requests failed, beside {requests} that did not",
                names.title, subject.name
            ));
        }
    }
    Ok(section(names, purpose, &seen.map(|(_, seen)| seen)))
}

fn section(names: &Names, purpose: Use, seen: &Beside<Vec<Seen>>) -> Section {
    let of = |value: fn(&Seen) -> f64| seen.as_ref().map(|all| Samples::of(all.iter().map(value)));
    let figure =
        |name, label, unit, value: fn(&Seen) -> f64| Figure::new(name, label, unit, of(value));
    let tail = figure(names.tail, "p99 in p50s", Unit::Times, |seen| {
        milliseconds(seen, 99) / milliseconds(seen, 50)
    });
    let rate = figure(names.rate, "requests", Unit::RequestsPerSecond, Seen::per_second);
    let mut figures = vec![rate.more_is_better()];
    let rates = of(Seen::per_second);
    let ratio = |ours: &Samples, theirs: &Samples| {
        Samples::one(ours.median().unwrap_or_default() / theirs.median().unwrap_or(f64::NAN))
    };
    if let Some(share) = rates.as_ref().contained_in_joined(ratio) {
        let share = Beside::contained(share);
        let share = Figure::new(names.share, "contained, in joined's", Unit::Share, share);
        figures.push(share.contained_target(Target::AtLeast(CONTAINED_IN_JOINED)));
    }
    if let Some(linux) = &rates.linux {
        let times = |samples: &Samples| ratio(samples, linux);
        let times = Beside { linux: None, ..rates.as_ref() }.map(times);
        let times = Figure::new(names.ratio, "in Linux's", Unit::Times, times);
        figures.push(match purpose {
            Use::Kept => times.target(Target::AtLeast(TIMES_LINUX)),
            Use::Once => times,
        });
    }
    figures.push(figure(names.middle, "p50", Unit::Milliseconds, |seen| milliseconds(seen, 50)));
    figures.push(figure(names.slow, "p99", Unit::Milliseconds, |seen| milliseconds(seen, 99)));
    figures.push(match purpose {
        Use::Kept => tail.target(Target::AtMost(TAIL)).for_reference(),
        Use::Once => tail.for_reference(),
    });
    Section { title: names.title, figures }
}

fn milliseconds(seen: &Seen, percent: usize) -> f64 {
    seen.percentile(percent).as_secs_f64() * 1e3
}
