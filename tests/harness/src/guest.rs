//! A machine that runs.

use std::cell::Cell;
use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};
use std::{env, fs, process};

use anyhow::{Context, Result, bail, ensure};
use serde_json::json;

use crate::console::{Stuck, Transcript};
use crate::machine::Begin;
use crate::spawn::spawn;
use crate::wire::Wire;
use crate::{Ending, Forward, Machine, Network, Protocol, Qmp, Shutdown};

/// How long an emulator may take to begin or to end, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

/// A machine that runs. Dropped, it is killed.
#[derive(Debug)]
pub struct Guest {
    child: Child,
    stdin: Option<ChildStdin>,
    transcript: Transcript,
    /// Where the next [`wait_for`](Self::wait_for) begins to look.
    heard: Cell<usize>,
    complaint: Option<JoinHandle<String>>,
    qmp: Option<Qmp>,
    forwards: Vec<Forward>,
    wire: Option<Wire>,
    directory: PathBuf,
}

impl Guest {
    pub(crate) fn start(machine: &Machine, echo: Option<Box<dyn Write + Send>>) -> Result<Self> {
        let directory = own_directory()?;
        let monitor = UnixListener::bind(directory.join("monitor"))?;
        let wire = match machine.network {
            Network::Wire => Some(Wire::lay(&directory)?),
            _ => None,
        };
        let mut command = machine.command(&directory)?;
        // It must not have ended before the monitor is listened to: a guest can be that fast.
        command.arg("-S");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let emulator = &machine.board.emulator;
        let mut child = spawn(&mut command).with_context(|| format!("starting {emulator}"))?;

        let transcript = Transcript::default();
        if let Some(console) = child.stdout.take() {
            let transcript = transcript.clone();
            thread::spawn(move || transcript.listen(console, echo));
        }
        let complaint = child.stderr.take().map(|mut stderr| {
            thread::spawn(move || {
                let mut text = Vec::new();
                // What came before an error is all there is to report.
                let _ = stderr.read_to_end(&mut text);
                String::from_utf8_lossy(&text).into_owned()
            })
        });
        let mut guest = Self {
            stdin: child.stdin.take(),
            child,
            transcript,
            heard: Cell::new(0),
            complaint,
            qmp: None,
            forwards: Vec::new(),
            wire,
            directory,
        };
        guest.meet(&monitor).with_context(|| format!("starting {emulator}"))?;
        if let Network::User(forwards) = &machine.network {
            guest.forwards = guest.find_ports(forwards)?;
        }
        if machine.begin == Begin::AtOnce {
            guest.qmp()?.execute("cont", json!({}))?;
        }
        Ok(guest)
    }

    /// Waits for the emulator to call, and greets it.
    fn meet(&mut self, monitor: &UnixListener) -> Result<()> {
        monitor.set_nonblocking(true)?;
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Ok((socket, _)) = monitor.accept() {
                socket.set_nonblocking(false)?;
                // An emulator that refuses its machine calls, and hangs up.
                self.qmp = Qmp::greet(socket).ok();
                if self.qmp.is_some() {
                    return Ok(());
                }
                self.child.wait()?;
            }
            if let Some(status) = self.child.try_wait()? {
                bail!("{status}: {}", self.complaint().trim());
            }
            ensure!(Instant::now() < deadline, "it does not answer: {}", {
                self.child.kill()?;
                self.complaint()
            });
            thread::sleep(Duration::from_millis(1));
        }
    }

    /// Asks which free ports the emulator has chosen, in the order in which they were asked for.
    fn find_ports(&mut self, forwards: &[Forward]) -> Result<Vec<Forward>> {
        if forwards.iter().all(|forward| forward.host != 0) {
            return Ok(forwards.to_vec());
        }
        let table = self.qmp()?.monitor("info usernet")?;
        let known: Vec<_> = table.lines().filter_map(read_forward).collect();
        let find = |asked: &Forward| {
            let same = |one: &&Forward| {
                (one.protocol, one.guest) == (asked.protocol, asked.guest)
                    && (asked.host == 0 || asked.host == one.host)
            };
            known.iter().find(same).copied().with_context(|| format!("no {asked} in {table}"))
        };
        forwards.iter().map(find).collect()
    }

    /// The port of 127.0.0.1 that leads to the guest's TCP `port`.
    ///
    /// # Errors
    /// It was not asked for.
    pub fn port(&self, port: u16) -> Result<u16> {
        self.port_of(Protocol::Tcp, port)
    }

    /// The port of 127.0.0.1 that leads to the guest's `port` of this protocol.
    ///
    /// # Errors
    /// It was not asked for.
    pub fn port_of(&self, protocol: Protocol, port: u16) -> Result<u16> {
        let forward =
            self.forwards.iter().find(|one| (one.protocol, one.guest) == (protocol, port));
        Ok(forward.with_context(|| format!("port {port} is not forwarded"))?.host)
    }

    /// The wire to its network interface.
    ///
    /// # Errors
    /// Its network is another one.
    pub fn wire(&self) -> Result<&Wire> {
        self.wire.as_ref().context("the machine's network is not a wire")
    }

    /// The emulator's own monitor.
    ///
    /// # Errors
    /// The emulator has ended.
    pub fn qmp(&mut self) -> Result<&mut Qmp> {
        self.qmp.as_mut().context("the emulator has ended")
    }

    /// The emulator's process, for what is measured from outside.
    #[must_use]
    pub fn process_id(&self) -> u32 {
        self.child.id()
    }

    /// Waits for a line that contains `text`, after the line that the last call found, and returns
    /// it.
    ///
    /// # Errors
    /// There is none within `timeout`, or the guest ended before.
    pub fn wait_for(&self, text: &str, timeout: Duration) -> Result<String, Stuck> {
        let (line, next) = self.transcript.line_with(text, self.heard.get(), timeout)?;
        self.heard.set(next);
        Ok(line)
    }

    /// Waits for the guest's first byte; whether one came within `timeout`.
    #[must_use]
    pub fn says_anything(&self, timeout: Duration) -> bool {
        self.transcript.anything(timeout)
    }

    /// Everything the guest has said so far.
    #[must_use]
    pub fn console(&self) -> String {
        self.transcript.text()
    }

    /// Types `bytes` on the guest's console.
    ///
    /// # Errors
    /// The emulator has ended.
    pub fn type_in(&mut self, bytes: &[u8]) -> Result<()> {
        let stdin = self.stdin.as_mut().context("the console's input is taken")?;
        stdin.write_all(bytes).and_then(|()| stdin.flush()).context("typing on the console")
    }

    /// Hands the console's input over, to be written to from another thread.
    #[must_use]
    pub fn take_input(&mut self) -> Option<ChildStdin> {
        self.stdin.take()
    }

    /// Whether the machine has ended within `timeout`; it can then be asked for its
    /// [`ending`](Self::ending).
    #[must_use]
    pub fn has_ended(&self, timeout: Duration) -> bool {
        self.transcript.end(timeout)
    }

    /// Waits for the machine's end.
    ///
    /// # Errors
    /// It has not ended within `timeout`; it is then killed.
    pub fn ending(mut self, timeout: Duration) -> Result<Ending> {
        if !self.transcript.end(timeout) {
            return Err(self.transcript.stuck("end".to_owned(), timeout).into());
        }
        let status = self.child.wait()?;
        let reason = self.qmp.take().and_then(Qmp::shutdown_reason);
        let shutdown = match reason.as_deref() {
            _ if !status.success() => Shutdown::Emulator,
            Some("guest-shutdown") => Shutdown::PoweredOff,
            Some("guest-reset") => Shutdown::Reset,
            Some("host-qmp-quit" | "host-signal") => Shutdown::Stopped,
            _ => Shutdown::Emulator,
        };
        Ok(Ending::new(self.transcript.text(), self.complaint(), shutdown))
    }

    /// Ends the machine, as if its plug were pulled, and returns what it has left.
    ///
    /// # Errors
    /// The emulator does not end.
    pub fn stop(mut self) -> Result<Ending> {
        // An emulator that ends by itself in this moment cannot answer any more.
        let _ = self.qmp()?.execute("quit", json!({}));
        self.ending(PATIENCE)
    }

    /// What the emulator complained of, once it has ended.
    fn complaint(&mut self) -> String {
        self.complaint.take().and_then(|thread| thread.join().ok()).unwrap_or_default()
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        // Whatever fails here has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
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

/// Reads a line such as `TCP[HOST_FORWARD]  12  127.0.0.1 41705  10.0.2.15 80  0  0`.
fn read_forward(line: &str) -> Option<Forward> {
    let mut words = line.split_whitespace();
    let protocol = match words.next()? {
        "TCP[HOST_FORWARD]" => Protocol::Tcp,
        "UDP[HOST_FORWARD]" => Protocol::Udp,
        _ => return None,
    };
    let host = words.nth(2)?.parse().ok()?;
    let guest = words.nth(1)?.parse().ok()?;
    Some(Forward { protocol, host, guest })
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

    #[test]
    fn forwards_are_read_from_the_monitors_table() {
        let line =
            "  TCP[HOST_FORWARD]  12       127.0.0.1 41705       10.0.2.15    80     0     0";
        let forward = Forward { protocol: Protocol::Tcp, host: 41705, guest: 80 };
        assert_eq!(read_forward(line), Some(forward));
        assert_eq!(read_forward("  Protocol[State]    FD  Source Address  Port"), None);
    }
}
