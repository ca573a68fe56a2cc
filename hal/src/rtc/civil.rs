//! The calendar.

use super::Doubt;

/// A date and a time of day (UTC), as a clock's registers have them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Civil {
    pub(super) year: u16,
    /// 1 to 12.
    pub(super) month: u8,
    /// From 1 on.
    pub(super) day: u8,
    pub(super) hour: u8,
    pub(super) minute: u8,
    pub(super) second: u8,
}

impl Civil {
    /// Seconds since 1970-01-01 00:00:00. A leap second is the one before it.
    ///
    /// # Errors
    /// [`Doubt::NotADate`] for what is in no calendar, or before 1970.
    pub(super) fn seconds(self) -> Result<u64, Doubt> {
        let Self { year, month, day, hour, minute, second } = self;
        let is_a_date = year >= 1970 && (1..=days_in(year, month)).contains(&day);
        if !is_a_date || hour > 23 || minute > 59 || second > 60 {
            return Err(Doubt::NotADate);
        }
        let years = u64::from(year - 1970);
        // Leap days from 1970 to before this year: 477 are up to 1969.
        let before = u64::from(year - 1);
        let leap_days = before / 4 - before / 100 + before / 400 - 477;
        let months: u64 = (1..month).map(|month| u64::from(days_in(year, month))).sum();
        let days = years * 365 + leap_days + months + u64::from(day - 1);
        let minutes = (days * 24 + u64::from(hour)) * 60 + u64::from(minute);
        Ok(minutes * 60 + u64::from(second.min(59)))
    }
}

/// How many days a month has; 0 for one that there is not.
const fn days_in(year: u16, month: u8) -> u8 {
    let is_leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    match month {
        2 if is_leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(year: u16, month: u8, day: u8, [hour, minute, second]: [u8; 3]) -> Result<u64, Doubt> {
        Civil { year, month, day, hour, minute, second }.seconds()
    }

    #[test]
    fn dates_are_seconds() {
        // By `date -u -d ... +%s`.
        assert_eq!(at(1970, 1, 1, [0; 3]), Ok(0));
        assert_eq!(at(2000, 2, 29, [12, 0, 0]), Ok(951_825_600));
        assert_eq!(at(2020, 1, 1, [0; 3]), Ok(1_577_836_800));
        assert_eq!(at(2024, 12, 31, [23, 59, 59]), Ok(1_735_689_599));
        assert_eq!(at(2100, 3, 1, [0; 3]), Ok(4_107_542_400));
        assert_eq!(at(2016, 12, 31, [23, 59, 60]), at(2016, 12, 31, [23, 59, 59]));
    }

    #[test]
    fn every_day_follows_the_one_before() {
        let mut last = None;
        for year in if cfg!(miri) { 1996..2002 } else { 1970..2400 } {
            for month in 1..=12 {
                for day in 1..=days_in(year, month) {
                    let now = at(year, month, day, [0; 3]).expect("a date");
                    assert!(last.is_none_or(|last| now == last + 86_400), "{year}-{month}-{day}");
                    last = Some(now);
                }
            }
        }
    }

    #[test]
    fn what_is_in_no_calendar_is_no_date() {
        for (year, month, day, time) in [
            (1969, 12, 31, [0; 3]),
            (2026, 0, 1, [0; 3]),
            (2026, 13, 1, [0; 3]),
            (2026, 1, 0, [0; 3]),
            (2026, 2, 29, [0; 3]),
            (2100, 2, 29, [0; 3]),
            (2026, 4, 31, [0; 3]),
            (2026, 1, 1, [24, 0, 0]),
            (2026, 1, 1, [0, 60, 0]),
            (2026, 1, 1, [0, 0, 61]),
            (u16::MAX, 255, 255, [255; 3]),
        ] {
            assert_eq!(at(year, month, day, time), Err(Doubt::NotADate));
        }
    }
}
