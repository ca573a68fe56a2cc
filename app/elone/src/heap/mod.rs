//! The application's heap.
//!
//! On the target it is talc over the ranges that the kernel gives at the start, all of them one
//! heap: its latency does not grow with what is live, and its memory is the application's alone.
//! On the developer's machine it is the standard library's.
//!
//! What guards its blocks is what the kernel says is in force: memory tags, where the core has them
//! ([`Protection::HeapTags`]); else checks in software ([`Protection::HeapChecks`]); else nothing.
//! What they find ends the application, with what and where in the report.
//!
//! [`Protection::HeapTags`]: elone_gate::Protection::HeapTags
//! [`Protection::HeapChecks`]: elone_gate::Protection::HeapChecks

/// How much heap there is and how much of it is in use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Bytes that live allocations asked for.
    pub allocated: usize,
    /// Bytes that are free, in pieces whose sizes this does not tell.
    pub free: usize,
}

/// Declares modules of the target's heap, which the host compiles to test them.
macro_rules! on_the_target {
    ($($name:ident)*) => { $(#[cfg(any(target_os = "none", test))] mod $name;)* };
}

on_the_target! { block checks guarded quarantine raw tags }

#[cfg(target_os = "none")]
mod target;
#[cfg(test)]
mod tests;

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
pub(crate) const fn claim(_: &elone_gate::Start) {}
