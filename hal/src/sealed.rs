//! What only the boot writes: read-only memory from the seal on, so that a stray or malicious write
//! faults wherever it comes from.
//!
//! A variable is put there by `#[unsafe(link_section = ".bss.ro_after_init")]`; what is written more
//! than once, or later, must not be.

use core::cell::UnsafeCell;

/// A value that the boot sets once.
#[derive(Debug)]
pub(crate) struct Sealed<T>(UnsafeCell<T>);

// SAFETY: it changes only before anybody shares it (`replace`).
unsafe impl<T: Sync> Sync for Sealed<T> {}

impl<T> Sealed<T> {
    pub(crate) const fn new(value: T) -> Self {
        Self(UnsafeCell::new(value))
    }

    pub(crate) const fn get(&self) -> &T {
        // SAFETY: whoever sets it does so while nobody holds this (`replace`).
        unsafe { &*self.0.get() }
    }

    /// Puts `value` in the place of the old one, which it returns.
    ///
    /// # Safety
    /// Nobody holds what [`get`](Self::get) gave, and no exception comes whose handler would ask for it.
    pub(crate) unsafe fn replace(&self, value: T) -> T {
        // SAFETY: the caller's promise.
        unsafe { self.0.get().replace(value) }
    }
}
