//! What a guest has said so far, and waiting for what it will say.

use std::fmt;
use std::io::{Read, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How a guest's last line begins: it ends, or its machine is to start again.
const LAST: [&str; 2] = ["exit status ", "restarting the machine"];

/// The last line of a machine that nobody can power off.
const HALTED: &str = "this machine cannot be powered off: halted";

/// A guest's console: everything it has said, shared with the thread that listens.
#[derive(Clone, Debug, Default)]
pub(crate) struct Transcript(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    said: Mutex<Said>,
    news: Condvar,
}

#[derive(Debug, Default)]
struct Said {
    bytes: Vec<u8>,
    closed: bool,
}

impl Said {
    fn is_halted(&self) -> bool {
        self.bytes.strip_suffix(b"\n").is_some_and(|said| {
            said.strip_suffix(b"\r").unwrap_or(said).ends_with(HALTED.as_bytes())
        })
    }
}

/// A guest that did not say or do what was waited for. Its message ends with the console's tail,
/// as that is where the reason is.
#[derive(Clone, Debug)]
pub struct Stuck {
    /// What was waited for.
    pub awaited: String,
    /// How long it was waited for.
    pub after: Duration,
    /// Whether the guest had ended by then.
    pub ended: bool,
    /// All that it had said.
    pub console: String,
}

impl fmt::Display for Stuck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let end = if self.ended { "the guest ended without it" } else { "the guest still runs" };
        let (seconds, tail) = (self.after.as_secs_f32(), tail(&self.console));
        write!(f, "no {} within {seconds:.1} s ({end}); its console:\n{tail}", self.awaited)
    }
}

impl std::error::Error for Stuck {}

/// The last 30 lines of a console, indented, for reports.
pub(crate) fn tail(console: &str) -> String {
    let lines: Vec<_> = console.lines().collect();
    let last = &lines[lines.len().saturating_sub(30)..];
    if last.is_empty() {
        return "    (nothing)".to_owned();
    }
    last.iter().map(|line| format!("    {line}")).collect::<Vec<_>>().join("\n")
}

impl Transcript {
    /// Takes down what comes from `source` until it ends, and passes it on to `echo` as it comes.
    pub(crate) fn listen(&self, mut source: impl Read, mut echo: Option<Box<dyn Write + Send>>) {
        let mut buffer = [0; 4096];
        loop {
            let length = match source.read(&mut buffer) {
                Ok(0) => break,
                Ok(length) => length,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                Err(_) => break,
            };
            if let Some(to) = &mut echo {
                // A closed terminal is no reason to stop listening: tell it no more.
                if to.write_all(&buffer[..length]).and_then(|()| to.flush()).is_err() {
                    echo = None;
                }
            }
            self.said().bytes.extend_from_slice(&buffer[..length]);
            self.0.news.notify_all();
        }
        self.said().closed = true;
        self.0.news.notify_all();
    }

    /// Everything said so far; bytes that are no text are replaced.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.said().bytes).replace('\r', "")
    }

    /// Waits for a whole line that contains `text`, from byte `from` on; returns the line and where
    /// the next one begins.
    pub(crate) fn line_with(
        &self,
        text: &str,
        from: usize,
        timeout: Duration,
    ) -> Result<(String, usize), Stuck> {
        let found = self.until(timeout, |said| {
            let mut at = from;
            while let Some(length) = said.bytes[at..].iter().position(|byte| *byte == b'\n') {
                let line = String::from_utf8_lossy(&said.bytes[at..at + length]);
                at += length + 1;
                if line.contains(text) {
                    return Some((line.trim_end_matches('\r').to_owned(), at));
                }
            }
            None
        });
        found.ok_or_else(|| self.stuck(format!("line with {text:?}"), timeout))
    }

    /// Waits for what is a guest's last line whatever becomes of its machine, or until nothing more will
    /// be said; whether it came to that.
    pub(crate) fn last_words(&self, timeout: Duration) -> bool {
        let spoken = self.until(timeout, |said| {
            let text = String::from_utf8_lossy(&said.bytes);
            // A line that has ended.
            let (whole, _) = text.rsplit_once('\n')?;
            let is_last = |line: &str| LAST.iter().any(|words| line.starts_with(words));
            whole.lines().any(is_last).then_some(())
        });
        spoken.is_some() || self.said().closed
    }

    /// Waits until nothing more will be said, or a machine that cannot be powered off is halted; whether
    /// it came to that.
    pub(crate) fn end_or_halt(&self, timeout: Duration) -> bool {
        let over = self.until(timeout, |said| (said.closed || said.is_halted()).then_some(()));
        over.is_some()
    }

    /// Whether the last that was said is that the machine is halted.
    pub(crate) fn is_halted(&self) -> bool {
        self.said().is_halted()
    }

    /// How much was said so far, in bytes.
    pub(crate) fn length(&self) -> usize {
        self.said().bytes.len()
    }

    /// Waits for the first byte; whether one came.
    pub(crate) fn anything(&self, timeout: Duration) -> bool {
        self.until(timeout, |said| (!said.bytes.is_empty()).then_some(())).is_some()
    }

    /// Waits until nothing more will be said; whether it came to that.
    pub(crate) fn end(&self, timeout: Duration) -> bool {
        self.until(timeout, |said| said.closed.then_some(())).is_some()
    }

    pub(crate) fn stuck(&self, awaited: String, after: Duration) -> Stuck {
        let ended = self.said().closed;
        Stuck { awaited, after, ended, console: self.text() }
    }

    /// Waits until `look` finds something; it looks whenever there is news. `None` if the time is
    /// up or the guest has ended.
    fn until<T>(&self, timeout: Duration, look: impl Fn(&Said) -> Option<T>) -> Option<T> {
        let deadline = Instant::now() + timeout;
        let mut said = self.said();
        loop {
            if let Some(found) = look(&said) {
                return Some(found);
            }
            let left = deadline.checked_duration_since(Instant::now())?;
            if said.closed {
                return None;
            }
            (said, _) =
                self.0.news.wait_timeout(said, left).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn said(&self) -> MutexGuard<'_, Said> {
        self.0.said.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_found_in_order_and_whole() {
        let transcript = Transcript::default();
        transcript.listen(&b"one two\r\ntwo\nhalf a li"[..], None);
        let (line, next) = transcript.line_with("two", 0, Duration::ZERO).unwrap();
        assert_eq!(line, "one two");
        let (line, next) = transcript.line_with("two", next, Duration::ZERO).unwrap();
        assert_eq!(line, "two");
        let stuck = transcript.line_with("half", next, Duration::ZERO).unwrap_err();
        assert!(stuck.ended && stuck.to_string().contains("half a li"), "{stuck}");
    }

    #[test]
    fn waiting_ends_when_the_guest_does() {
        let transcript = Transcript::default();
        transcript.listen(&b""[..], None);
        // Would wait for a year otherwise.
        let year = Duration::from_secs(365 * 24 * 3600);
        assert!(transcript.line_with("x", 0, year).is_err());
        assert!(!transcript.anything(year));
    }
}
