//! The gateway with protections left out, and what is seen of it.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use elone_gate::{Protection, Protections};
use elone_harness::Mode;

use super::http::Use;
use super::process::{CLIENTS, Process};
use super::protections::{Core, Parts};
use super::report::{Samples, Unit};
use super::subject::{PATIENCE, Subject};
use super::{Bench, STATIC_ADDRESS, counts};
use crate::attack::image::{Image, set};

/// What the build decides, and no word in the image.
const BUILT_IN: [Protection; 2] = [Protection::ShuffledImage, Protection::Containment];
/// The line in which a guest says what is in force.
const IN_FORCE: &str = "in force: ";
/// How often a turn measures the guest without any of them.
const TOTAL_TIMES: usize = 5;
/// How long a guest is asked before it is measured: its connections are open then.
const WARM_UP: Duration = Duration::from_millis(200);

/// The gateway with something left out, and what is seen of it, a value a run or a turn.
#[derive(Debug)]
struct Variant {
    left_out: Protections,
    subject: Subject,
    boots: Vec<f64>,
    requests: Vec<f64>,
    rates: Vec<f64>,
    /// Requests a second with nothing left out, right before or after.
    rates_beside: Vec<f64>,
}

/// All that is measured in one mode on one core.
#[derive(Debug)]
pub(super) struct Variants {
    whole: Variant,
    others: Vec<Variant>,
    /// What is in force in the whole one, and can be left out.
    all: Protections,
}

/// A row's figures in one mode.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Costs {
    /// Guest instructions until it listens.
    pub(super) boot: Samples,
    /// Guest instructions a request.
    pub(super) request: Samples,
    /// Requests a second, or a ratio of them.
    pub(super) rate: Samples,
    pub(super) unit: Unit,
}

impl Variants {
    /// Of an image in which protections can be left out: those that it says are in force on this core.
    pub(super) fn of(bench: &Bench, core: Core, mode: Mode, image: &Image) -> Result<Self> {
        let mode = match mode {
            Mode::Joined => "joined",
            Mode::Contained => "contained",
        };
        let directory = bench.workspace.target().join("bench/protections").join(mode);
        fs::create_dir_all(&directory)?;
        let variant = |left_out| {
            let name = format!("gateway, {mode}, {}, without {left_out}", core.name);
            Variant::new(bench, core.model, &name, &image.without(left_out, &directory)?, left_out)
        };
        let whole = variant(Protections::NONE)?;
        let process = whole.subject.start()?;
        whole.subject.wait_for_line(&process, PATIENCE)?;
        let all = set(said(&process)?.iter().filter(|one| !BUILT_IN.contains(one)));
        let single = all.iter().filter(|_| core.parts == Parts::EachAndAll);
        let single = single.map(|one| Protections::NONE.with(one));
        let others = single.chain([all]).map(variant).collect::<Result<_>>()?;
        Ok(Self { whole, others, all })
    }

    /// Counts what is exact, or nearly: a boot has a layout of its own, and how many requests share
    /// an interrupt is the host's affair.
    pub(super) fn count(&mut self, bench: &Bench, run: usize) -> Result<()> {
        self.whole.count(bench, run)?;
        self.others.iter_mut().try_for_each(|other| other.count(bench, run))
    }

    /// Measures requests a second of each, with nothing left out right before it, or right after.
    /// The total, to which something is promised, is measured more often.
    pub(super) fn time(&mut self, bench: &Bench) -> Result<()> {
        let time = Duration::from_millis(bench.choose(800, 300));
        for other in &mut self.others {
            let times = if other.left_out == self.all { TOTAL_TIMES } else { 1 };
            for _ in 0..times {
                other.time_beside(&self.whole, time)?;
            }
        }
        Ok(())
    }

    /// Everything that can be left out here.
    pub(super) const fn all(&self) -> Protections {
        self.all
    }

    /// Whether this protection can be left out here.
    pub(super) const fn has(&self, protection: Protection) -> bool {
        self.all.has(protection)
    }

    /// What it costs to have these, where each could be left out.
    pub(super) fn cost_of(&self, protections: Protections) -> Option<Costs> {
        let other = self.others.iter().find(|other| other.left_out == protections)?;
        let pairs = |with: &[f64], without: &[f64], compare: fn(f64, f64) -> f64| {
            Samples::of(with.iter().zip(without).map(|(with, without)| compare(*with, *without)))
        };
        Some(Costs {
            boot: pairs(&self.whole.boots, &other.boots, |with, without| with - without),
            request: pairs(&self.whole.requests, &other.requests, |with, without| with - without),
            rate: pairs(&other.rates_beside, &other.rates, |with, without| with / without),
            unit: Unit::Share,
        })
    }

    /// What is seen with all of them.
    pub(super) fn whole(&self) -> Option<Costs> {
        Some(Costs::of(&self.whole, &self.without_any()?.rates_beside))
    }

    /// What is seen without any of them.
    pub(super) fn bare(&self) -> Option<Costs> {
        self.without_any().map(|variant| Costs::of(variant, &variant.rates))
    }

    fn without_any(&self) -> Option<&Variant> {
        self.others.iter().find(|other| other.left_out == self.all)
    }
}

impl Costs {
    /// What is seen of one, with its requests a second.
    fn of(variant: &Variant, rates: &[f64]) -> Self {
        let of = |values: &[f64]| Samples::of(values.iter().copied());
        let (boot, request) = (of(&variant.boots), of(&variant.requests));
        Self { boot, request, rate: of(rates), unit: Unit::RequestsPerSecond }
    }
}

impl Variant {
    fn new(
        bench: &Bench,
        model: &str,
        name: &str,
        file: &Path,
        left_out: Protections,
    ) -> Result<Self> {
        let subject = Subject::application(name, &bench.board, file, "listening on");
        let subject = subject.cpu(model).setting(STATIC_ADDRESS);
        let (boots, requests) = (Vec::new(), Vec::new());
        let (rates, rates_beside) = (Vec::new(), Vec::new());
        Ok(Self { left_out, subject, boots, requests, rates, rates_beside })
    }

    fn count(&mut self, bench: &Bench, run: usize) -> Result<()> {
        eprintln!("bench: counting {}, run {run}", self.subject.name);
        let process = self.subject.start_counted(&bench.plugin)?;
        let byte = self.subject.wait_for_line(&process, PATIENCE)?;
        let stays = said(&process)?.iter().find(|one| self.left_out.has(*one));
        ensure!(stays.is_none(), "{}: but {stays:?} is in force", self.subject.name);
        self.boots.push(process.counters()?.at_console_byte(byte)?.instructions as f64);
        let rounds = bench.choose(200, 50);
        let counted = counts::per_request_on(&process, &self.subject, CLIENTS, rounds)?;
        self.requests.push(counted.instructions);
        Ok(())
    }

    /// Which of the two comes first alternates.
    fn time_beside(&mut self, whole: &Self, time: Duration) -> Result<()> {
        let (with, without) = if self.rates.len().is_multiple_of(2) {
            let with = whole.rate(time)?;
            (with, self.rate(time)?)
        } else {
            let without = self.rate(time)?;
            (whole.rate(time)?, without)
        };
        eprintln!("bench: {}: {without:.0}/s beside {with:.0}/s", self.subject.name);
        self.rates.push(without);
        self.rates_beside.push(with);
        Ok(())
    }

    /// Requests a second on kept connections, of a fresh boot.
    fn rate(&self, time: Duration) -> Result<f64> {
        let process = self.subject.start()?;
        self.subject.first_answer(&process, PATIENCE)?;
        Ok(self.subject.load(&process, Use::Kept).run_after(WARM_UP, time)?.per_second())
    }
}

/// What a guest says that is in force.
fn said(process: &Process) -> Result<Protections> {
    in_force(&String::from_utf8_lossy(&process.console()))
}

fn in_force(console: &str) -> Result<Protections> {
    let line = console.lines().find_map(|line| line.split_once(IN_FORCE));
    let (_, names) = line.context("the guest does not say what is in force")?;
    let named = |name| Protection::named(name).with_context(|| format!("no protection {name:?}"));
    let names = names.split_whitespace().filter(|name| *name != "none").map(named);
    Ok(set(names.collect::<Result<Vec<_>>>()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use elone_harness::Board;

    #[test]
    fn what_is_in_force_is_read_from_the_guests_line() {
        let line =
            |names| format!("[    0.01] INFO  x\r\n[    0.02] INFO  kernel: in force: {names}\r\n");
        let expected = set([Protection::WriteXorExecute, Protection::ConstantTimeFaults]);
        assert_eq!(in_force(&line("w^x e0pd")).unwrap(), expected);
        assert_eq!(in_force(&line("none")).unwrap(), Protections::NONE);
        assert!(in_force(&line("w^x moon")).unwrap_err().to_string().contains("moon"));
        assert!(in_force("nothing of the kind").is_err());
    }

    #[test]
    fn a_cost_is_taken_run_by_run_from_what_stands_beside_it() {
        let boards = Path::new(env!("CARGO_MANIFEST_DIR")).join("../boards");
        let board = Board::find(&boards, "qemu-virt").unwrap();
        let variant = |left_out, boots: &[f64], rates: &[f64]| Variant {
            left_out,
            subject: Subject::application("x", &board, Path::new("x"), "x"),
            boots: boots.to_vec(),
            requests: boots.to_vec(),
            rates: rates.to_vec(),
            rates_beside: vec![90.0, 180.0],
        };
        let (one, other) = (Protection::HeapChecks, Protection::RandomLayout);
        let (single, all) = (set([one]), set([one, other]));
        let variants = Variants {
            whole: variant(Protections::NONE, &[10.0, 20.0], &[]),
            others: vec![
                variant(single, &[9.0, 17.0], &[100.0, 100.0]),
                variant(all, &[5.0, 5.0], &[90.0, 360.0]),
            ],
            all,
        };
        let cost = variants.cost_of(single).unwrap();
        assert_eq!(cost.boot, Samples::of([1.0, 3.0]));
        assert_eq!(cost.rate, Samples::of([0.9, 1.8]));
        assert_eq!(variants.cost_of(all).unwrap().rate, Samples::of([1.0, 0.5]));
        assert_eq!(variants.cost_of(set([other])), None);
        assert_eq!(variants.bare().unwrap().rate, Samples::of([90.0, 360.0]));
        assert_eq!(variants.whole().unwrap().boot, Samples::of([10.0, 20.0]));
    }
}
