//! How long it takes from the emulator's start to the first answer, beside what the emulator itself
//! takes.

use std::time::Duration;

use anyhow::Result;

use super::Bench;
use super::report::{Figure, Samples, Section, Target, Unit};
use super::subject::{PATIENCE, Subject};

/// An emulator that takes longer than this to do nothing does not end.
const FLOOR_LIMIT: Duration = Duration::from_secs(20);
/// Linux takes part in every so many-th turn, as it takes seconds.
const LINUX_TURN: usize = 3;

pub(super) fn measure(bench: &Bench) -> Result<Section> {
    let turns = bench.choose(15, 5);
    let (mut floors, mut answers, mut linuxes) = (Vec::new(), Vec::new(), Vec::new());
    // The first turn is not counted: it fills the host's caches.
    for turn in 0..=turns {
        let floor = bench.floor.start()?.wait_for_end(FLOOR_LIMIT)?;
        let answer = answer(&bench.gateway)?;
        let linux = match &bench.linux {
            Some(linux) if turn % LINUX_TURN == 0 => Some(self::answer(linux)?),
            _ => None,
        };
        let (floor, answer) = (milliseconds(floor), milliseconds(answer));
        eprintln!("bench: startup {turn} of {turns}: floor {floor:.1} ms, answer {answer:.1} ms");
        if turn > 0 {
            floors.push(floor);
            answers.push(answer);
            linuxes.extend(linux.map(milliseconds));
        }
    }
    let floor = Samples::of(floors);
    let middle = floor.median().unwrap_or_default();
    let above = |times: &[f64]| Samples::of(times.iter().map(|time| time - middle));
    let of_linux = |samples: Samples| bench.linux.is_some().then_some(samples);
    let figure = |name, label, samples| Figure::new(name, label, Unit::Milliseconds, samples);
    Ok(Section {
        title: "From the emulator's start to the first answer",
        figures: vec![
            figure("startup.answer", "first answer", Samples::of(answers.iter().copied()))
                .linux(of_linux(Samples::of(linuxes.iter().copied()))),
            figure("startup.floor", "floor: a guest that only powers off", floor).for_reference(),
            figure("startup.above_floor", "first answer above the floor", above(&answers))
                .target(Target::AtMost(40.0))
                .linux(of_linux(above(&linuxes))),
        ],
    })
}

fn answer(subject: &Subject) -> Result<Duration> {
    subject.first_answer(&subject.start()?, PATIENCE)
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
