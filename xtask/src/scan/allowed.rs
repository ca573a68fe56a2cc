//! What the scan lets be, each with the reason.

/// Which program it is that was linked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// Kernel and application as one.
    Joined,
    /// The kernel around a contained application.
    Kernel,
    /// A contained application.
    Application,
}

/// An instruction that may be there.
#[derive(Clone, Copy, Debug)]
pub(super) struct Allowed {
    pub(super) part: Part,
    /// The function that holds it.
    pub(super) symbol: &'static str,
    /// As it is reported.
    pub(super) instruction: &'static str,
    /// How often, at most.
    pub(super) count: usize,
}

/// The space that EL0 sees is laid out anew at each life of an application, and the core must not
/// go by what was there before. Forgetting translations permits nothing that the tables do not.
pub(super) const INSTRUCTIONS: &[Allowed] = &[Allowed {
    part: Part::Kernel,
    symbol: "<elone_hal::arch::space::UserSpace>::clear",
    instruction: "tlbi vmalle1",
    count: 1,
}];

/// Programs that hold what is forbidden on purpose, to see it fail at EL0. In the kernel around them
/// it is refused all the same.
pub(super) const ON_PURPOSE: &[&str] = &["attack", "el0_reaches_nothing"];

/// A way from code that stays into code that is gone once the machine is sealed: how the names of
/// both functions begin.
pub(super) type Way = (&'static str, &'static str);

/// The boot's list, which ends with the seal, and stays to run the application; and the seal, most of
/// which is gone when it returns.
pub(super) const WAYS: &[Way] = &[
    ("__elone_start", ""),
    ("elone_kernel::boot::", ""),
    ("elone_hal::arch::seal::seal", "elone_hal::arch::seal::prepare"),
];
