//! What is measured: a guest, how it is booted, and how it says that it serves.

use std::io;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use elone_harness::{Board, Machine};

use super::http::{Client, Ports, Use};
use super::load::Load;
use super::plugin::Plugin;
use super::process::Process;

/// The processor that every guest runs on.
pub(crate) const CPU: &str = "cortex-a72";
/// What the Linux guest is called.
pub(crate) const LINUX: &str = "linux";
/// Long enough for Linux under the plugin on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);
/// How often an answer is tried for.
const PAUSE: Duration = Duration::from_millis(1);
/// A try without an answer is given up after this: its packets came too early for the guest, and
/// the emulator's TCP would only repeat them after half a second or more.
const TRY: Duration = Duration::from_millis(300);

/// A guest.
#[derive(Clone, Debug)]
pub(crate) struct Subject {
    /// For messages.
    pub(crate) name: String,
    /// What is loaded into the machine.
    pub(crate) files: Vec<PathBuf>,
    machine: Machine,
    /// What is in the line that it says when it serves, or when it has done what it is there for.
    marker: &'static str,
    /// What it is asked for.
    path: &'static str,
}

impl Subject {
    /// An application of this repository.
    pub(crate) fn application(
        name: &str,
        board: &Board,
        image: &Path,
        marker: &'static str,
    ) -> Self {
        let machine = Machine::new(board, image).cpu(CPU);
        Self {
            name: name.to_owned(),
            files: vec![image.to_owned()],
            machine,
            marker,
            path: "/health",
        }
    }

    /// A Linux that serves the same path.
    pub(crate) fn linux(board: &Board, kernel: &Path, initramfs: &Path) -> Self {
        let machine = Machine::new(board, kernel).cpu(CPU).memory(super::linux::MEMORY);
        let machine = machine.argument("-initrd").argument(&initramfs.display().to_string());
        Self {
            name: LINUX.to_owned(),
            files: vec![kernel.to_owned(), initramfs.to_owned()],
            machine: super::linux::SETTINGS.iter().fold(machine, |all, one| all.setting(one)),
            marker: super::linux::MARKER,
            path: "/health",
        }
    }

    /// The same with one more setting.
    pub(crate) fn setting(&self, setting: &str) -> Self {
        Self { machine: self.machine.clone().setting(setting), ..self.clone() }
    }

    /// The same with more arguments for the emulator.
    pub(crate) fn arguments(&self, arguments: &[&str]) -> Self {
        let machine = self.machine.clone();
        let machine = arguments.iter().fold(machine, |machine, word| machine.argument(word));
        Self { machine, ..self.clone() }
    }

    /// The same on another processor, as the emulator's `-cpu` takes it.
    pub(crate) fn cpu(&self, model: &str) -> Self {
        Self { machine: self.machine.clone().cpu(model), ..self.clone() }
    }

    /// The same with so many MiB of memory.
    pub(crate) fn memory(&self, mebibytes: u32) -> Self {
        Self { machine: self.machine.clone().memory(mebibytes), ..self.clone() }
    }

    pub(crate) fn start(&self) -> Result<Process> {
        Process::start(&self.machine, None)
    }

    pub(crate) fn start_counted(&self, plugin: &Plugin) -> Result<Process> {
        Process::start(&self.machine, Some(plugin))
    }

    /// Waits for the guest's line, and returns where on the console it ends.
    pub(crate) fn wait_for_line(&self, process: &Process, limit: Duration) -> Result<u64> {
        process.wait_for(self.marker, limit).with_context(|| format!("booting {}", self.name))
    }

    /// Waits for the first answer, and returns when it came, counted from the emulator's start.
    ///
    /// It is asked for once the guest has said its line. Asked earlier, the emulator's network would
    /// repeat packets that nobody is there for yet, which is no part of booting.
    pub(crate) fn first_answer(&self, process: &Process, limit: Duration) -> Result<Duration> {
        self.wait_for_line(process, limit)?;
        let (mut ports, address) = (Ports::of_the_first(), process.addresses()[0]);
        let mut last = io::Error::from(io::ErrorKind::TimedOut);
        while process.begin().elapsed() < limit && process.runs() {
            let begin = Instant::now();
            let client = Client::connect(&mut ports, address, self.path, Use::Once);
            match client.and_then(|client| client.patience(TRY)?.ask()) {
                Ok(()) => return Ok(process.begin().elapsed()),
                Err(error) => last = error,
            }
            thread::sleep(PAUSE.saturating_sub(begin.elapsed()));
        }
        bail!("{} does not answer: {last}", self.name)
    }

    /// A load on the guest, with eight clients.
    pub(crate) fn load<'a>(&self, process: &'a Process, purpose: Use) -> Load<'a> {
        Load { addresses: process.addresses(), path: self.path, purpose }
    }
}
