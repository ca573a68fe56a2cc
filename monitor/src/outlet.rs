//! Where what is said goes, the guest's console and the monitor's own complaints: files whose reader
//! may stop reading.
//!
//! A guest's word is taken while its core holds the bus. Were it to wait there for a reader, nobody
//! could press the power button any more. So a wait has an end, after which what is said is lost, as
//! on a wire, until there is room again.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, AsRawFd as _};
use std::sync::{Mutex, OnceLock, PoisonError};

use vmm_sys_util::epoll::{ControlOperation, Epoll, EpollEvent, EventSet};

/// How long a reader may read nothing, in milliseconds: a pipe's 64 KiB are full by then.
const PATIENCE: i32 = 1000;

/// A file that is written to as long as it takes something.
pub struct Outlet {
    file: File,
    /// What says whether there is room. A file on a disk always has room, and cannot be waited for.
    room: Option<Epoll>,
    /// Whether the last byte was lost: the next does not wait.
    is_stuck: bool,
    /// What is done when it becomes so.
    when_stuck: fn(),
}

impl Outlet {
    /// An outlet into `file`.
    ///
    /// # Errors
    /// This process has no descriptor left.
    pub fn new(file: impl AsFd, when_stuck: fn()) -> io::Result<Self> {
        let file = File::from(file.as_fd().try_clone_to_owned()?);
        let epoll = Epoll::new()?;
        let event = EpollEvent::new(EventSet::OUT, 0);
        let waits = epoll.ctl(ControlOperation::Add, file.as_raw_fd(), event);
        let room = waits.is_ok().then_some(epoll);
        Ok(Self { file, room, is_stuck: false, when_stuck })
    }

    /// Whether there is room, after a wait if need be. A signal ends the wait: it may ask for the end.
    fn has_room(&self) -> bool {
        let patience = if self.is_stuck { 0 } else { PATIENCE };
        let wait = |room: &Epoll| room.wait(patience, &mut [EpollEvent::default()]);
        self.room.as_ref().is_none_or(|room| wait(room).is_ok_and(|ready| ready > 0))
    }
}

impl Write for Outlet {
    /// Never fails: what cannot be said is lost.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let was_stuck = self.is_stuck;
        self.is_stuck = !self.has_room();
        if !self.is_stuck {
            return Ok(self.file.write(bytes).unwrap_or(bytes.len()));
        }
        if !was_stuck {
            (self.when_stuck)();
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl std::fmt::Debug for Outlet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Outlet").field("is_stuck", &self.is_stuck).finish_non_exhaustive()
    }
}

/// Standard error, as an outlet if one could be made.
static COMPLAINTS: OnceLock<Option<Mutex<Outlet>>> = OnceLock::new();

/// Says a line on standard error, if it takes one. To be called once before this process is confined,
/// which keeps it from making an outlet.
pub fn complain(line: &str) {
    if let Some(outlet) = complaints() {
        let mut outlet = outlet.lock().unwrap_or_else(PoisonError::into_inner);
        let _never_fails = outlet.write_all(format!("{line}\n").as_bytes());
    }
}

/// Makes the outlet for complaints, if it is not there.
pub(crate) fn complaints() -> Option<&'static Mutex<Outlet>> {
    let make = || Outlet::new(io::stderr(), || {}).ok().map(Mutex::new);
    COMPLAINTS.get_or_init(make).as_ref()
}

/// Standard output, for the guest's console.
///
/// # Errors
/// As for [`Outlet::new`].
pub fn console() -> io::Result<Outlet> {
    let when_stuck = || complain("monitor: nobody reads the console: what the guest says is lost");
    Outlet::new(io::stdout(), when_stuck)
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    #[test]
    fn what_nobody_reads_is_lost_and_what_comes_later_is_not() {
        let (mut reader, writer) = io::pipe().unwrap();
        let mut outlet = Outlet::new(&writer, || {}).unwrap();
        // A pipe holds 64 KiB: a plain write would wait here for ever.
        for _ in 0..100_000 {
            outlet.write_all(b".").unwrap();
        }
        assert!(outlet.is_stuck);
        let mut held = vec![0; 60_000];
        reader.read_exact(&mut held).unwrap();
        outlet.write_all(b"heard").unwrap();
        drop((outlet, writer));
        let mut rest = Vec::new();
        reader.read_to_end(&mut rest).unwrap();
        assert!(rest.ends_with(b".heard") && rest.len() < 40_000, "{}", rest.len());
    }

    #[test]
    fn a_reader_that_is_gone_is_no_failure() {
        let (reader, writer) = io::pipe().unwrap();
        drop(reader);
        Outlet::new(&writer, || {}).unwrap().write_all(b"unheard").unwrap();
    }
}
