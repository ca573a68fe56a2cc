//! A line in the making, in a fixed place: for what must be said without an allocation.

use core::fmt;

/// Up to `ROOM` bytes of text; what does not fit is cut, between two characters.
pub(crate) struct Line<const ROOM: usize> {
    bytes: [u8; ROOM],
    length: usize,
}

impl<const ROOM: usize> Line<ROOM> {
    pub(crate) const fn new() -> Self {
        Self { bytes: [0; ROOM], length: 0 }
    }

    /// What fitted, ended: the end of a line has a place of its own.
    pub(crate) fn ended(&mut self) -> &[u8] {
        self.length = self.length.min(ROOM - 1);
        self.bytes[self.length] = b'\n';
        &self.bytes[..=self.length]
    }

    /// What fitted.
    #[cfg(any(elone_contained, test))]
    pub(crate) fn text(&self) -> &str {
        core::str::from_utf8(&self.bytes[..self.length]).unwrap_or_default()
    }
}

impl<const ROOM: usize> fmt::Write for Line<ROOM> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = ROOM - 1 - self.length;
        let taken = text.floor_char_boundary(room);
        self.bytes[self.length..self.length + taken].copy_from_slice(&text.as_bytes()[..taken]);
        self.length += taken;
        if taken == text.len() { Ok(()) } else { Err(fmt::Error) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::fmt::Write;

    #[test]
    fn what_does_not_fit_is_cut_between_characters() {
        let mut line = Line::<6>::new();
        assert!(line.write_str("ab").is_ok());
        assert!(line.write_str("cdé").is_err());
        assert_eq!(line.text(), "abcd");
        assert_eq!(line.ended(), b"abcd\n");
    }
}
