//! The hypervisor's clock in memory: vmclock (compatible `amazon,vmclock`), as Linux's
//! `include/uapi/linux/vmclock-abi.h` and the VMClock specification have it.
//!
//! It says what the date was when the counter was at some value, and how long a tick takes; so the
//! date is had without an exit. And it says, by two numbers that are never the same again, that the
//! counter or the whole machine is not where it was: after a live migration, or a restore from a
//! snapshot. Some monitors (Firecracker) offer it for those alone, and keep no date in it.

use super::{Doubt, SECOND, plausible};
use crate::observed::Observed;

/// `VCLK`.
const MAGIC: u32 = 0x4b4c_4356;
const VERSION: u16 = 1;
/// The structure up to where the date ends, and with the generation counter, in bytes.
pub(super) const LENGTH: usize = 104;
const WITH_GENERATION: usize = 112;

// Words by their place in the structure, in eighths.
const MAGIC_AND_SIZE: usize = 0;
/// `version`, `counter_id`, `time_type` and `seq_count`.
const KIND: usize = 1;
const DISRUPTION_MARKER: usize = 2;
const FLAGS: usize = 3;
/// From `FLAGS` to `time_frac_sec`.
const VARYING: usize = 8;
const GENERATION_COUNTER: usize = 13;

/// The counter is the Arm architecture's virtual one.
const COUNTER_ARM_VIRTUAL: u8 = 0;
/// What the time is. The others are no date, or nobody knows which.
const TIME_UTC: u8 = 0;
const TIME_TAI: u8 = 1;
/// The date is kept, well or by the oscillator alone.
const SYNCHRONIZED: u8 = 2;
const FREE_RUNNING: u8 = 3;
/// `tai_offset_sec` is right.
const TAI_OFFSET_VALID: u64 = 1 << 0;

/// The generation counter is another one after every restore; without this it may not even be kept.
const GENERATION_COUNTER_PRESENT: u64 = 1 << 8;

/// How often to look again while the hypervisor writes.
const LOOKS: u32 = 10_000;

/// A vmclock.
#[derive(Clone, Copy, Debug)]
pub struct VmClock {
    memory: Observed,
    time_type: u8,
    counter: u8,
}

/// What is another one after the machine was disrupted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Marks {
    disruption: u64,
    generation: u64,
}

impl VmClock {
    /// The clock that is said to be in `memory`.
    ///
    /// # Errors
    /// [`Doubt::Malformed`].
    #[expect(clippy::cast_possible_truncation, reason = "fields, cut out")]
    pub fn new(memory: Observed) -> Result<Self, Doubt> {
        let head = memory.word(MAGIC_AND_SIZE);
        let (magic, size) = (head as u32, (head >> 32) as usize);
        let [v0, v1, counter, time_type, ..] = memory.word(KIND).to_le_bytes();
        let length = 8 * memory.words();
        if magic != MAGIC || u16::from_le_bytes([v0, v1]) != VERSION {
            return Err(Doubt::Malformed);
        }
        if size < LENGTH || length < LENGTH {
            return Err(Doubt::Malformed);
        }
        Ok(Self { memory, time_type, counter })
    }

    /// What is another one after the machine was disrupted. At any time: they are looked at one by
    /// one, and any change of either counts.
    #[must_use]
    pub fn marks(self) -> Marks {
        let has_generation = self.memory.word(MAGIC_AND_SIZE) >> 32 >= WITH_GENERATION as u64;
        Marks {
            disruption: self.memory.word(DISRUPTION_MARKER),
            generation: if has_generation { self.memory.word(GENERATION_COUNTER) } else { 0 },
        }
    }

    /// Whether the marks are promised to be others after every restore.
    #[must_use]
    pub fn tells_of_restores(self) -> bool {
        self.memory.word(FLAGS) & GENERATION_COUNTER_PRESENT != 0
    }

    /// The date in nanoseconds since 1970-01-01 00:00:00 UTC when the virtual counter is at `ticks`.
    ///
    /// # Errors
    /// [`Doubt::Unreliable`], [`Doubt::NeverStill`], [`Doubt::Implausible`].
    pub fn date(self, ticks: u64) -> Result<u64, Doubt> {
        let mut looks = 0..LOOKS;
        let count = |memory: Observed| {
            let [.., a, b, c, d] = memory.word(KIND).to_le_bytes();
            u32::from_le_bytes([a, b, c, d])
        };
        let words = self.memory.together(FLAGS, count, || looks.next().is_some());
        self.at(ticks, words.ok_or(Doubt::NeverStill)?)
    }

    /// What the words from the flags on say.
    #[expect(clippy::cast_possible_truncation, reason = "whole seconds and less than one, cut out")]
    fn at(self, ticks: u64, words: [u64; VARYING]) -> Result<u64, Doubt> {
        let [flags, status, counter, period, _, _, seconds, fraction] = words;
        let [_, _, status, _, tai_low, tai_high, _, shift] = status.to_le_bytes();
        if self.counter != COUNTER_ARM_VIRTUAL || !matches!(status, SYNCHRONIZED | FREE_RUNNING) {
            return Err(Doubt::Unreliable);
        }
        let leap_seconds = match self.time_type {
            TIME_UTC => 0,
            TIME_TAI if flags & TAI_OFFSET_VALID != 0 => i16::from_le_bytes([tai_low, tai_high]),
            _ => return Err(Doubt::Unreliable),
        };
        // In 2^-64 s. The counter may stand before the value that was noted: then so does the time.
        let passed = |ticks: u64| {
            let product = u128::from(ticks) * u128::from(period);
            product.checked_shr(shift.into()).unwrap_or(0)
        };
        let since = ticks.wrapping_sub(counter).cast_signed();
        let then = u128::from(seconds) << 64 | u128::from(fraction);
        let now = match since {
            0.. => then.checked_add(passed(since.unsigned_abs())),
            _ => then.checked_sub(passed(since.unsigned_abs())),
        };
        let now = now.ok_or(Doubt::Unreliable)?;
        let seconds = ((now >> 64) as u64).checked_add_signed(-i64::from(leap_seconds));
        let nanoseconds = (u128::from(now as u64) * u128::from(SECOND)) >> 64;
        plausible(seconds.ok_or(Doubt::Unreliable)?, nanoseconds as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observed::tests::memory;
    use std::sync::atomic::{AtomicU64, Ordering};

    /// A clock that says 2026-07-31 00:00:00.5 at 1,000 ticks of 62.5 MHz.
    const SECONDS: u64 = 1_785_456_000;

    struct Page(&'static [AtomicU64; 14]);

    impl Page {
        fn new() -> Self {
            let page = Self(memory());
            page.set(MAGIC_AND_SIZE, u64::from(MAGIC) | 0x1000 << 32);
            page.set(KIND, u64::from(VERSION));
            page.set(4, u64::from(SYNCHRONIZED) << 16 | 37 << 32 | 8 << 56);
            page.set(5, 1_000);
            // A tick is 16 ns, here in 2^-72 s.
            page.set(6, 75_557_863_725_914);
            page.set(9, SECONDS);
            page.set(10, 1 << 63);
            page
        }

        fn set(&self, word: usize, value: u64) {
            self.0[word].store(value, Ordering::Relaxed);
        }

        fn clock(&self) -> Result<VmClock, Doubt> {
            VmClock::new(Observed::of(self.0))
        }

        fn date(&self, ticks: u64) -> Result<u64, Doubt> {
            self.clock()?.date(ticks)
        }
    }

    #[test]
    fn the_date_goes_on_with_the_counter() {
        let page = Page::new();
        let then = SECONDS * SECOND + 500_000_000;
        assert_eq!(page.date(1_000), Ok(then));
        for (ticks, nanoseconds) in [(62_500_000, 1_000_000_000), (1 << 40, 16 << 40)] {
            let date = page.date(1_000 + ticks).expect("a date");
            // The period is rounded down, by less than 2^-72 s.
            assert!(date.abs_diff(then + nanoseconds) <= 1 + (ticks >> 40), "{ticks}: {date}");
        }
        let before = page.date(500).expect("a date");
        assert!(before.abs_diff(then - 8_000) <= 1, "{before}");
    }

    #[test]
    fn atomic_time_is_ahead_by_the_leap_seconds() {
        let page = Page::new();
        page.set(KIND, u64::from(VERSION) | u64::from(TIME_TAI) << 24);
        assert_eq!(page.date(1_000), Err(Doubt::Unreliable));
        page.set(FLAGS, TAI_OFFSET_VALID);
        assert_eq!(page.date(1_000), Ok((SECONDS - 37) * SECOND + 500_000_000));
    }

    #[test]
    fn what_is_no_vmclock_is_refused() {
        for (word, value) in [
            (MAGIC_AND_SIZE, 0),
            (MAGIC_AND_SIZE, u64::from(MAGIC) | 103 << 32),
            (MAGIC_AND_SIZE, u64::from(MAGIC + 1) | 0x1000 << 32),
            (KIND, 2),
            (KIND, 0),
        ] {
            let page = Page::new();
            page.set(word, value);
            assert_eq!(page.clock().map(drop), Err(Doubt::Malformed), "{word}: {value:#x}");
        }
        let short: &'static [AtomicU64] = &Page::new().0[..12];
        assert_eq!(VmClock::new(Observed::of(short)).map(drop), Err(Doubt::Malformed));
    }

    #[test]
    fn a_clock_without_a_date_says_so() {
        let refused = |word, value| {
            let page = Page::new();
            page.set(word, value);
            page.date(1_000).expect_err("no date")
        };
        for status in [0, 1, 4, 255] {
            assert_eq!(refused(4, status << 16), Doubt::Unreliable);
        }
        for kind in [1_u64 << 16, 0xff << 16, 2 << 24, 3 << 24, 4 << 24, 0xff << 24] {
            assert_eq!(refused(KIND, u64::from(VERSION) | kind), Doubt::Unreliable);
        }
        assert_eq!(refused(9, 0), Doubt::Implausible(0));
        assert_eq!(refused(9, u64::MAX), Doubt::Implausible(u64::MAX));
    }

    #[test]
    #[cfg_attr(miri, ignore = "10,000 looks")]
    fn a_clock_that_is_never_still_is_given_up() {
        let page = Page::new();
        page.set(KIND, u64::from(VERSION) | 1 << 32);
        assert_eq!(page.date(1_000), Err(Doubt::NeverStill));
    }

    /// Whatever is in the memory, it is answered.
    #[test]
    fn hostile_words_do_no_harm() {
        let mut state = 1_u64;
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            match state >> 61 {
                0 => u64::MAX,
                1 => 0,
                _ => state.rotate_left(17),
            }
        };
        let page = Page::new();
        for _ in 0..if cfg!(miri) { 200 } else { 20_000 } {
            for word in FLAGS..=GENERATION_COUNTER {
                page.set(word, next());
            }
            // A clock that is believed, whatever else it says.
            page.set(4, next() & !0xff_0000 | u64::from(SYNCHRONIZED) << 16);
            let date = page.date(next());
            assert!(date.is_err() || date.is_ok_and(|date| plausible(date / SECOND, 0).is_ok()));
        }
    }

    #[test]
    fn a_disruption_leaves_other_marks() {
        for word in [DISRUPTION_MARKER, GENERATION_COUNTER] {
            let page = Page::new();
            let clock = page.clock().expect("a clock");
            let marks = clock.marks();
            assert_eq!(clock.marks(), marks);
            page.set(word, 1);
            assert_ne!(clock.marks(), marks);
        }
        // A structure that ends before the generation counter has none.
        let page = Page::new();
        page.set(MAGIC_AND_SIZE, u64::from(MAGIC) | 104 << 32);
        let marks = page.clock().expect("a clock").marks();
        page.set(GENERATION_COUNTER, 1);
        assert_eq!(page.clock().expect("a clock").marks(), marks);
    }
}
