//! A program's last words.

use core::fmt::{self, Write};

use heapless::String;

use crate::text::{Cut, Escaped};

/// As much of them as a report has, in bytes, escaped.
pub const WORDS: usize = 512;

/// A program's last words: in one line, escaped, at most [`WORDS`] bytes of it.
#[derive(Debug, Default)]
pub struct Words {
    text: String<WORDS>,
}

impl Words {
    /// None yet.
    #[must_use]
    pub const fn new() -> Self {
        Self { text: String::new() }
    }

    /// Keeps `words` instead of what was said before. What is over is cut.
    pub fn replace(&mut self, words: &str) {
        self.clear();
        // A panic's place and message come as two lines, and are one here.
        let panicked = words.strip_prefix("panicked at ").and_then(|rest| rest.split_once(":\n"));
        let _cut = match panicked {
            Some((place, message)) => write!(self, "panicked at {place}: {message}"),
            None => self.write_str(words),
        };
    }

    /// Forgets what was said.
    pub fn clear(&mut self) {
        self.text.clear();
    }

    /// What was said.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl Write for Words {
    fn write_str(&mut self, words: &str) -> fmt::Result {
        write!(Cut::at(WORDS, &mut self.text), "{}", Escaped(words.as_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_are_one_line_and_not_too_many() {
        let mut words = Words::new();
        words.replace("a\nb\u{1b}é\"");
        assert_eq!(words.as_str(), "a\\nb\\u{1b}é\"");
        words.replace(&"\u{10ffff}x".repeat(WORDS));
        assert!((WORDS - 3..=WORDS).contains(&words.as_str().len()));
    }

    #[test]
    fn a_panic_is_one_line() {
        let mut words = Words::new();
        words.replace("panicked at app/x/src/main.rs:12:5:\nas asked for\nby you");
        assert_eq!(words.as_str(), "panicked at app/x/src/main.rs:12:5: as asked for\\nby you");
        words.replace("panicked at will");
        assert_eq!(words.as_str(), "panicked at will");
        words.clear();
        assert_eq!(words.as_str(), "");
    }
}
