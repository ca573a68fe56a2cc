//! Memory to name in calls: what is this application's, what is not, and what must stay as it is.

use alloc::vec;
use alloc::vec::Vec;

use crate::random::Random;

/// Bytes that calls may write to. A call that is bounded as it should be stays within [`REACH`] of
/// where it begins, so what begins in the first half ends before the last byte.
const SCRATCH: usize = 8 << 10;
/// The most that any call writes, in bytes.
pub(crate) const REACH: usize = 1024;
/// Bytes on either side that nobody may write to.
const CANARY: usize = 32 << 10;

static mut FIXED: [u64; 4096] = [0; 4096];
static CONSTANT: [u64; 8] = [0x1122_3344_5566_7788; 8];

/// Where the kernel's half begins, and how large it is; somewhere in it is its image.
const KERNEL: u64 = 0xffff_0000_0000_0000;
const HALF: u64 = 1 << 48;
/// How much an application is told, from the beginning of a page on.
const TOLD_LENGTH: u64 = 16 << 10;
const PAGE: u64 = 4096;
/// Less than the stack and what is unmapped below it, and more than the stack.
const BELOW_THE_STACK: u64 = 640 << 10;

/// What may be done with memory that a call names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum May {
    /// It is not the application's, or not all of it.
    Nothing,
    Read,
    Write,
}

/// Memory as a call names it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Named {
    pub(crate) address: u64,
    pub(crate) count: u64,
    pub(crate) may: May,
}

/// The application's memory, with canaries around what calls may write to.
pub(crate) struct Memory {
    heap: Vec<u8>,
    /// What this application is told.
    told: u64,
    /// A device's buffers, whoever has them at the time: where they begin, and their length. Nothing
    /// is mapped behind them.
    pub(crate) buffers: (u64, u64),
}

impl Memory {
    /// `told` is the address of something that this application is told at its start.
    pub(crate) fn new(told: u64) -> Self {
        let told = told / PAGE * PAGE;
        let mut memory = Self { heap: vec![0; 2 * CANARY + SCRATCH], told, buffers: (0, 0) };
        for (index, byte) in memory.heap.iter_mut().enumerate() {
            *byte = canary(index);
        }
        for (index, word) in fixed().iter_mut().enumerate() {
            *word = u64::from(canary(index));
        }
        memory
    }

    /// Bytes that calls may write to.
    pub(crate) fn scratch(&mut self) -> &mut [u8] {
        &mut self.heap[CANARY..CANARY + SCRATCH]
    }

    /// Whether nothing has changed that nobody may write to.
    pub(crate) fn is_untouched(&self) -> bool {
        let outside = (0..CANARY).chain(CANARY + SCRATCH..self.heap.len());
        outside.into_iter().all(|index| self.heap[index] == canary(index))
            && fixed().iter().enumerate().all(|(index, word)| *word == u64::from(canary(index)))
            && CONSTANT.iter().all(|word| core::hint::black_box(*word) == 0x1122_3344_5566_7788)
    }

    /// Some memory for a call whose items are of `size` bytes: the application's own, near it, or
    /// far from it. A call that writes can only be right to write to the scratch, or to buffers.
    pub(crate) fn name(&self, random: &mut Random, size: u64) -> Named {
        let start = self.heap.as_ptr().addr() as u64 + CANARY as u64;
        let some = random.below(REACH as u64 / size / 16) + 1;
        let (buffers, length) = self.buffers;
        let near = |address, count, may| Named { address, count, may };
        match random.below(38) {
            0..=15 => near(start + random.below(SCRATCH as u64 / 2), some, May::Write),
            16 => near(start + random.below(SCRATCH as u64 / 2), REACH as u64 / size, May::Write),
            // As long as can be: it is cut, or refused as too long.
            17 => near(
                start + random.below(SCRATCH as u64 / 2),
                u64::MAX >> random.below(40),
                May::Write,
            ),
            18 => near(random.next(), 0, May::Write),
            19 => near((call_site as fn() as *const ()).addr() as u64, some.min(16), May::Read),
            20 => near(CONSTANT.as_ptr().addr() as u64, (64 / size).min(some), May::Read),
            21 => near(self.told + random.below(TOLD_LENGTH - REACH as u64), some, May::Read),
            22 => near(self.told + TOLD_LENGTH - 4, some + 4, May::Nothing),
            23 if length > 0 => near(buffers + length - 4, some + 4, May::Nothing),
            24 if length > 0 => near(buffers + random.below(length / 2), some, May::Write),
            25 => near(KERNEL + random.below(HALF), some, May::Nothing),
            26 => near(start | KERNEL, some, May::Nothing),
            27 => near(KERNEL + random.below(1 << 16), some, May::Nothing),
            28 => near(random.below(4096), some, May::Nothing),
            29 => near(u64::MAX - random.below(64), some.max(64), May::Nothing),
            30 => near(self.told - 1, some + 1, May::Nothing),
            31 => near(0x4020_0000 + random.below(1 << 20), some, May::Nothing),
            32 => near(0x0900_0000, some, May::Nothing),
            33 => near((&raw const some).addr() as u64 - BELOW_THE_STACK, some, May::Nothing),
            _ => near(random.next() | 1 << 63 >> random.below(20), some, May::Nothing),
        }
    }
}

#[inline(never)]
fn call_site() {
    core::hint::black_box(());
}

fn fixed() -> &'static mut [u64; 4096] {
    let fixed = &raw mut FIXED;
    // SAFETY: the application is one thread, and no caller keeps the reference past its statement.
    unsafe { &mut *fixed }
}

/// What belongs to this place.
fn canary(index: usize) -> u8 {
    (index as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes()[0]
}
