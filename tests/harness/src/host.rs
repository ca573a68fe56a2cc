//! An arm64 Linux host with KVM, emulated: a machine like any other here, on which further machines
//! run ([`there`](crate::there)), and any other program.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::mpsc::{self, Sender};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use std::{fs, process, thread};

use anyhow::{Context as _, Result, bail, ensure};
use elone_edge::{KERNEL_ARGUMENTS, Parts, READY, WITHOUT_KVM, shell};

use crate::console::tail;
use crate::{Board, Forward, Guest, Machine, Network};

/// How long a host may take to come up, on a busy machine; on an idle one it is five seconds.
const BOOT: Duration = Duration::from_secs(180);
/// How long a host may take to do anything that is not a guest's.
const PATIENCE: Duration = Duration::from_secs(60);
/// A host that does not answer for this long is stuck.
const SILENCE: Duration = Duration::from_secs(10);
/// What the emulator calls the host's network.
const INTERFACE: &str = "net0";
/// How the name of a file ends that a host boots from.
const INITRAMFS: &str = "initramfs";

/// A host with KVM. Dropped, it ends, and with it all that runs on it.
#[derive(Debug)]
pub struct Host {
    guest: Mutex<Guest>,
    port: u16,
    programs: AtomicU32,
    /// Whether it was stuck once, and was ended for that.
    given_up: AtomicBool,
    /// Dropped last: the thread that has started the host's emulator lives for as long as this,
    /// because a child is killed when the thread that started it ends (`spawn.rs`).
    _keeper: Sender<()>,
}

impl Host {
    /// Brings up the machine that `board` describes, from these parts; `cache` has room for a file.
    pub(crate) fn bring_up(board: &Board, parts: &Parts, cache: &Path) -> Result<Self> {
        eprintln!("edge: bringing up {}", board.summary);
        remove_left(cache)?;
        let initramfs = cache.join(format!("{}.{}.{INITRAMFS}", board.name, process::id()));
        parts.write_initramfs(&initramfs)?;
        let host = Self::boot(board, &parts.kernel, &initramfs);
        // It is in the host's memory by now, or of no use.
        let _ = fs::remove_file(&initramfs);
        host
    }

    fn boot(board: &Board, kernel: &Path, initramfs: &Path) -> Result<Self> {
        let network = Network::User(vec![Forward::tcp(shell::PORT)]);
        let machine = Machine::new(board, kernel).without_entropy().network(network);
        let machine = machine.setting(KERNEL_ARGUMENTS).argument("-initrd");
        let machine = machine.argument(&initramfs.display().to_string());
        let (report, started) = mpsc::channel();
        let (keeper, kept) = mpsc::channel();
        thread::spawn(move || {
            // Nobody listens only if the thread that asked has ended.
            let _ = report.send(machine.boot());
            // It ends by the other end's being dropped.
            let _ = kept.recv();
        });
        let deadline = Instant::now() + BOOT;
        let guest = started.recv()??;
        let line = guest.wait_for("edge: ", BOOT)?;
        ensure!(!line.contains(WITHOUT_KVM), "it has no KVM: {}", tail(&guest.console()));
        ensure!(line.contains(READY), "it says {line:?}");
        let port = guest.port(shell::PORT)?;
        let guest = Mutex::new(guest);
        let (programs, given_up) = (AtomicU32::new(0), AtomicBool::new(false));
        let host = Self { guest, port, programs, given_up, _keeper: keeper };
        // It takes commands a moment after it says so.
        while let Err(error) = host.connect(PATIENCE, "true") {
            if Instant::now() > deadline || host.has_ended() {
                return Err(error.context(host.stuck("take a command")));
            }
            thread::sleep(Duration::from_millis(20));
        }
        Ok(host)
    }

    /// Whether it has ended, as when its kernel panicked, or was stuck and so was ended.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.given_up.load(Ordering::Relaxed) || self.guest().has_ended(Duration::ZERO)
    }

    /// Has the host's shell run `command`, and returns what it printed.
    ///
    /// # Errors
    /// It failed (the message has what it printed), or the host is stuck (the message has the end of
    /// its console).
    pub fn ask(&self, command: &str) -> Result<String> {
        let mut stream = self.begin(&shell::answered(command))?;
        stream.shutdown(Shutdown::Write)?;
        self.answer(&mut stream).with_context(|| format!("on the host: {command:.200}"))
    }

    /// Puts a file of this machine there as `path`. It may be run.
    ///
    /// # Errors
    /// It cannot be read, or the host has no room, or is stuck.
    pub fn put(&self, file: &Path, path: &str) -> Result<()> {
        let put = || -> Result<()> {
            let mut contents = fs::File::open(file)?;
            let mut stream = self.begin(&shell::store(path, contents.metadata()?.len()))?;
            io::copy(&mut contents, &mut stream)?;
            self.answer(&mut stream).map(drop)
        };
        put().with_context(|| format!("putting {} there", file.display()))
    }

    /// Puts a directory there as `path`, with all that is in it.
    ///
    /// # Errors
    /// As [`put`](Self::put).
    pub fn put_all(&self, directory: &Path, path: &str) -> Result<()> {
        let list = fs::read_dir(directory);
        for entry in list.with_context(|| format!("reading {}", directory.display()))? {
            let entry = entry?;
            let there = format!("{path}/{}", entry.file_name().to_string_lossy());
            match entry.path().is_dir() {
                true => self.put_all(&entry.path(), &there)?,
                false => self.put(&entry.path(), &there)?,
            }
        }
        Ok(())
    }

    /// The contents of the file there at `path`.
    ///
    /// # Errors
    /// There is none, or the host is stuck.
    pub fn fetch(&self, path: &str) -> Result<Vec<u8>> {
        let fetch = || -> Result<Vec<u8>> {
            let mut stream = self.begin(&shell::send(path))?;
            let length: u64 = line(&mut stream)?.parse().context("there is no such file")?;
            let mut contents = Vec::new();
            stream.read_to_end(&mut contents)?;
            ensure!(contents.len() as u64 == length, "of {length} bytes {} came", contents.len());
            Ok(contents)
        };
        fetch().with_context(|| format!("fetching {path}"))
    }

    /// A directory for files of one program alone, which is not made yet.
    #[must_use]
    pub fn own_directory(&self) -> String {
        format!("/run/{}", self.programs.fetch_add(1, Ordering::Relaxed))
    }

    /// Starts a program in `directory`, where it leaves what [`complaint`](Self::complaint) and
    /// [`status`](Self::status) ask for; the connection is its standard input and output.
    ///
    /// # Errors
    /// The host is stuck.
    pub fn start(&self, directory: &str, words: &[String]) -> Result<TcpStream> {
        let stream = self.begin(&shell::program(directory, words))?;
        // It may be silent for as long as it likes.
        stream.set_read_timeout(None)?;
        Ok(stream)
    }

    /// The exit status of the program that was started in `directory` and has ended: 128 and the
    /// signal's number more if it was killed.
    ///
    /// # Errors
    /// It has not ended, or the host is stuck.
    pub fn status(&self, directory: &str) -> Result<u8> {
        let status = self.ask(&format!("cat {directory}/status"))?;
        status.trim().parse().with_context(|| format!("the status is {status:?}"))
    }

    /// What the program that was started in `directory` has complained of.
    ///
    /// # Errors
    /// None was, or the host is stuck.
    pub fn complaint(&self, directory: &str) -> Result<String> {
        self.ask(&format!("cat {directory}/error"))
    }

    /// Kills the program that was started in `directory`, unless it has ended.
    ///
    /// # Errors
    /// None was started, or the host is stuck.
    pub fn kill(&self, directory: &str) -> Result<()> {
        let kill = format!("cd {directory} && {{ [ -e status ] || kill -9 $(cat pid); }}");
        self.ask(&kill).map(drop)
    }

    /// Leads a port of this machine's 127.0.0.1 to a TCP port of the host: `port`, or one that is
    /// free if that is 0.
    ///
    /// # Errors
    /// The port is in use, or the host has ended.
    pub fn forward(&self, port: u16, to: u16) -> Result<u16> {
        let mut guest = self.guest();
        let asked = format!("hostfwd_add {INTERFACE} tcp:127.0.0.1:{port}-:{to}");
        let said = guest.qmp()?.monitor(&asked)?;
        ensure!(said.trim().is_empty(), "{}", said.trim());
        let forward = Forward { host: port, ..Forward::tcp(to) };
        let found = guest.find_ports(&[forward])?;
        found.first().map(|forward| forward.host).context("no such forward")
    }

    /// Ends such a forward.
    ///
    /// # Errors
    /// The host has ended.
    pub fn forward_no_more(&self, port: u16) -> Result<()> {
        let asked = format!("hostfwd_remove {INTERFACE} tcp:127.0.0.1:{port}");
        self.guest().qmp()?.monitor(&asked).map(drop)
    }

    /// Returns when connections that were made to such ports have been taken.
    pub(crate) fn let_pass(&self) -> Result<()> {
        self.guest().let_pass()
    }

    /// What is to be told of it when something on it is stuck: nothing if it answers.
    pub(crate) fn remark(&self) -> String {
        let answers = !self.has_ended() && self.connect(SILENCE, "true").is_ok();
        if answers { String::new() } else { format!("\n{}", self.stuck("answer")) }
    }

    /// Sends a line; returns when the host has begun to do what it says. A host that is stuck is
    /// waited for once: it is ended, so that nobody waits for what runs on it either.
    fn begin(&self, line: &str) -> Result<TcpStream> {
        ensure!(!self.has_ended(), "the host has ended");
        self.connect(PATIENCE, line).map_err(|error| {
            let error = error.context(self.stuck("take a command"));
            self.given_up.store(true, Ordering::Relaxed);
            self.guest().kill();
            error
        })
    }

    fn connect(&self, patience: Duration, command: &str) -> Result<TcpStream> {
        let mut stream = {
            // One at a time: its emulator has a short queue.
            let mut guest = self.guest();
            let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port))?;
            guest.let_pass()?;
            stream
        };
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(patience))?;
        stream.set_write_timeout(Some(patience))?;
        stream.write_all(format!("{command}\n").as_bytes())?;
        let answer = line(&mut stream)?;
        ensure!(answer == shell::BEGUN, "it answers {answer:?}");
        Ok(stream)
    }

    fn answer(&self, stream: &mut TcpStream) -> Result<String> {
        let mut sent = Vec::new();
        stream.read_to_end(&mut sent).with_context(|| self.stuck("end a command"))?;
        let sent = String::from_utf8_lossy(&sent);
        match shell::answer(&sent) {
            Some((printed, 0)) => Ok(printed.to_owned()),
            Some((printed, status)) => bail!("status {status}: {}", printed.trim()),
            None => bail!("{}; {sent:?}", self.stuck("end a command")),
        }
    }

    fn stuck(&self, awaited: &str) -> String {
        let guest = self.guest();
        let how = match guest.has_ended(Duration::ZERO) {
            _ if self.given_up.load(Ordering::Relaxed) => "was stuck, and is ended for it",
            true => "has ended",
            false => "still runs",
        };
        format!("the host does not {awaited} (it {how}); its console:\n{}", tail(&guest.console()))
    }

    fn guest(&self) -> MutexGuard<'_, Guest> {
        self.guest.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Removes what processes have left that were killed while they brought up a host.
fn remove_left(cache: &Path) -> Result<()> {
    for entry in fs::read_dir(cache)? {
        let file = entry?.path();
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        let mut parts = name.rsplit('.');
        if parts.next() != Some(INITRAMFS) {
            continue;
        }
        let alive = parts.next().is_some_and(|owner| Path::new("/proc").join(owner).exists());
        // Another process may be about to do the same.
        if !alive && fs::remove_file(&file).is_ok() {
            eprintln!("edge: removed {}, which was left", file.display());
        }
    }
    Ok(())
}

/// Reads a line, and not a byte more: what follows is somebody else's.
fn line(stream: &mut TcpStream) -> Result<String> {
    let mut line = Vec::new();
    loop {
        let mut byte = [0];
        ensure!(stream.read(&mut byte)? == 1, "the connection ended");
        match byte {
            [b'\n'] => return Ok(String::from_utf8_lossy(&line).into_owned()),
            [byte] => line.push(byte),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    #[test]
    fn a_line_is_read_and_what_follows_is_left() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let mut there = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (mut here, _) = listener.accept().unwrap();
        there.write_all(b"begun\nconsole").unwrap();
        drop(there);
        assert_eq!(line(&mut here).unwrap(), "begun");
        let mut rest = String::new();
        here.read_to_string(&mut rest).unwrap();
        assert_eq!(rest, "console");
        assert!(line(&mut here).is_err(), "a line without an end is none");
    }

    #[test]
    fn what_others_still_use_is_not_removed() {
        let cache = std::env::temp_dir().join(format!("elone-left-{}", process::id()));
        fs::create_dir_all(cache.join("qemu")).unwrap();
        let own = format!("edge.{}.initramfs", process::id());
        // No process has such a number (proc(5): at most 2^22).
        let (left, other) = ("edge-gicv2.99999999.initramfs", "lock");
        for name in [own.as_str(), left, other] {
            fs::write(cache.join(name), "").unwrap();
        }
        remove_left(&cache).unwrap();
        let there = |name: &str| cache.join(name).exists();
        assert!(there(&own) && there(other) && there("qemu") && !there(left));
        fs::remove_dir_all(cache).unwrap();
    }
}
