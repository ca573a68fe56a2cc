//! Records of the black box: in memory that may hold anything, whatever its checksum says.

use crc::{CRC_32_ISO_HDLC, Crc};
use elone_kernel::blackbox::record::{self, Account, RECORD};
use elone_kernel::policy::{History, Moment};

use super::bytes::Bytes;

/// Where the checksum stands, by the record's documentation.
const CHECKSUM: usize = 16;

/// Takes `bytes` for a record, or for what to make one of and what to make wrong in it; whether it
/// could be read.
pub(crate) fn check(bytes: &[u8]) -> bool {
    let mut bytes = Bytes(bytes);
    match bytes.byte() % 16 {
        0 => look(bytes.0),
        _ => look(&made_wrong(&mut bytes)),
    }
}

fn made_wrong(bytes: &mut Bytes<'_>) -> Vec<u8> {
    let mut history = History::default();
    for _ in 0..bytes.below(20) {
        let date = bytes.coin().then(|| bytes.long());
        history.push(Moment { boot: bytes.byte().into(), uptime: bytes.byte().into(), date });
    }
    let number = |bytes: &mut Bytes<'_>| bytes.long() as u32;
    let (boots, faults, restarts) = (number(bytes), number(bytes), number(bytes));
    let report = "é\n".repeat(bytes.byte().into());
    let mut written = vec![0; RECORD];
    let account = Account { boots, faults, restarts, history };
    let length = record::encode(&account, &report, &mut written).expect("there is room");
    written.truncate(length);
    bytes.damage(&mut written);
    if bytes.coin() {
        put_right(&mut written);
    }
    written
}

/// Gives a record that was damaged the length and the checksum that it should have.
fn put_right(record: &mut [u8]) {
    let crc = Crc::<u32>::new(&CRC_32_ISO_HDLC);
    let length = (record.len() as u32).to_le_bytes();
    let Some((head, rest)) = record.split_at_mut_checked(CHECKSUM) else { return };
    let Some((sum, body)) = rest.split_at_mut_checked(4) else { return };
    head[12..].copy_from_slice(&length);
    let mut digest = crc.digest();
    digest.update(head);
    digest.update(body);
    sum.copy_from_slice(&digest.finalize().to_le_bytes());
}

/// What is read can be written, into the room that a record has, and is then read alike.
fn look(bytes: &[u8]) -> bool {
    let Some((account, report)) = record::decode(bytes) else { return false };
    assert!(account.history.iter().len() <= History::CAPACITY);
    let mut again = vec![0xee; RECORD.max(bytes.len())];
    let length = record::encode(&account, report, &mut again).expect("no longer than it was");
    // There was nothing else in it.
    assert_eq!(bytes[12..16], (length as u32).to_le_bytes());
    assert_eq!(record::decode(&again), Some((account, report)));
    true
}
