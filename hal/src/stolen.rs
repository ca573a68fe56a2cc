//! Stolen time: for how long the hypervisor let others run while this core could have run, told in
//! memory (Arm DEN0057A, "Paravirtualized Time for Arm-based systems", section 3.2.2).

use crate::observed::Observed;

/// The structure's length in bytes.
pub const LENGTH: u64 = 64;
/// Words: `revision` and `attributes`, both 0 in the one revision that there is; then the time.
const REVISION_AND_ATTRIBUTES: usize = 0;
const STOLEN_TIME: usize = 1;

/// The structure of one core.
#[derive(Clone, Copy, Debug)]
pub struct StolenTime {
    memory: Observed,
}

impl StolenTime {
    /// The structure in `memory`; `None` where it is not one that is known.
    #[must_use]
    pub fn new(memory: Observed) -> Option<Self> {
        let is_known = memory.words() > STOLEN_TIME && memory.word(REVISION_AND_ATTRIBUTES) == 0;
        is_known.then_some(Self { memory })
    }

    /// How long it was in all, in nanoseconds.
    #[must_use]
    pub fn nanoseconds(self) -> u64 {
        self.memory.word(STOLEN_TIME)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::boxed::Box;
    use std::sync::atomic::{AtomicU64, Ordering};

    #[test]
    fn the_time_is_what_the_other_side_says() {
        let memory: &'static [AtomicU64; 8] = Box::leak(Box::new([const { AtomicU64::new(0) }; 8]));
        let stolen = StolenTime::new(Observed::of(memory)).expect("of revision 0");
        assert_eq!(stolen.nanoseconds(), 0);
        memory[1].store(1_234_567, Ordering::Relaxed);
        assert_eq!(stolen.nanoseconds(), 1_234_567);
        memory[0].store(1, Ordering::Relaxed);
        assert!(StolenTime::new(Observed::of(memory)).is_none(), "another revision");
        assert!(StolenTime::new(Observed::of(&memory[..1])).is_none(), "too short");
    }
}
