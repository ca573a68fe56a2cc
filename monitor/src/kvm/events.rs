//! What happens outside of the guest while it runs.

use std::io::{self, BufRead as _};
use std::os::fd::{AsRawFd as _, RawFd};
use std::sync::mpsc;

use anyhow::{Context as _, Result};
use vmm_sys_util::epoll::{ControlOperation, Epoll, EpollEvent, EventSet};
use vmm_sys_util::eventfd::EventFd;

use super::Host;
use crate::machine::Machine;
use crate::plan::Ending;
use crate::signals::{Asked, was_asked};

/// What can happen: a core ends, something is typed, a frame comes in, a signal has come, a device has
/// left something undone.
const ENDED: u64 = 0;
const TYPED: u64 = 1;
const FRAME: u64 = 2;
const SIGNALLED: u64 = 3;
const LEFT: u64 = 4;

/// The one place that waits.
pub(super) struct Events {
    epoll: Epoll,
    ended: EventFd,
    endings: (mpsc::Sender<Result<Ending>>, mpsc::Receiver<Result<Ending>>),
}

/// A core's way to say how it ended.
pub(super) struct Sender {
    bell: EventFd,
    endings: mpsc::Sender<Result<Ending>>,
}

impl Sender {
    pub(super) fn send(&self, ended: Result<Ending>) {
        // If nobody listens any more, the machine has ended already.
        let _nobody = self.endings.send(ended);
        let _full = self.bell.write(1);
    }
}

impl Events {
    /// Waits for cores, signals, what is typed, and for frames if a TAP is given.
    pub(super) fn new(machine: &Machine, signalled: RawFd, tap: Option<RawFd>) -> Result<Self> {
        let (epoll, ended) = (Epoll::new()?, EventFd::new(libc::EFD_NONBLOCK)?);
        let events = Self { epoll, ended, endings: mpsc::channel() };
        events.listen(events.ended.as_raw_fd(), EventSet::IN, ENDED)?;
        events.listen(signalled, EventSet::IN, SIGNALLED)?;
        events.listen(machine.bell(), EventSet::IN, LEFT)?;
        if let Some(tap) = tap {
            // Only when a frame comes, not while one is there: the guest may have no room for it.
            events.listen(tap, EventSet::IN | EventSet::EDGE_TRIGGERED, FRAME)?;
        }
        events.listen_to_typing();
        Ok(events)
    }

    /// A core's way to say how it ended.
    pub(super) fn sender(&self) -> Result<Sender> {
        Ok(Sender { bell: self.ended.try_clone()?, endings: self.endings.0.clone() })
    }

    fn listen_to_typing(&self) {
        // What is no terminal, pipe or socket cannot be waited for: then nothing is typed.
        let _nothing = self.listen(io::stdin().as_raw_fd(), EventSet::IN, TYPED);
    }

    fn listen(&self, file: RawFd, events: EventSet, what: u64) -> io::Result<()> {
        self.epoll.ctl(ControlOperation::Add, file, EpollEvent::new(events, what))
    }

    /// Waits and answers until the machine ends.
    pub(super) fn follow(&self, machine: &Machine, host: &mut Host) -> Result<Ending> {
        let mut happened = [EpollEvent::default(); 8];
        let mut is_deaf = false;
        loop {
            let count = match self.epoll.wait(-1, &mut happened) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                count => count.context("waiting")?,
            };
            for event in &happened[..count] {
                match event.data() {
                    ENDED => return self.endings.1.recv().context("no core is left")?,
                    FRAME => machine.receive(),
                    LEFT => {
                        machine.carry_on();
                        if is_deaf && machine.takes_more() {
                            is_deaf = false;
                            self.listen_to_typing();
                        }
                    }
                    SIGNALLED => {
                        if was_asked(Asked::Change) {
                            host.change()?;
                            machine.say_changed();
                        }
                        if was_asked(Asked::End) && !machine.press_power_button() {
                            return Ok(Ending::Off);
                        }
                    }
                    _ => is_deaf = self.typed(machine)?,
                }
            }
        }
    }

    /// Hands over what was typed. Returns whether to listen again only once the machine takes more.
    fn typed(&self, machine: &Machine) -> Result<bool> {
        let mut input = io::stdin().lock();
        let typed = input.fill_buf().unwrap_or_default();
        let length = typed.len();
        machine.type_in(typed);
        input.consume(length);
        let is_full = !machine.takes_more();
        if length == 0 || is_full {
            let (file, nothing) = (input.as_raw_fd(), EpollEvent::default());
            self.epoll.ctl(ControlOperation::Delete, file, nothing).context("standard input")?;
        }
        Ok(is_full && length > 0)
    }
}
