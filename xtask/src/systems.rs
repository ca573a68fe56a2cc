//! System tests: every promise of the harness, kept on virtual machines, two at a time.

use std::collections::VecDeque;
use std::fs;
use std::panic::{self, AssertUnwindSafe};
use std::sync::mpsc;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Instant;

use anyhow::{Result, anyhow};
use elone_harness::{Context, Scenario, scenarios};

use crate::images::Builder;
use crate::promises;
use crate::tally::Tally;
use crate::test::Selection;
use crate::toolchain::Toolchain;
use crate::workspace::Workspace;

/// How many machines run at a time: more would make each other late.
const AT_A_TIME: usize = 2;

/// What of the system tests is selected.
fn selected(selection: &Selection) -> Vec<Scenario> {
    let mut scenarios = [&scenarios::all(), promises::SCENARIOS].concat();
    scenarios.retain(|scenario| selection.takes(scenario.name, scenario.pace));
    scenarios
}

/// Whether there is anything to do, and so to install.
pub(crate) fn any(selection: &Selection) -> bool {
    !selected(selection).is_empty()
}

/// Builds the images and runs what is selected.
pub(crate) fn run(
    workspace: &Arc<Workspace>,
    toolchain: &Toolchain,
    selection: &Selection,
) -> Result<Tally> {
    let scenarios = selected(selection);
    if scenarios.is_empty() {
        return Ok(Tally::default());
    }
    let images = Builder::new(workspace, toolchain);
    if selection.is_everything() {
        eprintln!("building the images of {} system tests", scenarios.len());
        images.build_all();
    }
    eprintln!("system tests");
    let scratch = workspace.root.join("target/scratch");
    fs::create_dir_all(&scratch)?;
    let context = Context { images: Arc::new(images), boards: workspace.boards(), scratch };
    Ok(run_all(scenarios, &context))
}

fn run_all(scenarios: Vec<Scenario>, context: &Context) -> Tally {
    let queue = Arc::new(Mutex::new(VecDeque::from(scenarios)));
    let (report, reports) = mpsc::channel();
    thread::scope(|scope| {
        for _ in 0..AT_A_TIME {
            let (queue, report) = (Arc::clone(&queue), report.clone());
            scope.spawn(move || {
                loop {
                    let scenario = queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
                    let Some(scenario) = scenario else { break };
                    let begin = Instant::now();
                    let result = panic::catch_unwind(AssertUnwindSafe(|| (scenario.run)(context)));
                    let result = result.unwrap_or_else(|_| Err(anyhow!("it panicked")));
                    // Nobody listens any more only if the run is over.
                    let _ = report.send((scenario.name, begin.elapsed(), result));
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
    use std::path::PathBuf;

    use anyhow::bail;
    use elone_harness::{Images, Pace};

    use super::*;
    use crate::workspace::Kind;

    #[derive(Debug)]
    struct NoImages;

    impl Images for NoImages {
        fn image(&self, name: &str) -> Result<PathBuf> {
            bail!("{name} was not built")
        }
    }

    #[test]
    fn a_test_that_fails_or_panics_is_counted_and_the_others_run() {
        let here = PathBuf::from(".");
        let context = Context { images: Arc::new(NoImages), boards: here.clone(), scratch: here };
        let scenario = |name, run| Scenario { name, pace: Pace::Quick, run };
        let scenarios = vec![
            scenario("fails", |_| bail!("on purpose")),
            scenario("panics", |_| panic!("on purpose")),
            scenario("passes", |_| Ok(())),
            scenario("has no image", |context| context.image("hello").map(drop)),
        ];
        let tally = run_all(scenarios, &context);
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

    /// A promise that nothing boots is none.
    #[test]
    fn every_unikernel_is_in_a_scenario() {
        let workspace = Workspace::read().unwrap();
        let sources = fs::read_dir(workspace.root.join("tests/harness/src/scenarios")).unwrap();
        let sources: String =
            sources.map(|entry| fs::read_to_string(entry.unwrap().path()).unwrap()).collect();
        let mut forgotten: Vec<_> =
            workspace.of(Kind::Unikernel).map(|program| program.name.as_str()).collect();
        forgotten.retain(|name| !sources.contains(&format!("\"{name}\"")));
        assert_eq!(forgotten, [""; 0]);
    }
}
