//! Lines out of a console: whole lines, without what a terminal would take for commands.

/// What is longer is no line of a report; its begin is enough to know that.
const LONGEST: usize = 4096;

/// Takes a console's bytes as they come, and gives its lines.
#[derive(Debug, Default)]
pub(super) struct Lines {
    /// The line so far; of a line that is too long its begin.
    begun: Vec<u8>,
}

impl Lines {
    /// Takes bytes up to the end of a line at most. Returns what is left of them, and the line, if
    /// it is whole now.
    pub(super) fn take<'a>(&mut self, bytes: &'a [u8]) -> (&'a [u8], Option<String>) {
        let end = bytes.iter().position(|byte| *byte == b'\n');
        let (piece, rest) = bytes.split_at(end.map_or(bytes.len(), |end| end + 1));
        let room = LONGEST.saturating_sub(self.begun.len());
        self.begun.extend(&piece[..piece.len().min(room)]);
        (rest, end.and_then(|_| self.last()))
    }

    /// What came since the last whole line, if anything did.
    pub(super) fn last(&mut self) -> Option<String> {
        let begun = std::mem::take(&mut self.begun);
        (!begun.is_empty()).then(|| plain(&String::from_utf8_lossy(&begun)))
    }
}

/// Text without control characters, and without the sequences that a terminal acts on (ECMA-48,
/// section 5.4): what a guest says is shown, never obeyed.
fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '\u{1b}' if characters.next_if_eq(&'[').is_some() => {
                // Parameters and intermediates, then one final character.
                while characters.next_if(|one| ('\u{20}'..='\u{3f}').contains(one)).is_some() {}
                characters.next_if(|one| ('\u{40}'..='\u{7e}').contains(one));
            }
            '\t' => plain.push(' '),
            other if other.is_control() => {}
            other => plain.push(other),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(pieces: &[&[u8]]) -> Vec<String> {
        let (mut lines, mut found) = (Lines::default(), Vec::new());
        for piece in pieces {
            let mut rest = *piece;
            while !rest.is_empty() {
                let line;
                (rest, line) = lines.take(rest);
                found.extend(line);
            }
        }
        found.extend(lines.last());
        found
    }

    #[test]
    fn lines_are_whole_however_they_come() {
        assert_eq!(lines(&[b"on", b"e\r\ntw", b"o\n\nthr"]), ["one", "two", "", "thr"]);
        assert_eq!(lines(&[]), [""; 0]);
    }

    #[test]
    fn what_a_terminal_would_obey_is_left_out() {
        assert_eq!(lines(&[b"\x1b[1;31mFAULT\x1b[0m \x1b]0;title\x07x\x1b"]), ["FAULT ]0;titlex"]);
        assert_eq!(lines(&[b"\x1b[12"]), [""]);
        assert_eq!(lines(&[b"a\xffb\0c\n"]), ["a\u{fffd}bc"]);
    }

    #[test]
    fn a_line_without_end_takes_no_more_memory_than_one() {
        let mut lines = Lines::default();
        for _ in 0..1000 {
            assert_eq!(lines.take(&[b'x'; 1000]), (&[][..], None));
        }
        assert_eq!(lines.last().unwrap().len(), LONGEST);
    }
}
