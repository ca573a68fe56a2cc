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
mod machine;
#[cfg(target_os = "none")]
pub(crate) use machine::*;

#[cfg(test)]
mod tests;
