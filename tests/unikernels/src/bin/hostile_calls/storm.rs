//! Calls at random, nearly right ones for the most part, and what must be true of each answer.

use elone::gate::abi::{BATCH, Call, PIECE};
use elone::gate::{Area, Error};
use elone::info;

use crate::call::{Answer, call, call_in_full};
use crate::memory::{May, Memory, Named};
use crate::random::Random;

/// Whether devices may be claimed yet.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Devices {
    /// Nobody has one: whatever names one is refused.
    Unclaimed,
    Claimed {
        net: (u64, Area),
        disk: (u64, Area),
        sectors: u64,
    },
}

/// Makes calls, and counts what came back.
pub(crate) struct Storm {
    pub(crate) random: Random,
    pub(crate) memory: Memory,
    /// By the call, what is none last, and by the answer's code.
    answers: [[u64; 13]; Call::COUNT as usize + 1],
}

/// One call in so many is made with every register looked at, and memory in so many more.
const IN_FULL: u64 = 64;
const LOOK: u64 = 1 << 14;

impl Storm {
    pub(crate) fn new(seed: u64, told: u64) -> Self {
        Self {
            random: Random(seed),
            memory: Memory::new(told),
            answers: [[0; 13]; Call::COUNT as usize + 1],
        }
    }

    /// So many calls. An error says what was not as it should be.
    pub(crate) fn blow(&mut self, calls: u64, devices: Devices) -> Result<(), &'static str> {
        for index in 0..calls {
            let (number, words, memory) = self.invent(devices);
            let answer = if index % IN_FULL == 0 {
                let pattern = self.random.next();
                call_in_full(number, words, pattern).ok_or("a register changed")?
            } else {
                call(number, words)
            };
            self.judge(number, words, memory, answer, devices).inspect_err(|_| {
                info!("call {number} {words:x?} {memory:?}: {answer:x?}");
            })?;
            if index % LOOK == 0 && !self.memory.is_untouched() {
                return Err("memory changed");
            }
        }
        if self.memory.is_untouched() { Ok(()) } else { Err("memory changed") }
    }

    /// A call's number and words, and the memory that it names.
    fn invent(&mut self, devices: Devices) -> (u64, [u64; 6], Option<Named>) {
        let number = self.number(devices);
        let random = &mut self.random;
        let mut words = [0; 6].map(|_: u64| random.next());
        let mut memory = None;
        match number {
            // Only what is no status: any other would be the end.
            0 => words[0] |= 1 << (8 + random.below(56)),
            // A wait must end: what is not past is never.
            3 => words[0] = random.below(1_000),
            4..=6 | 12 => {
                let mut named = self.memory.name(random, 1);
                // What the console is to say is short, for the most part.
                if matches!(number, 4 | 12) && random.below(16) != 0 {
                    named.count = named.count.min(12);
                }
                [words[0], words[1]] = [named.address, named.count];
                memory = Some(named);
            }
            7 => [words[0], words[1]] = [random.below(5), random.one([0, 1, 7, 255, 256, 1 << 40])],
            8 | 9 => {
                let sizes = if number == 8 { [4, 2] } else { [2, 4] };
                let [mut one, two] = sizes.map(|size| self.memory.name(random, size));
                if one.may == May::Write && random.below(4) != 0 {
                    one = self.list(number);
                }
                let random = &mut self.random;
                words[0] = handle(random, devices, 0);
                [words[1], words[2], words[3], words[4]] =
                    [one.address, one.count, two.address, two.count];
            }
            10 => {
                words[0] = handle(random, devices, 1);
                words[1] = random.below(4);
                words[2] = random.one([0, 1, 100, 2047, 2048, u64::MAX, 1 << 55]);
                words[3] = random.one([0, 1, 2, 7, 15, 16, 17, 65_535, 65_536]);
                words[4] = random.one([512, 1024, 4096, 4096, 0, 100, 4608, 65_536, 1 << 32]);
            }
            11 => {
                let named = self.memory.name(random, 4);
                words[0] = handle(random, devices, 1);
                [words[1], words[2]] = [named.address, named.count];
            }
            _ => {}
        }
        (number, words, memory)
    }

    /// Which call: few that write to the console.
    fn number(&mut self, devices: Devices) -> u64 {
        match self.random.below(256) {
            0 => 12,
            1..=7 => 4,
            8..=23 => self.random.one([13, 14, 15, 100, u64::MAX, 1 << 32 | 4, 1 << 63]),
            other => {
                match self
                    .random
                    .one([0, 1, 2, 3, 3, 5, 6, 7, 8, 8, 8, 9, 9, 9, 10, 10, 11, 11, 11])
                {
                    7 if devices == Devices::Unclaimed => other % 3 + 9,
                    number => number,
                }
            }
        }
    }

    /// A list of buffers, and for frames of lengths, most of which are right.
    fn list(&mut self, number: u64) -> Named {
        let Self { random, memory, .. } = self;
        let count = random.below(4) + 1;
        let list = &mut memory.scratch()[..16];
        for halves in list.chunks_exact_mut(4) {
            let buffer = random.below(129).to_le_bytes();
            let frame = random.one([14, 60, 60, 600, 1514, 2048, 13, 2049]);
            let other = if number == 8 { frame } else { random.below(129) }.to_le_bytes();
            halves.copy_from_slice(&[buffer[0], buffer[1], other[0], other[1]]);
        }
        Named { address: list.as_ptr().addr() as u64, count, may: May::Write }
    }

    /// Counts an answer, and says what is wrong with it.
    fn judge(
        &mut self,
        number: u64,
        words: [u64; 6],
        memory: Option<Named>,
        (code, values): Answer,
        devices: Devices,
    ) -> Result<(), &'static str> {
        let error = Error::from_code(code);
        if code != 0 && error.is_none() {
            return Err("an answer that is not documented");
        }
        self.answers[number.min(Call::COUNT) as usize][code as usize] += 1;
        if (number >= Call::COUNT) != (error == Some(Error::NoSuchCall)) {
            return Err("a number that is none, or none that is one");
        }
        if error == Some(Error::Broken) {
            return Err("a device broke");
        }
        if error.is_some() && values != [0; 5] {
            return Err("a refusal that says something");
        }
        if number == 0 && error != Some(Error::OutOfRange) {
            return Err("a status that is none");
        }
        let named_devices = (8..=11).contains(&number);
        if named_devices && devices == Devices::Unclaimed && error.is_none() {
            return Err("a device that nobody has");
        }
        if named_devices && words[0] > 255 && error != Some(Error::BadHandle) && number != 10 {
            return Err("a handle that is none");
        }
        let batch = BATCH as u64;
        if matches!(number, 8 | 9) && error.is_none() && (words[2] > batch || words[4] > batch) {
            return Err("a list that is too long");
        }
        let Some(Named { count, may, .. }) = memory else { return Ok(()) };
        let needed = if matches!(number, 5 | 6) { May::Write } else { May::Read };
        let expected = if may >= needed { 0 } else { Error::BadPointer as u64 };
        if code != expected {
            return Err("memory that should not have been found, or should have");
        }
        let piece = count.min(PIECE as u64);
        match number {
            4 | 6 if code == 0 && values[0] != piece => Err("not as much as there was"),
            5 if values[0] > piece => Err("more than there was room for"),
            _ => Ok(()),
        }
    }

    /// Says how many answers of each code there were to each call.
    pub(crate) fn tell(&self) {
        for (number, answers) in self.answers.iter().enumerate() {
            info!("call {number}: {answers:?}");
        }
        let sum = |code: usize| self.answers.iter().map(|answers| answers[code]).sum::<u64>();
        let answered = sum(0);
        let refused: u64 = (1..13).map(sum).sum();
        info!("answers: {answered} given, {refused} refused, {} in all", answered + refused);
    }
}

/// A handle: the right one for the most part, or the other device's, or none.
fn handle(random: &mut Random, devices: Devices, which: usize) -> u64 {
    let right = match devices {
        Devices::Unclaimed => [0, 1],
        Devices::Claimed { net, disk, .. } => [net.0, disk.0],
    };
    match random.below(12) {
        0 => right[1 - which],
        1 => random.one([2, 15, 16, 29, 31, 32, 255]),
        2 => random.one([256, u64::MAX, 1 << 32 | right[which]]),
        _ => right[which],
    }
}
