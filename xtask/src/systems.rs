//! System tests: every promise of the harness, kept on virtual machines, two at a time.

use std::collections::VecDeque;
use std::fs;
use std::panic::{self, AssertUnwindSafe};
use std::sync::mpsc;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};
use elone_harness::{Context, Pace, scenarios};

use crate::build;
use crate::tally::Tally;
use crate::test::Selection;
use crate::toolchain::Toolchain;
use crate::workspace::{Kind, Workspace};

/// How many machines run at a time: more would make each other late.
const AT_A_TIME: usize = 2;
/// How long a tiny unikernel may take to keep its promise.
const UNIKERNEL: Duration = Duration::from_secs(60);

/// What keeps a promise, or says why not.
type Test = Box<dyn Fn(&Context) -> Result<()> + Send>;

/// A test as it is run.
struct Job {
    name: String,
    pace: Pace,
    run: Test,
}

/// Which of the system tests are selected; none of them needs an image to be listed.
pub(crate) fn selected(workspace: &Workspace, selection: &Selection) -> usize {
    jobs(workspace).iter().filter(|job| selection.takes(&job.name, job.pace)).count()
}

/// Builds the images and runs what is selected.
pub(crate) fn run(
    workspace: &Workspace,
    toolchain: &Toolchain,
    selection: &Selection,
) -> Result<Tally> {
    let mut jobs = jobs(workspace);
    jobs.retain(|job| selection.takes(&job.name, job.pace));
    if jobs.is_empty() {
        return Ok(Tally::default());
    }
    eprintln!("building images for {} system tests", jobs.len());
    let programs: Vec<_> = workspace.programs.iter().collect();
    if let Err(error) = build::images(workspace, toolchain, &programs, None) {
        println!("FAILED images: {error:#}");
        return Ok(Tally::FAILED);
    }
    let scratch = workspace.root.join("target/scratch");
    fs::create_dir_all(&scratch)?;
    let context = Context { images: workspace.images(), boards: workspace.boards(), scratch };
    Ok(run_all(jobs, &context))
}

/// The scenarios of the harness. A unikernel that none of them is named after keeps its promise by
/// itself: it ends with status 0.
fn jobs(workspace: &Workspace) -> Vec<Job> {
    let scenarios = scenarios::all();
    let covered = |name: &str| {
        scenarios.iter().any(|scenario| scenario.name.rsplit("::").next() == Some(name))
    };
    let alone = workspace.of(Kind::Unikernel).filter(|program| !covered(&program.name));
    let alone = alone.map(|program| {
        let name = program.name.clone();
        Job {
            name: format!("unikernels::{name}"),
            pace: Pace::Quick,
            run: Box::new(move |context| {
                let guest = context.machine("qemu-virt", &name)?.boot()?;
                guest.ending(UNIKERNEL)?.expect_status(0)
            }),
        }
    });
    let named = scenarios.iter().map(|scenario| Job {
        name: scenario.name.to_owned(),
        pace: scenario.pace,
        run: Box::new(scenario.run),
    });
    named.chain(alone).collect()
}

fn run_all(jobs: Vec<Job>, context: &Context) -> Tally {
    let queue = Arc::new(Mutex::new(VecDeque::from(jobs)));
    let (report, reports) = mpsc::channel();
    thread::scope(|scope| {
        for _ in 0..AT_A_TIME {
            let (queue, report) = (Arc::clone(&queue), report.clone());
            scope.spawn(move || {
                loop {
                    let job = queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
                    let Some(job) = job else { break };
                    let begin = Instant::now();
                    let result = panic::catch_unwind(AssertUnwindSafe(|| (job.run)(context)));
                    let result = result.unwrap_or_else(|_| Err(anyhow!("it panicked")));
                    // Nobody listens any more only if the run is over.
                    let _ = report.send((job.name, begin.elapsed(), result));
                }
            });
        }
        drop(report);
        let mut tally = Tally::default();
        for (name, took, result) in reports {
            match result {
                Ok(()) => {
                    println!("ok {name} ({:.1} s)", took.as_secs_f32());
                    tally += Tally::PASSED;
                }
                Err(error) => {
                    println!("FAILED {name}: {error:#}");
                    tally += Tally::FAILED;
                }
            }
        }
        tally
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(name: &str, run: impl Fn(&Context) -> Result<()> + Send + 'static) -> Job {
        Job { name: name.to_owned(), pace: Pace::Quick, run: Box::new(run) }
    }

    #[test]
    fn a_test_that_fails_or_panics_is_counted_and_the_others_run() {
        let here = std::path::PathBuf::from(".");
        let context = Context { images: here.clone(), boards: here.clone(), scratch: here };
        let jobs = vec![
            job("fails", |_| Err(anyhow!("on purpose"))),
            job("panics", |_| panic!("on purpose")),
            job("passes", |_| Ok(())),
            job("misses its image", |context| context.image("no-such-image").map(drop)),
        ];
        let tally = run_all(jobs, &context);
        assert_eq!(tally, Tally { passed: 1, failed: 3, skipped: 0 });
    }

    #[test]
    fn every_scenario_has_a_name_of_its_own() {
        let mut names: Vec<_> = scenarios::all().iter().map(|scenario| scenario.name).collect();
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
    }
}
