//! The PC's clock, MC146818: two bytes, the index of a register and that register.

use std::time::SystemTime;

use crate::bus::Device;

/// Registers (the part's data sheet, table 3); those of alarms are memory like any other.
const SECONDS: u8 = 0;
const MINUTES: u8 = 2;
const HOURS: u8 = 4;
const DAY_OF_WEEK: u8 = 6;
const DAY_OF_MONTH: u8 = 7;
const MONTH: u8 = 8;
const YEAR: u8 = 9;
const REGISTER_A: u8 = 10;
const REGISTER_B: u8 = 11;
const REGISTER_D: u8 = 13;
/// What PCs have where the century is.
const CENTURY: u8 = 50;
/// Register A: the divider of a 32,768 Hz crystal, and no update in progress.
const DIVIDER: u8 = 0x20;
/// Register B: hours count to 24. Numbers are decimal, a digit each four bits.
const DAY_OF_24_HOURS: u8 = 0x02;
/// Register D: the battery is good.
const VALID: u8 = 0x80;

/// The clock. It shows the host's time, whatever is written to it.
#[derive(Debug, Default)]
pub struct Mc146818 {
    index: u8,
}

impl Mc146818 {
    fn register(&self, now: u64) -> u8 {
        let date = Date::of(now);
        let decimal = |number: u64| u8::try_from(number / 10 % 10 * 16 + number % 10).unwrap_or(0);
        match self.index {
            SECONDS => decimal(now % 60),
            MINUTES => decimal(now / 60 % 60),
            HOURS => decimal(now / 3600 % 24),
            DAY_OF_WEEK => decimal((now / 86_400 + 4) % 7 + 1),
            DAY_OF_MONTH => decimal(date.day),
            MONTH => decimal(date.month),
            YEAR => decimal(date.year % 100),
            CENTURY => decimal(date.year / 100),
            REGISTER_A => DIVIDER,
            REGISTER_B => DAY_OF_24_HOURS,
            REGISTER_D => VALID,
            // Register C: no interrupt is pending.
            _ => 0,
        }
    }
}

impl Device for Mc146818 {
    fn read(&mut self, offset: u64, data: &mut [u8]) {
        let now = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default().as_secs();
        match (offset, data) {
            (0, [index]) => *index = self.index,
            (1, [register]) => *register = self.register(now),
            _ => {}
        }
    }

    fn write(&mut self, offset: u64, data: &[u8]) {
        if let (0, [index]) = (offset, data) {
            self.index = index & 0x7f; // the highest bit masks a PC's NMI
        }
    }
}

/// A day of the Gregorian calendar.
#[derive(Debug, PartialEq, Eq)]
struct Date {
    year: u64,
    month: u64,
    day: u64,
}

impl Date {
    /// The day in which the second `since_1970` is. Counted in eras of 400 years that begin on the
    /// first of March, so that the odd day of a leap year is the last.
    fn of(since_1970: u64) -> Self {
        let days = since_1970 / 86_400 + 719_468; // since 0000-03-01
        let (era, day) = (days / 146_097, days % 146_097);
        let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
        let day = day - (365 * year + year / 4 - year / 100);
        let month = (5 * day + 2) / 153; // 0 is March
        let january = u64::from(month >= 10);
        Self {
            year: era * 400 + year + january,
            month: month + 3 - 12 * january,
            day: day - (153 * month + 2) / 5 + 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_have_their_names() {
        for (second, year, month, day) in [
            (0, 1970, 1, 1),
            (951_782_400, 2000, 2, 29),
            (1_709_164_799, 2024, 2, 28),
            (1_709_251_200, 2024, 3, 1),
            (4_107_542_399, 2100, 2, 28),
            (4_107_542_400, 2100, 3, 1),
        ] {
            assert_eq!(Date::of(second), Date { year, month, day });
        }
    }

    #[test]
    fn registers_are_decimal() {
        let at = |index| Mc146818 { index }.register(1_763_843_949); // 2025-11-22 20:39:09
        let now = [CENTURY, YEAR, MONTH, DAY_OF_MONTH, HOURS, MINUTES, SECONDS].map(at);
        assert_eq!(now, [0x20, 0x25, 0x11, 0x22, 0x20, 0x39, 0x09]);
        assert_eq!(at(DAY_OF_WEEK), 7, "a Saturday");
        assert_eq!([REGISTER_A, REGISTER_B, REGISTER_D].map(at), [DIVIDER, DAY_OF_24_HOURS, VALID]);
    }
}
