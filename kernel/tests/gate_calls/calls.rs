//! Calls in registers, and the memory that they name: decoded as the gate says, and found exactly
//! where a second reckoning, in numbers that cannot overflow, finds it.

use elone_gate::Error;
use elone_gate::abi::{Alleged, Arguments, BATCH, Call};
use elone_kernel::allegation::{Access, REGIONS, Regions};

use super::bytes::Bytes;

/// What became of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Outcome {
    /// It is no call.
    Refused,
    /// It is one, and names no memory.
    NamesNothing,
    /// All that it names is the caller's.
    Found,
    /// Something that it names is not.
    NotTheirs,
}

/// How many words each call has, by its number.
const WORDS: [usize; Call::COUNT as usize] = [1, 0, 0, 1, 2, 2, 2, 2, 5, 5, 5, 3, 2, 0, 3];

/// A caller's memory, twice: as the kernel knows it, and as ranges that nothing is left out of.
#[derive(Default)]
struct Memory {
    regions: Regions,
    ranges: Vec<(u128, u128, Access)>,
}

/// Takes `bytes` for a caller's regions, and what it has in its registers.
pub(crate) fn check(bytes: &[u8]) -> Outcome {
    let mut bytes = Bytes(bytes);
    let (memory, edges) = memory(&mut bytes);
    let number = match bytes.byte() % 16 {
        0 => bytes.long(),
        _ => u64::from(bytes.byte()) % (Call::COUNT + 1),
    };
    let arguments = match bytes.byte() % 4 {
        0 => std::array::from_fn(|_| bytes.number(&edges)),
        _ => plausible(number, &mut bytes, &edges),
    };

    let decoded = Call::decode(number, arguments);
    assert_eq!(decoded.err(), refusal(number, arguments), "{number} {arguments:x?}");
    // Whatever it is as a call, any words could be a list of anything, or a frame's record.
    let [address, count, size, ..] = arguments;
    for access in [Access::Read, Access::Write] {
        memory.check(Alleged { address, count }, size, access);
        memory.check(Alleged { address, count }, 1, access);
    }
    let found = memory.regions.record(address);
    assert_eq!(found.is_ok(), address % 16 == 0 && memory.has(address, 16, Access::Read));
    assert!(
        found.is_ok_and(|found| (found.address(), found.length()) == (address, 16))
            || found.is_err()
    );

    let Ok(call) = decoded else { return Outcome::Refused };
    round_trip(call, number, arguments);
    let lists = lists(call);
    if lists.is_empty() {
        return Outcome::NamesNothing;
    }
    let all = lists.iter().all(|&(list, size, access)| memory.check(list, size, access));
    if all { Outcome::Found } else { Outcome::NotTheirs }
}

/// A few regions, side by side or apart, and where they begin and end.
fn memory(bytes: &mut Bytes<'_>) -> (Memory, Vec<u64>) {
    let (mut memory, mut edges) = (Memory::default(), Vec::new());
    for _ in 0..bytes.below(5) {
        let start = match bytes.byte() % 4 {
            0 => bytes.number(&edges),
            1 => edges.last().copied().unwrap_or(0),
            _ => u64::from(bytes.byte()) << 12,
        };
        let length = match bytes.byte() % 4 {
            0 => bytes.number(&edges),
            _ => u64::from(bytes.byte()) * 16,
        };
        let access = [Access::Read, Access::Write][bytes.below(2)];
        if memory.add(start, length, access) {
            edges.extend([start, start + length]);
        }
    }
    (memory, edges)
}

/// Words as an application could have them that is almost right.
fn plausible(number: u64, bytes: &mut Bytes<'_>, edges: &[u64]) -> Arguments {
    let place = |bytes: &mut Bytes<'_>| {
        let edge = edges.get(bytes.below(edges.len().max(1))).copied().unwrap_or(0);
        edge.wrapping_add_signed((bytes.byte().cast_signed() / 8).into())
    };
    let mut words = [0; 6];
    match number {
        4..=6 | 12 => words[..2].copy_from_slice(&[place(bytes), bytes.byte().into()]),
        8 | 9 | 11 => {
            for pair in words[1..5].chunks_exact_mut(2) {
                let few = bytes.below(6) * bytes.below(32);
                pair.copy_from_slice(&[place(bytes), few as u64]);
            }
        }
        _ => words.fill_with(|| bytes.below(4) as u64),
    }
    words
}

impl Memory {
    fn add(&mut self, start: u64, length: u64, access: Access) -> bool {
        let end = u128::from(start) + u128::from(length);
        let added = self.regions.add(start, length, access);
        assert_eq!(added, end <= u128::from(u64::MAX) && self.ranges.len() < REGIONS);
        if added {
            self.ranges.push((start.into(), end, access));
        }
        added
    }

    /// Whether so many bytes lie in one range that allows this.
    fn has(&self, address: u64, length: u128, access: Access) -> bool {
        let (first, end) = (u128::from(address), u128::from(address) + length);
        let mut ranges = self.ranges.iter();
        ranges.any(|&(start, last, allows)| {
            let allowed = allows == Access::Write || access == Access::Read;
            start <= first && end <= last && allowed
        })
    }

    /// Looks a list up, and says whether it was found. What is found is all of the list, byte for
    /// byte; what is not found is not all there.
    fn check(&self, list: Alleged, size: u64, access: Access) -> bool {
        let Alleged { address, count } = list;
        let length = u128::from(count) * u128::from(size);
        let theirs = length == 0 || self.has(address, length, access);
        match self.regions.find(list, size, access) {
            Ok(found) => {
                assert!(theirs, "{list:x?} × {size:#x} was found in {:x?}", self.ranges);
                assert_eq!(found.length() as u128, length);
                assert!(length == 0 || found.address() == address);
            }
            Err(error) => {
                assert!(!theirs, "{list:x?} × {size:#x} was not found in {:x?}", self.ranges);
                assert_eq!(error, Error::BadPointer);
            }
        }
        theirs
    }
}

/// Why these words are no call, by the gate's documentation.
fn refusal(number: u64, [a, b, c, d, e, _]: Arguments) -> Option<Error> {
    let (byte, batch) = (u64::from(u8::MAX), BATCH as u64);
    let bad_handle = (a > byte).then_some(Error::BadHandle);
    let when = |bad: bool, error: Error| bad.then_some(error);
    match number {
        0 => when(a > byte, Error::OutOfRange),
        1..=6 | 12 | 13 => None,
        7 => when(!(1..=2).contains(&a) || b > byte, Error::NoSuchDevice),
        8 | 9 => bad_handle.or(when(c > batch || e > batch, Error::OutOfRange)),
        10 => bad_handle
            .or(when(b > 2, Error::Unsupported))
            .or(when(d > u64::from(u16::MAX), Error::BadBuffer))
            .or(when(e > u64::from(u32::MAX), Error::OutOfRange)),
        11 => bad_handle.or(when(c > batch, Error::OutOfRange)),
        14 => when(a > byte || b > byte, Error::NoSuchDevice).or(when(c > 4, Error::Unsupported)),
        _ => Some(Error::NoSuchCall),
    }
}

/// A call is written as it was read: its number, its words, zeros.
fn round_trip(call: Call, number: u64, arguments: Arguments) {
    let (encoded, words) = call.encode();
    let mut expected = arguments;
    expected[WORDS[number as usize]..].fill(0);
    assert_eq!((encoded, words), (number, expected), "{call:?}");
    assert_eq!(Call::decode(encoded, words), Ok(call));
}

/// The memory that a call names: the list, the size of its items, and what is done with it.
fn lists(call: Call) -> Vec<(Alleged, u64, Access)> {
    match call {
        Call::ConsoleWrite { bytes } | Call::Report { words: bytes } => {
            vec![(bytes, 1, Access::Read)]
        }
        Call::ConsoleRead { bytes } | Call::Entropy { bytes } => vec![(bytes, 1, Access::Write)],
        Call::NetSend { frames, free, .. } => {
            vec![(frames, 4, Access::Read), (free, 2, Access::Write)]
        }
        Call::NetReceive { empty, frames, .. } => {
            vec![(empty, 2, Access::Read), (frames, 4, Access::Write)]
        }
        Call::BlockComplete { completions, .. } => vec![(completions, 4, Access::Write)],
        Call::Exit { .. }
        | Call::Now
        | Call::WallClock
        | Call::Wait { .. }
        | Call::Device { .. }
        | Call::BlockSubmit { .. }
        | Call::StolenTime
        | Call::Gpio { .. } => Vec::new(),
    }
}
