//! Runs attacks, two machines at a time.

use std::collections::VecDeque;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError, mpsc};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use elone_gate::Protections;
use elone_harness::{Board, Ending, Machine, Mode};

use super::image::{Image, set};
use super::list::{Attack, Case, Core, Course};
use super::verdict::{self, Outcome};

/// How long a machine may take to come to its end, on a busy host.
const PATIENCE: Duration = Duration::from_secs(60);

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
        let Attack { protection, besides, along, .. } = self.attack;
        let switched = self.mitigation == Mitigation::Off
            && self.attack.case(self.mode) == Case::Switched;
        let off = protection.iter().chain(along).filter(|_| switched);
        set(besides.iter().chain(off).copied())
    }
}

/// What there is to boot, and on what.
#[derive(Debug)]
pub(super) struct Range {
    pub(super) joined: Option<Image>,
    pub(super) contained: Option<Image>,
    pub(super) boards: PathBuf,
    /// Where copies of images may be.
    pub(super) scratch: PathBuf,
}

impl Range {
    /// The image of a mode.
    pub(super) fn image(&self, mode: Mode) -> Result<&Image> {
        let image = match mode {
            Mode::Joined => &self.joined,
            Mode::Contained => &self.contained,
        };
        image.as_ref().context("the image was not built")
    }

    /// Makes the attack; what could not even begin is wrong as well.
    fn make(&self, run: &Run) -> Outcome {
        self.attempt(run).unwrap_or_else(|error| Outcome::Wrong(format!("{error:#}")))
    }

    fn attempt(&self, run: &Run) -> Result<Outcome> {
        let image = self.image(run.mode)?;
        let directory = self.scratch.join(match run.mode {
            Mode::Joined => "joined",
            Mode::Contained => "contained",
        });
        fs::create_dir_all(&directory)?;
        let file = image.without(run.left_out(), &directory)?;
        let target = match run.attack.course {
            Course::Once => None,
            Course::Symbol(name) => Some(image.symbol(name)?),
            Course::Sealed => Some(image.sealed()?),
            Course::Twice => Some(here(&self.boot(run, &file, None)?)?),
        };
        let ending = self.boot(run, &file, target)?;
        Ok(verdict::judge(&ending, run.attack.stop, run.mode))
    }

    fn boot(&self, run: &Run, file: &Path, target: Option<u64>) -> Result<Ending> {
        let board = match run.attack.core {
            Core::Usual => "qemu-virt",
            Core::Max | Core::Tagged => "qemu-virt-max",
        };
        let mut board = Board::find(&self.boards, board)?;
        if run.attack.core == Core::Tagged {
            board.machine.push_str(",mte=on");
        }
        let machine = Machine::new(&board, file).setting("on-fault=off");
        let machine = machine.setting(&format!("app.attack={}", run.attack.name));
        let told = target.map(|target| format!("app.target={target:#x}"));
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
