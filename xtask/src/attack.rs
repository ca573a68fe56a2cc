//! `attack`: every promise of `SECURITY.md`'s table, tried; and each attack made once more where
//! what stops it is missing, to see that it is one.
//!
//! The attacked image is an ordinary one, built with one thing more: a word that says which
//! protections are not to be put up. It is all zeros, and in no other image at all; a copy of the
//! image in which it is not is what an attack is tried on a second time.

pub(crate) mod image;
mod kind;
mod list;
pub(crate) mod promises;
mod run;
mod show;
mod verdict;

use std::fs;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result, anyhow};
use elone_gate::Protection;
use elone_harness::Mode;

use crate::scratch::Scratch;
use crate::toolchain::{self, Toolchain};
use crate::workspace::Workspace;
use crate::{WrongArgument, build, emulator, scan, seed};

use image::Image;
use kind::Attack;
use run::{Builds, Expected, Mitigation, Range, Run};
use show::Record;
use verdict::Outcome;

/// The application that attacks, the one program that is built to be attacked.
pub(crate) const PROGRAM: &str = "attack";
/// The attack that needs no machine.
const LOADERS: &str = "find-what-starts-programs";
const LOADERS_ROW: u8 = 17;

/// Attack the kernel, from inside, in every way that it promises to stand
///
/// Each attack is made on a machine of its own: with everything in force, where it must be stopped
/// by the right fault at the right address, and with what stops it left out, where it must come
/// through. Ends with 1 if anything comes out otherwise.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  cargo xtask attack                    every attack, in both modes
  cargo xtask attack run-heap           one of them
  cargo xtask attack w^x 14             those on a protection, or on a row of the table
  cargo xtask attack --contained --json a list for programs, of one mode")]
pub(crate) struct Arguments {
    /// Only these: an attack, a protection, or the number of a row
    #[arg(value_name = "NAME")]
    names: Vec<String>,
    /// Print a list for programs instead of the table
    #[arg(long)]
    json: bool,
    /// Only in contained mode
    #[arg(long, conflicts_with = "joined")]
    contained: bool,
    /// Only in joined mode
    #[arg(long)]
    joined: bool,
    /// How many machines at a time
    #[arg(long, value_name = "N", default_value = "2", value_parser = clap::value_parser!(u8).range(1..))]
    machines: u8,
    #[command(flatten)]
    seed: seed::Options,
    #[command(flatten)]
    toolchain: toolchain::Options,
}

impl Arguments {
    fn modes(&self) -> Vec<Mode> {
        let modes = [(Mode::Joined, !self.contained), (Mode::Contained, !self.joined)];
        modes.into_iter().filter_map(|(mode, wanted)| wanted.then_some(mode)).collect()
    }

    /// Whether an attack of this name, row and protection is asked for.
    fn want(&self, name: &str, row: u8, protection: Option<Protection>) -> bool {
        let is = |asked: &String| {
            asked == name
                || *asked == row.to_string()
                || protection.is_some_and(|protection| asked == protection.name())
        };
        self.names.is_empty() || self.names.iter().any(is)
    }

    /// Refuses what names nothing.
    fn check(&self, attacks: &[Attack]) -> Result<()> {
        let one = |name: &String| Self { names: vec![name.clone()], ..self.without_names() };
        let known = |name: &&String| {
            let alone = one(name);
            attacks.iter().any(|attack| alone.want(attack.name, attack.row, attack.protection))
                || alone.want(LOADERS, LOADERS_ROW, None)
                || list::ELSEWHERE.iter().any(|other| alone.want(other.attack, other.row, None))
        };
        let Some(unknown) = self.names.iter().find(|name| !known(name)) else { return Ok(()) };
        let names: Vec<_> = attacks.iter().map(|attack| attack.name).collect();
        let names = names.join("\n  ");
        Err(WrongArgument(anyhow!("there is no attack {unknown:?}. There are:\n  {names}")).into())
    }

    fn without_names(&self) -> Self {
        Self { names: Vec::new(), toolchain: self.toolchain.clone(), ..*self }
    }
}

pub(crate) fn main(arguments: &Arguments) -> Result<ExitCode> {
    let workspace = Workspace::read()?;
    let attacks = list::all();
    arguments.check(&attacks)?;
    let toolchain = Toolchain::find(&arguments.toolchain, workspace.rust_version)?.attackable();
    emulator::ensure(arguments.toolchain.install.permission())?;

    let modes = arguments.modes();
    let scratch = Scratch::claim(&workspace.target().join("scratch"))?;
    let seed = arguments.seed.seed()?;
    let others = (0..run::OTHERS).map(|_| seed::Options::default().seed());
    let others = others.collect::<Result<Vec<_>>>()?;
    let images = workspace.images(&toolchain);
    let build = |mode, seed, directory: &Path| -> Result<Image> {
        let order = build::Order { mode, profile: None, seed };
        let program = workspace.program(PROGRAM)?;
        let files = order.images(&workspace, &toolchain, &[program], directory)?;
        Image::read(files.first().context("nothing was built")?)
    };
    let both = |&mode: &Mode| -> Result<Builds> {
        let image = build(mode, seed, &images)?;
        let other = |seed| build(mode, seed, &scratch.directory.join(format!("{seed}")));
        let others = others.iter().map(|&seed| other(seed)).collect::<Result<_>>()?;
        Ok(Builds { mode, image, others })
    };
    let builds = modes.iter().map(both).collect::<Result<Vec<_>>>()?;
    let range = Range { builds, boards: workspace.boards(), scratch: scratch.directory.clone() };

    let runs: Vec<_> = attacks
        .into_iter()
        .filter(|attack| arguments.want(attack.name, attack.row, attack.protection))
        .flat_map(|attack| modes.iter().flat_map(move |&mode| Run::all_of(attack, mode)))
        .collect();
    let records = make(&runs, &range, arguments)?;
    if arguments.json {
        println!("{:#}", show::list(&records));
    } else {
        print!("{}", show::table(&records));
    }
    let wrong = records.iter().filter(|record| !record.is_right()).count();
    eprintln!("{} outcomes as expected, {wrong} not", records.len() - wrong);
    Ok(if wrong == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Makes the attacks, and adds what takes no machine.
fn make(runs: &[Run], range: &Range, arguments: &Arguments) -> Result<Vec<Record>> {
    let mut done = 0;
    let outcomes = run::make_all(runs, range, arguments.machines.into(), |run, outcome| {
        done += 1;
        eprintln!("[{done}/{}] {}", runs.len(), Record::of(run, outcome));
    });
    let mut records: Vec<_> =
        runs.iter().zip(&outcomes).map(|(run, outcome)| Record::of(run, outcome)).collect();
    if arguments.want(LOADERS, LOADERS_ROW, None) {
        for Builds { mode, image, .. } in &range.builds {
            let record = |mitigation, expected| {
                Record::new(LOADERS, LOADERS_ROW, show::mode(*mode), mitigation, expected)
            };
            let found = loaders(image.elf())?;
            records.push(record(Mitigation::On, Expected::Stopped).with(&found));
            // This program does start others: the same look at it has to find that.
            let found = loaders(&fs::read(std::env::current_exe()?)?)?;
            records.push(record(Mitigation::Off, Expected::Survived).with(&found));
        }
    }
    let others = list::ELSEWHERE.iter();
    let others = others.filter(|other| arguments.want(other.attack, other.row, None));
    records.extend(others.map(Record::elsewhere));
    Ok(records)
}

/// Row 17, seen from outside: whether a program has anything by a name that starts programs.
fn loaders(elf: &[u8]) -> Result<Outcome> {
    let (all, found) = (image::names(elf)?.len(), scan::loaders(elf)?);
    Ok(match (all, found.first()) {
        (_, Some(_)) => Outcome::Survived,
        (0..100, None) => Outcome::Wrong(format!("only {all} symbols: stripped?")),
        (_, None) => Outcome::Stopped(format!("none of {all} symbols")),
    })
}
