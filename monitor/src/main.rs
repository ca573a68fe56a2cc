//! The program: reads the command line, runs the machine, ends with a status that says how it went.

use std::process::ExitCode;

use anyhow::{Context as _, Result};
use clap::Parser as _;
use elone_monitor::arguments::Arguments;
use elone_monitor::kvm;
use elone_monitor::plan::{Ending, Plan};
use elone_monitor::tree::GicVersion;

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
    if arguments.break_out {
        return report(&break_out(&plan), FAILED);
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

/// Confines this process and opens a file all the same. It comes back only if it could.
fn break_out(plan: &Plan) -> anyhow::Error {
    if let Err(error) = elone_monitor::confine::confine(plan.on_reset) {
        return error;
    }
    let opened = std::fs::File::open("/dev/null");
    anyhow::anyhow!("not confined: /dev/null could be opened: {opened:?}")
}

fn report(error: &anyhow::Error, status: u8) -> ExitCode {
    eprintln!("elone-monitor: {error:#}");
    status.into()
}
