//! Stolen time: for how long the hypervisor let others run while this core could have run, told in
//! memory (Arm DEN0057A, "Paravirtualized Time for Arm-based systems", section 3.2.2).

use crate::observed::Observed;

/// The structure's length in bytes.
pub const LENGTH: u64 = 64;
/// Words: `revision` and `attributes`, both 0 in the one revision that there is; then the time.
const REVISION_AND_ATTRIBUTES: usize = 0;
const STOLEN_TIME: usize = 1;

/// Where the structure is, by the hypervisor's `answer` (section 3.2.2). `None` for an error, which
/// is negative, and for what is not aligned as it has to be. That is also what finds the errors of a
/// hypervisor that answers in 32 bits: -1 to -3. Their sign is not, as memory may be at 2 GiB.
#[must_use]
pub const fn address(answer: u64) -> Option<u64> {
    if answer.cast_signed() >= 0 && answer.is_multiple_of(LENGTH) { Some(answer) } else { None }
}

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
    use crate::observed::tests::memory;
    use std::sync::atomic::Ordering;

    #[test]
    fn an_error_is_no_address() {
        for place in [0x4000_0040, 0x8000_0000, 0xffff_ffc0, 0x80_8000_0000] {
            assert_eq!(address(place), Some(place), "{place:#x}");
        }
        for error in [-1_i32, -2, -3] {
            let (narrow, wide) = (error.cast_unsigned(), i64::from(error).cast_unsigned());
            assert_eq!((address(narrow.into()), address(wide)), (None, None), "{error}");
        }
        for crooked in [0x4000_0001, 0x4000_0008, 0x4000_0020, u64::MAX << 6] {
            assert_eq!(address(crooked), None, "{crooked:#x}");
        }
    }

    #[test]
    fn the_time_is_what_the_other_side_says() {
        let memory = memory::<8>();
        let stolen = StolenTime::new(Observed::of(memory)).expect("of revision 0");
        assert_eq!(stolen.nanoseconds(), 0);
        memory[1].store(1_234_567, Ordering::Relaxed);
        assert_eq!(stolen.nanoseconds(), 1_234_567);
        memory[0].store(1, Ordering::Relaxed);
        assert!(StolenTime::new(Observed::of(memory)).is_none(), "another revision");
        assert!(StolenTime::new(Observed::of(&memory[..1])).is_none(), "too short");
    }
}
