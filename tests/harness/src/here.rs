//! An emulator on this machine.

use std::io::{ErrorKind, Read};
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::process::{Child, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::{self, JoinHandle};
use std::{env, fs, process};

use anyhow::{Context as _, Result};

use crate::place::{Emulator, Started, Stream, Surroundings};
use crate::qmp;
use crate::spawn::spawn;
use crate::wire::Wire;
use crate::{Forward, Machine, Network};

/// A process of this machine's.
#[derive(Debug)]
struct Process {
    child: Child,
    monitor: UnixListener,
    complaint: Option<JoinHandle<String>>,
    directory: PathBuf,
}

/// Starts the emulator, with its machine held before the first instruction: it must not have ended
/// before its monitor is listened to, and a guest can be that fast.
pub(crate) fn start(machine: &Machine) -> Result<Started> {
    let directory = own_directory()?;
    let monitor = UnixListener::bind(directory.join("monitor"))?;
    monitor.set_nonblocking(true)?;
    let wire = match machine.network {
        Network::Wire => Some(Wire::lay(&directory)?),
        _ => None,
    };
    let machine = machine.by_firmware(&directory)?;
    let machine = machine.below_xen(&directory)?;
    let mut command = machine.command_in(&Surroundings::here(&directory))?;
    command.arg("-S").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = spawn(&mut command)?;
    let (input, output) = (child.stdin.take(), child.stdout.take());
    let complaint = child.stderr.take().map(|mut stderr| {
        thread::spawn(move || {
            let mut text = Vec::new();
            // What came before an error is all there is to report.
            let _ = stderr.read_to_end(&mut text);
            String::from_utf8_lossy(&text).into_owned()
        })
    });
    let emulator = Box::new(Process { child, monitor, complaint, directory });
    let input = Box::new(input.context("the emulator has no input")?);
    let output = Box::new(output.context("the emulator has no output")?);
    Ok(Started { emulator, input, output, wire })
}

impl Emulator for Process {
    fn caller(&mut self) -> Result<Option<Box<dyn Stream>>> {
        let Ok((socket, _)) = self.monitor.accept() else { return Ok(None) };
        socket.set_nonblocking(false)?;
        socket.set_read_timeout(Some(qmp::PATIENCE))?;
        Ok(Some(Box::new(socket)))
    }

    fn wait(&mut self) -> Result<ExitStatus> {
        Ok(self.child.wait()?)
    }

    fn kill(&mut self) {
        // What cannot be killed has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    fn complaint(&mut self) -> String {
        self.complaint.take().and_then(|thread| thread.join().ok()).unwrap_or_default()
    }

    fn reach(&mut self, _: Forward, port: u16) -> Result<u16> {
        Ok(port)
    }

    fn let_pass(&mut self) -> Result<()> {
        Ok(())
    }

    fn remark(&self) -> String {
        String::new()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
        // What is left in the temporary directory does no harm.
        let _ = fs::remove_dir_all(&self.directory);
    }
}

/// A directory for one machine's sockets. A socket's path has room for about 100 bytes, so it is
/// not below `target/`. One that is there already is somebody else's, or was left by a process that
/// was killed and had the same number: it is passed over.
fn own_directory() -> Result<PathBuf> {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    loop {
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let directory = env::temp_dir().join(format!("elone-{}-{count}", process::id()));
        match fs::create_dir(&directory) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            made => {
                made.with_context(|| format!("making {}", directory.display()))?;
                return Ok(directory);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_that_is_there_is_nobody_elses() {
        let first = own_directory().unwrap();
        let name = first.to_string_lossy().into_owned();
        let (stem, count) = name.rsplit_once('-').unwrap();
        let count: u32 = count.parse().unwrap();
        let left: Vec<_> = (1..50).map(|more| format!("{stem}-{}", count + more)).collect();
        let ours: Vec<_> = left.iter().filter(|left| fs::create_dir(left).is_ok()).collect();
        let next = own_directory().unwrap();
        assert!(ours.iter().all(|left| PathBuf::from(left) != next), "{}", next.display());
        for directory in [first, next].into_iter().chain(ours.iter().map(PathBuf::from)) {
            fs::remove_dir(directory).unwrap();
        }
    }
}
