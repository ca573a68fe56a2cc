//! What a client has sent and nobody has used up yet.

use super::limits;

/// How much is kept: a head, or a content with the room that chunk lines need.
const SIZE: usize = if limits::HEAD > limits::CONTENT + limits::CHUNK_LINE {
    limits::HEAD
} else {
    limits::CONTENT + limits::CHUNK_LINE
};

/// Bytes that arrived, in order; used up from the front.
pub struct Input {
    bytes: [u8; SIZE],
    start: usize,
    end: usize,
}

impl Input {
    /// With nothing in it.
    #[must_use]
    pub const fn new() -> Self {
        Self { bytes: [0; SIZE], start: 0, end: 0 }
    }

    /// What is there.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes[self.start..self.end]
    }

    /// What is there, to be joined in place.
    pub(super) fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.bytes[self.start..self.end]
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// Uses up `length` bytes.
    pub(super) fn consume(&mut self, length: usize) {
        self.start = self.end.min(self.start + length);
        if self.is_empty() {
            self.clear();
        }
    }

    /// Keeps the first `length` bytes.
    pub(super) fn truncate(&mut self, length: usize) {
        self.end = self.end.min(self.start + length);
    }

    /// Forgets everything.
    pub(super) const fn clear(&mut self) {
        (self.start, self.end) = (0, 0);
    }

    /// Where more can be read to. What is there moves to the front first, so there is room unless
    /// the limits let one part of a request fill everything.
    pub(super) fn room(&mut self) -> &mut [u8] {
        if self.start > 0 {
            self.bytes.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
        &mut self.bytes[self.end..]
    }

    /// Says that `length` bytes were read into [`Self::room`].
    pub(super) fn filled(&mut self, length: usize) {
        self.end = SIZE.min(self.end + length);
    }
}

impl Default for Input {
    fn default() -> Self {
        Self::new()
    }
}

impl core::fmt::Debug for Input {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Input({} bytes)", self.end - self.start)
    }
}
