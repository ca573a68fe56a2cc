//! Which words of an image hold addresses of the image itself.

use super::Flaw;

/// The addresses of the words that hold addresses, in an encoding that linkers write to `.relr.dyn`
/// (System V ABI, "Relative Relocation Table"). An even word is the address of one; an odd word is a
/// bitmap over the 63 words behind the last one that was spoken of, from bit 1 on.
///
/// Words are eight bytes, aligned; the table names them in ascending order, so none twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Relocations<'a> {
    table: &'a [[u8; 8]],
}

/// How many words a bitmap speaks of.
const MAPPED: u64 = 63;

impl<'a> Relocations<'a> {
    /// The last `words` words of `bytes`, if there are so many.
    pub(super) fn at_the_end(bytes: &'a [u8], words: u64) -> Option<Self> {
        let length = usize::try_from(words.checked_mul(8)?).ok()?;
        let (table, []) = bytes.get(bytes.len().checked_sub(length)?..)?.as_chunks() else {
            return None;
        };
        Some(Self { table })
    }

    /// The table as it was written.
    pub fn words(&self) -> impl Iterator<Item = u64> + use<'a> {
        self.table.iter().map(|word| u64::from_le_bytes(*word))
    }

    /// The words' addresses, from the image's base on.
    pub fn addresses(&self) -> impl Iterator<Item = u64> + use<'a> {
        self.checked().map_while(Result::ok).map(|(_, address)| address)
    }

    /// How long the table is, in bytes.
    pub(super) const fn bytes(&self) -> usize {
        self.table.as_flattened().len()
    }

    /// The words' addresses, each with the place in the table that names it, up to the first that is
    /// not as it must be.
    pub(super) fn checked(&self) -> Decoder<'a> {
        Decoder { table: self.table, index: 0, free: None, mapped: 0, bits: 0 }
    }
}

/// Decodes a table.
#[derive(Clone, Debug)]
pub(super) struct Decoder<'a> {
    table: &'a [[u8; 8]],
    /// How many of its words are read.
    index: usize,
    /// The first address that was not spoken of yet; none before the first word.
    free: Option<u64>,
    /// Of the bitmap that is being read: the address of its lowest bit, and the bits that are left.
    mapped: u64,
    bits: u64,
}

impl Iterator for Decoder<'_> {
    type Item = Result<(usize, u64), (usize, Flaw)>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if self.bits != 0 {
                let address = self.mapped + 8 * u64::from(self.bits.trailing_zeros());
                self.bits &= self.bits - 1;
                return Some(Ok((self.index - 1, address)));
            }
            let word = u64::from_le_bytes(*self.table.get(self.index)?);
            self.index += 1;
            if let Some(found) = self.take(word).transpose() {
                return Some(match found {
                    Ok(address) => Ok((self.index - 1, address)),
                    Err(flaw) => Err((self.index - 1, flaw)),
                });
            }
        }
    }
}

impl Decoder<'_> {
    /// Takes a word of the table: an address is returned, a bitmap begun.
    fn take(&mut self, word: u64) -> Result<Option<u64>, Flaw> {
        // Nothing lies so high, so that no sum overflows.
        let within = |address: u64| address < u64::MAX / 2;
        if word & 1 == 1 {
            self.mapped = self.free.ok_or(Flaw::Unplaced)?;
            self.bits = word >> 1;
            self.free = Some(self.mapped + 8 * MAPPED).filter(|&free| within(free));
            return Ok(None);
        }
        if !word.is_multiple_of(8) {
            return Err(Flaw::MisalignedWord(word));
        }
        if !within(word) {
            return Err(Flaw::NotCopied(word));
        }
        if self.free.is_some_and(|free| word < free) {
            return Err(Flaw::NotAscending(word));
        }
        self.free = Some(word + 8);
        Ok(Some(word))
    }
}
