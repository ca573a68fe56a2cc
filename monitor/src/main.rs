//! The program: reads the command line, runs the machine, ends with a status that says how it went.

use std::process::ExitCode;

use anyhow::{Context as _, Result};
use clap::Parser as _;
use elone_monitor::arguments::{Arguments, BreakOut};
use elone_monitor::outlet::complain;
use elone_monitor::plan::{Ending, Plan};
use elone_monitor::tree::GicVersion;
use elone_monitor::{kvm, shell};

/// The statuses, bar the command line's own (2) and success.
const FAILED: u8 = 1;
const REFUSED: u8 = 2;
const RESET: u8 = 3;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let plan = match Plan::new(&arguments) {
        Ok(plan) => plan,
        Err(error) => return report(&error, REFUSED),
    };
    if let Some(file) = &arguments.write_tree {
        let gic = if plan.map.gic_v3.is_some() { GicVersion::V3 } else { GicVersion::V2 };
        let tree = plan.tree(plan.gic.unwrap_or(gic));
        let written = tree.and_then(|tree| Ok(std::fs::write(file, tree)?));
        let written: Result<()> = written.with_context(|| format!("writing {}", file.display()));
        return written.map_or_else(|error| report(&error, REFUSED), |()| ExitCode::SUCCESS);
    }
    if let Some(how) = arguments.break_out {
        return report(&break_out(&plan, how), FAILED);
    }
    if plan.image.is_none() {
        return report(&anyhow::anyhow!("--image is missing"), REFUSED);
    }
    match kvm::run(plan) {
        Ok(Ending::Off) => ExitCode::SUCCESS,
        Ok(Ending::Reset) => RESET.into(),
        Err(error) => report(&error, FAILED),
    }
}

/// Confines this process and does what it then must not. It comes back only if it could.
fn break_out(plan: &Plan, how: BreakOut) -> anyhow::Error {
    let parent = std::os::unix::process::parent_id();
    if let Err(error) = elone_monitor::confine::confine(plan.on_reset) {
        return error;
    }
    // Its own threads it may send signals to; 0 is none, and says only whether it could.
    let process = std::process::id();
    if let Err(error) = shell::signal_thread(process, shell::thread_number(), 0) {
        return error.into();
    }
    let done = match how {
        BreakOut::Open => std::fs::File::open("/dev/null").map(drop),
        BreakOut::Signal => {
            let thread = parent.cast_signed();
            shell::signal_thread(parent, thread, 0)
        }
    };
    anyhow::anyhow!("not confined: {how:?} was possible: {done:?}")
}

fn report(error: &anyhow::Error, status: u8) -> ExitCode {
    complain(&format!("elone-monitor: {error:#}"));
    status.into()
}
