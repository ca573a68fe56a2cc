//! Text for which there may be no room, and text of somebody who may mean harm by it.

use core::fmt::{self, Display, Write};

use heapless::string::StringView;

/// Writes as much as there is room for, in whole characters.
pub(crate) struct Cut<'a> {
    text: &'a mut StringView,
    limit: usize,
}

impl<'a> Cut<'a> {
    /// Adds to `text` until it is `limit` bytes long, or all of its memory is used.
    pub(crate) fn at(limit: usize, text: &'a mut StringView) -> Self {
        Self { limit: limit.min(text.capacity()), text }
    }

    /// How many bytes there is room for.
    pub(crate) fn room(&self) -> usize {
        self.limit.saturating_sub(self.text.len())
    }
}

impl Write for Cut<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let fits = text.get(..text.floor_char_boundary(self.room())).unwrap_or_default();
        self.text.push_str(fits).map_err(|_| fmt::Error)?;
        if fits.len() == text.len() { Ok(()) } else { Err(fmt::Error) }
    }
}

/// Shows text, or what should be text, in one line and with nothing left in it that a terminal
/// would obey, or that would hide some of it. What is in order is written in whole runs.
pub(crate) struct Escaped<'a>(pub(crate) &'a [u8]);

impl Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for chunk in self.0.utf8_chunks() {
            for run in chunk.valid().split_inclusive(is_obeyed) {
                let mut characters = run.chars();
                match characters.next_back().filter(|last| is_obeyed(*last)) {
                    None => f.write_str(run)?,
                    Some(last) => {
                        f.write_str(characters.as_str())?;
                        match last {
                            '\t' => f.write_str("\\t")?,
                            '\r' => f.write_str("\\r")?,
                            '\n' => f.write_str("\\n")?,
                            other => write!(f, "\\u{{{:x}}}", u32::from(other))?,
                        }
                    }
                }
            }
            chunk.invalid().iter().try_for_each(|byte| write!(f, "\\x{byte:02x}"))?;
        }
        Ok(())
    }
}

/// Whether a character is a control, or one of Unicode's that change how others are shown: joiners
/// and marks of direction, line separators, the byte order mark.
fn is_obeyed(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}')
        || matches!(character, '\u{2060}'..='\u{206f}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use heapless::String;

    use super::*;

    #[test]
    fn what_is_in_order_stays_as_it_is() {
        for text in ["", "a", "GET /é?\"q\\\" → 世界 🦀", "[    0.012345] INFO  a: b"] {
            assert_eq!(Escaped(text.as_bytes()).to_string(), text);
        }
    }

    #[test]
    fn what_a_terminal_would_obey_is_shown_instead() {
        let shown = Escaped(b"\x1b[2J\0a\r\n\tb\x7f\xc2\x9b\xff\xe2\x80").to_string();
        assert_eq!(shown, "\\u{1b}[2J\\u{0}a\\r\\n\\tb\\u{7f}\\u{9b}\\xff\\xe2\\x80");
        let shown = Escaped("a\u{202e}b\u{2066}c\u{feff}".as_bytes()).to_string();
        assert_eq!(shown, "a\\u{202e}b\\u{2066}c\\u{feff}");
    }

    #[test]
    fn what_is_too_long_is_cut_between_characters() {
        let mut text = String::<8>::new();
        assert!(write!(Cut::at(5, &mut text), "abcdé").is_err());
        assert_eq!(text, "abcd");
        assert!(write!(Cut::at(99, &mut text), "éé").is_ok());
        assert!(write!(Cut::at(99, &mut text), "x").is_err());
        assert_eq!(text, "abcdéé");
    }
}
