//! `matrix`: one image on every machine that can run here, and what of each works.
//!
//! A cell is a machine. In it one tiny unikernel, the same bytes as in every other, tries what every
//! machine is to have (`elone_harness::conformance`). Beside the cells that are run stand those that
//! are not: known by their device tree alone, or not at all; the table says which are which.

mod cells;
pub(crate) mod promises;
mod show;

use std::collections::VecDeque;
use std::fs;
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Instant;

use anyhow::{Result, anyhow};
use elone_harness::conformance::{self, IMAGE};
use elone_harness::{Context, Images, Mode};

use crate::deploy::folder::sha256;
use crate::images::Builder;
use crate::scratch::Scratch;
use crate::toolchain::{self, Toolchain};
use crate::workspace::Workspace;
use crate::{WrongArgument, cross, emulator, seed};

use cells::{Cell, How};
use show::{Outcome, Record};

/// Boot one image on every machine there is here, and say what of each works
///
/// In each cell the image boots, sleeps, draws entropy, writes a disk, answers on the network and on
/// the console, and switches off. Ends with 1 if anything that is there does not work.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  cargo xtask matrix                    every cell, in both modes
  cargo xtask matrix --quick            each value of each axis, with each other once or twice
  cargo xtask matrix kvm xen            the cells with one of these in their names
  cargo xtask matrix --json             a list for programs
  cargo xtask matrix --markdown         the table of docs/matrix.md")]
pub(crate) struct Arguments {
    /// Only the cells with one of these in their names
    #[arg(value_name = "NAME")]
    names: Vec<String>,
    /// Leave out what differs from others in one axis only
    #[arg(long)]
    quick: bool,
    /// Print a list for programs instead of the table
    #[arg(long, conflicts_with = "markdown")]
    json: bool,
    /// Print the table as Markdown
    #[arg(long)]
    markdown: bool,
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

    fn want(&self, cell: &Cell) -> bool {
        let named = self.names.is_empty() || self.names.iter().any(|part| cell.name.contains(part));
        named && (cell.is_quick || !self.quick)
    }
}

pub(crate) fn main(arguments: &Arguments) -> Result<ExitCode> {
    let workspace = Arc::new(Workspace::read()?);
    let all = cells::all(&workspace.boards())?;
    let cells: Vec<_> = all.iter().filter(|cell| arguments.want(cell)).collect();
    if cells.is_empty() {
        let names: Vec<_> = all.iter().map(|cell| cell.name.as_str()).collect();
        let (asked, names) = (&arguments.names, names.join("\n  "));
        return Err(
            WrongArgument(anyhow!("no cell has any of {asked:?} in its name:\n  {names}")).into()
        );
    }
    let toolchain = Toolchain::find(&arguments.toolchain, workspace.rust_version)?;
    emulator::ensure(arguments.toolchain.install.permission())?;
    if cells.iter().any(|cell| matches!(cell.how, How::Map { .. }))
        && let Err(lacking) = cross::ensure(&toolchain, arguments.toolchain.install.permission())
    {
        eprintln!("note: {lacking}");
    }
    let scratch = Scratch::claim(&workspace.target().join("scratch"))?;
    let seed = arguments.seed.seed()?;
    let directory = workspace.images(&toolchain);
    let images = Arc::new(Builder::new(&workspace, &toolchain, seed, &directory));
    let hosts = workspace.hosts();
    let context = |mode| Context {
        images: Arc::clone(&images) as Arc<dyn Images>,
        boards: workspace.boards(),
        scratch: scratch.directory.clone(),
        mode,
        hosts: Arc::clone(&hosts),
    };
    let runs: Vec<_> = cells
        .iter()
        .flat_map(|cell| arguments.modes().into_iter().map(move |mode| (*cell, mode)))
        .collect();
    let records = run_all(&runs, arguments.machines.into(), &context);
    if arguments.json {
        println!("{:#}", show::list(&records));
    } else if arguments.markdown {
        print!("{}", show::markdown(&records));
        println!(
            "\nOf the same sources, `cargo xtask matrix --seed {seed} --markdown` makes the same bytes."
        );
    } else {
        print!("{}", show::table(&records));
    }
    let wrong = records.iter().filter(|record| record.is_wrong()).count();
    eprintln!("{} cells as they are to be, {wrong} not", records.len() - wrong);
    Ok(if wrong == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Runs the cells, some at a time, and tells of each as it ends; in their own order at last.
fn run_all<'c>(
    runs: &[(&'c Cell, Mode)],
    machines: usize,
    context: &(impl Fn(Mode) -> Context + Sync),
) -> Vec<Record<'c>> {
    let queue: VecDeque<_> = runs.iter().copied().enumerate().collect();
    let (queue, records) = (Mutex::new(queue), Mutex::new(Vec::new()));
    let done = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..machines {
            scope.spawn(|| {
                loop {
                    let next = queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
                    let Some((place, (cell, mode))) = next else { break };
                    let begin = Instant::now();
                    let record = run(cell, mode, &context(mode), place);
                    let count = done.fetch_add(1, Ordering::Relaxed) + 1;
                    let took = begin.elapsed().as_secs_f32();
                    eprintln!("[{count}/{}] {record} ({took:.1} s)", runs.len());
                    let mut records = records.lock().unwrap_or_else(PoisonError::into_inner);
                    records.push((place, record));
                }
            });
        }
    });
    let mut records = records.into_inner().unwrap_or_else(PoisonError::into_inner);
    records.sort_by_key(|(place, _)| *place);
    records.into_iter().map(|(_, record)| record).collect()
}

/// What comes of a cell. The checksum is that of the file that its machine was given.
fn run<'c>(cell: &'c Cell, mode: Mode, context: &Context, place: usize) -> Record<'c> {
    let (findings, image) = match &cell.how {
        How::Board(board) => {
            let findings = conformance::on_a_board(context, board, &format!("cell-{place}"));
            (findings, context.image_on(board, IMAGE))
        }
        How::Map { host, map, has_slots } => {
            let findings = conformance::on_a_map(context, host, map, *has_slots);
            (findings, context.image(IMAGE))
        }
        How::Tree(_) | How::Nothing(_) => return Record::new(cell, mode, None, Outcome::NotRun),
    };
    let checksum = image.and_then(|file| Ok(sha256(&fs::read(file)?)));
    let outcome = Outcome::of(findings, &context.hosts.remark());
    Record::new(cell, mode, checksum.ok(), outcome)
}
