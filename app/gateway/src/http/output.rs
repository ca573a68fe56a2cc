//! Responses on their way out: gathered so that several can leave in one segment.

use core::fmt::{self, Write};

use super::limits;

/// Text that is gathered before it is written to a client.
pub struct Output {
    bytes: [u8; limits::OUTPUT],
    length: usize,
    /// How much may be used: what ends a chunk needs room that no body may take.
    limit: usize,
}

impl Output {
    /// With nothing in it.
    #[must_use]
    pub const fn new() -> Self {
        Self { bytes: [0; limits::OUTPUT], length: 0, limit: limits::OUTPUT }
    }

    /// What is gathered.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }

    pub(super) const fn len(&self) -> usize {
        self.length
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// How much more may be written.
    #[must_use]
    pub const fn room(&self) -> usize {
        self.limit - self.length
    }

    /// Forgets what comes after the first `length` bytes.
    pub(super) fn truncate(&mut self, length: usize) {
        self.length = self.length.min(length);
    }

    /// Takes `length` bytes out at the front.
    pub(super) fn drop_front(&mut self, length: usize) {
        let length = self.length.min(length);
        self.bytes.copy_within(length..self.length, 0);
        self.length -= length;
    }

    /// Keeps the last `room` bytes for later; 0 gives them back.
    pub(super) const fn reserve(&mut self, room: usize) {
        self.limit = limits::OUTPUT - room;
    }

    /// Leaves `length` bytes open, to be written by [`Self::close_gap`].
    pub(super) fn open_gap(&mut self, length: usize) -> fmt::Result {
        if length > self.room() {
            return Err(fmt::Error);
        }
        self.length += length;
        Ok(())
    }

    /// Writes `pieces` where a gap of `length` bytes was left at `start`, and moves what follows
    /// up to them. What does not fit into the gap is cut; nobody writes as much.
    pub(super) fn close_gap(&mut self, start: usize, length: usize, pieces: &[&[u8]]) {
        let mut end = start;
        for piece in pieces {
            let piece = &piece[..piece.len().min(start + length - end)];
            self.bytes[end..end + piece.len()].copy_from_slice(piece);
            end += piece.len();
        }
        self.bytes.copy_within(start + length..self.length, end);
        self.length -= start + length - end;
    }

    /// Replaces what is there from `start` on.
    pub(super) fn overwrite(&mut self, start: usize, bytes: &[u8]) {
        self.bytes[start..start + bytes.len()].copy_from_slice(bytes);
    }

    /// Writes a number in decimal. (`fmt` can, at ten times the price.)
    ///
    /// # Errors
    /// [`fmt::Error`] when it does not fit.
    pub fn decimal(&mut self, number: u64) -> fmt::Result {
        self.raw(decimal(number, &mut [0; 20]))
    }

    /// Writes `text` as a JSON string, in quotes (RFC 8259, section 7).
    ///
    /// # Errors
    /// [`fmt::Error`] when it does not fit.
    pub fn quoted(&mut self, text: &str) -> fmt::Result {
        self.write_str("\"")?;
        for character in text.chars() {
            match character {
                '"' | '\\' => write!(self, "\\{character}")?,
                '\0'..='\x1f' => write!(self, "\\u{:04x}", u32::from(character))?,
                _ => self.write_char(character)?,
            }
        }
        self.write_str("\"")
    }

    /// Writes `text` so that HTML shows it and does nothing else with it.
    ///
    /// # Errors
    /// [`fmt::Error`] when it does not fit.
    pub fn escaped(&mut self, text: &str) -> fmt::Result {
        for character in text.chars() {
            match character {
                '&' => self.write_str("&amp;")?,
                '<' => self.write_str("&lt;")?,
                '>' => self.write_str("&gt;")?,
                '"' => self.write_str("&quot;")?,
                '\'' => self.write_str("&#39;")?,
                _ => self.write_char(character)?,
            }
        }
        Ok(())
    }

    fn raw(&mut self, bytes: &[u8]) -> fmt::Result {
        let end = self.length + bytes.len();
        if end > self.limit {
            return Err(fmt::Error);
        }
        self.bytes[self.length..end].copy_from_slice(bytes);
        self.length = end;
        Ok(())
    }
}

/// The decimal digits of `number`, in `digits`.
pub(super) fn decimal(mut number: u64, digits: &mut [u8; 20]) -> &[u8] {
    let mut start = digits.len();
    loop {
        start -= 1;
        digits[start] = b'0' + (number % 10).to_le_bytes()[0];
        number /= 10;
        if number == 0 {
            return &digits[start..];
        }
    }
}

impl Write for Output {
    #[inline]
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.raw(text.as_bytes())
    }
}

impl Default for Output {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Output({} bytes)", self.length)
    }
}
