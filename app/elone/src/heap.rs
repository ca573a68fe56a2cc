//! The application's heap.
//!
//! On the target it is talc over the ranges that the kernel gives at the start, all of them one
//! heap: its latency does not grow with what is live, and its memory is the application's alone.
//! On the developer's machine it is the standard library's.

/// How much heap there is and how much of it is in use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Bytes that live allocations asked for.
    pub allocated: usize,
    /// Bytes that are free, in pieces whose sizes this does not tell.
    pub free: usize,
}

#[cfg(target_os = "none")]
pub(crate) use target::claim;
#[cfg(target_os = "none")]
pub use target::usage;

/// What is in use. On the developer's machine that is not known, and 0.
#[cfg(not(target_os = "none"))]
#[must_use]
pub fn usage() -> Usage {
    Usage::default()
}

#[cfg(not(target_os = "none"))]
pub(crate) const fn claim(_: &[elone_gate::MemoryRange]) {}

#[cfg(target_os = "none")]
mod target {
    #![expect(
        unsafe_code,
        reason = "the allocator takes over memory that the kernel gave by address"
    )]

    use elone_gate::MemoryRange;
    use talc::lock_api::{GuardSend, RawMutex};
    use talc::{TalcLock, source::Manual};

    use super::Usage;

    #[global_allocator]
    static HEAP: TalcLock<NoContention, Manual> = TalcLock::new(Manual);

    /// A lock that is always free, since nobody could hold it.
    struct NoContention;

    // SAFETY: the lock must never be held twice. The application is one thread of execution (gate,
    // crate docs), and the allocator calls nobody while it holds the lock.
    unsafe impl RawMutex for NoContention {
        const INIT: Self = Self;
        type GuardMarker = GuardSend;

        fn lock(&self) {}

        fn try_lock(&self) -> bool {
            true
        }

        unsafe fn unlock(&self) {}
    }

    /// Gives the kernel's ranges to the heap. One that is too small to be of use is left out.
    pub(crate) fn claim(ranges: &[MemoryRange]) {
        for range in ranges {
            let base = core::ptr::with_exposed_provenance_mut(range.start);
            // SAFETY: the range is mapped, writable and the application's alone for its life (`Start::heap`),
            // and nothing else in the application names it.
            let _ = unsafe { HEAP.lock().claim(base, range.length) };
        }
    }

    /// What is in use.
    #[must_use]
    pub fn usage() -> Usage {
        let heap = HEAP.lock();
        let counters = heap.counters();
        Usage { allocated: counters.allocated_bytes, free: counters.available_bytes }
    }
}
