//! What the plugin counts: until the first line, for each request, and while idle.

use std::thread;
use std::time::Duration;

use anyhow::Result;

use super::Bench;
use super::http::Use;
use super::load::Load;
use super::plugin::Counts;
use super::process::CLIENTS;
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
    let (hello, gateway) = (count(&bench.hello)?, count(&bench.gateway)?);
    let linux = bench.linux.as_ref().map(count).transpose()?;
    let instructions =
        |runs: &Vec<Counts>| Samples::of(runs.iter().map(|counts| counts.instructions as f64));
    let accesses =
        |runs: &Vec<Counts>| Samples::of(runs.iter().map(|counts| counts.accesses as f64));
    let figure = |name, label, samples| Figure::new(name, label, Unit::Count, samples);
    Ok(Section {
        title: "From entry to the first line (hello), to listening (gateway)",
        figures: vec![
            figure("line.hello.instructions", "hello: guest instructions", instructions(&hello))
                .target(Target::AtMost(1_000_000.0)),
            figure("line.hello.accesses", "hello: device accesses", accesses(&hello)),
            figure(
                "line.gateway.instructions",
                "gateway: guest instructions",
                instructions(&gateway),
            )
            .target(Target::AtMost(4_000_000.0))
            .linux(linux.as_ref().map(instructions)),
            figure("line.gateway.accesses", "gateway: device accesses", accesses(&gateway))
                .linux(linux.as_ref().map(accesses)),
        ],
    })
}

/// For each request on a kept connection, boot taken off.
pub(super) fn per_request(bench: &Bench) -> Result<Section> {
    let rounds = bench.choose(500, 100);
    let several = |subject| per_request_of(bench, subject, CLIENTS, rounds);
    let single = |subject| per_request_of(bench, subject, 1, rounds);
    let (many, one) = (several(&bench.gateway)?, single(&bench.gateway)?);
    let linux_many = bench.linux.as_ref().map(several).transpose()?;
    let linux_one = bench.linux.as_ref().map(single).transpose()?;
    let figure = |name, label, of: fn(&PerRequest) -> f64, ours: &PerRequest, theirs| {
        let theirs: &Option<PerRequest> = theirs;
        Figure::new(name, label, Unit::PerRequest, Samples::one(of(ours)))
            .linux(theirs.as_ref().map(|counts| Samples::one(of(counts))))
    };
    let instructions: fn(&PerRequest) -> f64 = |counts| counts.instructions;
    let accesses: fn(&PerRequest) -> f64 = |counts| counts.accesses;
    Ok(Section {
        title: "For each keep-alive request",
        figures: vec![
            figure(
                "request.instructions",
                "guest instructions, 8 connections",
                instructions,
                &many,
                &linux_many,
            )
            .target(Target::AtMost(12_000.0)),
            figure(
                "request.accesses",
                "device accesses, 8 connections",
                accesses,
                &many,
                &linux_many,
            )
            .target(Target::AtMost(2.0)),
            figure(
                "request.single.instructions",
                "guest instructions, 1 connection",
                instructions,
                &one,
                &linux_one,
            ),
            figure(
                "request.single.accesses",
                "device accesses, 1 connection",
                accesses,
                &one,
                &linux_one,
            ),
        ],
    })
}

/// What one request takes, on average.
#[derive(Clone, Copy, Debug)]
struct PerRequest {
    instructions: f64,
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
    subject.first_answer(&process, PATIENCE)?;
    let counters = process.counters()?;
    let all = subject.load(&process, Use::Kept);
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
    let guests = [Some(&bench.gateway), Some(&bench.gateway_by_dhcp), bench.linux.as_ref()];
    let mut watched = Vec::new();
    for subject in guests.into_iter().flatten() {
        let process = subject.start_counted(&bench.plugin)?;
        subject.wait_for_line(&process, PATIENCE)?;
        watched.push(process);
    }
    thread::sleep(SETTLING);
    let now = || -> Result<Vec<Counts>> {
        watched.iter().map(|process| Ok(process.counters()?.now()?)).collect()
    };
    let before = now()?;
    thread::sleep(Duration::from_secs(seconds));
    let rate = |count: u64| Samples::one(count as f64 / seconds as f64);
    let spent: Vec<_> = now()?.iter().zip(before).map(|(now, before)| *now - before).collect();
    // A guest that polls never sleeps: without its instructions, no wake-up would look like calm.
    let [fixed, by_dhcp, rest @ ..] = &spent[..] else { unreachable!("two are always watched") };
    let linux = rest.first();
    let figure = |name, label, count| Figure::new(name, label, Unit::PerSecond, rate(count));
    let zero = Target::AtMost(0.0);
    Ok(Section {
        title: "While idle",
        figures: vec![
            figure("idle.static.wakeups", "wake-ups, static address", fixed.sleeps)
                .target(zero)
                .linux(linux.map(|counts| rate(counts.sleeps))),
            figure(
                "idle.static.instructions",
                "guest instructions, static address",
                fixed.instructions,
            )
            .linux(linux.map(|counts| rate(counts.instructions))),
            figure("idle.dhcp.wakeups", "wake-ups, DHCP", by_dhcp.sleeps).target(zero),
            figure("idle.dhcp.instructions", "guest instructions, DHCP", by_dhcp.instructions),
        ],
    })
}
