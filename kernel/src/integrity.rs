//! Integrity over time: code, constants and page tables are compared with what they were at boot.
//!
//! Nothing on the machine can write to them any more once the boot is over. Should they change all
//! the same, by a fault of the memory, by the host, by a device, or by whoever found a way that
//! nobody thought of, then what runs is no longer what was built: that is reported, and answered as a
//! fault of the kernel is, which mostly means that the machine begins again with the image as it was.
//!
//! What is kept of each page is a keyed hash (SipHash-1-3). The key is random and new at each boot:
//! what was not made with the key at hand goes unnoticed once in 2^64 times. Whoever can write to the
//! kernel's data as well can change the hashes too: this detects, it does not protect.
//!
//! A pass over all pages begins whenever the setting `integrity=` says so, and costs up to 7,700
//! instructions a page. An idle machine is woken once for it, makes it in one go, and leaves it as
//! soon as there is anything else to do. A busy one compares a page whenever the application comes to
//! wait, and more of them the later it is: so a pass is over when it should have begun again at the
//! latest, provided that the application waits at all, which the watchdog sees to.

use core::hash::Hasher;

use heapless::Vec;
use siphasher::sip::SipHasher13;

/// The most pages that can be compared: those of the largest image, 4 MiB.
pub const PAGES: usize = 1024;

/// A page as it is now.
pub trait Content {
    /// Has `take` take words that say what is in the page: no other content gives the same ones.
    fn tell(self, take: impl FnMut(u64));
}

/// Tells of a page that is mostly empty, as tables are, in fewer words: each that is not 0, and
/// before it which one it is.
pub fn tell_sparsely(words: impl Iterator<Item = u64>, mut take: impl FnMut(u64)) {
    for (index, word) in (0..).zip(words) {
        if word != 0 {
            take(index);
            take(word);
        }
    }
}

/// What there was at boot.
#[derive(Debug)]
pub struct Baseline {
    key: [u8; 16],
    digests: Vec<u64, PAGES>,
    /// The page that is compared next.
    next: usize,
}

/// There are more pages than [`PAGES`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooManyPages;

/// What comparing one page came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// It is as it was, and others are left.
    Same,
    /// It is as it was, and was the last one.
    Over,
    /// This page is not what it was.
    Altered(usize),
}

impl Baseline {
    /// Of nothing.
    #[must_use]
    pub const fn new() -> Self {
        Self { key: [0; 16], digests: Vec::new(), next: 0 }
    }

    /// Takes `pages` as they are for what they have to be from now on.
    ///
    /// # Errors
    /// There are too many; then it is one of nothing.
    pub fn learn(
        &mut self,
        key: [u8; 16],
        pages: impl Iterator<Item = impl Content>,
    ) -> Result<(), TooManyPages> {
        (self.key, self.next) = (key, 0);
        self.digests.clear();
        for page in pages {
            if self.digests.push(digest(&key, page)).is_err() {
                self.digests.clear();
                return Err(TooManyPages);
            }
        }
        Ok(())
    }

    /// How many pages there are.
    #[must_use]
    pub fn pages(&self) -> usize {
        self.digests.len()
    }

    /// Compares the next page, which `page` finds by its number. One that is not there any more is not
    /// what it was.
    pub fn compare<Page: Content>(
        &mut self,
        page: impl FnOnce(usize) -> Option<Page>,
    ) -> Comparison {
        let index = self.next;
        let Some(expected) = self.digests.get(index) else { return Comparison::Over };
        if page(index).map(|page| digest(&self.key, page)) != Some(*expected) {
            return Comparison::Altered(index);
        }
        self.next = if index + 1 < self.digests.len() { index + 1 } else { 0 };
        if self.next == 0 { Comparison::Over } else { Comparison::Same }
    }
}

impl Default for Baseline {
    fn default() -> Self {
        Self::new()
    }
}

fn digest(key: &[u8; 16], page: impl Content) -> u64 {
    let mut hasher = SipHasher13::new_with_key(key);
    page.tell(|word| hasher.write_u64(word));
    hasher.finish()
}

/// How many of `pages` a busy machine compares in one go when the pass is `late`, where one begins
/// every `period`: all of them once it is a whole period late.
#[must_use]
pub fn share(pages: usize, late: u64, period: u64) -> usize {
    let share = u128::from(late) * pages as u128 / u128::from(period.max(1));
    usize::try_from(share).unwrap_or(pages).saturating_add(1).min(pages)
}

/// The one on the machine.
#[cfg(target_os = "none")]
mod machine {
    use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

    use elone_gate::{Gate, Nanoseconds, Protection};
    use elone_hal::arch::measured::{Page, Part};
    use elone_hal::protections;
    use spin::Mutex;

    use super::{Baseline, Comparison, Content, TooManyPages, share, tell_sparsely};
    use crate::fault;
    use crate::platform::KERNEL;

    const SECOND: u64 = 1_000_000_000;
    /// No pass ever begins.
    const NEVER: u64 = u64::MAX;

    /// When the next pass begins, or should have begun, in nanoseconds since the start.
    static DUE: AtomicU64 = AtomicU64::new(NEVER);
    static CHECK: Mutex<Check> = Mutex::new(Check::NEW);
    /// How many short waits may pass before it begins; 0 for none, when it has begun or never will.
    static WAITS_LEFT: AtomicU32 = AtomicU32::new(0);
    const SHORT_WAITS: u32 = 1000;
    /// Nanoseconds: several times what the slowest machine takes to learn the largest image.
    const LONG_ENOUGH: u64 = 20_000_000;

    struct Check {
        baseline: Baseline,
        /// How many pages each part has.
        counts: [usize; Part::ALL.len()],
        /// Nanoseconds from the end of one pass to the next; 0 for no pass at all.
        period: u64,
    }

    /// How often memory is to be compared, in seconds, from [`begin`] on. The application is told
    /// before that, so this is where it is noted.
    pub(crate) fn announce(seconds: Option<u32>) {
        if let Some(seconds) = seconds.filter(|_| protections::wanted(Protection::IntegrityCheck)) {
            CHECK.lock().period = u64::from(seconds) * SECOND;
            WAITS_LEFT.store(SHORT_WAITS, Ordering::Relaxed);
            protections::note(Protection::IntegrityCheck);
        }
    }

    /// Takes what is in memory for what has to be there, the first time that the application waits, and
    /// waits for long enough that nobody is late for it; after many short waits at the latest. Nothing
    /// that is compared is written to any more then.
    pub(crate) fn begin(now: Nanoseconds, deadline: Option<Nanoseconds>) {
        let waits = WAITS_LEFT.load(Ordering::Relaxed);
        if waits == 0 {
            return;
        }
        let is_short = deadline.is_some_and(|end| end.0 < now.0.saturating_add(LONG_ENOUGH));
        if is_short && waits > 1 {
            WAITS_LEFT.store(waits - 1, Ordering::Relaxed);
        } else {
            WAITS_LEFT.store(0, Ordering::Relaxed);
            learn();
        }
    }

    #[cold]
    fn learn() {
        let mut check = CHECK.lock();
        let mut key = [0; 16];
        if KERNEL.entropy(&mut key).is_err() {
            log::warn!("integrity: there is no entropy, so anybody knows the key of its hashes");
        }
        match check.learn(key) {
            Ok(()) => {
                DUE.store(KERNEL.now().0.saturating_add(check.period), Ordering::Relaxed);
                let (pages, seconds) = (check.baseline.pages(), check.period / SECOND);
                log::debug!("integrity: {pages} pages are compared every {seconds} s");
            }
            Err(TooManyPages) => log::error!("integrity: not checked, the image is too large"),
        }
    }

    /// When memory is to be compared next; `None` for never.
    pub(crate) fn due() -> Option<Nanoseconds> {
        Some(DUE.load(Ordering::Relaxed)).filter(|due| *due != NEVER).map(Nanoseconds)
    }

    /// Compares a page, if that is due. Returns whether there is more to compare.
    pub(crate) fn compare_one(now: Nanoseconds) -> bool {
        lateness(now).is_some() && CHECK.lock().compare(now, 1)
    }

    /// Compares as many pages as it takes to keep up, if that is due.
    pub(crate) fn compare_some(now: Nanoseconds) {
        if let Some(late) = lateness(now) {
            let mut check = CHECK.lock();
            let pages = share(check.baseline.pages(), late, check.period);
            check.compare(now, pages);
        }
    }

    fn lateness(now: Nanoseconds) -> Option<u64> {
        now.0.checked_sub(DUE.load(Ordering::Relaxed))
    }

    impl Check {
        const NEW: Self =
            Self { baseline: Baseline::new(), counts: [0; Part::ALL.len()], period: 0 };

        fn learn(&mut self, key: [u8; 16]) -> Result<(), TooManyPages> {
            self.counts = Part::ALL.map(Part::pages);
            let all = Part::ALL.into_iter().zip(self.counts);
            let pages = all.flat_map(|(part, count)| {
                (0..count).filter_map(move |index| Some((part, part.page(index)?)))
            });
            self.baseline.learn(key, pages)
        }

        /// Compares so many pages, or as many as the pass has left; whether that is still some.
        fn compare(&mut self, now: Nanoseconds, pages: usize) -> bool {
            let counts = self.counts;
            for _ in 0..pages {
                match self.baseline.compare(|index| find(counts, index)) {
                    Comparison::Same => {}
                    Comparison::Over => {
                        log::trace!(
                            "integrity: {} pages are what they were",
                            self.baseline.pages()
                        );
                        DUE.store(now.0.saturating_add(self.period), Ordering::Relaxed);
                        return false;
                    }
                    Comparison::Altered(index) => {
                        let (part, page) = find(counts, index).unzip();
                        fault::altered(name(part), page.map_or(0, Page::address));
                    }
                }
            }
            true
        }
    }

    impl Content for (Part, Page) {
        fn tell(self, take: impl FnMut(u64)) {
            match self {
                (Part::Tables, page) => tell_sparsely(page.words(), take),
                (_, page) => page.words().for_each(take),
            }
        }
    }

    /// The page with this number, and the part that it belongs to.
    fn find(counts: [usize; Part::ALL.len()], mut index: usize) -> Option<(Part, Page)> {
        for (part, count) in Part::ALL.into_iter().zip(counts) {
            match index.checked_sub(count) {
                None => return Some((part, part.page(index)?)),
                Some(rest) => index = rest,
            }
        }
        None
    }

    /// What a report calls it.
    fn name(part: Option<Part>) -> &'static str {
        match part {
            Some(Part::Text) => "text",
            Some(Part::Constants) => "read-only data",
            Some(Part::Application) => "the application's image",
            Some(Part::Relocated | Part::Settled) => "sealed data",
            Some(Part::Tables) => "a page table",
            None => "memory",
        }
    }
}
#[cfg(target_os = "none")]
pub(crate) use machine::*;

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: [u8; 16] = *b"sixteen bytes...";
    /// Words in a page.
    const WORDS: usize = 512;

    impl Content for &[u64] {
        fn tell(self, take: impl FnMut(u64)) {
            self.iter().copied().for_each(take);
        }
    }

    struct Sparse<'a>(&'a [u64]);

    impl Content for Sparse<'_> {
        fn tell(self, take: impl FnMut(u64)) {
            tell_sparsely(self.0.iter().copied(), take);
        }
    }

    fn memory(pages: u64) -> std::vec::Vec<std::vec::Vec<u64>> {
        (0..pages).map(|page| (0..WORDS as u64).map(|word| page << 32 | word).collect()).collect()
    }

    fn learnt(memory: &[std::vec::Vec<u64>]) -> Baseline {
        let mut baseline = Baseline::new();
        let pages = memory.iter().map(|page| &page[..]);
        baseline.learn(KEY, pages).expect("there is room");
        baseline
    }

    /// A whole pass: the page that is another, if one is, and how many were looked at.
    fn pass(baseline: &mut Baseline, memory: &[std::vec::Vec<u64>]) -> (Option<usize>, usize) {
        for looked_at in 1.. {
            match baseline.compare(|index| Some(&memory.get(index)?[..])) {
                Comparison::Same => {}
                Comparison::Over => return (None, looked_at),
                Comparison::Altered(page) => return (Some(page), looked_at),
            }
        }
        unreachable!("a pass ends")
    }

    #[test]
    fn what_is_as_it_was_is_found_so_in_every_pass() {
        let memory = memory(7);
        let mut baseline = learnt(&memory);
        assert_eq!(baseline.pages(), 7);
        for _ in 0..3 {
            assert_eq!(pass(&mut baseline, &memory), (None, 7));
        }
    }

    #[test]
    fn one_bit_counts() {
        let mut memory = memory(3);
        for page in 0..3 {
            for word in [0, 1, WORDS / 2, WORDS - 1] {
                for bit in [0, 1, 31, 32, 63] {
                    let mut baseline = learnt(&memory);
                    memory[page][word] ^= 1 << bit;
                    assert_eq!(pass(&mut baseline, &memory), (Some(page), page + 1));
                    memory[page][word] ^= 1 << bit;
                }
            }
        }
    }

    #[test]
    fn what_was_moved_is_another() {
        let mut words = memory(1);
        let mut baseline = learnt(&words);
        words[0].swap(3, 4);
        assert_eq!(pass(&mut baseline, &words), (Some(0), 1));
        let mut pages = memory(4);
        let mut baseline = learnt(&pages);
        pages.swap(1, 3);
        assert_eq!(pass(&mut baseline, &pages), (Some(1), 2));
    }

    #[test]
    fn what_changes_behind_a_pass_is_found_by_the_next() {
        let mut memory = memory(4);
        let mut baseline = learnt(&memory);
        for page in &memory[..2] {
            let found = baseline.compare(|_| Some(&page[..]));
            assert_eq!(found, Comparison::Same);
        }
        memory[0][0] ^= 1;
        assert_eq!(pass(&mut baseline, &memory), (None, 2), "it has looked there already");
        assert_eq!(pass(&mut baseline, &memory), (Some(0), 1));
    }

    #[test]
    fn a_page_that_is_gone_is_another() {
        let memory = memory(2);
        let mut baseline = learnt(&memory);
        assert_eq!(pass(&mut baseline, &memory[..1]), (Some(1), 2));
    }

    #[test]
    fn the_hash_is_the_one_that_is_published() {
        // Key and message are the bytes 0 to 15: of the vectors that implementations of SipHash-1-3
        // are tested with, the one of sixteen bytes.
        let key = core::array::from_fn(|index| index.to_le_bytes()[0]);
        let words = [0x0706_0504_0302_0100, 0x0f0e_0d0c_0b0a_0908];
        assert_eq!(digest(&key, &words[..]), 0xcc4f_dd1a_7d90_8b66);
        assert_ne!(digest(&KEY, &words[..]), 0xcc4f_dd1a_7d90_8b66, "the key counts");
    }

    #[test]
    fn what_is_told_sparsely_is_told_whole() {
        let mut page = [0; WORDS];
        (page[2], page[3], page[WORDS - 1]) = (2, 0x703, 9);
        let before = digest(&KEY, Sparse(&page));
        for word in [0, 1, 2, 3, 4, WORDS / 2, WORDS - 2, WORDS - 1] {
            for bit in [0, 1, 31, 32, 63] {
                page[word] ^= 1 << bit;
                assert_ne!(digest(&KEY, Sparse(&page)), before, "bit {bit} of word {word}");
                page[word] ^= 1 << bit;
            }
        }
        page.rotate_left(1);
        assert_ne!(digest(&KEY, Sparse(&page)), before);
        assert_ne!(digest(&KEY, Sparse(&[0; WORDS])), before);
    }

    #[test]
    fn more_than_there_is_room_for_is_refused() {
        let mut baseline = Baseline::new();
        let pages = |count| (0..count).map(|_| &[0; WORDS][..]);
        assert_eq!(baseline.learn(KEY, pages(PAGES)), Ok(()));
        assert_eq!(baseline.learn(KEY, pages(PAGES + 1)), Err(TooManyPages));
        assert_eq!(baseline.pages(), 0);
        let nothing = baseline.compare(|_| None::<&[u64]>);
        assert_eq!(nothing, Comparison::Over);
    }

    #[test]
    fn the_later_it_is_the_more_is_compared_at_once() {
        for (pages, late, period, expected) in [
            (100, 0, 60, 1),
            (100, 30, 60, 51),
            (100, 60, 60, 100),
            (100, u64::MAX, 1, 100),
            (100, 5, 0, 100),
            (0, 60, 60, 0),
            (1024, u64::MAX, u64::MAX, 1024),
        ] {
            assert_eq!(share(pages, late, period), expected, "{late} late of {period}");
        }
        // However seldom it comes to it, a pass is over within a period.
        for times in 1..60 {
            let compared: usize = (1..=times).map(|turn| share(100, 60 * turn / times, 60)).sum();
            assert!(compared >= 100, "{times} times");
        }
    }
}
