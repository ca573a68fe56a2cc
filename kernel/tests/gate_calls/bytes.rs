//! Random bytes, read as numbers of the kinds that code goes wrong at.
#![allow(dead_code, reason = "not every fuzzer has a use for all of it")]

/// What is left of an input. Behind its end there are zeros.
pub(crate) struct Bytes<'a>(pub(crate) &'a [u8]);

impl<'a> Bytes<'a> {
    pub(crate) fn byte(&mut self) -> u8 {
        self.take(1).first().copied().unwrap_or(0)
    }

    pub(crate) fn coin(&mut self) -> bool {
        self.byte() & 1 == 0
    }

    /// A number below `limit`, which is at most 256.
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        usize::from(self.byte()) % limit
    }

    pub(crate) fn long(&mut self) -> u64 {
        let mut bytes = [0; 8];
        let taken = self.take(8);
        bytes[..taken.len()].copy_from_slice(taken);
        u64::from_le_bytes(bytes)
    }

    /// Any number, one that is small or the end of a range, or one near any of `edges`.
    pub(crate) fn number(&mut self, edges: &[u64]) -> u64 {
        match self.byte() % 8 {
            0 => self.long(),
            1 => u64::MAX - u64::from(self.byte()),
            2 | 3 => self.byte().into(),
            4 => 1 << (self.byte() % 64),
            _ => {
                let edge = edges.get(self.below(edges.len().max(1))).copied().unwrap_or(0);
                // Most often right at it.
                let offset = self.byte().cast_signed() / 16;
                edge.wrapping_add_signed(offset.into())
            }
        }
    }

    pub(crate) fn take(&mut self, length: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(length.min(self.0.len()));
        self.0 = rest;
        taken
    }

    /// Changes bytes of `target` here and there.
    pub(crate) fn damage(&mut self, target: &mut Vec<u8>) {
        for _ in 0..self.below(4) {
            let place = self.long() as usize % target.len().max(1);
            match self.byte() % 4 {
                0 => target.truncate(place),
                1 => target.extend_from_slice(self.take(place % 16)),
                2 => {
                    let number = self.number(&[target.len() as u64]).to_le_bytes();
                    // Numbers mostly stand where numbers can.
                    let place = place / 4 * 4;
                    let end = target.len().min(place + 8);
                    target[place..end].copy_from_slice(&number[..end - place]);
                }
                _ => {
                    let bit = 1 << (self.byte() % 8);
                    target.get_mut(place).into_iter().for_each(|byte| *byte ^= bit);
                }
            }
        }
    }
}
