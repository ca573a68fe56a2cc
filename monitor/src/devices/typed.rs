//! What was typed and the guest has not read yet.

use std::collections::VecDeque;

use crate::bell::Bell;

/// How many bytes are enough: whoever types more has to wait for the guest.
const ENOUGH: usize = 4096;

/// What was typed. It takes whatever it is given; [`Typed::is_enough`] says when to give it no more.
#[derive(Debug)]
pub(super) struct Typed {
    bytes: VecDeque<u8>,
    /// What is rung when there is room again.
    bell: Bell,
}

impl Typed {
    /// Nothing.
    pub(super) fn new(bell: Bell) -> Self {
        Self { bytes: VecDeque::new(), bell }
    }

    /// Keeps `typed`.
    pub(super) fn extend(&mut self, typed: &[u8]) {
        self.bytes.extend(typed);
    }

    /// Whether there is enough.
    pub(super) fn is_enough(&self) -> bool {
        self.bytes.len() >= ENOUGH
    }

    pub(super) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// What was typed first, or as much of it as lies together.
    pub(super) fn first(&self) -> &[u8] {
        self.bytes.as_slices().0
    }

    /// Takes the first `count` bytes away, or all there are.
    pub(super) fn take(&mut self, count: usize) {
        let was_enough = self.is_enough();
        self.bytes.drain(..count.min(self.bytes.len()));
        if was_enough && !self.is_enough() {
            self.bell.ring();
        }
    }

    /// Takes the first byte.
    pub(super) fn pop(&mut self) -> Option<u8> {
        let first = self.bytes.front().copied();
        self.take(1);
        first
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_types_too_much_is_told_when_to_go_on() {
        let bell = Bell::new().unwrap();
        let mut typed = Typed::new(bell.clone());
        typed.extend(&[b'a'; ENOUGH - 1]);
        assert!(!typed.is_enough());
        typed.extend(b"bcd");
        assert!(typed.is_enough());
        typed.take(2);
        assert!(typed.is_enough() && !bell.was_rung());
        assert_eq!(typed.pop(), Some(b'a'));
        assert!(!typed.is_enough() && bell.was_rung());
        typed.take(usize::MAX);
        assert!(typed.is_empty() && typed.pop().is_none() && !bell.was_rung());
    }
}
