//! Device registers: a window of them, reached by exactly one load or store an access.
//!
//! The compiler may turn a volatile access into a load with write-back, a pair or a vector
//! register; the processor then reports no syndrome to the hypervisor (ISV = 0), which cannot
//! emulate the device and kills the machine. So an access here is inline assembly with a plain base
//! register. On the host it goes to a fake device instead ([`crate::fake::bus`]), which is how the
//! real drivers are tested.

use core::fmt;
use core::ptr::NonNull;

#[cfg(target_os = "none")]
mod lent;
#[cfg(target_os = "none")]
mod single;

use crate::attempt::Absent;
#[cfg(not(target_os = "none"))]
use crate::fake::bus as single;

/// Registers: of one device, or of several beside each other, of which each gets its [part](Self::part).
///
/// A handle: copying it copies no register. Several may exist for one device, as for an interrupt
/// handler that acknowledges what a driver elsewhere serves.
///
/// Offsets are the drivers' constants, the length is the device tree's word. Where the two
/// disagree (an access outside the window or not aligned to its width), the access does not
/// happen: it reads as 0, and a write is dropped, as a bus does where nobody answers. That costs a
/// compare beside an access of a microsecond, and cannot take the machine down as a panic would.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Window {
    base: NonNull<u8>,
    length: usize,
}

// SAFETY: a window is an address; what is reached through it is shared by nature, and each access
// is one indivisible load or store.
unsafe impl Send for Window {}
// SAFETY: as above.
unsafe impl Sync for Window {}

impl Window {
    /// Describes registers, `length` bytes from `base` on.
    ///
    /// # Safety
    /// For the life of the program the range is mapped as device memory, nothing in it is memory that
    /// references lead to (registers are there, or nothing), and `base` is aligned to four bytes. On
    /// the host `base` is only a name for a fake device and nothing is asked of it.
    #[must_use]
    pub const unsafe fn new(base: NonNull<u8>, length: usize) -> Self {
        Self { base, length }
    }

    /// Where the registers are, for a driver that brings accessors of its own.
    #[must_use]
    pub const fn base(self) -> NonNull<u8> {
        self.base
    }

    /// How many bytes of registers there are.
    #[must_use]
    pub const fn length(self) -> usize {
        self.length
    }

    /// The `length` bytes from `offset` on as a window of their own, for devices that share a page.
    ///
    /// `None` where they do not all lie in this window, or `offset` is no multiple of four.
    #[must_use]
    pub fn part(self, offset: usize, length: usize) -> Option<Self> {
        let end = offset.checked_add(length)?;
        if end > self.length || !offset.is_multiple_of(4) {
            return None;
        }
        Some(Self { base: self.at(offset), length })
    }

    /// The address at `offset`, which is at most the length. It is a number to be put on the bus,
    /// not a place in any object of the compiler's.
    #[inline]
    fn at(self, offset: usize) -> NonNull<u8> {
        self.base.map_addr(|address| address.saturating_add(offset))
    }

    /// Where a register of `BYTES` bytes is; `None` if there can be none.
    #[inline]
    fn register<const BYTES: usize>(self, offset: usize) -> Option<NonNull<u8>> {
        if !offset.is_multiple_of(BYTES) || offset.checked_add(BYTES)? > self.length {
            return None;
        }
        Some(self.at(offset))
    }
}

/// Writes the pair of accessors for each width.
macro_rules! accessors {
    ($($width:literal $type:ty: $read:ident $write:ident;)*) => {
        impl Window {
            $(
                #[doc = concat!("Reads the ", $width, "-bit register at `offset` (bytes).")]
                #[inline]
                #[must_use]
                pub fn $read(self, offset: usize) -> $type {
                    match self.register::<{ size_of::<$type>() }>(offset) {
                        // SAFETY: `register` found it in the window and aligned.
                        Some(register) => unsafe { single::$read(register) },
                        None => 0,
                    }
                }

                #[doc = concat!("Writes the ", $width, "-bit register at `offset` (bytes).")]
                #[inline]
                pub fn $write(self, offset: usize, value: $type) {
                    if let Some(register) = self.register::<{ size_of::<$type>() }>(offset) {
                        // SAFETY: `register` found it in the window and aligned.
                        unsafe { single::$write(register, value) };
                    }
                }
            )*
        }
    };
}

accessors! {
    "8" u8: read8 write8;
    "16" u16: read16 write16;
    "32" u32: read32 write32;
    "64" u64: read64 write64;
}

/// Writes the accessor for each width in which a device is looked at first.
macro_rules! attempts {
    ($($width:literal $type:ty: $attempt:ident;)*) => {
        impl Window {
            $(
                #[doc = concat!("Reads the ", $width, "-bit register at `offset` (bytes) of a device")]
                /// that may not be there. Only while no other exception is handled.
                ///
                /// # Errors
                /// [`Absent`]: an external abort, or `offset` is none of a register.
                pub fn $attempt(self, offset: usize) -> Result<$type, Absent> {
                    let register = self.register::<{ size_of::<$type>() }>(offset).ok_or(Absent)?;
                    // SAFETY: `register` found it in the window and aligned.
                    unsafe { single::$attempt(register) }
                }
            )*
        }
    };
}

attempts! {
    "8" u8: attempt8;
    "32" u32: attempt32;
}

impl fmt::Debug for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Window({:p}, {:#x} bytes)", self.base, self.length)
    }
}
