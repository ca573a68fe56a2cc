//! What each protection costs: the gateway with all of them, and with one left out at a time.
//!
//! It is built as the attacked image is, with a word that says what is not to be put up; so what is
//! compared is one image with itself, in the same run. That a protection is in force, or is not, is
//! what the guest says. What the build decides is no such word's to undo: the order of functions
//! costs nothing at run time, and what it costs to be contained is in every other figure.

use anyhow::{Context, Result};
use elone_gate::{Protection, Protections};
use elone_harness::Mode;

use super::Bench;
use super::beside::Beside;
use super::grid::{Column, Grid};
use super::report::{Figure, Samples, Section, Target, Unit};
use super::variant::{Costs, Variants};
use super::{subject, weight};
use crate::attack::image::Image;
use crate::build::{self, Profile};
use crate::toolchain::Purpose;

/// What is to be left of the requests a second with all of them in force.
const LEFT: f64 = 0.9;

/// A core, and how much is measured on it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Core {
    pub(super) name: &'static str,
    /// As the emulator's `-cpu` takes it.
    pub(super) model: &'static str,
    title: &'static str,
    pub(super) parts: Parts,
}

/// What is left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Parts {
    /// Each by itself, and all of them.
    EachAndAll,
    All,
}

const CORES: [Core; 2] = [
    Core {
        name: "max",
        // The signature that the architecture leaves to the core: a cheap one here, where the other
        // is a cipher in software, which says nothing of any core.
        model: "max,pauth-impdef=on",
        title: "Protections on a core that has PAC, BTI, PAN and E0PD (max,pauth-impdef=on): \
            with each, beside without it",
        parts: Parts::EachAndAll,
    },
    Core {
        name: "a72",
        model: subject::CPU,
        title: "Protections on a core that has none of these (cortex-a72)",
        parts: Parts::All,
    },
];

pub(super) fn measure(bench: &Bench, notes: &mut Vec<String>) -> Result<Vec<Grid>> {
    let images = bench.modes().try_map(|mode| gateway(bench, mode))?;
    let mut grids = Vec::new();
    for core in CORES {
        let of = |(mode, image): &(Mode, Image)| Variants::of(bench, core, *mode, image);
        let mut modes = images.as_ref().try_map(of)?;
        let (turns, runs) = (bench.choose(5, 3), bench.choose(5, 3));
        for run in 1..=runs {
            for variants in modes.each_mut() {
                variants.count(bench, run)?;
            }
        }
        for _ in 0..turns {
            for variants in modes.each_mut() {
                variants.time(bench)?;
            }
        }
        grids.push(grid(core, &modes.as_ref()));
    }
    grids.push(weight::grid(bench)?);
    let tags = "heap tags are not measured, as not every emulator's memory keeps them";
    notes.push(format!("protections: {tags}; the heap's checks stand in for them"));
    notes.push(
        "protections: without no-aliases, low-unmapped or stack-guards the boot maps what is not \
            there otherwise, so it takes more; how many requests share an interrupt is the host's \
            affair, so a request is known to a hundred instructions or so"
            .to_owned(),
    );
    Ok(grids)
}

/// The gateway, built so that protections can be left out.
fn gateway(bench: &Bench, mode: Mode) -> Result<(Mode, Image)> {
    let toolchain = bench.toolchain.clone().purpose(Purpose::Cost);
    let program = bench.workspace.program("gateway")?;
    let profile = Some(Profile::Release);
    let images = build::images(&bench.workspace, &toolchain, mode, &[program], profile)?;
    Ok((mode, Image::read(images.first().context("nothing was built")?)?))
}

/// A row for each protection that is in force in any mode, then all of them at once.
fn grid(core: Core, modes: &Beside<&Variants>) -> Grid {
    let mut columns = [
        column("boot", "Protections: guest instructions until listening"),
        column("a request", "Protections: guest instructions a keep-alive request"),
        column("requests/s", "Protections: keep-alive requests a second"),
    ];
    let mut row = |short: &str, label: &'static str, costs: &dyn Fn(&Variants) -> Option<Costs>| {
        let all = Beside {
            joined: modes.joined.and_then(costs),
            contained: modes.contained.and_then(costs),
            linux: None,
        };
        let name = |kind| format!("protections.{}.{short}.{kind}", core.name);
        let of = |pick: fn(&Costs) -> &Samples| all.as_ref().map(|costs| pick(costs).clone());
        let [boot, request, rate] = &mut columns;
        let boots = of(|costs| &costs.boot);
        boot.add(Figure::new(name("boot"), label, Unit::Count, boots).for_reference());
        let requests = of(|costs| &costs.request);
        request
            .add(Figure::new(name("request"), label, Unit::PerRequest, requests).for_reference());
        let unit = all.as_ref().each().next().map_or(Unit::Share, |costs| costs.unit);
        let rates = Figure::new(name("rate"), label, unit, of(|costs| &costs.rate));
        rate.add(match short {
            "all" => rates.each_target(Target::AtLeast(LEFT)).more_is_better(),
            _ => rates.more_is_better(),
        });
    };
    let single = |one| Protections::NONE.with(one);
    let protections = Protection::ALL.iter().copied().filter(|_| core.parts == Parts::EachAndAll);
    for protection in protections {
        if modes.each().any(|variants| variants.has(protection)) {
            let costs = |variants: &Variants| variants.cost_of(single(protection));
            row(protection.name(), protection.name(), &costs);
        }
    }
    row("all", "all of them", &|variants| variants.cost_of(variants.all()));
    row("with", "the figures with all of them", &Variants::whole);
    row("without", "the figures without any", &Variants::bare);
    Grid { title: core.title.to_owned(), columns: columns.into() }
}

/// An empty column.
pub(super) const fn column(head: &'static str, title: &'static str) -> Column {
    Column { head, section: Section { title, figures: Vec::new() } }
}
