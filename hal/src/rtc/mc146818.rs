//! The PC's clock: Motorola MC146818 and its descendants, after the data sheet (MC146818A, 1984).
//!
//! Two byte registers reach 64 bytes or more: the first says which, the second is it. Numbers are
//! binary or decimal digits (BCD), hours count to 12 or to 24; register B says which. kvmtool's says
//! nothing of the kind: all its control registers but D are 0, which would mean 12 hours, and its
//! hours count to 24 all the same. So hours that only a clock of 24 has are taken for what they are;
//! and "12" in the first half of the day, on a clock that was never set up (register A: 0), is noon.

use super::civil::Civil;
use super::{Doubt, plausible};
use crate::mmio::Window;

/// The two registers.
const INDEX: usize = 0;
const DATA: usize = 1;

/// What the bytes are, by number.
const SECONDS: u8 = 0;
const MINUTES: u8 = 2;
const HOURS: u8 = 4;
const DAY: u8 = 7;
const MONTH: u8 = 8;
const YEAR: u8 = 9;
const A: u8 = 10;
const B: u8 = 11;
const D: u8 = 13;
/// Not the chip's, but where PCs, QEMU and kvmtool keep it (ACPI 6.5, section 5.2.9, `CENTURY`).
const CENTURY: u8 = 0x32;

/// Register A: an update is in progress, or begins within 244 µs.
const UPDATE_IN_PROGRESS: u8 = 1 << 7;
/// Register B: updates are held back; numbers are binary; hours count to 24.
const SET: u8 = 1 << 7;
const BINARY: u8 = 1 << 2;
const HOURS_24: u8 = 1 << 1;
/// Register D: neither time nor memory was lost.
const VALID: u8 = 1 << 7;
/// In an hour that counts to 12: the second half of the day.
const AFTERNOON: u8 = 1 << 7;

/// How often to look for a moment in which nothing is updated. Emulators show an update for 244 µs,
/// and a look is two exits to one, of some microseconds each: so many looks are longer than that, and
/// a chip that is stuck costs some milliseconds.
const LOOKS: u32 = 250;
/// How often to read all of it. The bytes change once a second, so the third time is the last that
/// could be needed.
const READINGS: u32 = 4;

/// An MC146818.
#[derive(Clone, Copy, Debug)]
pub struct Mc146818 {
    registers: Window,
}

/// What its bytes say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Bytes {
    second: u8,
    minute: u8,
    hour: u8,
    day: u8,
    month: u8,
    year: u8,
    century: u8,
}

impl Mc146818 {
    /// A clock, of which nothing is changed.
    #[must_use]
    pub const fn new(registers: Window) -> Self {
        Self { registers }
    }

    /// The date in nanoseconds since 1970-01-01 00:00:00 UTC, to a second. It is taken to keep UTC,
    /// as those of virtual machines do.
    ///
    /// # Errors
    /// Any [`Doubt`].
    pub fn date(self) -> Result<u64, Doubt> {
        let (a, b, d) = (self.byte(A), self.byte(B), self.byte(D));
        if d & VALID == 0 || b & SET != 0 {
            return Err(Doubt::Unreliable);
        }
        let mut last = None;
        let mut looks = 0..LOOKS;
        for _ in 0..READINGS {
            if !looks.any(|_| self.byte(A) & UPDATE_IN_PROGRESS == 0) {
                break;
            }
            // An update may have begun meanwhile, so twice the same is the proof that none has.
            let bytes = self.bytes();
            if last.replace(bytes) == Some(bytes) {
                return plausible(bytes.civil(a, b)?.seconds()?, 0);
            }
        }
        Err(Doubt::NeverStill)
    }

    fn byte(self, number: u8) -> u8 {
        self.registers.write8(INDEX, number);
        self.registers.read8(DATA)
    }

    fn bytes(self) -> Bytes {
        Bytes {
            second: self.byte(SECONDS),
            minute: self.byte(MINUTES),
            hour: self.byte(HOURS),
            day: self.byte(DAY),
            month: self.byte(MONTH),
            year: self.byte(YEAR),
            century: self.byte(CENTURY),
        }
    }
}

impl Bytes {
    /// What they mean, by the control registers A and B.
    fn civil(self, a: u8, b: u8) -> Result<Civil, Doubt> {
        let number = |byte: u8| match (b & BINARY, byte >> 4, byte & 0xf) {
            (0, tens @ 0..=9, ones @ 0..=9) => Ok(tens * 10 + ones),
            (0, ..) => Err(Doubt::NotADate),
            _ => Ok(byte),
        };
        let hour = if b & HOURS_24 != 0 {
            number(self.hour)?
        } else {
            match (self.hour & AFTERNOON != 0, number(self.hour & !AFTERNOON)?) {
                (true, hour @ 1..=12) => hour % 12 + 12,
                (true, _) => return Err(Doubt::NotADate),
                (false, 12) if a != 0 => 0,
                (false, hour) => hour,
            }
        };
        // Where nobody keeps the century there may be anything.
        let century = number(self.century).ok().filter(|century| matches!(century, 19..=21));
        let century = century.unwrap_or(20);
        let year = number(self.year)?;
        if year > 99 {
            return Err(Doubt::NotADate);
        }
        Ok(Civil {
            year: u16::from(century) * 100 + u16::from(year),
            month: number(self.month)?,
            day: number(self.day)?,
            hour,
            minute: number(self.minute)?,
            second: number(self.second)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake::bus::{Registers, Width, place};
    use crate::fake::clock::Mc146818 as Fake;
    use std::sync::{Arc, Mutex};
    use std::vec::Vec;

    /// 2026-07-31 23:59:58.
    const DECIMAL: [(u8, u8); 7] = [
        (SECONDS, 0x58),
        (MINUTES, 0x59),
        (HOURS, 0x23),
        (DAY, 0x31),
        (MONTH, 7),
        (YEAR, 0x26),
        (CENTURY, 0x20),
    ];
    const SECONDS_SINCE_1970: u64 = 1_785_542_398;

    /// The date on a chip with these bytes, and D valid.
    fn date(bytes: &[(u8, u8)]) -> Result<u64, Doubt> {
        let mut fake = Fake::default();
        fake.bytes[usize::from(D)] = VALID;
        bytes.iter().for_each(|(number, byte)| fake.bytes[usize::from(*number)] = *byte);
        let chip = Mc146818::new(place(&Arc::new(Mutex::new(fake)), 2));
        chip.date().map(|nanoseconds| nanoseconds / 1_000_000_000)
    }

    fn with(changes: &[(u8, u8)]) -> Vec<(u8, u8)> {
        DECIMAL.iter().chain(changes).copied().collect()
    }

    #[test]
    fn kvmtools_is_read() {
        assert_eq!(date(&DECIMAL), Ok(SECONDS_SINCE_1970));
        // Noon and midnight, though all its control registers are 0.
        for (hour, seconds) in [(0x12, 43_200), (0, 0), (0x11, 39_600), (0x13, 46_800)] {
            let at = with(&[(HOURS, hour), (MINUTES, 0), (SECONDS, 0)]);
            assert_eq!(date(&at), Ok(1_785_456_000 + seconds), "{hour:#x}");
        }
    }

    #[test]
    fn numbers_are_as_register_b_says() {
        let binary = [(B, BINARY | HOURS_24), (SECONDS, 58), (MINUTES, 59), (HOURS, 23)];
        let binary = with(&[&binary[..], &[(DAY, 31), (YEAR, 26), (CENTURY, 20)]].concat());
        assert_eq!(date(&binary), Ok(SECONDS_SINCE_1970));
        assert_eq!(date(&with(&[(B, HOURS_24)])), Ok(SECONDS_SINCE_1970));
        // On a chip that was set up, hours that count to 12.
        let minutes = [(A, 0x26), (MINUTES, 0), (SECONDS, 0)];
        for (hour, hours) in [(0x12, 0), (0x01, 1), (0x11, 11), (0x92, 12), (0x81, 13), (0x91, 23)]
        {
            let at = with(&[&minutes[..], &[(HOURS, hour)]].concat());
            assert_eq!(date(&at), Ok(1_785_456_000 + hours * 3600), "{hour:#x}");
        }
    }

    #[test]
    fn the_century_is_used_where_there_is_one() {
        assert_eq!(date(&with(&[(CENTURY, 0xff)])), Ok(SECONDS_SINCE_1970));
        assert_eq!(date(&with(&[(CENTURY, 0)])), Ok(SECONDS_SINCE_1970));
        let past = date(&with(&[(CENTURY, 0x19), (YEAR, 0x70)]));
        assert!(matches!(past, Err(Doubt::Implausible(_))), "{past:?}");
    }

    #[test]
    fn rubbish_is_no_date() {
        let of_one = |number, byte| date(&with(&[(number, byte)]));
        for (number, byte) in [
            (SECONDS, 0x5a),
            (SECONDS, 0x61),
            (MINUTES, 0x60),
            (MINUTES, 0xff),
            (HOURS, 0x24),
            (HOURS, 0x80),
            (HOURS, 0x93),
            (DAY, 0),
            (DAY, 0x32),
            (MONTH, 0),
            (MONTH, 0x13),
            (YEAR, 0xa0),
        ] {
            assert_eq!(of_one(number, byte), Err(Doubt::NotADate), "{number}: {byte:#x}");
        }
        assert_eq!(of_one(D, 0), Err(Doubt::Unreliable));
        assert_eq!(of_one(B, SET), Err(Doubt::Unreliable));
    }

    #[test]
    fn a_date_is_read_between_two_updates() {
        let fake = Arc::new(Mutex::new(Fake::default()));
        let chip = Mc146818::new(place(&fake, 2));
        let set = |bytes: &[(u8, u8)]| {
            let mut fake = fake.lock().expect("nobody panics with it");
            fake.bytes[usize::from(D)] = VALID;
            bytes.iter().for_each(|(number, byte)| fake.bytes[usize::from(*number)] = *byte);
        };
        set(&DECIMAL);
        // The minute's last second passes while the bytes are read for the first time.
        fake.lock().expect("as above").next =
            with(&[(SECONDS, 0), (MINUTES, 0), (HOURS, 0), (DAY, 1), (MONTH, 8)]);
        fake.lock().expect("as above").reads_until_next = 6;
        assert_eq!(chip.date(), Ok((SECONDS_SINCE_1970 + 2) * 1_000_000_000));
    }

    /// A chip that is stuck: it says so in register A, or its seconds run.
    #[derive(Debug)]
    struct Stuck {
        a: u8,
        index: u32,
        reads: u32,
    }

    impl Registers for Stuck {
        fn read(&mut self, _offset: usize, _width: Width) -> u32 {
            self.reads += 1;
            match u8::try_from(self.index).expect("a byte's number") {
                A => self.a.into(),
                D => VALID.into(),
                SECONDS => self.reads % 60,
                _ => 1,
            }
        }

        fn write(&mut self, _offset: usize, _width: Width, value: u32) {
            self.index = value;
        }
    }

    #[test]
    fn a_stuck_chip_is_given_up_soon() {
        for a in [UPDATE_IN_PROGRESS, 0] {
            let stuck = Arc::new(Mutex::new(Stuck { a, index: 0, reads: 0 }));
            assert_eq!(Mc146818::new(place(&stuck, 2)).date(), Err(Doubt::NeverStill), "{a:#x}");
            let reads = stuck.lock().expect("nobody panics with it").reads;
            assert!(reads < 300, "{a:#x}: read {reads} times, at two exits each");
        }
    }
}
