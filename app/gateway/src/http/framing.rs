//! How a request's content is delimited (RFC 9112, section 6). Two readings of the same bytes
//! are what request smuggling lives on, so whatever could be read in two ways is refused.

use super::Status;

/// How a request's content is delimited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// That many bytes; none where no field says anything.
    Length(usize),
    /// Chunks, the last of them empty.
    Chunked,
}

/// What the header fields said of the framing so far.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Declared {
    length: Option<usize>,
    chunked: Option<()>,
}

impl Declared {
    /// Takes in one `Content-Length`. A second one is refused, even where it is the same.
    pub(super) fn content_length(&mut self, value: &[u8]) -> Result<(), Status> {
        if self.length.is_some() || value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
            return Err(Status::BadRequest);
        }
        // A number beyond any memory is a number all the same: it is too large, not malformed.
        let length = value.iter().fold(0_usize, |length, digit| {
            length.saturating_mul(10).saturating_add(usize::from(digit - b'0'))
        });
        self.length = Some(length);
        Ok(())
    }

    /// Takes in one `Transfer-Encoding`. Only `chunked`, once and alone, is known here.
    pub(super) fn transfer_encoding(&mut self, value: &[u8]) -> Result<(), Status> {
        let mut chunked = self.chunked.map_or(0, |()| 1);
        for coding in value.split(|byte| *byte == b',') {
            match coding.trim_ascii() {
                [] => return Err(Status::BadRequest),
                name if name.eq_ignore_ascii_case(b"chunked") => chunked += 1,
                _ => return Err(Status::NotImplemented),
            }
        }
        self.chunked = Some(());
        if chunked == 1 { Ok(()) } else { Err(Status::BadRequest) }
    }

    /// What it comes to. Both fields at once is an attack or a bug: refused (section 6.3, item 3).
    pub(super) fn framing(self) -> Result<Framing, Status> {
        match (self.length, self.chunked) {
            (Some(_), Some(())) => Err(Status::BadRequest),
            (None, Some(())) => Ok(Framing::Chunked),
            (length, None) => Ok(Framing::Length(length.unwrap_or(0))),
        }
    }
}
