//! The console of a domain that is not all there is: Xen's own, which shows the domain's lines among
//! its own words, and hands on what is typed once it is told for whom.

use std::io::{self, Read};

/// What Xen puts before a line of the first guest's, and before all that it says itself.
const GUEST: &[u8] = b"(XEN) DOM1: ";
const XEN: &[u8] = b"(XEN) ";
/// Xen ends a guest's line after so many bytes, if it has not ended (`SBSA_UART_OUT_BUF_SIZE`).
const LONGEST: usize = 126;

/// Whom Xen hands what is typed on to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    /// The guest.
    Guest,
    /// Nobody: it is Xen's.
    Xen,
}

impl Asked {
    /// What has Xen hand it to the next one.
    pub(crate) const NEXT: &[u8] = &[1, 1, 1];
    /// What it says each time, whoever it is.
    pub(crate) const ANY: &str = "*** Serial input to ";

    /// What it says if it is this one.
    pub(crate) const fn said(self) -> &'static str {
        match self {
            Self::Guest => "*** Serial input to DOM1",
            Self::Xen => "*** Serial input to Xen",
        }
    }
}

/// Takes from Xen's console what Xen has added to the lines of the guest: what stands before them, and
/// the ends of those that are too long. Once typing is the guest's, its lines come letter by letter,
/// look like Xen's own, and are never too long.
#[derive(Debug)]
pub(crate) struct Lines<R> {
    source: R,
    line: Vec<u8>,
    /// How many bytes of this line were given away, without what stands before it.
    passed: usize,
    begin: Begin,
    ready: Vec<u8>,
    typing: bool,
}

/// What is known of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Begin {
    Unknown,
    Guest,
    Other,
}

impl<R: Read> Lines<R> {
    pub(crate) fn new(source: R) -> Self {
        let (line, ready) = (Vec::new(), Vec::new());
        Self { source, line, passed: 0, begin: Begin::Unknown, ready, typing: false }
    }

    fn take(&mut self, byte: u8) {
        self.line.push(byte);
        if byte == b'\n' {
            return self.end();
        }
        if self.begin == Begin::Unknown {
            let possible = |prefix: &[u8]| prefix.starts_with(&self.line);
            if self.line == GUEST {
                (self.begin, self.passed) = (Begin::Guest, GUEST.len());
            } else if !possible(GUEST) {
                self.begin = Begin::Other;
                self.passed = if self.typing && self.line.starts_with(XEN) { XEN.len() } else { 0 };
            }
        }
        // Of a guest's line it is only known at its end whether that is one.
        if self.begin == Begin::Other {
            self.ready.extend_from_slice(&self.line[self.passed..]);
            self.passed = self.line.len();
        }
    }

    fn end(&mut self) {
        let text = String::from_utf8_lossy(&self.line);
        if text.contains(Asked::ANY) {
            self.typing = text.contains(Asked::Guest.said());
        }
        let rest = &self.line[self.passed.min(self.line.len())..];
        // Xen's own line end is two bytes.
        let is_cut = self.begin == Begin::Guest && rest.len() == LONGEST + 2;
        let rest = if is_cut { &rest[..LONGEST] } else { rest };
        self.ready.extend_from_slice(rest);
        self.line.clear();
        (self.passed, self.begin) = (0, Begin::Unknown);
    }
}

impl<R: Read> Read for Lines<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.ready.is_empty() {
            let mut bytes = [0; 4096];
            let length = self.source.read(&mut bytes)?;
            if length == 0 {
                // What is left of a line is all that there will be of it.
                self.ready.extend_from_slice(&self.line[self.passed.min(self.line.len())..]);
                self.line.clear();
                self.passed = 0;
                break;
            }
            bytes[..length].iter().for_each(|byte| self.take(*byte));
        }
        let length = self.ready.len().min(buffer.len());
        buffer[..length].copy_from_slice(&self.ready[..length]);
        self.ready.drain(..length);
        Ok(length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads it byte by byte, and in one go.
    fn read(text: &str) -> String {
        struct OneByOne<'a>(&'a [u8]);
        impl Read for OneByOne<'_> {
            fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
                let [first, rest @ ..] = self.0 else { return Ok(0) };
                (buffer[0], self.0) = (*first, rest);
                Ok(1)
            }
        }
        let (mut slowly, mut at_once) = (String::new(), String::new());
        Lines::new(OneByOne(text.as_bytes())).read_to_string(&mut slowly).unwrap();
        Lines::new(text.as_bytes()).read_to_string(&mut at_once).unwrap();
        assert_eq!(slowly, at_once);
        at_once
    }

    #[test]
    fn what_the_guest_says_is_as_it_said_it() {
        let said = "(XEN) Freed\r\n(XEN) DOM1: Hello\r\r\n(XEN) DOM1: exit status 0\r\r\nD";
        assert_eq!(read(said), "(XEN) Freed\r\nHello\r\r\nexit status 0\r\r\nD");
        assert_eq!(read("(XEN) DOM2: no\r\n"), "(XEN) DOM2: no\r\n");
    }

    #[test]
    fn a_line_that_xen_has_cut_is_one_line() {
        let long = "x".repeat(LONGEST);
        let cut = format!("(XEN) DOM1: {long}\r\n(XEN) DOM1: rest\r\r\nend");
        assert_eq!(read(&cut), format!("{long}rest\r\r\nend"));
        // The carriage return is the guest's, and the last that fitted.
        let full = "x".repeat(LONGEST - 1);
        let cut = format!("(XEN) DOM1: {full}\r\r\n(XEN) DOM1: \r\nnext");
        assert_eq!(read(&cut), format!("{full}\r\r\nnext"));
    }

    #[test]
    fn once_typing_is_the_guests_its_lines_look_like_xens() {
        let said = "(XEN) *** Serial input to DOM1 (type)\r\n(XEN) What?\r\r\n\
                    (XEN) *** Serial input to Xen (type)\r\n(XEN) General\r\n";
        let seen = "(XEN) *** Serial input to DOM1 (type)\r\nWhat?\r\r\n\
                    *** Serial input to Xen (type)\r\n(XEN) General\r\n";
        assert_eq!(read(said), seen);
    }
}
