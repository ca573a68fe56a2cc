//! Memory that somebody outside writes at any time, and that is only read here: a hypervisor tells
//! things in it, without an exit and without being asked.
//!
//! It is memory and no device: the other side writes through its caches, so it is mapped as ordinary
//! memory (read-only), and its words are loaded as those that another core writes.

use core::fmt;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicU64, Ordering, fence};

/// A word, in bytes.
const WORD: usize = 8;

/// Some words of such memory, little-endian.
///
/// A handle: copying it copies no memory.
#[derive(Clone, Copy)]
pub struct Observed {
    base: NonNull<u8>,
    words: usize,
}

// SAFETY: an address; what is reached through it is loaded word by word, each indivisibly.
unsafe impl Send for Observed {}
// SAFETY: as above.
unsafe impl Sync for Observed {}

impl Observed {
    /// Describes memory: as many words as there are whole ones in `length` bytes.
    ///
    /// # Safety
    /// For the life of the program the memory is mapped readable, and nothing in this program holds
    /// a reference to any of it but by atomics; `base` is aligned to eight bytes.
    #[must_use]
    pub const unsafe fn new(base: NonNull<u8>, length: usize) -> Self {
        Self { base, words: length / WORD }
    }

    /// Memory of a test's own, which it may change at any time.
    #[cfg(not(target_os = "none"))]
    #[must_use]
    pub fn of(words: &'static [AtomicU64]) -> Self {
        let base = NonNull::from(words).cast();
        // SAFETY: readable for the life of the program, by atomics, which are aligned.
        unsafe { Self::new(base, size_of_val(words)) }
    }

    /// How many words there are.
    #[must_use]
    pub const fn words(self) -> usize {
        self.words
    }

    /// The word number `index` as it is at this moment, and all later loads after it; 0 behind the
    /// last, as where nobody answers on a bus.
    #[must_use]
    pub fn word(self, index: usize) -> u64 {
        if index >= self.words {
            return 0;
        }
        // SAFETY: below the number of words, so within the memory (`new`).
        let place = unsafe { self.base.cast::<AtomicU64>().add(index) };
        // SAFETY: readable for good, aligned, and only ever reached so (`new`).
        u64::from_le(unsafe { place.as_ref() }.load(Ordering::Acquire))
    }

    /// Some words from `first` on that belong together, by the sequence count in `count`: odd while
    /// the other side writes, and another one after that. `None` if it writes for as long as
    /// `patient` is asked.
    pub fn together<const COUNT: usize>(
        self,
        first: usize,
        count: impl Fn(Self) -> u32,
        mut patient: impl FnMut() -> bool,
    ) -> Option<[u64; COUNT]> {
        loop {
            let before = count(self);
            let words = core::array::from_fn(|index| self.word(first + index));
            fence(Ordering::Acquire);
            if before & 1 == 0 && count(self) == before {
                return Some(words);
            }
            if !patient() {
                return None;
            }
            core::hint::spin_loop();
        }
    }
}

impl fmt::Debug for Observed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Observed({:p}, {} words)", self.base, self.words)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use std::boxed::Box;
    use std::sync::Mutex;
    use std::sync::atomic::AtomicBool;
    use std::thread;
    use std::vec::Vec;

    /// Zeroed words, for good: and where whoever looks for lost memory finds them.
    pub(crate) fn memory<const COUNT: usize>() -> &'static [AtomicU64; COUNT] {
        static KEPT: Mutex<Vec<&[AtomicU64]>> = Mutex::new(Vec::new());
        let words = Box::leak(Box::new([const { AtomicU64::new(0) }; COUNT]));
        KEPT.lock().expect("no test fails while it holds this").push(words);
        words
    }

    #[test]
    fn a_word_is_what_is_there_now() {
        let memory = memory::<2>();
        let observed = Observed::of(memory);
        assert_eq!((observed.word(1), observed.word(2), observed.word(usize::MAX)), (0, 0, 0));
        memory[1].store(7, Ordering::Relaxed);
        assert_eq!(observed.word(1), 7);
    }

    #[test]
    #[expect(clippy::cast_possible_truncation, reason = "a count of 32 bits")]
    fn words_that_belong_together_are_read_together() {
        static END: AtomicBool = AtomicBool::new(false);
        let memory = memory::<4>();
        let writer = thread::spawn(|| {
            for round in 0.. {
                memory[0].store(2 * round + 1, Ordering::SeqCst);
                memory[1..].iter().for_each(|word| word.store(round, Ordering::SeqCst));
                memory[0].store(2 * round + 2, Ordering::SeqCst);
                if END.load(Ordering::Relaxed) {
                    break;
                }
                thread::yield_now();
            }
        });
        for _ in 0..200 {
            let together = Observed::of(memory).together(1, |all| all.word(0) as u32, || true);
            let [a, b, c] = together.expect("it ends writing");
            assert_eq!((a, b), (b, c));
        }
        END.store(true, Ordering::Relaxed);
        writer.join().expect("it ends");
        memory[0].store(1, Ordering::Relaxed);
        let mut looks = 0..5;
        let patient = || looks.next().is_some();
        let stuck = Observed::of(memory).together::<3>(1, |all| all.word(0) as u32, patient);
        assert_eq!((stuck, looks.next()), (None, None));
    }
}
