//! A console passed on as it is, with the frames of each fault's report in words.

use std::io::{self, Write};

use super::lines::Lines;
use super::read::{Reader, Step};
use super::show;
use crate::symbols::library::Library;

/// Passes a console on byte by byte, at once and unchanged. Below a report's backtrace, or below
/// a report that has none, what its addresses mean is added; so it stands in its place even where
/// the console goes to a file.
#[derive(Debug)]
pub(crate) struct Live<W> {
    to: W,
    lines: Lines,
    reader: Reader,
    library: Library,
}

impl<W: Write> Live<W> {
    pub(crate) fn new(to: W, library: Library) -> Self {
        Self { to, lines: Lines::default(), reader: Reader::default(), library }
    }

    fn line(&mut self, line: &str) -> io::Result<()> {
        let over;
        let report = match self.reader.take(line) {
            Step::Traced => self.reader.open(),
            Step::Over(report) if report.backtrace.is_none() => {
                over = report;
                Some(&*over)
            }
            Step::Over(_) | Step::Nothing => None,
        };
        let Some(report) = report else { return Ok(()) };
        self.to.write_all(show::frames(report, &mut self.library).as_bytes())
    }
}

impl<W: Write> Write for Live<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut rest = bytes;
        while !rest.is_empty() {
            let (left, line) = self.lines.take(rest);
            self.to.write_all(&rest[..rest.len() - left.len()])?;
            if let Some(line) = line {
                self.line(&line)?;
            }
            rest = left;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn shown(pieces: &[&[u8]]) -> Vec<u8> {
        let library = Library::new(Path::new("/no/such/place"), &[]).unwrap();
        let mut live = Live::new(Vec::new(), library);
        for piece in pieces {
            live.write_all(piece).unwrap();
        }
        live.to
    }

    #[test]
    fn what_is_no_report_passes_unchanged_and_at_once() {
        let bytes: Vec<u8> = (0..=255).cycle().take(10_000).collect();
        assert_eq!(shown(&[&bytes]), bytes);
        // A prompt is no whole line.
        assert_eq!(shown(&[b"login: "]), b"login: ");
    }

    #[test]
    fn frames_stand_below_the_backtrace_and_nothing_else_is_changed() {
        let before = b"\r\nFAULT class=hang elr=0x10\r\n  build abcd\r\n  backtrace 0x10 0x20\r\n";
        let after = b"END FAULT\r\nrestarting the machine\r\n> ";
        let all = [&before[..], after].concat();
        // However it is cut: by bytes, in halves, whole.
        for size in [1, 40, all.len()] {
            let text = shown(&all.chunks(size).collect::<Vec<_>>());
            let rest = text.strip_prefix(&before[..]).unwrap().strip_suffix(&after[..]).unwrap();
            let rest = String::from_utf8(rest.to_vec()).unwrap();
            assert!(rest.contains("build id abcd"), "{rest}");
            assert!(rest.ends_with("    0x10\n    0x20\n"), "{rest}");
        }
    }

    #[test]
    fn a_report_without_a_backtrace_is_explained_where_it_ends() {
        let text = shown(&[b"FAULT class=hang elr=0x10\n  build abcd\nEND FAULT\n"]);
        let text = String::from_utf8(text).unwrap();
        let (_, rest) = text.split_once("END FAULT\n").unwrap();
        assert!(rest.ends_with("    0x10\n"), "{text}");
    }
}
