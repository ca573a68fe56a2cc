//! What the plugin counts: until the first line, for each request, and while idle.

use std::thread;
use std::time::Duration;

use anyhow::Result;

use super::Bench;
use super::beside::Beside;
use super::http::Use;
use super::load::Load;
use super::plugin::{Counters, Counts};
use super::process::{CLIENTS, Process};
use super::report::{Figure, Samples, Section, Target, Unit};
use super::subject::{PATIENCE, Subject};

/// A guest that has executed nothing for so long waits for the next packet.
const CALM: Duration = Duration::from_millis(300);
/// One that never is that calm is counted all the same.
const CALM_LIMIT: Duration = Duration::from_secs(3);
/// What a guest does once after its boot, such as giving up waiting for an address, is over by then.
const SETTLING: Duration = Duration::from_secs(12);

/// From the machine's first instruction to the byte that ends the application's line. More than once:
/// a guest that waits for a device by looking again and again executes more on a busy machine.
pub(super) fn until_the_line(bench: &Bench) -> Result<Section> {
    let runs = bench.choose(5, 3);
    let count = |subject: &Subject| -> Result<Vec<Counts>> {
        (1..=runs)
            .map(|run| {
                eprintln!("bench: counting until {}'s line, run {run} of {runs}", subject.name);
                let process = subject.start_counted(&bench.plugin)?;
                let byte = subject.wait_for_line(&process, PATIENCE)?;
                process.counters()?.at_console_byte(byte)
            })
            .collect()
    };
    let hello = bench.each(|guests| &guests.hello).try_map(count)?;
    let gateway = bench.servers().try_map(count)?;
    let instructions: fn(&Counts) -> f64 = |counts| counts.instructions as f64;
    let accesses: fn(&Counts) -> f64 = |counts| counts.accesses as f64;
    let figure = |name, label, of: &Beside<Vec<Counts>>, value: fn(&Counts) -> f64| {
        let samples = of.as_ref().map(|runs| Samples::of(runs.iter().map(value)));
        Figure::new(name, label, Unit::Count, samples)
    };
    Ok(Section {
        title: "From entry to the first line (hello), to listening (gateway)",
        figures: vec![
            figure("line.hello.instructions", "hello: guest instructions", &hello, instructions)
                .target(Target::AtMost(1_000_000.0)),
            figure("line.hello.accesses", "hello: device accesses", &hello, accesses),
            figure(
                "line.gateway.instructions",
                "gateway: guest instructions",
                &gateway,
                instructions,
            )
            .target(Target::AtMost(4_000_000.0)),
            figure("line.gateway.accesses", "gateway: device accesses", &gateway, accesses),
        ],
    })
}

/// For each request on a kept connection, boot taken off.
pub(super) fn per_request(bench: &Bench) -> Result<Section> {
    let rounds = bench.choose(500, 100);
    let of = |clients| {
        bench.servers().try_map(|subject| per_request_of(bench, subject, clients, rounds))
    };
    let (many, one) = (of(CLIENTS)?, of(1)?);
    let figure = |name, label, of: fn(PerRequest) -> f64, counts: Beside<PerRequest>| {
        let samples = counts.map(|counts| Samples::one(of(counts)));
        Figure::new(name, label, Unit::PerRequest, samples)
    };
    let instructions: fn(PerRequest) -> f64 = |counts| counts.instructions;
    let accesses: fn(PerRequest) -> f64 = |counts| counts.accesses;
    Ok(Section {
        title: "For each keep-alive request",
        figures: vec![
            figure("request.instructions", "guest instructions, 8 connections", instructions, many)
                .target(Target::AtMost(12_000.0)),
            figure("request.accesses", "device accesses, 8 connections", accesses, many)
                .target(Target::AtMost(2.0)),
            figure(
                "request.single.instructions",
                "guest instructions, 1 connection",
                instructions,
                one,
            ),
            figure("request.single.accesses", "device accesses, 1 connection", accesses, one),
        ],
    })
}

/// What one request takes, on average.
#[derive(Clone, Copy, Debug)]
pub(super) struct PerRequest {
    pub(super) instructions: f64,
    accesses: f64,
}

fn per_request_of(
    bench: &Bench,
    subject: &Subject,
    clients: usize,
    rounds: usize,
) -> Result<PerRequest> {
    eprintln!("bench: counting {} requests to {}", clients * rounds, subject.name);
    let process = subject.start_counted(&bench.plugin)?;
    per_request_on(&process, subject, clients, rounds)
}

/// The same of a guest that boots already.
pub(super) fn per_request_on(
    process: &Process,
    subject: &Subject,
    clients: usize,
    rounds: usize,
) -> Result<PerRequest> {
    subject.first_answer(process, PATIENCE)?;
    let counters = process.counters()?;
    let all = subject.load(process, Use::Kept);
    let load = Load { addresses: &all.addresses[..clients], ..all };
    // What is only done once, such as asking for the client's hardware address, is over then.
    load.run_count(rounds.div_ceil(10))?;
    let before = counters.wait_for_calm(CALM, CALM_LIMIT)?;
    let requests = load.run_count(rounds)?.requests() as f64;
    let spent = counters.wait_for_calm(CALM, CALM_LIMIT)? - before;
    Ok(PerRequest {
        instructions: spent.instructions as f64 / requests,
        accesses: spent.accesses as f64 / requests,
    })
}

/// While nobody asks for anything. All guests are watched at the same time: none of them does
/// anything that could disturb another, and a count does not mind.
pub(super) fn while_idle(bench: &Bench) -> Result<Section> {
    let seconds = bench.choose(30, 10);
    eprintln!("bench: watching idle guests for {seconds} s, once they have settled");
    let watch = |subject: &Subject| -> Result<Process> {
        let process = subject.start_counted(&bench.plugin)?;
        subject.wait_for_line(&process, PATIENCE)?;
        Ok(process)
    };
    let fixed = bench.servers().try_map(watch)?;
    let by_dhcp = bench.each(|guests| &guests.gateway_by_dhcp).try_map(watch)?;
    thread::sleep(SETTLING);
    let now = |all: &Beside<Process>| {
        all.as_ref().try_map(|process| Ok((process.counters()?.now()?, process.counters()?)))
    };
    let before = (now(&fixed)?, now(&by_dhcp)?);
    thread::sleep(Duration::from_secs(seconds));
    let spent = |before: Beside<(Counts, Counters)>| {
        before.try_map(|(before, counters)| Ok(counters.now()? - before))
    };
    let (fixed, by_dhcp) = (spent(before.0)?, spent(before.1)?);
    // A guest that polls never sleeps: without its instructions, no wake-up would look like calm.
    let figure = |name, label, of: Beside<Counts>, count: fn(Counts) -> u64| {
        let rate = |counts| Samples::one(count(counts) as f64 / seconds as f64);
        Figure::new(name, label, Unit::PerSecond, of.map(rate))
    };
    let sleeps: fn(Counts) -> u64 = |counts| counts.sleeps;
    let instructions: fn(Counts) -> u64 = |counts| counts.instructions;
    let zero = Target::AtMost(0.0);
    Ok(Section {
        title: "While idle",
        figures: vec![
            figure("idle.static.wakeups", "wake-ups, static address", fixed, sleeps).target(zero),
            figure(
                "idle.static.instructions",
                "guest instructions, static address",
                fixed,
                instructions,
            ),
            figure("idle.dhcp.wakeups", "wake-ups, DHCP", by_dhcp, sleeps).target(zero),
            figure("idle.dhcp.instructions", "guest instructions, DHCP", by_dhcp, instructions),
        ],
    })
}
