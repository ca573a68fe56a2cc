//! How it is known where the parser is.

use core::cell::Cell;

use picojson::Reader;

/// Gives the parser one byte at a time, so that it is known how far it has looked.
pub(super) struct Counting<'a> {
    pub(super) content: &'a [u8],
    pub(super) taken: &'a Cell<usize>,
}

impl Reader for Counting<'_> {
    type Error = core::convert::Infallible;

    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Self::Error> {
        let taken = self.taken.get();
        match (buffer.first_mut(), self.content.get(taken)) {
            (Some(place), Some(byte)) => {
                *place = *byte;
                self.taken.set(taken + 1);
                Ok(1)
            }
            _ => Ok(0),
        }
    }
}
