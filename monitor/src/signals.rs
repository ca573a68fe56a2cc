//! What whoever runs the monitor can tell it by signal.

use std::os::fd::{AsRawFd as _, RawFd};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context as _, Result};
use libc::{c_int, c_void, siginfo_t};
use vmm_sys_util::eventfd::EventFd;
use vmm_sys_util::signal::{SIGRTMIN, register_signal_handler};

/// What was asked for and has not been done, as bits; and the bell that says so.
static ASKED: AtomicU32 = AtomicU32::new(0);
static BELL: OnceLock<EventFd> = OnceLock::new();

/// What can be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// To end (`SIGTERM`, `SIGINT`): the power button, if there is one.
    End = 1,
    /// To be another machine (`SIGUSR1`): see [`crate::identity`].
    Change = 2,
}

/// The signal that has a core come out of the guest. It does nothing else.
#[must_use]
pub fn come_out() -> c_int {
    SIGRTMIN()
}

/// Listens to the signals. Returns the descriptor that is readable when there was one.
///
/// # Errors
/// The host does not allow it.
pub fn listen() -> Result<RawFd> {
    let bell = EventFd::new(libc::EFD_NONBLOCK | libc::EFD_CLOEXEC)?;
    let bell = BELL.get_or_init(|| bell);
    for signal in [libc::SIGTERM, libc::SIGINT, libc::SIGUSR1, come_out()] {
        register_signal_handler(signal, note).with_context(|| format!("signal {signal}"))?;
    }
    Ok(bell.as_raw_fd())
}

/// Whether this was asked for since it was last asked here.
#[must_use]
pub fn was_asked(what: Asked) -> bool {
    // The bell is silenced first: what is asked from here on rings again.
    let _silent = BELL.get().map(EventFd::read);
    ASKED.fetch_and(!(what as u32), Ordering::SeqCst) & what as u32 != 0
}

/// A signal handler: it locks and allocates nothing.
extern "C" fn note(signal: c_int, _info: *mut siginfo_t, _context: *mut c_void) {
    let what = match signal {
        libc::SIGTERM | libc::SIGINT => Asked::End,
        libc::SIGUSR1 => Asked::Change,
        _ => return,
    };
    ASKED.fetch_or(what as u32, Ordering::SeqCst);
    let _full = BELL.get().map(|bell| bell.write(1));
}
