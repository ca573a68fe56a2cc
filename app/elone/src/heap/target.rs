//! The heap on the target: the one that the language allocates from.
#![expect(
    unsafe_code,
    reason = "a global allocator, over memory that the kernel gave by address, and its tags"
)]

use core::alloc::{GlobalAlloc, Layout};
use core::cell::UnsafeCell;

use elone_gate::{Protection, Start, calls};
use elone_memory::tags;

use super::Usage;
use super::block::{Finding, Key, Wrong};
use super::guarded::Heap;
use super::raw::Block;
use super::tags::Instructions;

#[global_allocator]
static HEAP: Global = Global(UnsafeCell::new(Heap::new()));

struct Global(UnsafeCell<Heap<Core>>);

// SAFETY: the application is one thread of execution (gate, crate docs), so nobody else is in here.
unsafe impl Sync for Global {}

impl Global {
    fn with<R>(&self, work: impl FnOnce(&mut Heap<Core>) -> R) -> R {
        // SAFETY: the only reference: there is one thread of execution, and what is done with the heap
        // here calls nobody who would allocate.
        work(unsafe { &mut *self.0.get() })
    }
}

// SAFETY: what it gives out is memory of the layout, nobody else's until it is given back. It does not
// unwind: a panic ends the application.
unsafe impl GlobalAlloc for Global {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        self.with(|heap| heap.allocate(layout)).unwrap_or_else(|finding| end(finding, None))
    }

    unsafe fn dealloc(&self, user: *mut u8, layout: Layout) {
        // SAFETY: the caller's.
        self.with(|heap| unsafe { heap.free(user, layout) })
            .unwrap_or_else(|finding| end(finding, Some(user)));
    }

    unsafe fn realloc(&self, user: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: the caller's.
        self.with(|heap| unsafe { heap.reallocate(user, layout, size) })
            .unwrap_or_else(|finding| end(finding, Some(user)))
    }
}

/// Ends the application because of what was found, without allocating. Where it is a matter of tags,
/// the core is asked to refuse the pointer, so that it is the fault that every other access would be.
#[cold]
fn end(finding: Finding, user: Option<*mut u8>) -> ! {
    if let (Wrong::Tag, Some(user)) = (finding.wrong, user) {
        calls::report("heap: a block was freed twice, or never was one: it has another tag");
        // SAFETY: of one byte, whatever it holds; where it is not to be read, the application ends.
        let _ = unsafe { user.read_volatile() };
    }
    panic!("{finding}");
}

/// Gives the kernel's ranges to the heap, guarded by what the kernel says is in force.
pub(crate) fn claim(start: &Start) {
    let in_force = start.machine.protections;
    HEAP.with(|heap| {
        if in_force.has(Protection::HeapTags) {
            heap.tag_by(Core);
        } else if in_force.has(Protection::HeapChecks) {
            heap.check_by(key(start));
        }
        for range in &*start.heap {
            let base = core::ptr::with_exposed_provenance_mut(range.start);
            // SAFETY: the range is mapped, writable and the application's alone for its life
            // (`Start::heap`), and nothing else in the application names it.
            unsafe { heap.claim(base, range.length) };
        }
    });
}

/// The key of this life's blocks. Where the machine has no entropy at all, it is what differs from
/// one life to the next anyway: the time, and where things are.
fn key(start: &Start) -> Key {
    let mut bytes = [0; size_of::<Key>()];
    if calls::entropy(&mut bytes).is_err() {
        let places = start.heap.first().map_or(0, |range| range.start) ^ (&raw const HEAP).addr();
        let [time, places] = [calls::now().0, places as u64];
        return Key([time, places].map(|word| (word | 1).wrapping_mul(0x9e37_79b9_7f4a_7c15)));
    }
    let (first, second) = bytes.split_at(size_of::<u64>());
    Key([first, second].map(|half| half.iter().fold(0, |word, byte| word << 8 | u64::from(*byte))))
}

/// What is in use.
#[must_use]
pub fn usage() -> Usage {
    HEAP.with(|heap| heap.usage())
}

/// The core's own instructions.
#[derive(Debug)]
struct Core;

impl Instructions for Core {
    fn choose(&self, excluded: u16) -> u8 {
        // SAFETY: tags are in force, so the core has them: `claim` makes use of this in no other case.
        unsafe { tags::choose(excluded) }
    }

    fn tag(&self, block: &Block, at: isize) -> u8 {
        let place = block.place(at);
        // SAFETY: as in `choose`; the granules before and behind a block are the allocator's.
        unsafe { tags::read(place) }
    }

    fn set_tag(&self, block: &mut Block, start: usize, length: usize, tag: u8) {
        let place = block.place(start.cast_signed());
        // SAFETY: as in `choose`; whole granules of the block, whose pointer gets this tag, or one that
        // is the allocator's, which does not look at tags.
        unsafe { tags::write(place, length, tag) };
    }

    fn unchecked<R>(&self, work: impl FnOnce() -> R) -> R {
        // SAFETY: as in `choose`.
        unsafe { tags::unchecked(work) }
    }
}
