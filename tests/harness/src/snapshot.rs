//! Snapshots of a whole machine, by the emulator: saved in a disk image that no guest sees, and
//! restored as often as one likes.

use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};
use serde_json::{Value, json};

use crate::Guest;

/// How long a snapshot may take, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);
/// More than a machine's memory and state take, in bytes.
const SIZE: u64 = 1 << 30;

/// Makes a place for snapshots, in a file of this name.
///
/// # Errors
/// The emulator cannot make it.
pub(crate) fn prepare(guest: &mut Guest, file: &Path) -> Result<()> {
    let file = file.to_string_lossy();
    let create = |options: Value| json!({ "job-id": "create", "options": options });
    job(
        guest,
        "blockdev-create",
        create(json!({ "driver": "file", "filename": file, "size": 0 })),
    )?;
    let add = json!({ "driver": "file", "filename": file, "node-name": "file" });
    guest.qmp()?.execute("blockdev-add", add)?;
    let options = json!({ "driver": "qcow2", "file": "file", "size": SIZE });
    job(guest, "blockdev-create", create(options))?;
    let add = json!({ "driver": "qcow2", "file": "file", "node-name": "snapshots" });
    guest.qmp()?.execute("blockdev-add", add).map(drop)
}

/// Saves the machine, which goes on.
///
/// # Errors
/// The emulator cannot.
pub(crate) fn save(guest: &mut Guest) -> Result<()> {
    job(guest, "snapshot-save", what("save"))
}

/// Restores the machine as it was saved, and leaves it standing still: `cont` lets it go on.
///
/// # Errors
/// The emulator cannot.
pub(crate) fn restore(guest: &mut Guest) -> Result<()> {
    guest.qmp()?.execute("stop", json!({}))?;
    job(guest, "snapshot-load", what("load"))
}

fn what(job: &str) -> Value {
    json!({ "job-id": job, "tag": "one", "vmstate": "snapshots", "devices": ["snapshots"] })
}

/// Has the emulator do something that takes time, and waits for the end of it.
fn job(guest: &mut Guest, command: &str, arguments: Value) -> Result<()> {
    let id = arguments["job-id"].clone();
    guest.qmp()?.execute(command, arguments)?;
    let deadline = Instant::now() + PATIENCE;
    loop {
        let jobs = guest.qmp()?.execute("query-jobs", json!({}))?;
        let Some(job) = jobs.as_array().into_iter().flatten().find(|job| job["id"] == id) else {
            bail!("{command}: there is no such job");
        };
        if job["status"] == "concluded" {
            let error = job["error"].as_str().map(str::to_owned);
            guest.qmp()?.execute("job-dismiss", json!({ "id": id }))?;
            return error.map_or(Ok(()), |error| bail!("{command}: {error}"));
        }
        ensure!(Instant::now() < deadline, "{command} does not end: {job}");
        thread::sleep(Duration::from_millis(5));
    }
}
