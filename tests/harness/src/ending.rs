//! How a guest ended, and what it left behind.

use std::fmt;

use crate::console::tail;

/// The form of a guest's last line.
const STATUS: &str = "exit status ";
/// How a fault's line begins.
const FAULT: &str = "FAULT ";

/// How a guest ended.
#[derive(Clone, Debug)]
pub struct Ending {
    /// The status in its last `exit status N` line, if it said one.
    pub status: Option<u8>,
    /// The first `FAULT` line, if there was one.
    pub fault: Option<String>,
    /// What ended the machine.
    pub shutdown: Shutdown,
    /// Everything it said.
    pub console: String,
    /// What the emulator itself complained of; mostly nothing.
    pub complaint: String,
}

/// What ended a machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shutdown {
    /// The guest powered it off.
    PoweredOff,
    /// The guest halted its core and said so: there was nobody to power it off.
    Halted,
    /// The guest asked for a reset, and resets end the machine.
    Reset,
    /// Whoever started it asked for its end.
    Stopped,
    /// The emulator ended by itself: see its complaint.
    Emulator,
}

impl Shutdown {
    /// Whether the guest itself has seen to it, and is not to start again.
    const fn is_clean(self) -> bool {
        matches!(self, Self::PoweredOff | Self::Halted)
    }
}

impl Ending {
    pub(crate) fn new(console: String, complaint: String, shutdown: Shutdown) -> Self {
        let status = console.lines().rev().find_map(|line| line.strip_prefix(STATUS));
        let fault = console.lines().find(|line| line.starts_with(FAULT));
        Self {
            status: status.and_then(|number| number.trim().parse().ok()),
            fault: fault.map(str::to_owned),
            shutdown,
            console,
            complaint,
        }
    }

    /// Checks that the guest powered itself off with `status` and without a fault, or halted where nobody
    /// can power it off.
    ///
    /// # Errors
    /// It did not; the message says how it ended.
    pub fn expect_status(&self, status: u8) -> anyhow::Result<()> {
        let clean = self.fault.is_none() && self.shutdown.is_clean();
        anyhow::ensure!(clean && self.status == Some(status), "expected status {status}: {self}");
        Ok(())
    }

    /// Checks that the guest reported a fault in a line that contains every one of `mentions`, and
    /// then ended with a status that is not 0.
    ///
    /// # Errors
    /// It did not; the message says how it ended.
    pub fn expect_fault(&self, mentions: &[&str]) -> anyhow::Result<()> {
        let line = self.fault.as_deref().unwrap_or_default();
        let named = self.fault.is_some() && mentions.iter().all(|mention| line.contains(mention));
        let ended = self.shutdown.is_clean() && self.status.is_some_and(|n| n != 0);
        anyhow::ensure!(named && ended, "expected a fault with {mentions:?}: {self}");
        Ok(())
    }
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.shutdown {
            Shutdown::PoweredOff => f.write_str("the guest powered off")?,
            Shutdown::Halted => f.write_str("the guest halted")?,
            Shutdown::Reset => f.write_str("the guest asked for a reset")?,
            Shutdown::Stopped => f.write_str("the guest was stopped")?,
            Shutdown::Emulator => write!(f, "the emulator ended: {}", self.complaint.trim())?,
        }
        match self.status {
            Some(status) => write!(f, " with status {status}")?,
            None => f.write_str(" without a status")?,
        }
        if let Some(fault) = &self.fault {
            write!(f, " after {fault}")?;
        }
        write!(f, "; its console:\n{}", tail(&self.console))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ending(console: &str) -> Ending {
        Ending::new(console.to_owned(), String::new(), Shutdown::PoweredOff)
    }

    #[test]
    fn the_last_status_counts() {
        assert_eq!(ending("exit status 3\nexit status 7\n").status, Some(7));
        assert_eq!(ending("my exit status 3\nexit status 300\n").status, None);
        assert!(ending("exit status 0\n").expect_status(0).is_ok());
        assert!(ending("exit status 1\n").expect_status(0).is_err());
        assert!(ending("").expect_status(0).is_err());
    }

    #[test]
    fn a_fault_is_never_a_success() {
        let faulty = ending("FAULT class=data-abort far=0x0\nexit status 0\n");
        assert!(faulty.expect_status(0).is_err());
        assert!(faulty.expect_fault(&[]).is_err(), "a fault cannot end with status 0");
        let faulty = ending("FAULT class=data-abort far=0x0\nexit status 70\n");
        assert!(faulty.expect_fault(&["data-abort"]).is_ok());
        assert!(faulty.expect_fault(&["instruction-abort"]).is_err());
    }
}
