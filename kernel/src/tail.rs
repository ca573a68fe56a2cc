//! The end of what went to the console, kept for reports.

/// The last `SIZE` bytes that were written.
#[derive(Debug)]
pub struct Tail<const SIZE: usize> {
    bytes: [u8; SIZE],
    /// Where the next byte goes.
    next: usize,
    /// Whether every byte has been written at least once.
    full: bool,
}

impl<const SIZE: usize> Default for Tail<SIZE> {
    fn default() -> Self {
        Self::new()
    }
}

impl<const SIZE: usize> Tail<SIZE> {
    /// Nothing yet.
    #[must_use]
    pub const fn new() -> Self {
        Self { bytes: [0; SIZE], next: 0, full: false }
    }

    /// Adds what was written: one copy, or two at the end of the memory.
    pub fn push(&mut self, bytes: &[u8]) {
        let latest = bytes.get(bytes.len().saturating_sub(SIZE)..).unwrap_or_default();
        let (before, after) = self.bytes.split_at_mut(self.next);
        let (first, rest) = latest.split_at(latest.len().min(after.len()));
        copy(after, first);
        copy(before, rest);
        self.full |= latest.len() >= after.len();
        self.next = (self.next + latest.len()) % SIZE;
    }

    /// What is kept, oldest first. Puts it in order in place, so that a report needs no memory.
    pub fn in_order(&mut self) -> &[u8] {
        if !self.full {
            return self.bytes.get(..self.next).unwrap_or_default();
        }
        self.bytes.rotate_left(self.next);
        self.next = 0;
        &self.bytes
    }
}

/// Copies `source` to the start of `target`, which is as long or longer.
fn copy(target: &mut [u8], source: &[u8]) {
    if let Some(target) = target.get_mut(..source.len()) {
        target.copy_from_slice(source);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_bytes_are_kept_in_order() {
        for piece in 0..20 {
            let mut tail = Tail::<7>::new();
            let mut all = Vec::new();
            for round in 0..50_u8 {
                let bytes: Vec<u8> = (0..piece).map(|byte| byte ^ round.wrapping_mul(37)).collect();
                tail.push(&bytes);
                all.extend(bytes);
                let expected = &all[all.len().saturating_sub(7)..];
                // In order or not, what is added next goes to the end.
                if round % 3 == 0 {
                    assert_eq!(tail.in_order(), expected, "pieces of {piece}, round {round}");
                }
            }
            assert_eq!(tail.in_order(), &all[all.len().saturating_sub(7)..]);
        }
    }
}
