//! What one pass of the integrity check takes, which comes after the boot and between requests.

use std::thread;
use std::time::Duration;

use anyhow::Result;

use super::Bench;
use super::process::Process;
use super::report::{Figure, Samples, Section, Unit};
use super::subject::{PATIENCE, Subject};

/// A pass every second, and none.
const SETTINGS: [&str; 2] = ["integrity=1", "integrity=off"];
/// What is left to do after the boot is over by then.
const SETTLING: Duration = Duration::from_secs(3);

/// Idle guests, all watched at the same time: what the one with passes executes beyond the other.
pub(super) fn measure(bench: &Bench) -> Result<Section> {
    let passes = bench.choose(20, 8);
    eprintln!("bench: watching {passes} passes of the integrity check");
    let start = |subject: &Subject| -> Result<[Process; 2]> {
        let [with, without] = SETTINGS.map(|setting| {
            let subject = subject.setting(setting);
            let process = subject.start_counted(&bench.plugin)?;
            subject.wait_for_line(&process, PATIENCE)?;
            Ok::<_, anyhow::Error>(process)
        });
        Ok([with?, without?])
    };
    let guests = bench.each(|guests| &guests.gateway).try_map(start)?;
    thread::sleep(SETTLING);
    let executed = || {
        guests.as_ref().try_map(|[with, without]| {
            let [with, without] = [with.counters()?.now()?, without.counters()?.now()?];
            Ok(with.instructions as f64 - without.instructions as f64)
        })
    };
    let before = executed()?;
    thread::sleep(Duration::from_secs(passes));
    let mut after = executed()?;
    for (after, before) in after.each_mut().zip(before.each()) {
        *after = (*after - before) / passes as f64;
    }
    let samples = after.map(Samples::one);
    let label = "guest instructions a pass, one every 60 s";
    let figure = Figure::new("integrity.pass", label, Unit::Count, samples);
    Ok(Section { title: "Integrity check", figures: vec![figure] })
}
