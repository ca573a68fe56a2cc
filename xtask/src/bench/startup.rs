//! How long it takes from the emulator's start to the first answer, beside what the emulator itself
//! takes.

use std::time::Duration;

use anyhow::Result;

use super::Bench;
use super::beside::Beside;
use super::report::{Figure, Samples, Section, Target, Unit};
use super::subject::{LINUX, PATIENCE, Subject};

/// An emulator that takes longer than this to do nothing does not end.
const FLOOR_LIMIT: Duration = Duration::from_secs(20);
/// Linux takes part in every so many-th turn, as it takes seconds.
const LINUX_TURN: usize = 3;

pub(super) fn measure(bench: &Bench) -> Result<Section> {
    let turns = bench.choose(15, 5);
    let mut floors = Vec::new();
    let mut answers = bench.servers().map(|subject| (subject, Vec::new()));
    // The first turn is not counted: it fills the host's caches.
    for turn in 0..=turns {
        let floor = milliseconds(bench.floor.start()?.wait_for_end(FLOOR_LIMIT)?);
        eprintln!("bench: startup {turn} of {turns}: floor {floor:.1} ms");
        if turn > 0 {
            floors.push(floor);
        }
        for (subject, times) in answers.each_mut() {
            if subject.name == LINUX && turn % LINUX_TURN != 0 {
                continue;
            }
            let answer = milliseconds(answer(subject)?);
            eprintln!("bench: startup {turn} of {turns}: {}: {answer:.1} ms", subject.name);
            if turn > 0 {
                times.push(answer);
            }
        }
    }
    let floor = Samples::of(floors);
    let middle = floor.median().unwrap_or_default();
    let of = |off: f64| {
        let less = |time: &f64| time - off;
        answers.as_ref().map(|(_, times)| Samples::of(times.iter().map(less)))
    };
    let floor = Beside { joined: Some(floor), ..Beside::default() };
    let figure = |name, label, samples| Figure::new(name, label, Unit::Milliseconds, samples);
    Ok(Section {
        title: "From the emulator's start to the first answer",
        figures: vec![
            figure("startup.answer", "first answer", of(0.0)),
            figure("startup.floor", "floor: a guest that only powers off", floor).for_reference(),
            figure("startup.above_floor", "first answer above the floor", of(middle))
                .target(Target::AtMost(40.0)),
        ],
    })
}

fn answer(subject: &Subject) -> Result<Duration> {
    subject.first_answer(&subject.start()?, PATIENCE)
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
