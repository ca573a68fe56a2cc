//! An emulator as the bench runs it: nothing between the clock and its start, and the console byte
//! by byte, so that a line's place can be looked up in the plugin's records.
//!
//! The harness's `Guest` talks to the emulator's monitor first; here that would be measured too.

use std::env;
use std::fs::{self, File};
use std::io::Read;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::process::{self, Child, ChildStdout, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use elone_harness::{Forward, Machine, Network, Protocol};

use super::plugin::{Counters, Plugin};

/// The port that guests serve.
const GUEST_PORT: u16 = 80;
/// How many clients ask at a time, at most.
///
/// Each has a port of the emulator's to itself. The emulator listens for its guest with a backlog of
/// one, so of several clients at one port some are turned away by this machine's system before the
/// emulator hears of them, and try again after a second: a stall that no guest has a part in.
pub(crate) const CLIENTS: usize = 8;

/// An emulator that runs. Dropped, it is killed.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    begin: Instant,
    console: Arc<Console>,
    addresses: [SocketAddr; CLIENTS],
    directory: PathBuf,
    counters: PathBuf,
    /// Where the emulator's monitor calls. Nobody answers.
    _monitor: UnixListener,
}

#[derive(Debug, Default)]
struct Console {
    said: Mutex<Said>,
    news: Condvar,
}

#[derive(Debug, Default)]
struct Said {
    bytes: Vec<u8>,
    closed: Option<Instant>,
}

impl Process {
    /// Starts an emulator, whose guest's port 80 is led to. With a `plugin` it is counted.
    pub(crate) fn start(machine: &Machine, plugin: Option<&Plugin>) -> Result<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        // A socket's path has room for about 100 bytes, so it is not below `target/`.
        let name = format!("elone-bench-{}-{number}", process::id());
        let directory = env::temp_dir().join(name);
        fs::create_dir_all(&directory)
            .with_context(|| format!("making {}", directory.display()))?;
        let monitor = UnixListener::bind(directory.join("monitor"))?;
        let counters = directory.join("counters");

        let addresses = free_addresses()?;
        let forwards = addresses.iter().map(|address| Forward {
            protocol: Protocol::Tcp,
            host: address.port(),
            guest: GUEST_PORT,
        });
        let mut machine = machine.clone().network(Network::User(forwards.collect()));
        if let Some(plugin) = plugin {
            let arguments = plugin.arguments(&counters)?;
            machine = arguments.iter().fold(machine, |machine, word| machine.argument(word));
        }
        let mut command = machine.command(&directory)?;
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        command.stderr(File::create(directory.join("complaint"))?);
        let begin = Instant::now();
        let mut child = elone_harness::spawn(&mut command).context("starting the emulator")?;
        let console = Arc::new(Console::default());
        if let Some(output) = child.stdout.take() {
            let console = Arc::clone(&console);
            thread::spawn(move || console.listen(output));
        }
        Ok(Self { child, begin, console, addresses, directory, counters, _monitor: monitor })
    }

    /// When it was started.
    pub(crate) fn begin(&self) -> Instant {
        self.begin
    }

    /// Where the guest's port 80 can be reached, an address for each client.
    pub(crate) fn addresses(&self) -> &[SocketAddr; CLIENTS] {
        &self.addresses
    }

    /// The counters of its plugin.
    pub(crate) fn counters(&self) -> Result<Counters> {
        Counters::open(&self.counters)
    }

    /// Waits for a line that contains `text`, and returns the number of its last byte, counted from
    /// the console's first.
    pub(crate) fn wait_for(&self, text: &str, timeout: Duration) -> Result<u64> {
        let deadline = self.begin + timeout;
        let mut said = self.console.said();
        let mut looked_at = 0;
        loop {
            let news = &said.bytes[looked_at..];
            if let Some(end) = end_of_line(news, text) {
                return Ok(u64::try_from(looked_at + end)?);
            }
            looked_at += news.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
            let left = deadline.saturating_duration_since(Instant::now());
            if said.closed.is_some() || left.is_zero() {
                bail!("no line with {text:?} within {timeout:?}: {}", self.account(&said.bytes));
            }
            let news = self.console.news.wait_timeout(said, left);
            (said, _) = news.unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// What the guest has said so far.
    pub(crate) fn console(&self) -> Vec<u8> {
        self.console.said().bytes.clone()
    }

    /// Waits for the machine's end, and returns how long it ran.
    pub(crate) fn wait_for_end(mut self, timeout: Duration) -> Result<Duration> {
        let deadline = self.begin + timeout;
        let mut said = self.console.said();
        let closed = loop {
            if let Some(closed) = said.closed {
                break closed;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            ensure!(!left.is_zero(), "no end within {timeout:?}: {}", self.account(&said.bytes));
            let news = self.console.news.wait_timeout(said, left);
            (said, _) = news.unwrap_or_else(PoisonError::into_inner);
        };
        drop(said);
        let status = self.child.wait()?;
        let account = self.account(&self.console.said().bytes);
        ensure!(status.success(), "the emulator ended with {status}: {account}");
        Ok(closed - self.begin)
    }

    /// Whether the machine still runs.
    pub(crate) fn runs(&self) -> bool {
        self.console.said().closed.is_none()
    }

    /// What the guest said and the emulator complained of, for messages.
    fn account(&self, console: &[u8]) -> String {
        let complaint = fs::read_to_string(self.directory.join("complaint")).unwrap_or_default();
        let console = String::from_utf8_lossy(console);
        let lines: Vec<_> = console.lines().collect();
        let tail = lines[lines.len().saturating_sub(12)..].join("\n    ");
        format!("{}\n    {tail}", complaint.trim())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Whatever fails here has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.directory);
    }
}

impl Console {
    fn listen(&self, mut output: ChildStdout) {
        let mut buffer = [0; 4096];
        while let Ok(length @ 1..) = output.read(&mut buffer) {
            self.said().bytes.extend_from_slice(&buffer[..length]);
            self.news.notify_all();
        }
        self.said().closed = Some(Instant::now());
        self.news.notify_all();
    }

    fn said(&self) -> MutexGuard<'_, Said> {
        self.said.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The place of the newline that ends the first line with `text` in it.
fn end_of_line(bytes: &[u8], text: &str) -> Option<usize> {
    let found = bytes.windows(text.len()).position(|window| window == text.as_bytes())?;
    bytes[found..].iter().position(|byte| *byte == b'\n').map(|length| found + length)
}

/// Ports that nobody uses now. Asking the emulator which ones it has taken would be measured.
fn free_addresses() -> Result<[SocketAddr; CLIENTS]> {
    let mut addresses = [SocketAddr::from((Ipv4Addr::LOCALHOST, 0)); CLIENTS];
    let mut listeners = Vec::new();
    for address in &mut addresses {
        let listener = TcpListener::bind(*address).context("looking for a free port")?;
        *address = listener.local_addr()?;
        // Held until all are found, so that none is found twice.
        listeners.push(listener);
    }
    Ok(addresses)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_ends_at_its_newline() {
        let bytes = b"one\r\n[0.1] listening on x\r\nthree";
        assert_eq!(end_of_line(bytes, "listening"), Some(26));
        assert_eq!(end_of_line(bytes, "three"), None, "that line is not whole yet");
    }
}
