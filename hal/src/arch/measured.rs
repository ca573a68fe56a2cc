//! What of the machine's memory is never written to again once the boot is over: code, constants, the
//! packed application, the kernel's page tables. It is read here to be compared with what it was.
//!
//! It is read by the names that the kernel has it by, since those are what it runs and looks up, a
//! word at a time, each of them once: whoever changes it does so behind the compiler's back, so no
//! value of it may be taken to be known.

use super::places::{address, places};
use super::seal;
use crate::address::PAGE;

unsafe extern "C" {
    static __init_end: u8;
    static __text_end: u8;
    static __application_start: u8;
    static __rodata_end: u8;
    static __sealed_end: u8;
    static __sealed_bss_start: u8;
    static __sealed_bss_end: u8;
}

/// Words in a page.
const WORDS: usize = PAGE / size_of::<u64>();

/// A part of that memory: whole pages, one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// What the kernel runs, and joined, its application too: all code that is left after the boot.
    Text,
    /// Constants that the image has as they are.
    Constants,
    /// The application that is packed into the image; none where it is linked with the kernel.
    Application,
    /// Constants that the boot has relocated.
    Relocated,
    /// Variables that the boot has written for good.
    Settled,
    /// The tables of the upper half that are in use. The application's own change with each of its lives.
    Tables,
}

impl Part {
    /// All parts.
    pub const ALL: [Self; 6] = [
        Self::Text,
        Self::Constants,
        Self::Application,
        Self::Relocated,
        Self::Settled,
        Self::Tables,
    ];

    /// Its first byte, and its end.
    fn bounds(self) -> (*const u8, *const u8) {
        match self {
            Self::Text => (&raw const __init_end, &raw const __text_end),
            Self::Constants => (&raw const __text_end, &raw const __application_start),
            Self::Application => (&raw const __application_start, &raw const __rodata_end),
            Self::Relocated => (&raw const __rodata_end, &raw const __sealed_end),
            Self::Settled => (&raw const __sealed_bss_start, &raw const __sealed_bss_end),
            Self::Tables => {
                // Where they are read: the writable name goes with the seal.
                let length = seal::tables_in_use() * PAGE;
                let start = core::ptr::with_exposed_provenance::<u8>(address(places().tables_read));
                (start, start.wrapping_add(length))
            }
        }
    }

    /// How many pages it has.
    #[must_use]
    pub fn pages(self) -> usize {
        let (start, end) = self.bounds();
        end.addr().saturating_sub(start.addr()) / PAGE
    }

    /// One of its pages; `None` behind the last.
    #[must_use]
    pub fn page(self, index: usize) -> Option<Page> {
        let (start, end) = self.bounds();
        let offset = index.checked_mul(PAGE)?;
        let last = end.addr().checked_sub(start.addr())?.checked_sub(PAGE)?;
        (offset <= last).then(|| Page(start.wrapping_add(offset).cast()))
    }
}

/// A page of it.
#[derive(Clone, Copy, Debug)]
pub struct Page(*const u64);

impl Page {
    /// Where it is.
    #[must_use]
    pub fn address(self) -> u64 {
        self.0.addr() as u64
    }

    /// What is in it now.
    pub fn words(self) -> impl Iterator<Item = u64> {
        (0..WORDS).map(move |index| {
            // SAFETY: the linker script makes the bounds of every part those of pages, and `page`
            // stays between them; all of it is the image's, mapped to be read, for good (tables where
            // the boot has placed them to be read). A volatile read asks no more of memory that others
            // may write to.
            unsafe { self.0.wrapping_add(index).read_volatile() }
        })
    }
}
