//! Runs attacks, two machines at a time.

use std::collections::VecDeque;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError, mpsc};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use elone_gate::{Protection, Protections};
use elone_harness::{Board, Ending, Machine, Mode};

use super::image::{Image, set};
use super::kind::{Attack, Case, Core, Course};
use super::show;
use super::verdict::{self, Outcome};

/// How long a machine may take to come to its end, on a busy host.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a machine says whose core has tags, and whose memory does not.
const NO_TAGS: &str = "the heap's memory keeps no tags";

/// How many other builds there are, should one have something where another has it, by chance: of
/// 256 builds, or as many as there are functions, one does.
pub(super) const OTHERS: usize = 3;

/// Whether what stops an attack is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mitigation {
    On,
    Off,
}

/// What is to become of an attack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Expected {
    Stopped,
    Survived,
    SurvivedByDesign,
}

/// An attack, to be made once.
#[derive(Clone, Copy, Debug)]
pub(super) struct Run {
    pub(super) attack: Attack,
    pub(super) mode: Mode,
    pub(super) mitigation: Mitigation,
    pub(super) expected: Expected,
}

impl Run {
    /// All that an attack takes in a mode.
    pub(super) fn all_of(attack: Attack, mode: Mode) -> Vec<Self> {
        let run = |mitigation, expected| Self { attack, mode, mitigation, expected };
        let stopped = run(Mitigation::On, Expected::Stopped);
        match attack.case(mode) {
            Case::Switched => vec![stopped, run(Mitigation::Off, Expected::Survived)],
            Case::Stopped => vec![stopped],
            Case::Control => vec![run(Mitigation::Off, Expected::Survived)],
            Case::ByDesign => vec![run(Mitigation::On, Expected::SurvivedByDesign)],
            Case::Absent => Vec::new(),
        }
    }

    /// What is left out of the image.
    fn left_out(&self) -> Protections {
        let Attack { protection, along, course, .. } = self.attack;
        let switched =
            self.mitigation == Mitigation::Off && self.attack.case(self.mode) == Case::Switched;
        let off = protection.iter().chain(along).filter(|_| switched);
        // Who is at EL0 cannot find out where the kernel is; that another build lies elsewhere shows
        // only where each boot does not.
        let known = match (course, self.mode) {
            (Course::Symbol(_) | Course::Lives(_), Mode::Contained) | (Course::Builds, _) => {
                Some(Protection::RandomLayout)
            }
            _ => None,
        };
        set(off.copied().chain(known))
    }
}

/// An image, and what other builds have made of the same program.
#[derive(Debug)]
pub(super) struct Builds {
    pub(super) mode: Mode,
    pub(super) image: Image,
    pub(super) others: Vec<Image>,
}

/// What there is to boot, and on what.
#[derive(Debug)]
pub(super) struct Range {
    pub(super) builds: Vec<Builds>,
    pub(super) boards: PathBuf,
    /// Where copies of images may be.
    pub(super) scratch: PathBuf,
}

impl Range {
    /// The images of a mode.
    fn builds(&self, mode: Mode) -> Result<&Builds> {
        let found = self.builds.iter().find(|builds| builds.mode == mode);
        found.context("the image was not built")
    }

    /// Makes the attack; what could not even begin is wrong as well.
    fn make(&self, run: &Run) -> Outcome {
        self.attempt(run).unwrap_or_else(|error| Outcome::Wrong(format!("{error:#}")))
    }

    fn attempt(&self, run: &Run) -> Result<Outcome> {
        let Builds { image, others, .. } = self.builds(run.mode)?;
        let file = self.file(image, "image", run)?;
        let (at, offset) = ("app.target", "app.offset");
        let told = match (run.attack.course, run.mode) {
            (Course::Once, _) => None,
            (Course::Symbol(name) | Course::Lives(name), Mode::Contained) => {
                Some((at, image.first_place(name)?))
            }
            (Course::Symbol(name) | Course::Lives(name), Mode::Joined) => {
                Some((offset, image.offset(name)?))
            }
            (Course::Twice, _) => Some((at, here(&self.boot(run, &file, None)?)?)),
            // Two images that are the same build in two copies, where builds have no layout of their
            // own.
            (Course::Builds, _) if run.mitigation == Mitigation::Off => {
                Some((at, here(&self.boot(run, &file, None)?)?))
            }
            (Course::Builds, _) => Some((at, self.elsewhere(run, &file, others)?)),
        };
        let ending = self.boot(run, &file, told)?;
        if run.attack.core == Core::Tagged && ending.console.contains(NO_TAGS) {
            let why = "this emulator's memory keeps no tags (QEMU 8 and later do)";
            return Ok(Outcome::LeftOut(why.to_owned()));
        }
        Ok(verdict::judge(&ending, run.attack.stop, run.mode))
    }

    /// Where another build has the target, that is not where this one has it.
    fn elsewhere(&self, run: &Run, file: &Path, others: &[Image]) -> Result<u64> {
        let own = here(&self.boot(run, file, None)?)?;
        for (index, other) in others.iter().enumerate() {
            let other = self.file(other, &format!("other-{index}"), run)?;
            let target = here(&self.boot(run, &other, None)?)?;
            if target != own {
                return Ok(target);
            }
        }
        bail!("{OTHERS} other builds have it at {own:#x} too")
    }

    /// The file to boot.
    fn file(&self, image: &Image, name: &str, run: &Run) -> Result<PathBuf> {
        let directory = self.scratch.join(format!("{name}-{}", show::mode(run.mode)));
        fs::create_dir_all(&directory)?;
        image.without(run.left_out(), &directory)
    }

    fn boot(&self, run: &Run, file: &Path, told: Option<(&str, u64)>) -> Result<Ending> {
        let board = match run.attack.core {
            Core::Usual => "qemu-virt",
            Core::Max => "qemu-virt-max",
            Core::Tagged => "qemu-virt-mte",
        };
        let board = Board::find(&self.boards, board)?;
        let answer = match run.attack.course {
            Course::Lives(_) => "on-fault=restart-app",
            _ => "on-fault=off",
        };
        let machine = Machine::new(&board, file).setting(answer);
        let machine = machine.setting(&format!("app.attack={}", run.attack.name));
        let told = told.map(|(name, value)| format!("{name}={value:#x}"));
        told.iter().fold(machine, |machine, told| machine.setting(told)).boot()?.ending(PATIENCE)
    }
}

/// Where the target was in a boot that only said so.
fn here(ending: &Ending) -> Result<u64> {
    let here = ending.console.lines().find_map(|line| line.strip_prefix("HERE "));
    let here = here.and_then(verdict::hexadecimal);
    ensure!(ending.status == Some(0), "the first boot: {ending}");
    here.context("the first boot did not say where its target is")
}

/// Makes all of them, so many at a time; returns what became of each, in their order. `tell` is
/// told as they end.
pub(super) fn make_all(
    runs: &[Run],
    range: &Range,
    at_a_time: usize,
    mut tell: impl FnMut(&Run, &Outcome),
) -> Vec<Outcome> {
    let queue: Mutex<VecDeque<_>> = Mutex::new(runs.iter().enumerate().collect());
    let (report, reports) = mpsc::channel();
    thread::scope(|scope| {
        for _ in 0..at_a_time {
            let (queue, report) = (&queue, report.clone());
            scope.spawn(move || {
                loop {
                    let next = queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
                    let Some((index, run)) = next else { break };
                    // Nobody listens any more only if all is over.
                    let _ = report.send((index, range.make(run)));
                }
            });
        }
        drop(report);
        let mut outcomes = vec![Outcome::Wrong("it was not made".to_owned()); runs.len()];
        for (index, outcome) in reports {
            if let (Some(place), Some(run)) = (outcomes.get_mut(index), runs.get(index)) {
                tell(run, &outcome);
                *place = outcome;
            }
        }
        outcomes
    })
}
