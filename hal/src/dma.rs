//! Memory that devices reach: one pool, claimed at boot, never given back.
//!
//! A device is told addresses only as [`DmaSpan`]s, and a span can be had only of a region or a
//! buffer of the pool: no driver can point a device at anything else.
//!
//! What both sides may change at any time is reached as atomics ([`Shared`]): a device is one more
//! thread, and not a trusted one. Everything is little-endian, as virtio 1.2, section 2.7 wants it.
//! Release stores and acquire loads become `stlr` and `ldar`, which order the accesses for every observer
//! of inner shareable memory, a hypervisor's threads included; what has to be ordered with accesses to
//! registers is by the transport's own barrier.

mod shared;

use core::fmt;
use core::ptr::NonNull;

use crate::address::{PAGE, PhysicalAddress};
pub use shared::Shared;

/// Why memory could not be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DmaError {
    /// The pool has no room left. Do without the device, or build with a larger pool.
    Exhausted,
    /// Asked for bytes that the region does not have: a mistake of the driver's.
    OutsideRegion,
    /// The device cannot address the memory. Do without the device, or place the pool lower.
    OutOfReach,
}

impl fmt::Display for DmaError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Exhausted => "no memory left for devices",
            Self::OutsideRegion => "outside of the region",
            Self::OutOfReach => "the device cannot address the memory",
        })
    }
}

impl core::error::Error for DmaError {}

/// The memory from which all drivers take theirs, front to back.
pub struct DmaPool {
    base: NonNull<u8>,
    physical: PhysicalAddress,
    length: usize,
    taken: usize,
}

// SAFETY: the pool is the only owner of what it has not yet given out.
unsafe impl Send for DmaPool {}

impl DmaPool {
    /// Makes a pool of `length` bytes that the processor sees at `base`, a device at `physical`.
    ///
    /// # Safety
    /// For the life of the program the range is mapped as normal, writable, inner shareable memory
    /// that is coherent with the devices, physically contiguous, and nothing else's. `base` and
    /// `physical` are aligned to a page.
    #[must_use]
    pub const unsafe fn new(base: NonNull<u8>, physical: PhysicalAddress, length: usize) -> Self {
        Self { base, physical, length, taken: 0 }
    }

    /// How many bytes are still to be had, alignment not counted.
    #[must_use]
    pub const fn left(&self) -> usize {
        self.length - self.taken
    }

    /// Takes `length` bytes, all zero, whose physical address is a multiple of `align`.
    ///
    /// # Errors
    /// [`DmaError::Exhausted`], with nothing taken.
    pub fn take(&mut self, length: usize, align: usize) -> Result<DmaRegion, DmaError> {
        let region = self.take_as_it_is(length, align)?;
        // SAFETY: the region is `length` writable bytes (`new`), and nobody else's yet.
        unsafe { region.base.write_bytes(0, length) };
        Ok(region)
    }

    /// Takes `count` buffers of `size` bytes, one after the other, on pages of their own. They hold
    /// what the memory held: clearing them would cost more instructions than all the rest of a probe.
    ///
    /// # Errors
    /// [`DmaError::Exhausted`], with nothing taken.
    pub fn take_buffers(&mut self, count: u16, size: u16) -> Result<DmaBuffers, DmaError> {
        let length = usize::from(count) * usize::from(size);
        let pages = length.next_multiple_of(PAGE);
        let DmaRegion { base, physical, .. } = self.take_as_it_is(pages, PAGE)?;
        Ok(DmaBuffers { base, physical, count, size })
    }

    fn take_as_it_is(&mut self, length: usize, align: usize) -> Result<DmaRegion, DmaError> {
        let align = align.max(size_of::<u64>()) as u64;
        let end = self.physical.0 + self.taken as u64;
        let skip = end.checked_next_multiple_of(align).ok_or(DmaError::Exhausted)? - end;
        let skip = usize::try_from(skip).map_err(|_| DmaError::Exhausted)?;
        let start = self.taken.checked_add(skip).ok_or(DmaError::Exhausted)?;
        let taken = start.checked_add(length).ok_or(DmaError::Exhausted)?;
        if taken > self.length {
            return Err(DmaError::Exhausted);
        }
        self.taken = taken;
        // SAFETY: `start` is at most `length`, so this stays within the range of `new`.
        let base = unsafe { self.base.add(start) };
        Ok(DmaRegion { base, physical: PhysicalAddress(self.physical.0 + start as u64), length })
    }
}

impl fmt::Debug for DmaPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DmaPool({}, {} of {} bytes taken)", self.physical, self.taken, self.length)
    }
}

/// Some bytes as a device is told of them: address and length. Made only from the pool's memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DmaSpan {
    address: PhysicalAddress,
    length: u32,
}

impl DmaSpan {
    /// Where it starts.
    #[must_use]
    pub const fn address(&self) -> PhysicalAddress {
        self.address
    }

    /// How many bytes.
    #[must_use]
    pub const fn length(&self) -> u32 {
        self.length
    }
}

/// Memory of a driver and its device. Both may touch it at any time, so it is reached as words.
pub struct DmaRegion {
    base: NonNull<u8>,
    physical: PhysicalAddress,
    length: usize,
}

// SAFETY: a region's bytes are its own, and all its accesses are atomic.
unsafe impl Send for DmaRegion {}

impl DmaRegion {
    /// The first byte's address, as a device sees it.
    #[must_use]
    pub const fn physical(&self) -> PhysicalAddress {
        self.physical
    }

    /// How many bytes.
    #[must_use]
    pub const fn length(&self) -> usize {
        self.length
    }

    /// The address of the byte at `offset`, as a device sees it; `None` outside of the region.
    #[must_use]
    pub const fn physical_of(&self, offset: usize) -> Option<PhysicalAddress> {
        if offset < self.length {
            Some(PhysicalAddress(self.physical.0 + offset as u64))
        } else {
            None
        }
    }

    /// `length` bytes from `offset` on, to tell a device of.
    ///
    /// # Errors
    /// [`DmaError::OutsideRegion`].
    pub fn span(&self, offset: usize, length: u32) -> Result<DmaSpan, DmaError> {
        self.holds(offset, usize::try_from(length).map_err(|_| DmaError::OutsideRegion)?)?;
        Ok(DmaSpan { address: PhysicalAddress(self.physical.0 + offset as u64), length })
    }

    /// Sees to it that what was written is in memory, for a device that reads past the caches; what
    /// such a device writes is not seen here. Nothing stored earlier comes after it.
    pub fn clean(&self) {
        #[cfg(target_os = "none")]
        // SAFETY: the region is mapped as normal memory for good (`DmaPool::new`).
        unsafe {
            crate::arch::caches::clean(self.base, self.length);
        }
        #[cfg(not(target_os = "none"))]
        crate::fake::memory::clean(self.physical.0, self.length);
    }

    fn holds(&self, offset: usize, length: usize) -> Result<(), DmaError> {
        match offset.checked_add(length) {
            Some(end) if end <= self.length => Ok(()),
            _ => Err(DmaError::OutsideRegion),
        }
    }
}

impl fmt::Debug for DmaRegion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DmaRegion({}, {} bytes)", self.physical, self.length)
    }
}

/// Buffers that belong to the device or to somebody else in turn; a driver never looks into them.
pub struct DmaBuffers {
    base: NonNull<u8>,
    physical: PhysicalAddress,
    count: u16,
    size: u16,
}

// SAFETY: the buffers' bytes are reached by nobody through this.
unsafe impl Send for DmaBuffers {}

impl DmaBuffers {
    /// Where the processor sees the first buffer; the others follow.
    #[must_use]
    pub const fn base(&self) -> NonNull<u8> {
        self.base
    }

    /// Where they lie, as a device sees them: whole pages, nobody else's.
    #[must_use]
    pub const fn physical(&self) -> PhysicalAddress {
        self.physical
    }

    /// How many bytes all of them have.
    #[must_use]
    pub const fn length(&self) -> usize {
        self.count as usize * self.size as usize
    }

    /// How many there are.
    #[must_use]
    pub const fn count(&self) -> u16 {
        self.count
    }

    /// The size of each, in bytes.
    #[must_use]
    pub const fn size(&self) -> u16 {
        self.size
    }

    /// The first `length` bytes of a buffer, to tell a device of; `None` where there are not so many.
    #[inline]
    #[must_use]
    pub fn span(&self, buffer: u16, length: u16) -> Option<DmaSpan> {
        if buffer >= self.count || length > self.size {
            return None;
        }
        let address = self.physical.0 + u64::from(buffer) * u64::from(self.size);
        Some(DmaSpan { address: PhysicalAddress(address), length: u32::from(length) })
    }
}

impl fmt::Debug for DmaBuffers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DmaBuffers({}, {} × {} bytes)", self.physical, self.count, self.size)
    }
}
