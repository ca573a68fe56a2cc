//! `GET /report`: the latest fault's report, as the console showed it.

use core::fmt::{self, Write};

use crate::http::{Output, Progress};
use crate::machine::Past;

/// What is said where there is no report. It is an answer and no refusal: that there was no fault is
/// good news, and whoever asks for it now and then should not swell the count of failed requests.
/// Programs see the difference at the first word, which is `FAULT` in a report.
const NONE: &str = "no report: nothing has failed, or this machine does not remember it\n";

/// The report on its way out.
#[derive(Debug)]
pub struct Report {
    /// What of the text is still to be written.
    rest: &'static str,
}

impl Report {
    /// The report of `past`, or that there is none.
    #[must_use]
    pub const fn new(past: &Past) -> Self {
        Self { rest: if past.report.is_empty() { NONE } else { past.report } }
    }

    /// Writes as much as there is room for. It may be read on a terminal, and holds what an
    /// application said: what would move the cursor or change a colour is shown instead.
    ///
    /// Kept out of line: what is hardly ever asked for must not cost registers on everybody's way.
    #[inline(never)]
    pub(super) fn write(&mut self, output: &mut Output) -> Result<Progress, fmt::Error> {
        let fitting = &self.rest[..self.rest.floor_char_boundary(output.room())];
        let plain = &fitting[..fitting.find(is_command).unwrap_or(fitting.len())];
        let written = match self.rest.chars().next() {
            None => return Ok(Progress::Done),
            Some(command) if is_command(command) => {
                write!(output, "{}", command.escape_unicode())?;
                command.len_utf8()
            }
            Some(_) if plain.is_empty() => return Err(fmt::Error),
            Some(_) => {
                output.write_str(plain)?;
                plain.len()
            }
        };
        self.rest = &self.rest[written..];
        Ok(Progress::More)
    }
}

/// Whether a terminal would obey this rather than show it. Lines end as they do.
fn is_command(character: char) -> bool {
    character.is_control() && character != '\n' && character != '\t'
}
