//! Random sequences: every block keeps what was written to it, no two overlap, nothing is found
//! where nothing was done, and what is done to one block at some point is found.

use super::with_tags::Never;
use super::*;

/// What is done to a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Deed {
    Overrun,
    Underrun,
    WriteAfterFree,
    FreeTwice,
}

/// A live block, and what it holds from its first byte on.
struct Live {
    user: *mut u8,
    layout: Layout,
    seed: u8,
}

impl Live {
    fn fill(&self) {
        for at in 0..self.layout.size() {
            // SAFETY: the block is live.
            unsafe { self.user.wrapping_add(at).write(self.byte(at)) };
        }
    }

    /// Whether the first `length` bytes are what was written.
    fn holds(&self, length: usize) -> bool {
        // SAFETY: the block is live.
        (0..length).all(|at| unsafe { self.user.wrapping_add(at).read() } == self.byte(at))
    }

    fn byte(&self, at: usize) -> u8 {
        u8::try_from(at % 251).unwrap() ^ self.seed
    }

    fn overlaps(&self, other: &Self) -> bool {
        let (one, two) = (self.user.addr(), other.user.addr());
        one < two + other.layout.size() && two < one + self.layout.size()
    }
}

/// A sequence over a heap: so many steps, or until something is found.
struct Sequence {
    bench: Bench<Never>,
    random: Random,
    live: Vec<Live>,
}

impl Sequence {
    fn new(seed: u64, guard: impl FnOnce(&mut Heap<Never>, usize)) -> Self {
        let bench = Bench::new(2 << 20, guard);
        Self { bench, random: Random(seed), live: Vec::new() }
    }

    fn step(&mut self) -> Result<(), Finding> {
        match self.random.below(5) {
            0 | 1 if self.live.len() < 60 => self.allocate(),
            2 if !self.live.is_empty() => self.resize(),
            _ if !self.live.is_empty() => {
                let index = self.random.below(self.live.len());
                let block = self.live.swap_remove(index);
                assert!(block.holds(block.layout.size()));
                self.bench.free(block.user, block.layout)
            }
            _ => Ok(()),
        }
    }

    fn allocate(&mut self) -> Result<(), Finding> {
        let (layout, seed) = (self.random.layout(), self.random.below(256));
        let user = self.bench.heap.allocate(layout)?;
        assert!(!user.is_null() && user.addr().is_multiple_of(layout.align()));
        let block = Live { user, layout, seed: u8::try_from(seed).unwrap() };
        assert!(!self.live.iter().any(|other| other.overlaps(&block)));
        block.fill();
        self.live.push(block);
        Ok(())
    }

    fn resize(&mut self) -> Result<(), Finding> {
        let (index, size) = (self.random.below(self.live.len()), self.random.layout().size());
        let block = &mut self.live[index];
        // SAFETY: the block is live, and used by the new pointer from here on.
        block.user = unsafe { self.bench.heap.reallocate(block.user, block.layout, size)? };
        assert!(!block.user.is_null());
        assert!(block.holds(block.layout.size().min(size)));
        block.layout = Layout::from_size_align(size, block.layout.align()).unwrap();
        block.fill();
        let block = &self.live[index];
        let others = self.live.iter().enumerate().filter(|(other, _)| *other != index);
        assert!(!others.into_iter().any(|(_, other)| other.overlaps(block)));
        Ok(())
    }

    /// Does it to some live block; what the finding should be, if it is not there yet.
    fn commit(&mut self, deed: Deed) -> Result<usize, Finding> {
        // Of what does not wait after it was freed, a write is not found.
        let waits = |block: &Live| block.layout.size() < 16_000;
        let index = loop {
            let index = self.random.below(self.live.len());
            if deed != Deed::WriteAfterFree || waits(&self.live[index]) {
                break index;
            }
            self.allocate()?;
        };
        let far = self.random.below(8);
        let Live { user, layout, .. } = self.live[index];
        let end = layout.size();
        match deed {
            Deed::Overrun => change(user.wrapping_add(end + far)),
            Deed::Underrun => change(user.wrapping_sub(1 + 2 * far)),
            Deed::WriteAfterFree => {
                self.live.swap_remove(index);
                self.bench.free(user, layout)?;
                change(user.wrapping_add(far.min(end - 1)));
            }
            Deed::FreeTwice => {
                self.live.swap_remove(index);
                self.bench.free(user, layout)?;
                for _ in 0..self.random.below(20) {
                    self.step()?;
                }
                self.bench.free(user, layout)?;
            }
        }
        Ok(user.addr())
    }
}

fn nothing_is_found(guard: fn(&mut Heap<Never>, usize)) {
    for seed in 1..4 {
        let mut sequence = Sequence::new(seed, guard);
        for _ in 0..STEPS {
            sequence.step().unwrap();
        }
        let asked = sequence.live.iter().map(|block| block.layout.size()).sum::<usize>();
        assert_eq!(sequence.bench.heap.usage().allocated, asked);
    }
}

#[test]
fn blocks_keep_what_they_hold() {
    nothing_is_found(|_, _| ());
}

#[test]
fn guarded_blocks_keep_what_they_hold() {
    nothing_is_found(|heap, _| heap.check_by(KEY));
}

/// Each deed, in many places of many sequences, is found by the time the block is freed and as many
/// have been as wait.
fn found(deed: Deed) {
    let (seeds, within) = if cfg!(miri) { (2, 60) } else { (60, 300) };
    for seed in 100..100 + seeds {
        let mut sequence = Sequence::new(seed, |heap, _| heap.check_by(KEY));
        let before = 20 + sequence.random.below(100);
        (0..before).try_for_each(|_| sequence.step()).unwrap();
        while sequence.live.is_empty() {
            sequence.allocate().unwrap();
        }
        let result = sequence.commit(deed).and_then(|_| {
            (0..within).try_for_each(|_| sequence.step())?;
            let live = core::mem::take(&mut sequence.live);
            live.iter().try_for_each(|block| sequence.bench.free(block.user, block.layout))?;
            sequence.bench.flush()
        });
        assert!(result.is_err(), "{deed:?} by seed {seed} was not found");
    }
}

#[test]
fn an_overrun_is_found() {
    found(Deed::Overrun);
}

#[test]
fn an_underrun_is_found() {
    found(Deed::Underrun);
}

#[test]
fn a_write_after_free_is_found() {
    found(Deed::WriteAfterFree);
}

#[test]
fn what_is_freed_twice_is_found() {
    found(Deed::FreeTwice);
}
