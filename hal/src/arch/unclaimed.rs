//! Memory that has a name and no owner yet: what is free to become a heap, a pool or a page.

use core::ptr::NonNull;

use super::places::places;
use crate::address::{PAGE, PhysicalAddress, PhysicalRange};

/// Free RAM, whole pages of it, mapped writable in the kernel's half, contiguous, and nobody's but
/// whoever holds this. It can be cut and joined, not copied: so what comes of it has one owner.
#[derive(Debug)]
pub struct Unclaimed {
    start: NonNull<u8>,
    physical: PhysicalRange,
}

// SAFETY: this is the only way to the memory.
unsafe impl Send for Unclaimed {}

impl Unclaimed {
    /// # Safety
    /// From `start` on `physical`, whole pages, is mapped writable for good, and there is no other
    /// way to it but what its holder makes of this value.
    pub(super) const unsafe fn new(start: NonNull<u8>, physical: PhysicalRange) -> Self {
        Self { start, physical }
    }

    /// Where the kernel sees it.
    #[must_use]
    pub fn start(&self) -> usize {
        self.start.addr().get()
    }

    /// How many bytes.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, reason = "what is mapped fits into addresses")]
    pub const fn length(&self) -> usize {
        self.physical.length() as usize
    }

    /// Where it lies.
    #[must_use]
    pub const fn physical(&self) -> PhysicalRange {
        self.physical
    }

    /// Cuts off the last `length` bytes; `None`, and nothing cut, if there are not so many, or they
    /// are not whole pages.
    #[must_use]
    pub fn cut(&mut self, length: usize) -> Option<Self> {
        if !length.is_multiple_of(PAGE) {
            return None;
        }
        let left = self.length().checked_sub(length)?;
        let PhysicalAddress(at) = self.physical.start();
        let rest = PhysicalRange::new(at + left as u64, length as u64)?;
        self.physical = PhysicalRange::new(at, left as u64)?;
        // SAFETY: `left` is at most the length, so this stays within the memory (`new`).
        let start = unsafe { self.start.add(left) };
        // SAFETY: a part of what `new` was told of, which `self` no longer names.
        Some(unsafe { Self::new(start, rest) })
    }

    /// Puts `next` behind this; gives it back if it does not follow.
    ///
    /// # Errors
    /// `next`, unchanged.
    pub fn join(&mut self, next: Self) -> Result<(), Self> {
        let follows = self.start() + self.length() == next.start()
            && self.physical.end() == next.physical.start();
        let length = self.physical.length() + next.physical.length();
        match PhysicalRange::new(self.physical.start().0, length) {
            Some(whole) if follows => {
                self.physical = whole;
                Ok(())
            }
            _ => Err(next),
        }
    }

    /// Whether it keeps the tags that a heap gives it; `None` where the core has none. A core may have
    /// tags, and a machine no memory for them; or an emulator one for a page (QEMU 7.2).
    pub fn keeps_tags(&mut self) -> Option<bool> {
        if !places().features.has_tags() || self.length() == 0 {
            return None;
        }
        // SAFETY: the core has tags, and lets EL1 use them; free RAM is mapped with them where it has,
        // and this is a page of it at least, which nobody uses yet.
        Some(unsafe { elone_memory::tags::are_kept(self.start.as_ptr()) })
    }

    /// Its bytes, whatever they are.
    pub fn bytes(&mut self) -> &mut [u8] {
        // SAFETY: mapped writable for good, and reached only through this value (`new`), which is
        // borrowed mutably; memory of the machine is initialised, by whoever had it before.
        unsafe { core::slice::from_raw_parts_mut(self.start.as_ptr(), self.length()) }
    }
}

/// Memory that an application may be shown. There is no way back: it never becomes a heap, a pool or
/// a table of the kernel's, so nothing that EL0 writes to it is taken for anything but bytes.
#[derive(Debug)]
pub struct UserMemory(Unclaimed);

impl From<Unclaimed> for UserMemory {
    fn from(memory: Unclaimed) -> Self {
        Self(memory)
    }
}

impl UserMemory {
    /// How many bytes: whole pages.
    #[must_use]
    pub const fn length(&self) -> usize {
        self.0.length()
    }

    /// Where it lies.
    #[must_use]
    pub const fn physical(&self) -> PhysicalRange {
        self.0.physical()
    }

    /// Its bytes, whatever they are; not to be held while the application runs.
    pub fn bytes(&mut self) -> &mut [u8] {
        self.0.bytes()
    }
}
