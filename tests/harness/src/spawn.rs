//! Starting a program that must not outlive the one that starts it.
#![expect(unsafe_code, reason = "a child has to ask for this between its fork and its exec")]

use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command};

/// Starts `command` in a process group of its own (a Ctrl-C at the terminal is the parent's to
/// handle). Where the system can, it is killed when the thread that called this ends, so that a
/// killed test leaves no machine behind.
///
/// # Errors
/// The program is not there, or the system refuses another process.
pub fn spawn(command: &mut Command) -> io::Result<Child> {
    command.process_group(0);
    #[cfg(target_os = "linux")]
    // SAFETY: between fork and exec only `prctl` is called, which is async-signal-safe and touches
    // no memory; nothing is allocated and no lock is taken.
    unsafe {
        command.pre_exec(die_with_parent);
    }
    command.spawn()
}

#[cfg(target_os = "linux")]
fn die_with_parent() -> io::Result<()> {
    // SAFETY: the option takes a signal number and no pointer.
    match unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
