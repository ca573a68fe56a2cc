//! System tests: every promise of the harness, kept on virtual machines, two at a time.

use std::collections::VecDeque;
use std::fmt;
use std::fs;
use std::panic::{self, AssertUnwindSafe};
use std::path::Path;
use std::sync::mpsc;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow};
use elone_harness::{Context, Hosts, Images, LeftOut, Mode, Scenario, scenarios};

use crate::images::Builder;
use crate::scratch::Scratch;
use crate::seed::Seed;
use crate::tally::Tally;
use crate::test::Selection;
use crate::toolchain::Toolchain;
use crate::workspace::Workspace;
use crate::{attack, deploy, diversity, matrix, packages, promises, report};

/// How many machines run at a time: more would make each other late.
const AT_A_TIME: usize = 2;

/// A scenario in one mode.
#[derive(Clone, Copy)]
struct Run {
    scenario: Scenario,
    mode: Mode,
}

impl fmt::Display for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.scenario.name)?;
        match self.mode {
            Mode::Joined => Ok(()),
            Mode::Contained => f.write_str(" (contained)"),
        }
    }
}

/// What of the system tests is selected.
fn selected(selection: &Selection) -> Vec<Run> {
    let own = [
        promises::SCENARIOS,
        attack::promises::SCENARIOS,
        deploy::promises::SCENARIOS,
        diversity::SCENARIOS,
        matrix::promises::SCENARIOS,
        packages::SCENARIOS,
        report::promises::SCENARIOS,
    ];
    let scenarios = [scenarios::all(), own.concat()].concat();
    let in_modes =
        |scenario: Scenario| selection.modes(&scenario).map(move |mode| Run { scenario, mode });
    scenarios.into_iter().flat_map(in_modes).collect()
}

/// Whether there is anything to do, and so to install.
pub(crate) fn any(selection: &Selection) -> bool {
    !selected(selection).is_empty()
}

/// Whether any of it takes a debugger.
pub(crate) fn debugs(selection: &Selection) -> bool {
    selected(selection).iter().any(|run| run.scenario.name.starts_with("debugging::"))
}

/// Whether any of it takes programs that know the languages of the ready files.
pub(crate) fn validates(selection: &Selection) -> bool {
    selected(selection).iter().any(|run| run.scenario.name.starts_with("deploy::"))
}

/// Whether any of it takes programs that are built for a host.
pub(crate) fn crosses(selection: &Selection) -> bool {
    const AREAS: [&str; 2] = ["monitor::", "matrix::"];
    let crosses = |name: &str| AREAS.iter().any(|area| name.starts_with(area));
    selected(selection).iter().any(|run| crosses(run.scenario.name))
}

/// Builds the images, laid out by `seed`, and runs what is selected.
pub(crate) fn run(
    workspace: &Arc<Workspace>,
    toolchain: &Toolchain,
    selection: &Selection,
    seed: Seed,
) -> Result<Tally> {
    let runs = selected(selection);
    if runs.is_empty() {
        return Ok(Tally::default());
    }
    let scratch = Scratch::claim(&workspace.root.join("target/scratch"))?;
    let number = scratch.directory.file_name().context("no name")?.display();
    let images = workspace.target().join(format!("images-test-{number}"));
    let images = Builder::new(workspace, toolchain, seed, &images);
    if selection.is_everything() {
        let begin = Instant::now();
        eprintln!("building the images of {} system tests", runs.len());
        for mode in [Mode::Joined, Mode::Contained] {
            if runs.iter().any(|run| run.mode == mode) {
                images.build_all(mode);
            }
        }
        eprintln!("built in {:.1} s", begin.elapsed().as_secs_f32());
    }
    eprintln!("system tests");
    // They end with the run.
    let (images, hosts) = (Arc::new(images), workspace.hosts());
    Ok(run_all(runs, &images, &workspace.boards(), &scratch.directory, &hosts, seed))
}

fn run_all<I: Images + 'static>(
    runs: Vec<Run>,
    images: &Arc<I>,
    boards: &Path,
    scratch: &Path,
    hosts: &Arc<Hosts>,
    seed: Seed,
) -> Tally {
    let queue = Mutex::new(VecDeque::from(runs));
    let (report, reports) = mpsc::channel();
    thread::scope(|scope| {
        for _ in 0..AT_A_TIME {
            let (queue, report) = (&queue, report.clone());
            scope.spawn(move || {
                loop {
                    let run = queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
                    let Some(run) = run else { break };
                    let begin = Instant::now();
                    let result = one(run, Arc::clone(images) as _, hosts, boards, scratch);
                    // Nobody listens any more only if the run is over.
                    let _ = report.send((run, begin.elapsed(), result));
                }
            });
        }
        drop(report);
        let mut tally = Tally::default();
        for (run, took, result) in reports {
            tally += verdict(run, took, result, seed);
        }
        tally
    })
}

/// Runs a scenario with a scratch directory of its own, which is kept if it fails.
fn one(
    run: Run,
    images: Arc<dyn Images>,
    hosts: &Arc<Hosts>,
    boards: &Path,
    scratch: &Path,
) -> Result<()> {
    let Run { scenario, mode } = run;
    let name = run.to_string().replace(|c: char| !c.is_ascii_alphanumeric(), "-");
    let scratch = scratch.join(name);
    fs::create_dir_all(&scratch)?;
    let (boards, hosts) = (boards.to_owned(), Arc::clone(hosts));
    let context = Context { images, boards, scratch: scratch.clone(), mode, hosts };
    let result = panic::catch_unwind(AssertUnwindSafe(|| (scenario.run)(&context)));
    let result = result.unwrap_or_else(|_| Err(anyhow!("it panicked")));
    if result.is_ok() {
        fs::remove_dir_all(&scratch)?;
    }
    let of_hosts = |error: anyhow::Error| match context.hosts.remark() {
        nothing if nothing.is_empty() || error.is::<LeftOut>() => error,
        remark => anyhow!("{error:#}{remark}"),
    };
    result.map_err(of_hosts)
}

/// Says how a scenario went, and counts it. One that failed may fail in this layout alone.
fn verdict(run: Run, took: Duration, result: Result<()>, seed: Seed) -> Tally {
    let Err(error) = result else {
        println!("ok {run} ({:.1} s)", took.as_secs_f32());
        return Tally::PASSED;
    };
    if let Some(reason) = error.downcast_ref::<LeftOut>() {
        println!("left out: {run}: {reason}");
        return Tally::SKIPPED;
    }
    println!("FAILED {run}: {error:#}\n  the images again: --seed {seed}");
    Tally::FAILED
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::{env, process};

    use anyhow::bail;
    use elone_harness::{Modes, Pace};

    use super::*;
    use crate::workspace::Kind;

    #[derive(Debug)]
    struct NoImages;

    impl Images for NoImages {
        fn image(&self, name: &str, _: Mode) -> Result<PathBuf> {
            bail!("{name} was not built")
        }

        fn image_for(&self, file: &str, name: &str, _: Mode) -> Result<PathBuf> {
            bail!("{name} was not built for {file}")
        }

        fn loader(&self) -> Result<PathBuf> {
            bail!("the loader was not built")
        }

        fn linux_program(&self, package: &str) -> Result<PathBuf> {
            bail!("{package} was not built")
        }
    }

    fn run(name: &'static str, run: fn(&Context) -> Result<()>) -> Run {
        let scenario = Scenario { name, pace: Pace::Quick, modes: Modes::Both, run };
        Run { scenario, mode: Mode::Contained }
    }

    #[test]
    fn a_test_that_fails_or_panics_is_counted_and_the_others_run() {
        let scratch = env::temp_dir().join(format!("elone-systems-{}", process::id()));
        let runs = vec![
            run("a::fails", |_| bail!("on purpose")),
            run("a::panics", |_| panic!("on purpose")),
            run("a::passes", |context| Ok(fs::write(context.scratch.join("file"), "")?)),
            run("a::is_left_out", |_| Err(LeftOut("on purpose".to_owned()).into())),
            run("a::has_no_image", |context| context.image("hello").map(drop)),
        ];
        let seed = "0x5eed".parse().unwrap();
        let (here, images) = (Path::new("."), Arc::new(NoImages));
        let tally = run_all(runs, &images, here, &scratch, &Arc::new(Hosts::new(here, here)), seed);
        assert_eq!(tally, Tally { passed: 1, failed: 3, skipped: 1 });
        assert!(scratch.join("a--fails--contained-").is_dir());
        assert!(!scratch.join("a--passes--contained-").exists());
        fs::remove_dir_all(scratch).unwrap();
    }

    #[test]
    fn every_scenario_has_a_name_of_its_own() {
        let mut names: Vec<_> = scenarios::all().iter().map(|scenario| scenario.name).collect();
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
    }

    /// A promise that nothing boots is none.
    #[test]
    fn every_unikernel_is_in_a_scenario() {
        let workspace = Workspace::read().unwrap();
        let sources = [
            "tests/harness/src/conformance",
            "tests/harness/src/scenarios",
            "xtask/src",
            "xtask/src/report",
        ];
        let sources = sources.iter().flat_map(|place| fs::read_dir(workspace.root.join(place)));
        let files = sources.flatten().map(|entry| entry.unwrap().path());
        let files = files.filter(|file| file.is_file());
        let sources: String = files.map(|file| fs::read_to_string(file).unwrap()).collect();
        let mut forgotten: Vec<_> =
            workspace.of(Kind::Unikernel).map(|program| program.name.as_str()).collect();
        forgotten.retain(|name| !sources.contains(&format!("\"{name}\"")));
        assert_eq!(forgotten, [""; 0]);
    }
}
