//! Content in chunks (RFC 9112, section 7.1), joined where they lie.

use super::{Status, limits};

/// Joins chunks in place: takes their sizes and line ends out from between them.
///
/// Strict on purpose: lines end in CR LF, sizes have at most four digits (of what is taken, no
/// more are needed), so that no other reader of the same bytes can see other chunks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Chunks {
    state: State,
    /// How many bytes of content are joined, at the buffer's front.
    joined: usize,
    /// How many bytes of the present line, or of all trailers, there were.
    line: usize,
}

#[derive(Clone, Copy, Debug)]
enum State {
    /// In a size, of which that many digits were there.
    Size { size: usize, digits: usize },
    /// Between a size and its line's end.
    Extension { size: usize },
    /// After the CR of a line that gave a size.
    SizeEnd { size: usize },
    /// In a chunk, of which that much is to come.
    Data { left: usize },
    /// After a chunk, before the CR.
    DataEnd,
    /// After a chunk's CR.
    DataLineEnd,
    /// In a line after the last chunk, so far into it.
    Trailer { length: usize },
    /// After the CR of such a line.
    TrailerEnd { length: usize },
    /// After all of it.
    End,
}

/// How far the joining has got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Joined {
    /// More must arrive, right behind the `content` bytes at the buffer's front; what was behind
    /// them is used up.
    Partly { content: usize },
    /// So many bytes of content are at the buffer's front; it all took so many.
    Whole { content: usize, taken: usize },
}

impl Chunks {
    pub(super) const fn new() -> Self {
        Self { state: State::Size { size: 0, digits: 0 }, joined: 0, line: 0 }
    }

    /// Goes on behind the content that is joined already.
    pub(super) fn join(&mut self, buffer: &mut [u8]) -> Result<Joined, Status> {
        let mut read = self.joined;
        while let Some(byte) = buffer.get(read).copied() {
            if let State::Data { left } = self.state {
                let here = left.min(buffer.len() - read);
                buffer.copy_within(read..read + here, self.joined);
                self.joined += here;
                read += here;
                let left = left - here;
                self.state = if left == 0 { State::DataEnd } else { State::Data { left } };
                continue;
            }
            read += 1;
            self.line += 1;
            if self.line > limits::CHUNK_LINE {
                return Err(Status::BadRequest);
            }
            self.state = self.next(byte)?;
            match self.state {
                State::Data { .. } => self.line = 0,
                State::End => return Ok(Joined::Whole { content: self.joined, taken: read }),
                _ => {}
            }
        }
        Ok(Joined::Partly { content: self.joined })
    }

    /// The state after one byte that is not content.
    fn next(&self, byte: u8) -> Result<State, Status> {
        Ok(match (self.state, byte) {
            (State::Size { size, digits }, b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F') => {
                if digits == 4 {
                    return Err(Status::ContentTooLarge);
                }
                let digit = char::from(byte).to_digit(16).map_or(0, |digit| digit as usize);
                State::Size { size: size * 16 + digit, digits: digits + 1 }
            }
            (State::Size { size, digits: 1.. }, b';') => State::Extension { size },
            (State::Size { size, digits: 1.. } | State::Extension { size }, b'\r') => {
                State::SizeEnd { size }
            }
            (State::Extension { size }, b'\t' | b' '..=b'~' | 0x80..) => State::Extension { size },
            (State::SizeEnd { size: 0 }, b'\n') => State::Trailer { length: 0 },
            (State::SizeEnd { size }, b'\n') => {
                if self.joined + size > limits::CONTENT {
                    return Err(Status::ContentTooLarge);
                }
                State::Data { left: size }
            }
            (State::DataEnd, b'\r') => State::DataLineEnd,
            (State::DataLineEnd, b'\n') => State::Size { size: 0, digits: 0 },
            (State::Trailer { length }, b'\r') => State::TrailerEnd { length },
            (State::Trailer { length }, b'\t' | b' '..=b'~' | 0x80..) => {
                State::Trailer { length: length + 1 }
            }
            (State::TrailerEnd { length: 0 }, b'\n') => State::End,
            (State::TrailerEnd { .. }, b'\n') => State::Trailer { length: 0 },
            _ => return Err(Status::BadRequest),
        })
    }
}
