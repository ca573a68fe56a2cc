//! The log's last lines, for a report.

use core::fmt::{self, Display, Write};

use crate::text::Escaped;

/// The last lines of `log` that fit into `room` bytes, oldest first, each to be shown as a
/// [`Line`] with its end.
pub(super) fn latest(log: &[u8], room: usize) -> impl Iterator<Item = Line<'_>> {
    let log = log.strip_suffix(b"\n").unwrap_or(log);
    let mut left = room;
    let newest_first = log.rsplit(|byte| *byte == b'\n');
    let fitting = newest_first.take_while(|line| {
        let mut count = Count(0);
        let _never_fails = writeln!(count, "{}", Line(line));
        let fits = left.checked_sub(count.0);
        left = fits.unwrap_or(0);
        fits.is_some()
    });
    let fitting = fitting.count();
    let all = log.split(|byte| *byte == b'\n').count();
    log.split(|byte| *byte == b'\n').skip(all - fitting).map(Line)
}

/// A line of the log, in which nothing is left that a terminal would obey.
pub(super) struct Line<'a>(&'a [u8]);

impl Display for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.0.strip_suffix(b"\r").unwrap_or(self.0);
        write!(f, "  | {}", Escaped(text))
    }
}

/// Counts what would be written.
struct Count(usize);

impl Write for Count {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0 += text.len();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(log: &[u8], room: usize) -> Vec<String> {
        latest(log, room).map(|line| line.to_string()).collect()
    }

    #[test]
    fn the_latest_lines_that_fit_are_kept() {
        assert_eq!(shown(b"one\ntwo\nthree\n", 100), ["  | one", "  | two", "  | three"]);
        assert_eq!(shown(b"one\ntwo\nthree", 18), ["  | two", "  | three"]);
        assert_eq!(shown(b"one\ntwo\nthree", 17), ["  | three"]);
        assert_eq!(shown(b"one\ntwo\nthree", 9), [""; 0]);
        // No line is passed over for a shorter one before it.
        assert_eq!(shown(b"a\nthe longest of all\nb", 14), ["  | b"]);
    }

    #[test]
    fn a_terminal_is_not_commanded() {
        assert_eq!(shown(b"\x1b[2J\xff\xfea\r\n", 99), ["  | \\u{1b}[2J\\xff\\xfea"]);
        assert_eq!(shown(b"\0\x7f\xc2\x9b \xc3\xa9", 99), ["  | \\u{0}\\u{7f}\\u{9b} é"]);
    }
}
