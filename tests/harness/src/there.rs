//! An emulator on a host that is itself emulated.
//!
//! Its files are copied there and those that it may have written are copied back; its console is the
//! connection by which it was started; its monitor calls this machine, which the host's emulator lets
//! its guests reach at an address of its own.

use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};

use crate::place::{Emulator, Started, Stream, Surroundings};
use crate::{Forward, Host, Machine, Network, Protocol, qmp};

/// How a host reaches 127.0.0.1 of this machine.
const THIS_MACHINE: &str = "10.0.2.2";

/// A process of a host's.
#[derive(Debug)]
struct Process {
    host: Arc<Host>,
    monitor: TcpListener,
    /// Where its files are.
    place: Surroundings,
    directory: String,
    disks: Vec<PathBuf>,
    /// Ports of this machine that lead to the host.
    ports: Vec<u16>,
}

/// Starts the emulator, held as [`here`](crate::here) is.
pub(crate) fn start(machine: &Machine, host: &Arc<Host>) -> Result<Started> {
    let monitor = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    monitor.set_nonblocking(true)?;
    let directory = host.own_directory();
    let place = Surroundings {
        monitor: format!("host={THIS_MACHINE},port={}", monitor.local_addr()?.port()),
        root: PathBuf::from(&directory),
        address: "",
        wire: None,
    };
    let any_port = machine.clone().network(with_any_port(&machine.network));
    let mut command = any_port.command_in(&place)?;
    command.arg("-S");
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let words: Vec<_> = words.map(|word| word.to_string_lossy().into_owned()).collect();
    // From here on it is cleared away, whatever happens.
    let (host, disks) = (Arc::clone(host), machine.disks().to_vec());
    let process = Process { host, monitor, place, directory, disks, ports: Vec::new() };
    for file in machine.files() {
        process.host.put(file, &process.place.path(file).display().to_string())?;
    }
    let stream = process.host.start(&process.directory, &words)?;
    let (input, output) = (Box::new(stream.try_clone()?), Box::new(stream));
    Ok(Started { emulator: Box::new(process), input, output, wire: None })
}

/// The same network, with any port of the host where one of this machine was asked for.
fn with_any_port(network: &Network) -> Network {
    match network {
        Network::User(forwards) => {
            Network::User(forwards.iter().map(|one| Forward { host: 0, ..*one }).collect())
        }
        other => other.clone(),
    }
}

impl Process {
    /// Copies back the disks that were written.
    fn bring_back(&self) -> Result<()> {
        for disk in &self.disks {
            let contents = self.host.fetch(&self.place.path(disk).display().to_string())?;
            if fs::read(disk)? != contents {
                fs::write(disk, contents)?;
            }
        }
        Ok(())
    }
}

impl Emulator for Process {
    fn caller(&mut self) -> Result<Option<Box<dyn Stream>>> {
        let Ok((socket, _)) = self.monitor.accept() else { return Ok(None) };
        socket.set_nonblocking(false)?;
        socket.set_nodelay(true)?;
        socket.set_read_timeout(Some(qmp::PATIENCE))?;
        Ok(Some(Box::new(socket)))
    }

    fn wait(&mut self) -> Result<ExitStatus> {
        let status = self.host.status(&self.directory)?;
        self.bring_back()?;
        // As a system's `wait` has it, with the exit status in the second byte.
        Ok(ExitStatus::from_raw(i32::from(status) << 8))
    }

    fn kill(&mut self) {
        // What cannot be killed has ended, with its host if need be.
        let _ = self.host.kill(&self.directory);
    }

    fn complaint(&mut self) -> String {
        self.host.complaint(&self.directory).unwrap_or_else(|error| format!("{error:#}"))
    }

    fn reach(&mut self, asked: Forward, port: u16) -> Result<u16> {
        ensure!(asked.protocol == Protocol::Tcp, "no datagrams reach a host that is emulated");
        let here = self.host.forward(asked.host, port);
        let here = here.with_context(|| format!("leading a port to {asked}"))?;
        self.ports.push(here);
        Ok(here)
    }

    fn let_pass(&mut self) -> Result<()> {
        self.host.let_pass()
    }

    fn remark(&self) -> String {
        self.host.remark()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // None of it matters any more if the host has ended.
        self.kill();
        if self.host.has_ended() {
            return;
        }
        for port in &self.ports {
            let _ = self.host.forward_no_more(*port);
        }
        let _ = self.host.ask(&format!("rm -rf {}", self.directory));
    }
}
