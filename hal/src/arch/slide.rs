//! The boot's first Rust: chooses at random where this boot runs, and moves the image there.
//!
//! The entry code has mapped the image at the address that it is linked at. This runs there, on the
//! boot stack, with every exception masked and nothing of the kernel up: it collects the entropy that
//! needs no driver, draws the places of everything ([`places`](super::places)), maps image, stacks
//! and tables there, relocates the image, and tells the entry code where to go on.
//!
//! If there is no memory where the device tree should be, the first look at it faults; the entry
//! code then calls this once more, without a tree. The boot tells of it when there is a console.

use core::ops::Range;

use elone_protections::Protection;
use heapless::Vec;

use super::features::Features;
use super::places::{GLANCE, Places, Stack};
use super::tables::MapError;
use super::translation::{Attributes, Tree, flush};
use super::{core as cpu, timer, undone};
use crate::address::{PAGE, PhysicalRange};
use crate::protections::{self, wanted};
use crate::sealed::Sealed;
use crate::seed::EarlySeed;
use crate::wipe::wipe_words;

unsafe extern "Rust" {
    /// The kernel makes a seed of what there is: the device tree's bytes, which may be anything, and
    /// in which it wipes the seeds; numbers of the core's generator, if it has one, and as the last
    /// one the counter. It has nothing but its arguments: no variable holds anything yet.
    safe fn __elone_early(tree: &mut [u8], extra: &[u64]) -> EarlySeed;
}

unsafe extern "C" {
    safe static __elone_early_device_tree: u64;
    static __image_start: u8;
    static __text_end: u8;
    static __rodata_end: u8;
    static __data_end: u8;
    static __image_end: u8;
    static __tables_start: u8;
    static __tables_end: u8;
    static __relocations_start: u8;
    static __relocations_end: u8;
    static __last_stack_bottom: u8;
    static __last_stack_top: u8;
    static __exception_stack_bottom: u8;
    static __exception_stack_top: u8;
    static __stack_bottom: u8;
    static __stack_top: u8;
}

/// What the entry code says for a device tree once there turned out to be none.
const NO_TREE: u64 = u64::MAX;

/// Tables that the entry code used: three for its own address, five for the image.
pub(super) const ROOT_TABLE: usize = 3;
const TABLES_IN_USE: usize = 8;

/// Waits here until the kernel's pool takes it.
static SEED: Sealed<EarlySeed> = Sealed::new(EarlySeed::none());

/// The seed, once: where it waited it is wiped.
pub(super) fn take_seed(_once: &mut super::entry::Handoff) -> EarlySeed {
    // SAFETY: no reference to it leaves this file, and the one handoff is borrowed mutably.
    unsafe { SEED.replace(EarlySeed::none()) }
}

/// What the entry code needs to go on; it knows the offsets.
#[repr(C)]
#[derive(Debug)]
struct Landing {
    slide: u64,
    system_control: u64,
    exception_stack: u64,
    stack: u64,
    key: [u64; 2],
}

#[unsafe(no_mangle)]
#[unsafe(link_section = ".init.text")]
extern "C" fn elone_hal_slide(device_tree: u64, image: u64, landing: &mut Landing) {
    let link = at(&raw const __image_start);
    let page = |number: usize| (&raw const __tables_start).addr() + number * PAGE;
    let end = (&raw const __tables_end).addr();
    // SAFETY: the linker script keeps these pages for tables; the entry code has made the root and
    // what it leads to among the first of them, and mapped all of them where they are linked. Nobody
    // else has them before this returns; called once more after a fault it begins anew, and forgets
    // what it hung into the root before (`look`).
    let mut tree =
        unsafe { Tree::new(page(ROOT_TABLE), page(TABLES_IN_USE), end, link.wrapping_sub(image)) };
    let device_tree = match device_tree {
        0 => __elone_early_device_tree,
        given => given,
    };
    let length = at(&raw const __image_end) - link;
    let seed = look(&mut tree, device_tree, &(image..image.saturating_add(length)));
    let random =
        if wanted(Protection::RandomLayout) { seed.layout } else { [0; EarlySeed::LAYOUT] };
    if seed.sources != 0 && wanted(Protection::RandomLayout) {
        protections::note(Protection::RandomLayout);
    }
    let features = Features::of_this_core();
    let mut places = Places::draw(&random, features);
    if map_all(&mut tree, &mut places, link.wrapping_sub(image)).is_err() {
        cpu::halt(); // the linker script keeps too few tables: no such image boots anywhere
    }
    let whole = PhysicalRange::new(image, length).unwrap_or_default();
    let undone = undone::undo(&mut tree, &places, whole)
        .and_then(|()| undone::undo_low(&mut tree, page(0), whole));
    if undone.is_err() {
        cpu::halt(); // as above, for the image that is attacked
    }
    places.tables_used = TABLES_IN_USE + (tree.next() - page(TABLES_IN_USE)) / PAGE;
    let slide = places.image.wrapping_sub(link);
    relocate(slide);
    let [.., tags, _, low, high] = seed.layout;
    *landing = Landing {
        slide,
        system_control: features.put_up(tags),
        exception_stack: places.stacks[1].top,
        stack: places.stacks[2].top,
        key: [low, high],
    };
    // SAFETY: the boot's only thread of execution, exceptions masked, and nobody has asked yet.
    unsafe { places.settle() };
    // SAFETY: as above; `take_seed` is called later.
    unsafe { SEED.replace(seed) };
}

/// An address of a symbol, which is where this runs.
fn at(symbol: *const u8) -> u64 {
    symbol.addr() as u64
}

/// Collects entropy. The device tree is mapped for a moment, to be read and to be wiped.
#[unsafe(link_section = ".init.text")]
fn look(tree: &mut Tree, device_tree: u64, image: &Range<u64>) -> EarlySeed {
    let mut extra: Vec<u64, 5> = core::iter::from_fn(cpu::random).take(4).collect();
    let _room = extra.push(timer::ticks());
    let mark = tree.next();
    let bytes = glance(tree, device_tree, image).unwrap_or_default();
    let seed = __elone_early(bytes, &extra);
    wipe_words(&mut extra);
    tree.forget(GLANCE, mark);
    flush();
    seed
}

/// The device tree's bytes at a place of their own, as many as its header says, 2 MiB at most; nothing
/// where the header is none, or says that the tree lies in the image.
#[unsafe(link_section = ".init.text")]
fn glance(tree: &mut Tree, start: u64, image: &Range<u64>) -> Option<&'static mut [u8]> {
    const HEADER: u64 = 40;
    const MOST: u64 = 2 << 20;
    const MAGIC: u32 = 0xd00d_feed;
    let mut show = |from: u64, length: u64| -> Option<()> {
        let pages = PhysicalRange::new(from, length)?.outer_pages()?;
        let seen = GLANCE + (pages.start().0 - start / PAGE as u64 * PAGE as u64);
        tree.map(usize::try_from(seen).ok()?, pages, Attributes::KERNEL_WRITE).ok()
    };
    if start == NO_TREE || image.contains(&start) {
        return None;
    }
    show(start, HEADER)?;
    let first = (GLANCE + start % PAGE as u64) as *mut u8;
    // SAFETY: mapped just now; if there is no memory this faults, and the entry code knows.
    let head = unsafe { first.cast::<[u32; 2]>().read_unaligned() };
    let [magic, length] = head.map(u32::from_be);
    let length = u64::from(length);
    let end = start.checked_add(length)?;
    let is_tree = magic == MAGIC && (HEADER..=MOST).contains(&length);
    if !is_tree || (start < image.end && image.start < end) {
        return None;
    }
    let shown = (start + HEADER).next_multiple_of(PAGE as u64);
    if end > shown {
        show(shown, end - shown)?;
    }
    // SAFETY: mapped writable just now, under no other name that anything uses before `look` takes this
    // one away.
    Some(unsafe { core::slice::from_raw_parts_mut(first, usize::try_from(length).ok()?) })
}

/// Maps the image where it will run, and its tables and stacks where they will be seen.
#[unsafe(link_section = ".init.text")]
fn map_all(tree: &mut Tree, places: &mut Places, offset: u64) -> Result<(), MapError> {
    let mut map = |seen: u64, from: u64, to: u64, attributes| -> Result<(), MapError> {
        let range = PhysicalRange::new(from.wrapping_sub(offset), to - from);
        let seen = usize::try_from(seen).map_err(|_| MapError::OutOfRange)?;
        tree.map(seen, range.ok_or(MapError::OutOfRange)?, attributes)
    };
    let link = at(&raw const __image_start);
    let mut from = link;
    for (to, attributes) in [
        (at(&raw const __text_end), places.features.text()),
        (at(&raw const __rodata_end), Attributes::kernel_read()),
        (at(&raw const __data_end), Attributes::kernel_write()),
    ] {
        map(places.image + (from - link), from, to, attributes)?;
        from = to;
    }
    let (start, end) = (at(&raw const __tables_start), at(&raw const __tables_end));
    map(places.tables, start, end, Attributes::KERNEL_WRITE)?;
    map(places.tables_read, start, end, Attributes::KERNEL_READ)?;

    let stacks = [
        (at(&raw const __last_stack_bottom), at(&raw const __last_stack_top)),
        (at(&raw const __exception_stack_bottom), at(&raw const __exception_stack_top)),
        (at(&raw const __stack_bottom), at(&raw const __stack_top)),
    ];
    let mut next = places.below_stacks;
    for ((from, to), stack) in stacks.into_iter().zip(&mut places.stacks) {
        next += super::stacks::GUARD;
        map(next, from, to, Attributes::kernel_write())?;
        *stack = Stack { bottom: next, top: next + (to - from) };
        next = stack.top;
    }
    Ok(())
}

/// Adds `slide` to every word of the image that holds an address. The list is in the form of ELF's
/// `SHT_RELR`: an even entry is an address, an odd one says which of the 63 words behind the last
/// one are meant as well. The addresses are those that the image is linked at, where this runs.
#[unsafe(link_section = ".init.text")]
fn relocate(slide: u64) {
    let (start, end) = (&raw const __relocations_start, &raw const __relocations_end);
    let count = (end.addr() - start.addr()) / size_of::<u64>();
    // SAFETY: the linker script puts the list there, aligned, into memory that is never written.
    let list = unsafe { core::slice::from_raw_parts(start.cast::<u64>(), count) };
    let add = |address: u64| {
        let word = address as *mut u64;
        // SAFETY: the linker made the list: words of the image's data, aligned, mapped writable where
        // they are linked.
        let value = unsafe { word.read() };
        // SAFETY: as above; who reads these words from here on gets addresses that are mapped already,
        // those that the image runs at.
        unsafe { word.write(value.wrapping_add(slide)) };
    };
    let mut next = 0;
    for entry in list {
        if entry & 1 == 0 {
            add(*entry);
            next = entry + 8;
        } else {
            (0..63).filter(|bit| entry >> (bit + 1) & 1 == 1).for_each(|bit| add(next + bit * 8));
            next += 63 * 8;
        }
    }
}
