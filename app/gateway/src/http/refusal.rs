//! What a client is told that does not get what it asked for.

use core::fmt::{self, Write};

use super::{Body, Output, Progress, Status};

/// Why a request is not answered with what it asked for: as JSON, `{"error": …}`.
#[derive(Clone, Copy, Debug)]
pub struct Refusal {
    /// The status.
    pub status: Status,
    /// What is wrong, in words; the status's own where empty.
    pub error: &'static str,
    /// The field that it is about.
    pub field: Option<Field>,
    /// Where in the content it was noticed.
    pub place: Option<Place>,
    /// The methods that the resource has, where the method is what is wrong.
    pub allow: Option<&'static str>,
}

/// Where in a content something was noticed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The offset in bytes, from 0.
    pub at: usize,
    /// The line, from 1.
    pub line: usize,
    /// Which element of an array, from 0.
    pub index: Option<usize>,
}

/// The name of a field that came from a client: its first bytes, enough to find it by.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Field {
    bytes: [u8; Self::LONGEST],
    length: u8,
}

impl Field {
    /// How much of a name is kept, in bytes.
    pub const LONGEST: usize = 32;

    /// The name, cut at a character's end where it is too long.
    #[must_use]
    pub fn new(name: &str) -> Self {
        let name = &name[..name.floor_char_boundary(Self::LONGEST)];
        let mut bytes = [0; Self::LONGEST];
        bytes[..name.len()].copy_from_slice(name.as_bytes());
        Self { bytes, length: u8::try_from(name.len()).unwrap_or(0) }
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        str::from_utf8(&self.bytes[..usize::from(self.length)]).unwrap_or("")
    }
}

impl fmt::Debug for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl Refusal {
    /// With the status's own words.
    #[must_use]
    pub const fn new(status: Status) -> Self {
        Self::because(status, "")
    }

    /// With words that say more.
    #[must_use]
    pub const fn because(status: Status, error: &'static str) -> Self {
        Self { status, error, field: None, place: None, allow: None }
    }
}

impl Body for Refusal {
    fn write(&mut self, output: &mut Output) -> Result<Progress, fmt::Error> {
        let words = if self.error.is_empty() { self.status.words() } else { self.error };
        output.write_str("{\"error\":")?;
        output.quoted(words)?;
        if let Some(field) = &self.field {
            output.write_str(",\"field\":")?;
            output.quoted(field.as_str())?;
        }
        if let Some(place) = self.place {
            write!(output, ",\"at\":{},\"line\":{}", place.at, place.line)?;
            if let Some(index) = place.index {
                write!(output, ",\"index\":{index}")?;
            }
        }
        output.write_str("}\n")?;
        Ok(Progress::Done)
    }
}
