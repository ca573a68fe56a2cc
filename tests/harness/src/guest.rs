//! A machine that runs.

use std::cell::Cell;
use std::io::Write;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::json;

use crate::console::{Stuck, Transcript};
use crate::machine::Begin;
use crate::place::{Emulator, Input, Started};
use crate::wire::Wire;
use crate::xen::{Asked, Domain, Lines};
use crate::{Ending, Forward, Machine, Network, Protocol, Qmp, Shutdown, here, there};

/// How long an emulator may take to begin or to end, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// A machine that runs. Dropped, it is killed.
#[derive(Debug)]
pub struct Guest {
    emulator: Box<dyn Emulator>,
    input: Option<Box<dyn Input>>,
    transcript: Transcript,
    /// Where the next [`wait_for`](Self::wait_for) begins to look.
    heard: Cell<usize>,
    qmp: Option<Qmp>,
    forwards: Vec<Forward>,
    wire: Option<Wire>,
    /// Who is told of its end, where its machine is not.
    typing: Option<Typing>,
}

/// Whether a guest of Xen's is handed what is typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Typing {
    NotYet,
    Handed,
}

impl Guest {
    pub(crate) fn start(machine: &Machine, echo: Option<Box<dyn Write + Send>>) -> Result<Self> {
        let name = &machine.board.emulator;
        let started = match machine.host()? {
            None => here::start(machine),
            Some(host) => there::start(machine, &host),
        };
        let Started { emulator, input, output, wire } =
            started.with_context(|| format!("starting {name}"))?;
        let transcript = Transcript::default();
        let listener = transcript.clone();
        let is_guest = Domain::of(&machine.board) == Some(Domain::Guest);
        thread::spawn(move || match is_guest {
            true => listener.listen(Lines::new(output), echo),
            false => listener.listen(output, echo),
        });
        let mut guest = Self {
            emulator,
            input: Some(input),
            transcript,
            heard: Cell::new(0),
            qmp: None,
            forwards: Vec::new(),
            wire,
            typing: is_guest.then_some(Typing::NotYet),
        };
        guest.meet().with_context(|| format!("starting {name}"))?;
        if let Network::User(forwards) = &machine.network {
            guest.forwards = guest.find_ports(forwards)?;
        }
        if machine.begin == Begin::AtOnce {
            guest.qmp()?.execute("cont", json!({}))?;
        }
        Ok(guest)
    }

    /// Waits for the emulator to call, and greets it.
    fn meet(&mut self) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(caller) = self.emulator.caller()? {
                // An emulator that refuses its machine calls, and hangs up.
                self.qmp = Qmp::greet(caller).ok();
                if self.qmp.is_some() {
                    return Ok(());
                }
                self.transcript.end(PATIENCE);
            }
            if self.transcript.end(Duration::from_millis(1)) {
                let status = self.emulator.wait()?;
                bail!("{status}: {}", self.emulator.complaint().trim());
            }
            ensure!(Instant::now() < deadline, "it does not answer: {}", {
                self.emulator.kill();
                self.emulator.complaint() + &self.emulator.remark()
            });
        }
    }

    /// Asks which free ports the emulator has chosen, in the order in which they were asked for, and
    /// for the way to them.
    pub(crate) fn find_ports(&mut self, forwards: &[Forward]) -> Result<Vec<Forward>> {
        if forwards.is_empty() {
            return Ok(Vec::new());
        }
        let table = self.qmp()?.monitor("info usernet")?;
        let known: Vec<_> = table.lines().filter_map(read_forward).collect();
        let mut find = |asked: &Forward| {
            let same = |one: &&Forward| (one.protocol, one.guest) == (asked.protocol, asked.guest);
            // Several may lead to one port of the guest: those whose port was given are that one.
            let given = known.iter().find(|one| same(one) && one.host == asked.host);
            let one = given.or_else(|| known.iter().find(same));
            let one = one.with_context(|| format!("no {asked} in {table}"))?;
            Ok(Forward { host: self.emulator.reach(*asked, one.host)?, ..*one })
        };
        forwards.iter().map(&mut find).collect()
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

    /// Waits for a line that contains `text`, after the line that the last call found, and returns
    /// it.
    ///
    /// # Errors
    /// There is none within `timeout`, or the guest ended before.
    pub fn wait_for(&self, text: &str, timeout: Duration) -> Result<String, Stuck> {
        let found = self.transcript.line_with(text, self.heard.get(), timeout);
        let (line, next) = found.map_err(|stuck| self.explained(stuck))?;
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
        if self.typing == Some(Typing::NotYet) {
            self.hand_typing_to(Asked::Guest)?;
            self.typing = Some(Typing::Handed);
        }
        self.put(bytes)
    }

    fn put(&mut self, bytes: &[u8]) -> Result<()> {
        let input = self.input.as_mut().context("the console's input is taken")?;
        input.write_all(bytes).and_then(|()| input.flush()).context("typing on the console")
    }

    /// Has Xen hand on to `whom` what is typed from now on: it goes from one to the next.
    fn hand_typing_to(&mut self, whom: Asked) -> Result<()> {
        /// More than there are domains.
        const TURNS: usize = 4;
        // Before it has said so for the first time it does not listen.
        self.transcript.line_with(Asked::ANY, 0, PATIENCE)?;
        for _ in 0..TURNS {
            let from = self.transcript.length();
            self.put(Asked::NEXT)?;
            let (line, _) = self.transcript.line_with(Asked::ANY, from, PATIENCE)?;
            if line.contains(whom.said()) {
                return Ok(());
            }
        }
        bail!("Xen's console does not get to {whom:?}")
    }

    /// Asks Xen whether it has stopped the guest: its core is paused then, and else it may be asleep.
    fn is_stopped(&mut self) -> Result<bool> {
        let from = self.transcript.length();
        self.put(b"q")?;
        let (_, next) = self.transcript.line_with("VCPU0: ", from, PATIENCE)?;
        let (line, _) = self.transcript.line_with("pause_count=", next, PATIENCE)?;
        Ok(!line.contains("pause_count=0"))
    }

    /// Waits until Xen has stopped the guest, which has said its last words, and ends the machine.
    fn see_off(&mut self, deadline: Instant) -> Result<Shutdown> {
        let shutdown = match self.transcript.text().lines().rfind(|line| !line.is_empty()) {
            Some(line) if line.starts_with("restarting") => Shutdown::Reset,
            _ => Shutdown::PoweredOff,
        };
        // Without a keyboard its word has to do.
        if self.input.is_some() {
            self.hand_typing_to(Asked::Xen)?;
            while !self.is_stopped()? {
                ensure!(Instant::now() < deadline, "Xen has not stopped it");
                thread::sleep(Duration::from_millis(20));
            }
        }
        self.qmp()?.execute("quit", json!({}))?;
        ensure!(self.transcript.end(PATIENCE), "the emulator does not end");
        Ok(shutdown)
    }

    /// Hands the console's input over, to be written to from another thread.
    #[must_use]
    pub fn take_input(&mut self) -> Option<impl Write + Send + 'static> {
        if self.typing == Some(Typing::NotYet) && self.hand_typing_to(Asked::Guest).is_ok() {
            self.typing = Some(Typing::Handed);
        }
        self.input.take()
    }

    /// Whether the machine has ended within `timeout`; it can then be asked for its
    /// [`ending`](Self::ending).
    #[must_use]
    pub fn has_ended(&self, timeout: Duration) -> bool {
        match self.typing {
            Some(_) => self.transcript.last_words(timeout),
            None => self.transcript.end_or_halt(timeout),
        }
    }

    /// Waits for the machine's end.
    ///
    /// # Errors
    /// It has not ended within `timeout`; it is then killed.
    pub fn ending(mut self, timeout: Duration) -> Result<Ending> {
        if !self.has_ended(timeout) {
            return Err(self.explained(self.transcript.stuck("end".to_owned(), timeout)).into());
        }
        if self.typing.is_some() && !self.transcript.end(Duration::ZERO) {
            // What Xen says from here on is not the guest's.
            let console = self.transcript.text();
            let shutdown = self.see_off(Instant::now() + PATIENCE)?;
            self.emulator.wait()?;
            return Ok(Ending::new(console, self.emulator.complaint(), shutdown));
        }
        let halted = self.transcript.is_halted() && !self.transcript.end(Duration::ZERO);
        if halted {
            // It sleeps for good, and its emulator with it.
            let _ = self.qmp()?.execute("quit", json!({}));
            ensure!(self.transcript.end(PATIENCE), "the emulator does not end");
        }
        let status = self.emulator.wait()?;
        let reason = self.qmp.take().and_then(Qmp::shutdown_reason);
        let shutdown = match reason.as_deref() {
            _ if !status.success() => Shutdown::Emulator,
            _ if halted => Shutdown::Halted,
            Some("guest-shutdown") => Shutdown::PoweredOff,
            Some("guest-reset") => Shutdown::Reset,
            Some("host-qmp-quit" | "host-signal") => Shutdown::Stopped,
            _ => Shutdown::Emulator,
        };
        Ok(Ending::new(self.transcript.text(), self.emulator.complaint(), shutdown))
    }

    /// Ends the machine, as if its plug were pulled, and returns what it has left.
    ///
    /// # Errors
    /// The emulator does not end.
    pub fn stop(mut self) -> Result<Ending> {
        // An emulator that ends by itself in this moment cannot answer any more.
        let _ = self.qmp()?.execute("quit", json!({}));
        self.typing = None;
        self.ending(PATIENCE)
    }

    /// Returns when connections that were made to its ports have arrived at its emulator: one takes
    /// them each time round its loop, and the system resets those that find its queue of two full.
    pub(crate) fn let_pass(&mut self) -> Result<()> {
        self.emulator.let_pass()?;
        // A question is answered in the loop; the second one is not asked in the same turn.
        for _ in 0..2 {
            self.qmp()?.execute("query-status", json!({}))?;
        }
        Ok(())
    }

    /// Ends the machine as it is.
    pub(crate) fn kill(&mut self) {
        self.emulator.kill();
    }

    /// With what is to be told of the place where the emulator runs.
    fn explained(&self, mut stuck: Stuck) -> Stuck {
        stuck.console += &self.emulator.remark();
        stuck
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
    fn forwards_are_read_from_the_monitors_table() {
        let line =
            "  TCP[HOST_FORWARD]  12       127.0.0.1 41705       10.0.2.15    80     0     0";
        let forward = Forward { protocol: Protocol::Tcp, host: 41705, guest: 80 };
        assert_eq!(read_forward(line), Some(forward));
        assert_eq!(read_forward("  Protocol[State]    FD  Source Address  Port"), None);
    }
}
