//! The check on the machine: when it is made, of what, and what follows a difference.

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
    const NEW: Self = Self { baseline: Baseline::new(), counts: [0; Part::ALL.len()], period: 0 };

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
                    log::trace!("integrity: {} pages are what they were", self.baseline.pages());
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
