//! From the counter's ticks to nanoseconds and back, without a division.

const SECOND: u64 = 1_000_000_000;

/// How the two are related.
///
/// Ticks become nanoseconds by a fraction that is cut off, and whoever may read the counter uses the
/// same one. So the way back is that fraction's inverse, and not the frequency: after a year they are
/// milliseconds apart, and an alarm would come when the time to wait for has not.
#[derive(Clone, Copy, Debug)]
pub struct Scale {
    /// Nanoseconds a tick, as a fraction of 2^32.
    nanoseconds: u64,
    /// Ticks a nanosecond, as a fraction of 2^64, rounded up.
    ticks: u128,
}

impl Scale {
    /// For a counter of `frequency` Hz; `None` for one that does not run, or runs at a rate that
    /// cannot be true. The architecture asks for 1 MHz to 1 GHz (Arm ARM, section D11.1); emulators
    /// and early firmware are given some room on both sides.
    #[must_use]
    pub fn of(frequency: u64) -> Option<Self> {
        if !(1_000..=16 * SECOND).contains(&frequency) {
            return None;
        }
        let nanoseconds = (SECOND << 32) / frequency;
        Some(Self { nanoseconds, ticks: inverse(nanoseconds) })
    }

    /// Nanoseconds a tick, as a fraction of 2^32.
    #[must_use]
    pub const fn fraction(self) -> u64 {
        self.nanoseconds
    }

    /// How long so many `ticks` take.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, reason = "wraps after centuries, as documented")]
    pub fn nanoseconds(self, ticks: u64) -> u64 {
        ((u128::from(ticks) * u128::from(self.nanoseconds)) >> 32) as u64
    }

    /// How many ticks take so many `nanoseconds`: as few as do, or one more, so that an alarm never
    /// comes early.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, reason = "saturates in the distant future")]
    pub fn ticks(self, nanoseconds: u64) -> u64 {
        const BELOW_1: u128 = u64::MAX as u128;
        let (whole, fraction) = (self.ticks >> 64, self.ticks & BELOW_1);
        let nanoseconds = u128::from(nanoseconds);
        let ticks = nanoseconds * whole + ((nanoseconds * fraction + BELOW_1) >> 64);
        ticks.min(u128::from(u64::MAX >> 1)) as u64
    }
}

/// 2^96 divided by `scale`, rounded up. A bit at a time: it is done once, and a division of this
/// width would be longer than all else here. What is left of each step is less than the scale, and
/// that is less than 2^52.
const fn inverse(scale: u64) -> u128 {
    let (mut quotient, mut left, mut bits) = (0, 1, 96);
    while bits > 0 {
        left <<= 1;
        quotient <<= 1;
        if left >= scale {
            left -= scale;
            quotient |= 1;
        }
        bits -= 1;
    }
    if left > 0 { quotient + 1 } else { quotient }
}

#[cfg(test)]
mod tests {
    use super::*;

    const YEAR: u64 = 366 * 24 * 3600 * SECOND;
    const FREQUENCIES: [u64; 9] = [
        1_000,
        1_000_000,
        24_000_000,
        54_000_000,
        62_500_000,
        999_999_937,
        1_000_000_000,
        1_050_000_000,
        16_000_000_000,
    ];

    fn scale(frequency: u64) -> Scale {
        Scale::of(frequency).expect("a rate that can be")
    }

    #[test]
    fn an_alarm_is_never_early_and_hardly_late() {
        for frequency in FREQUENCIES {
            let scale = scale(frequency);
            for start in [0, 1, SECOND, YEAR, 10 * YEAR] {
                for nanoseconds in (0..2_000).map(|step| start + step * 1_000_003) {
                    let ticks = scale.ticks(nanoseconds);
                    let then = scale.nanoseconds(ticks);
                    assert!(then >= nanoseconds, "{frequency} Hz: {nanoseconds}, early: {then}");
                    let before = scale.nanoseconds(ticks.saturating_sub(2));
                    let is_late = ticks >= 2 && before >= nanoseconds;
                    assert!(!is_late, "{frequency} Hz: {nanoseconds}, late: {before}");
                }
            }
        }
    }

    #[test]
    fn a_second_is_as_many_ticks_as_the_frequency_says() {
        for frequency in FREQUENCIES {
            let scale = scale(frequency);
            // To one part in 2^28, which is what the fastest counter's fraction is good for.
            let nanoseconds = scale.nanoseconds(frequency);
            assert!((SECOND - 4..=SECOND).contains(&nanoseconds), "{frequency}: {nanoseconds}");
            let ticks = scale.ticks(SECOND);
            let error = ticks.abs_diff(frequency);
            assert!(error <= 2 + frequency / (1 << 28), "{frequency} Hz: {ticks}");
        }
    }

    #[test]
    fn the_distant_future_is_not_the_past() {
        for frequency in FREQUENCIES {
            let furthest = scale(frequency).ticks(u64::MAX);
            assert!(furthest >= scale(frequency).ticks(10 * YEAR), "{frequency}: {furthest}");
            assert!(furthest <= u64::MAX >> 1, "{frequency}: {furthest}");
        }
    }

    #[test]
    fn no_counter_runs_at_such_rates() {
        for frequency in [0, 999, 16 * SECOND + 1, u64::MAX] {
            assert!(Scale::of(frequency).is_none(), "{frequency}");
        }
    }
}
