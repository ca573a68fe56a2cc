//! A guest of our own monitor, on a host with KVM that is itself emulated.

use std::io::Write as _;
use std::net::{Ipv4Addr, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use super::PATIENCE;
use crate::console::{Transcript, tail};
use crate::http::Client;
use crate::{Context, Host};

/// Where the monitor is on a host, once it is there.
const PROGRAM: &str = "/bin/elone-monitor";
/// The first of the addresses that guests have: the host's network has those below for itself.
const FIRST_ADDRESS: u32 = 32;

/// What is to be run: which image on which map, and how.
pub(crate) struct Order<'c> {
    context: &'c Context,
    host: Arc<Host>,
    directory: String,
    words: Vec<String>,
    settings: Vec<String>,
}

/// A guest that runs.
pub(crate) struct Guest {
    host: Arc<Host>,
    directory: String,
    console: Transcript,
    input: TcpStream,
}

/// How a guest's monitor ended, and what it left.
pub(crate) struct Ended {
    /// The monitor's own exit status.
    pub(crate) monitor: u8,
    /// What the guest said.
    pub(crate) console: String,
    /// What the monitor said.
    pub(crate) complaint: String,
    host: Arc<Host>,
    directory: String,
}

impl<'c> Order<'c> {
    /// The image called `image` on the map called `map`, on the host of the board `board`.
    pub(crate) fn new(context: &'c Context, board: &str, map: &str, image: &str) -> Result<Self> {
        let program = context.images.linux_program("elone-monitor")?;
        let host = context.hosts.host(board)?;
        let directory = host.own_directory();
        // Moved there whole: others may be at it at the same time.
        if host.ask(&format!("test -x {PROGRAM}")).is_err() {
            let arrived = format!("{directory}/monitor");
            host.put(&program, &arrived)?;
            host.ask(&format!("mv {arrived} {PROGRAM}"))?;
        }
        let machine = context.boards.join("monitor").join(map).with_extension("toml");
        let words = [PROGRAM, "--machine", "machine.toml", "--image", "image"];
        let words = words.map(str::to_owned).to_vec();
        // Firecracker's machine has a serial port only for those who ask.
        let settings =
            if map == "firecracker" { vec!["console=ttyS0".to_owned()] } else { Vec::new() };
        let order = Self { context, host, directory, words, settings };
        order.put(&machine, "machine.toml")?;
        order.put(&order.context.image(image)?, "image")?;
        Ok(order)
    }

    fn put(&self, file: &Path, name: &str) -> Result<()> {
        self.host.put(file, &format!("{}/{name}", self.directory))
    }

    /// With these words for the monitor.
    pub(crate) fn with(mut self, words: &[&str]) -> Self {
        self.words.extend(words.iter().map(|word| (*word).to_owned()));
        self
    }

    /// With a setting.
    pub(crate) fn setting(mut self, setting: &str) -> Self {
        self.settings.push(setting.to_owned());
        self
    }

    /// With a disk of these bytes.
    pub(crate) fn disk(self, bytes: usize) -> Result<Self> {
        self.host.ask(&format!("head -c {bytes} /dev/zero > {}/disk", self.directory))?;
        Ok(self.with(&["--disk", "disk"]))
    }

    /// With a network: a TAP between the host and the guest, who is at the address that is returned.
    pub(crate) fn network(self) -> Result<(Self, Ipv4Addr)> {
        let number: u32 = self.directory.rsplit('/').next().context("no directory")?.parse()?;
        let last = u8::try_from(FIRST_ADDRESS + number % (250 - FIRST_ADDRESS))?;
        let address = Ipv4Addr::new(10, 0, 2, last);
        let tap = format!("tap{number}");
        self.host.ask(&format!(
            "tunctl -t {tap} && ip link set {tap} up && ip route add {address} dev {tap}"
        ))?;
        let order = self.setting(&format!("ip={address}/24,10.0.2.2"));
        Ok((order.with(&["--net", &tap]), address))
    }

    /// Boots it.
    pub(crate) fn boot(mut self) -> Result<Guest> {
        if !self.settings.is_empty() {
            let settings = self.settings.join(" ");
            self = self.with(&["--settings", &settings]);
        }
        let Self { host, directory, words, .. } = self;
        let input = host.start(&directory, &words)?;
        let (console, output) = (Transcript::default(), input.try_clone()?);
        let listener = console.clone();
        thread::spawn(move || listener.listen(output, None));
        Ok(Guest { host, directory, console, input })
    }

    /// Boots it, and waits for its end.
    pub(crate) fn run(self) -> Result<Ended> {
        self.boot()?.ended()
    }
}

impl Guest {
    /// Waits for a line that contains `words`.
    pub(crate) fn wait_for(&self, words: &str) -> Result<String> {
        let found = self.console.line_with(words, 0, PATIENCE);
        Ok(found.with_context(|| self.complaint())?.0)
    }

    /// Types on its console.
    pub(crate) fn type_in(&mut self, bytes: &[u8]) -> Result<()> {
        self.input.write_all(bytes).context("typing on the console")
    }

    /// Sends its monitor a signal.
    pub(crate) fn signal(&self, name: &str) -> Result<()> {
        let kill = format!("kill -{name} $(cat {}/pid)", self.directory);
        self.host.ask(&kill).map(drop)
    }

    /// A client of its web server at `address`, which is reached by way of the host.
    pub(crate) fn client(&self, address: Ipv4Addr) -> Result<(Client, Relay)> {
        let (stream, relay) = self.connect(address, 80)?;
        Ok((Client::new(stream), relay))
    }

    /// A connection to the port `to` of its `address`, which is reached by way of the host.
    pub(crate) fn connect(&self, address: Ipv4Addr, to: u16) -> Result<(TcpStream, Relay)> {
        let port = 8000 + u16::from(address.octets()[3]);
        let relay = format!("{}/relay", self.directory);
        let (from, address, to) = (port.to_string(), address.to_string(), to.to_string());
        let words = ["nc", "-ll", "-p", &from, "-e", "nc", &address, &to];
        let started = self.host.start(&relay, &words.map(str::to_owned))?;
        let listens = format!("netstat -ltn | grep -q ':{port} '");
        self.host.ask(&format!("for i in $(seq 100); do {listens} && break; sleep 0.1; done"))?;
        let here = self.host.forward(0, port)?;
        let relay = Relay { host: self.host.clone(), directory: relay, port: here, _up: started };
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, here))?;
        stream.set_read_timeout(Some(PATIENCE))?;
        self.host.let_pass()?;
        Ok((stream, relay))
    }

    /// Waits for its end.
    pub(crate) fn ended(self) -> Result<Ended> {
        if !self.console.end(PATIENCE) {
            let stuck = self.console.stuck("end".to_owned(), PATIENCE);
            return Err(anyhow::Error::new(stuck).context(self.complaint()));
        }
        // The connection ends with the program; its status is written a moment later.
        let written = format!("test -s {}/status", self.directory);
        self.host.ask(&format!("for i in $(seq 100); do {written} && break; sleep 0.1; done"))?;
        Ok(Ended {
            monitor: self.host.status(&self.directory)?,
            console: self.console.text(),
            complaint: self.host.complaint(&self.directory)?,
            host: self.host.clone(),
            directory: self.directory.clone(),
        })
    }

    /// Whether it still runs after a while.
    pub(crate) fn runs_on(&self, for_so_long: Duration) -> bool {
        !self.console.end(for_so_long)
    }

    fn complaint(&self) -> String {
        let said = self.host.complaint(&self.directory);
        format!("the monitor says {:?}", said.unwrap_or_default())
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        // It may have ended, with its host if need be.
        let _ = self.host.kill(&self.directory);
    }
}

/// What passes connections on to a guest, until it is dropped.
pub(crate) struct Relay {
    host: Arc<Host>,
    directory: String,
    port: u16,
    _up: TcpStream,
}

impl Drop for Relay {
    fn drop(&mut self) {
        // The host may have ended.
        let _ = self.host.forward_no_more(self.port);
        let _ = self.host.kill(&self.directory);
    }
}

impl Ended {
    /// Checks that the guest switched itself off with this status, and the monitor took it so.
    pub(crate) fn expect_status(&self, status: u8) -> Result<()> {
        let said = self.console.lines().any(|line| line == format!("exit status {status}"));
        ensure!(said && self.monitor == 0, "expected status {status}: {self}");
        Ok(())
    }

    /// Checks that the guest has said all of this.
    pub(crate) fn expect(&self, words: &[&str]) -> Result<()> {
        for words in words {
            ensure!(self.console.contains(words), "{words:?} is not in {self}");
        }
        Ok(())
    }

    /// What is in the disk now.
    pub(crate) fn disk(&self) -> Result<Vec<u8>> {
        self.host.fetch(&format!("{}/disk", self.directory))
    }
}

impl std::fmt::Display for Ended {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { monitor, complaint, .. } = self;
        let console = tail(&self.console);
        write!(
            f,
            "the monitor ended with {monitor} and said {complaint:?}; the console:\n{console}"
        )
    }
}
