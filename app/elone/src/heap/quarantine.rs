//! Where freed blocks wait before their memory is used again: first in, first out, bounded in
//! number and bytes.
//!
//! While a block waits nobody may write to it, so whoever does is found when it leaves, and what is
//! freed a second time is still known. It is a list in the program's own data: what an attacker
//! reaches from a block does not lead to it.

/// A list of at most `COUNT` things, which take at most `BYTES` together.
#[derive(Debug)]
pub(super) struct Quarantine<T, const COUNT: usize, const BYTES: usize> {
    list: [Option<(T, usize)>; COUNT],
    /// Where the oldest is.
    oldest: usize,
    count: usize,
    bytes: usize,
}

impl<T, const COUNT: usize, const BYTES: usize> Quarantine<T, COUNT, BYTES> {
    /// With nothing in it.
    pub(super) const fn new() -> Self {
        Self { list: [const { None }; COUNT], oldest: 0, count: 0, bytes: 0 }
    }

    /// Whether something of so many bytes is taken in at all. What is over a quarter of the room is
    /// not: one such block would drive out many.
    pub(super) const fn admits(bytes: usize) -> bool {
        bytes <= BYTES / 4
    }

    /// How many bytes wait.
    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// What has to leave before there is room for so many bytes; to be asked until it is nothing.
    #[inline(always)]
    pub(super) fn make_room(&mut self, bytes: usize) -> Option<T> {
        let fits = self.count < COUNT && self.bytes + bytes <= BYTES;
        if fits { None } else { self.pop() }
    }

    /// Takes in what there is room for.
    #[inline(always)]
    pub(super) fn push(&mut self, thing: T, bytes: usize) {
        debug_assert!(self.count < COUNT && self.bytes + bytes <= BYTES, "no room was made");
        let mut place = self.oldest + self.count;
        if place >= COUNT {
            place -= COUNT;
        }
        if let Some(slot) = self.list.get_mut(place) {
            *slot = Some((thing, bytes));
            self.count += 1;
            self.bytes += bytes;
        }
    }

    /// The oldest leaves.
    #[inline(always)]
    pub(super) fn pop(&mut self) -> Option<T> {
        let (thing, bytes) = self.list.get_mut(self.oldest)?.take()?;
        self.oldest = if self.oldest + 1 < COUNT { self.oldest + 1 } else { 0 };
        self.count -= 1;
        self.bytes -= bytes;
        Some(thing)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Three = Quarantine<u8, 3, 100>;

    #[test]
    fn the_oldest_leaves_first() {
        let mut three = Three::new();
        for thing in 0_u8..10 {
            let left = three.make_room(1);
            assert_eq!(left, thing.checked_sub(3));
            assert_eq!(three.make_room(1), None);
            three.push(thing, 1);
        }
        assert_eq!([0; 4].map(|_| three.pop()), [Some(7), Some(8), Some(9), None]);
    }

    #[test]
    fn bytes_are_bounded() {
        let mut three = Three::new();
        assert!(Three::admits(25) && !Three::admits(26));
        three.push(1, 50);
        three.push(2, 40);
        assert_eq!((three.make_room(10), three.bytes()), (None, 90));
        assert_eq!((three.make_room(11), three.bytes()), (Some(1), 40));
        assert_eq!(three.make_room(11), None);
    }

    #[test]
    fn nothing_leaves_what_is_empty() {
        let mut three = Three::new();
        assert_eq!((three.pop(), three.bytes()), (None, 0));
    }
}
