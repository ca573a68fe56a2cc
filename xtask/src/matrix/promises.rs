//! The matrix as a test.

use std::env;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use elone_harness::{Context, Mode, Modes, Pace, Scenario};
use serde_json::Value;

/// Every such test.
pub(crate) const SCENARIOS: &[Scenario] = &[Scenario {
    name: "matrix::one_image_works_in_every_cell",
    pace: Pace::Long,
    modes: Modes::Both,
    run: one_image_works_in_every_cell,
}];

/// The cells of a quick run, as a program would have them. Beside other tests, one machine at a time.
fn one_image_works_in_every_cell(context: &Context) -> Result<()> {
    let mode = match context.mode() {
        Mode::Joined => "--joined",
        Mode::Contained => "--contained",
    };
    let mut command = Command::new(env::current_exe()?);
    command.args(["matrix", "--quick", "--json", "--machines", "1", mode]).stdin(Stdio::null());
    let output = command.output().context("running xtask")?;
    let list: Value = serde_json::from_slice(&output.stdout)
        .with_context(|| String::from_utf8_lossy(&output.stderr).into_owned())?;
    let list = list.as_array().context("no list")?;
    let wrong: Vec<_> = list.iter().filter(|one| one["conforms"] == false).collect();
    ensure!(wrong.is_empty() && output.status.success(), "{}: {wrong:#?}", output.status);
    let run: Vec<_> = list.iter().filter(|one| one["proof"] == "run").collect();
    let virt: Vec<_> = run.iter().filter(|one| one["family"] == "QEMU virt").collect();
    ensure!(virt.len() == 18, "{} cells of the virt machine", virt.len());
    let image = &virt.first().context("no cell")?["sha256"];
    ensure!(image.is_string() && virt.iter().all(|one| one["sha256"] == *image), "two images");
    Ok(())
}
