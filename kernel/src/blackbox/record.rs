//! What the black box holds, as bytes: counts, the times of the latest faults, the latest report.
//!
//! The bytes come from memory that may hold anything, or from a disk that was written while the
//! power failed. Either they are exactly what was written, or they are nothing: a checksum covers
//! all of them. So a write that was torn loses the counts as well as the report; nothing is
//! salvaged from it.
//!
//! Numbers are little-endian:
//!
//! | bytes | what |
//! |---|---|
//! | 8 | `ELONEBOX` |
//! | 4 | the layout's version, 1 |
//! | 4 | how many bytes there are in all |
//! | 4 | CRC-32 (ISO-HDLC) of all bytes but these four |
//! | 4, 4, 4 | boots, faults, restarts |
//! | 4 | how many times of faults follow, at most 16 |
//! | 24 each | the boot's number (4), 1 if there is a date (4), uptime in ms (8), date in ms (8) |
//! | 4 | the report's length |
//! | … | the report, in UTF-8 |

use crate::policy::{History, Moment};
use crate::report::TEXT;

const MAGIC: [u8; 8] = *b"ELONEBOX";
const VERSION: u32 = 1;
/// Where the checksum stands.
const CHECKSUM: usize = 16;
const MOMENT: usize = 24;

/// How many bytes a record can have.
pub const RECORD: usize = 40 + History::CAPACITY * MOMENT + TEXT;

/// What is remembered of faults, apart from the report.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Account {
    /// How often the machine was booted, this time included. Counts of a box stop at the end of
    /// their range.
    pub boots: u32,
    /// How many faults were reported.
    pub faults: u32,
    /// How often something was started again because of one.
    pub restarts: u32,
    /// When the latest ones were.
    pub history: History,
}

impl Account {
    /// Of a machine that nobody has seen before.
    pub const NEW: Self = Self { boots: 0, faults: 0, restarts: 0, history: History::NEW };
}

/// Writes a record down. Returns how many bytes it took; `None` if there was not enough room, and
/// then there is no record in `bytes`.
pub fn encode(account: &Account, report: &str, bytes: &mut [u8]) -> Option<usize> {
    let mut writer = Writer { bytes, length: 0 };
    writer.raw(&[0; 8])?; // what is half written has no magic number
    writer.number(VERSION)?;
    writer.number(0)?;
    writer.number(0)?;
    writer.number(account.boots)?;
    writer.number(account.faults)?;
    writer.number(account.restarts)?;
    writer.number(u32::try_from(account.history.iter().len()).ok()?)?;
    for Moment { boot, uptime, date } in account.history.iter() {
        writer.number(boot)?;
        writer.number(date.is_some().into())?;
        writer.raw(&uptime.to_le_bytes())?;
        writer.raw(&date.unwrap_or(0).to_le_bytes())?;
    }
    writer.number(u32::try_from(report.len()).ok()?)?;
    writer.raw(report.as_bytes())?;

    let Writer { bytes, length } = writer;
    let record = bytes.get_mut(..length)?;
    let size = u32::try_from(length).ok()?.to_le_bytes();
    let (head, rest) = record.split_at_mut_checked(CHECKSUM)?;
    head.get_mut(12..)?.copy_from_slice(&size);
    head.get_mut(..8)?.copy_from_slice(&MAGIC);
    let sum = checksum(head, rest.get(4..)?).to_le_bytes();
    rest.get_mut(..4)?.copy_from_slice(&sum);
    Some(length)
}

/// Reads the record at the start of `bytes`; `None` if there is none, or not a whole one.
#[must_use]
pub fn decode(bytes: &[u8]) -> Option<(Account, &str)> {
    let mut reader = Reader(bytes);
    (reader.raw(8)? == MAGIC && reader.number()? == VERSION).then_some(())?;
    let record = bytes.get(..usize::try_from(reader.number()?).ok()?)?;
    let (head, rest) = record.split_at_checked(CHECKSUM)?;
    let (sum, body) = rest.split_first_chunk()?;
    (u32::from_le_bytes(*sum) == checksum(head, body)).then_some(())?;

    let mut reader = Reader(body);
    let (boots, faults, restarts) = (reader.number()?, reader.number()?, reader.number()?);
    let mut history = History::default();
    for _ in 0..reader.number()? {
        let (boot, has_date) = (reader.number()?, reader.number()?);
        let (uptime, date) = (reader.wide()?, reader.wide()?);
        history.push(Moment { boot, uptime, date: (has_date != 0).then_some(date) });
    }
    let length = usize::try_from(reader.number()?).ok()?;
    let report = core::str::from_utf8(reader.raw(length)?).ok()?;
    reader.0.is_empty().then_some((Account { boots, faults, restarts, history }, report))
}

fn checksum(head: &[u8], body: &[u8]) -> u32 {
    !head.iter().chain(body).fold(!0, |sum, byte| half(half(sum ^ u32::from(*byte))))
}

/// Takes half a byte into a CRC-32, which is reflected: low bits first. So a table of 64 bytes does,
/// where one for whole bytes takes 1 KiB.
fn half(sum: u32) -> u32 {
    static AFTER: [u32; 16] = {
        let mut after = [0; 16];
        let mut bits = 0;
        while bits < 16 {
            let (mut sum, mut bit) = (bits, 0);
            while bit < 4 {
                sum = (sum >> 1) ^ ((sum & 1) * 0xedb8_8320);
                bit += 1;
            }
            after[bits as usize] = sum;
            bits += 1;
        }
        after
    };
    AFTER[(sum & 0xf) as usize] ^ sum >> 4
}

struct Writer<'a> {
    bytes: &'a mut [u8],
    length: usize,
}

impl Writer<'_> {
    fn raw(&mut self, bytes: &[u8]) -> Option<()> {
        let end = self.length.checked_add(bytes.len())?;
        self.bytes.get_mut(self.length..end)?.copy_from_slice(bytes);
        self.length = end;
        Some(())
    }

    fn number(&mut self, number: u32) -> Option<()> {
        self.raw(&number.to_le_bytes())
    }
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn raw(&mut self, length: usize) -> Option<&'a [u8]> {
        let (bytes, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(bytes)
    }

    fn number(&mut self) -> Option<u32> {
        Some(u32::from_le_bytes(self.raw(4)?.try_into().ok()?))
    }

    fn wide(&mut self) -> Option<u64> {
        Some(u64::from_le_bytes(self.raw(8)?.try_into().ok()?))
    }
}

#[cfg(test)]
mod tests {
    use crc::{CRC_32_ISO_HDLC, Crc};
    use rand_chacha::ChaCha8Rng;
    use rand_core::{RngCore, SeedableRng};

    use super::*;

    static CRC: Crc<u32> = Crc::<u32>::new(&CRC_32_ISO_HDLC);

    fn account() -> Account {
        let mut history = History::default();
        history.push(Moment { boot: 1, uptime: u64::MAX, date: Some(5) });
        history.push(Moment { boot: 2, uptime: 7, date: None });
        Account { boots: 3, faults: u32::MAX, restarts: 1, history }
    }

    const REPORT: &str = "FAULT class=hang\n  é\nEND FAULT\n";

    fn encoded(account: &Account, report: &str) -> Vec<u8> {
        let mut bytes = vec![0xee; RECORD];
        let length = encode(account, report, &mut bytes).expect("there is room");
        bytes.truncate(length);
        bytes
    }

    #[test]
    fn what_was_written_is_read() {
        let mut full = account();
        for uptime in 0..100 {
            full.history.push(Moment { boot: 9, uptime, date: Some(uptime) });
        }
        let longest = "x".repeat(TEXT);
        for (account, report) in
            [(account(), REPORT), (Account::default(), ""), (full.clone(), &longest)]
        {
            let mut bytes = encoded(&account, report);
            assert_eq!(decode(&bytes), Some((account.clone(), report)));
            bytes.extend([0xee; 100]); // what is behind it does not matter
            assert_eq!(decode(&bytes), Some((account, report)));
        }
        assert_eq!(encoded(&full, &longest).len(), RECORD);
    }

    #[test]
    fn a_record_has_its_layout() {
        let bytes = encoded(&Account { boots: 1, ..Account::default() }, "hi");
        assert_eq!(bytes.len(), 42);
        assert_eq!(&bytes[..16], b"ELONEBOX\x01\0\0\0\x2a\0\0\0");
        assert_eq!(&bytes[20..], b"\x01\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x02\0\0\0hi");
        let checked: Vec<u8> = bytes[..16].iter().chain(&bytes[20..]).copied().collect();
        assert_eq!(bytes[16..20], CRC.checksum(&checked).to_le_bytes());
        assert_eq!(checksum(b"1234", b"56789"), 0xcbf4_3926, "the one that everybody has");
    }

    #[test]
    fn every_corrupted_byte_is_noticed() {
        let bytes = encoded(&account(), REPORT);
        for place in 0..bytes.len() {
            for bits in 1..=255 {
                let mut bad = bytes.clone();
                bad[place] ^= bits;
                assert_eq!(decode(&bad), None, "byte {place} changed by {bits:#x}");
            }
        }
    }

    #[test]
    fn what_is_cut_is_nothing_and_what_does_not_fit_is_not_written() {
        let whole = encoded(&account(), REPORT);
        for length in 0..whole.len() {
            assert_eq!(decode(&whole[..length]), None, "cut to {length}");
            let mut room = vec![0; length];
            assert_eq!(encode(&account(), REPORT, &mut room), None);
            assert_eq!(decode(&room), None);
        }
    }

    #[test]
    fn a_torn_write_is_noticed() {
        let old = encoded(&account(), &"the old one ".repeat(200));
        let new = encoded(&Account { boots: 4, ..account() }, &"the new one ".repeat(150));
        for place in 1..new.len() {
            let torn: Vec<u8> = new[..place].iter().chain(&old[place..]).copied().collect();
            // Where the bytes that follow are the same, it is whole; else it is nothing.
            let read = decode(&torn);
            assert!(read.is_none() || torn == old || torn[..new.len()] == new[..], "at {place}");
        }
    }

    #[test]
    fn another_version_is_nothing() {
        let mut bytes = encoded(&account(), REPORT);
        bytes[8] = 2;
        let sum = checksum(&bytes[..16], &bytes[20..]).to_le_bytes();
        bytes[16..20].copy_from_slice(&sum);
        assert_eq!(decode(&bytes), None);
    }

    #[test]
    fn lengths_that_lie_are_nothing_even_if_the_sum_is_right() {
        let whole = encoded(&account(), REPORT);
        for place in [12, 32, 84] {
            for value in [0, 1, 15, 16, 19, 20, 31, 33, 0xffff, u32::MAX] {
                let mut bytes = whole.clone();
                if bytes[place..place + 4] == value.to_le_bytes() {
                    continue;
                }
                bytes[place..place + 4].copy_from_slice(&value.to_le_bytes());
                let sum = checksum(&bytes[..16], &bytes[20..]).to_le_bytes();
                bytes[16..20].copy_from_slice(&sum);
                assert_eq!(decode(&bytes), None, "{value} at {place}");
            }
        }
    }

    #[test]
    fn no_bytes_make_it_panic() {
        let mut random = ChaCha8Rng::seed_from_u64(3);
        let whole = encoded(&account(), REPORT);
        for _ in 0..100_000 {
            let mut bytes = whole.clone();
            for _ in 0..1 + random.next_u32() % 8 {
                let place = random.next_u32() as usize % bytes.len();
                bytes[place] = random.next_u32().to_le_bytes()[0];
            }
            bytes.truncate(random.next_u32() as usize % (bytes.len() + 1));
            if bytes.len() >= 20 {
                let end = bytes.len().min(usize::from(bytes[12]));
                if end >= 20 {
                    let sum = checksum(&bytes[..16], &bytes[20..end]).to_le_bytes();
                    bytes[16..20].copy_from_slice(&sum);
                }
            }
            let _ = decode(&bytes);
        }
    }
}
