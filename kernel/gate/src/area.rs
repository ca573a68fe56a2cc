//! Memory that an application shares with a device, and the one place where it becomes a slice.
//!
//! Frames and blocks cross the gate without a copy: a device reads and writes the buffers of an
//! [`Area`], and a buffer belongs at any time to exactly one side. On the application's side that
//! ownership is a value, [`Buffer`], which is not `Clone`: it comes out of a claimed area or a
//! call that hands a buffer over, and goes into a call that hands it back.
#![expect(unsafe_code, reason = "the one place where memory shared with a device becomes a slice")]

use core::fmt;
use core::ops::{Deref, DerefMut};
use core::ptr::NonNull;

use crate::BufferId;

/// The buffers of one device: `count` of `size` bytes, one after the other.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Area {
    base: NonNull<u8>,
    count: u16,
    size: u16,
}

// SAFETY: an area is a description; what it describes is reached only through a `Buffer`.
unsafe impl Send for Area {}
// SAFETY: as above.
unsafe impl Sync for Area {}

impl Area {
    /// Describes an area. For the kernel, which answers for it: from `base` on, `count * size`
    /// bytes are mapped readable and writable for the life of the program, belong to this area
    /// alone, and each buffer is a device's or the application's, never both at a time.
    #[must_use]
    pub const fn new(base: NonNull<u8>, count: u16, size: u16) -> Self {
        Self { base, count, size }
    }

    /// Where the first buffer starts.
    #[must_use]
    pub const fn base(&self) -> NonNull<u8> {
        self.base
    }

    /// How many buffers there are.
    #[must_use]
    pub const fn count(&self) -> u16 {
        self.count
    }

    /// A buffer's size in bytes.
    #[must_use]
    pub const fn size(&self) -> u16 {
        self.size
    }

    /// Takes hold of a buffer that the gate has just handed over, holding `length` bytes.
    ///
    /// `None` for a buffer that does not exist, or a length over its size.
    ///
    /// # Safety
    /// The area must come from the gate's `device` call; the buffer must be the application's by
    /// the gate's word (at the claim all are), and no other `Buffer` may exist for it.
    #[must_use]
    pub unsafe fn take(&self, id: BufferId, length: u16) -> Option<Buffer> {
        if id.0 >= self.count || length > self.size {
            return None;
        }
        let offset = usize::from(id.0) * usize::from(self.size);
        // SAFETY: `id` is below `count`, so the offset stays within the area (the kernel's word, `new`).
        let start = unsafe { self.base.add(offset) };
        Some(Buffer { start, id, length, size: self.size })
    }
}

impl fmt::Debug for Area {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Area({:p}, {} × {} bytes)", self.base, self.count, self.size)
    }
}

/// A buffer that the application holds: its bytes, up to its length.
pub struct Buffer {
    start: NonNull<u8>,
    id: BufferId,
    length: u16,
    size: u16,
}

impl Buffer {
    /// The buffer's number, to name it to the kernel.
    #[must_use]
    pub const fn id(&self) -> BufferId {
        self.id
    }

    /// How many bytes could be in it.
    #[must_use]
    pub const fn capacity(&self) -> u16 {
        self.size
    }

    /// Makes it hold `length` bytes (what is new among them is what was there before), or all that
    /// it can hold where that is less.
    pub const fn set_length(&mut self, length: u16) {
        self.length = if length < self.size { length } else { self.size };
    }
}

impl Deref for Buffer {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: the bytes are mapped and initialised (the kernel's word, `Area::new`), this is their only owner
        // (`Area::take`), and `length` is at most `size`.
        unsafe { core::slice::from_raw_parts(self.start.as_ptr(), usize::from(self.length)) }
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: as in `deref`, and `self` is borrowed mutably.
        unsafe { core::slice::from_raw_parts_mut(self.start.as_ptr(), usize::from(self.length)) }
    }
}

impl fmt::Debug for Buffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Buffer({}, {} of {} bytes)", self.id.0, self.length, self.size)
    }
}
