//! Memory that a device may change at any time, reached as atomics.

use core::ptr::NonNull;
use core::sync::atomic::{AtomicU8, AtomicU16, AtomicU32, AtomicU64, Ordering};

use super::{DmaError, DmaRegion};

/// Words in a region that the device may change at any time, and does not always change honestly.
///
/// An index past the end loads 0 and stores nowhere: indices are the driver's own and masked, so
/// that is only the belt to their braces.
#[derive(Clone, Copy, Debug)]
pub struct Shared<Word> {
    start: NonNull<Word>,
    count: usize,
}

// SAFETY: what is reached through it are atomics.
unsafe impl<Word: Sync> Send for Shared<Word> {}
// SAFETY: as above.
unsafe impl<Word: Sync> Sync for Shared<Word> {}

impl<Word> Shared<Word> {
    #[inline]
    fn word(&self, index: usize) -> Option<&Word> {
        if index >= self.count {
            return None;
        }
        // SAFETY: `words*` found `count` words from `start` on in a region.
        let word = unsafe { self.start.add(index) };
        // SAFETY: aligned, initialised, mapped for the life of the program and reached by nobody
        // but as an atomic (`DmaPool::new`, `words*`).
        Some(unsafe { word.as_ref() })
    }
}

/// Writes the accessors for one width.
macro_rules! shared {
    ($($atomic:ident $word:ident $view:ident;)*) => {$(
        impl Shared<$atomic> {
            /// Loads the word at `index`, in no order with other accesses.
            #[inline]
            #[must_use]
            pub fn load(&self, index: usize) -> $word {
                self.word(index).map_or(0, |word| $word::from_le(word.load(Ordering::Relaxed)))
            }

            /// Loads the word at `index` before every later load and store.
            #[inline]
            #[must_use]
            pub fn load_acquire(&self, index: usize) -> $word {
                self.word(index).map_or(0, |word| $word::from_le(word.load(Ordering::Acquire)))
            }

            /// Stores the word at `index`, in no order with other accesses.
            #[inline]
            pub fn store(&self, index: usize, value: $word) {
                if let Some(word) = self.word(index) {
                    word.store(value.to_le(), Ordering::Relaxed);
                }
            }

            /// Stores 0 in all words, in no order with other accesses.
            pub fn clear(&self) {
                for index in 0..self.count {
                    self.store(index, 0);
                }
            }

            /// Stores the word at `index` after every earlier load and store.
            #[inline]
            pub fn store_release(&self, index: usize, value: $word) {
                if let Some(word) = self.word(index) {
                    word.store(value.to_le(), Ordering::Release);
                }
            }
        }

        impl DmaRegion {
            #[doc = concat!("`count` words of type `", stringify!($word), "` from `offset` (bytes) on.")]
            ///
            /// # Errors
            /// [`DmaError::OutsideRegion`], also for an offset that is not aligned to the word.
            pub fn $view(&self, offset: usize, count: usize) -> Result<Shared<$atomic>, DmaError> {
                let bytes = count.checked_mul(size_of::<$word>()).ok_or(DmaError::OutsideRegion)?;
                self.holds(offset, bytes)?;
                // SAFETY: the offset lies in the region.
                let start = unsafe { self.base.add(offset) }.cast::<$atomic>();
                if !start.is_aligned() {
                    return Err(DmaError::OutsideRegion);
                }
                Ok(Shared { start, count })
            }
        }
    )*};
}

impl Shared<AtomicU8> {
    /// Stores `bytes` from the start on. What does not fit is not stored.
    pub fn write(&self, bytes: &[u8]) {
        for (index, &byte) in bytes.iter().enumerate() {
            self.store(index, byte);
        }
    }

    /// Loads from the start on into all of `bytes`. What is past the end is 0.
    pub fn read(&self, bytes: &mut [u8]) {
        for (index, byte) in bytes.iter_mut().enumerate() {
            *byte = self.load(index);
        }
    }
}

shared! {
    AtomicU8 u8 words8;
    AtomicU16 u16 words16;
    AtomicU32 u32 words32;
    AtomicU64 u64 words64;
}
