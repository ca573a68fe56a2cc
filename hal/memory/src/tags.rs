//! The instructions of memory tags (`FEAT_MTE2`; Arm ARM, section D10), which an allocator needs at
//! whatever exception level it runs.
//!
//! A granule of 16 bytes has a tag of four bits, and so has a pointer, in its bits 59 to 56; an
//! access by a pointer with another tag is a fault. Somebody else has to turn that on: memory that is
//! mapped as tagged, `SCTLR_EL1.ATA`/`ATA0` and `TCF`/`TCF0`, `TCR_EL1.TBI`, and a seed in `RGSR_EL1`
//! where the core does not choose by itself.
//!
//! All of these are undefined instructions on a core without tags, so each is `unsafe` for that, too.

use core::arch::asm;

/// A granule's size in bytes.
pub const GRANULE: usize = 16;

/// Where in an address the tag is.
const SHIFT: u32 = 56;

/// A random tag, none of those in `excluded` (a bit each, tag 0 in bit 0); 0 if that is all of them.
///
/// # Safety
/// The core has `FEAT_MTE2`, and lets this exception level use it.
#[must_use]
#[inline]
pub unsafe fn choose(excluded: u16) -> u8 {
    let mut address = 0_u64;
    // SAFETY: changes one register, and the generator's state.
    unsafe {
        asm!(
            ".arch_extension memtag",
            "irg {address}, {address}, {excluded}",
            ".arch_extension nomemtag",
            address = inout(reg) address,
            excluded = in(reg) u64::from(excluded),
            options(nomem, nostack, preserves_flags)
        );
    }
    tag(address)
}

/// The tag of the granule that this address is in, whatever the pointer's own.
///
/// # Safety
/// As for [`choose`]; the memory is mapped as tagged.
#[must_use]
#[inline]
pub unsafe fn read(address: *const u8) -> u8 {
    let mut found = 0_u64;
    // SAFETY: reads the tag of memory that is there, which is no access to what it holds.
    unsafe {
        asm!(
            ".arch_extension memtag",
            "ldg {found}, [{address}]",
            ".arch_extension nomemtag",
            found = inout(reg) found,
            address = in(reg) address,
            options(readonly, nostack, preserves_flags)
        );
    }
    tag(found)
}

/// Gives a tag to the granules from `start` on: two at a time, then the last one.
///
/// # Safety
/// As for [`read`], of memory that is writable; `start` and `length` are multiples of a granule. Who
/// uses the memory afterwards does so by pointers with this tag, or [`unchecked`].
#[inline]
pub unsafe fn write(start: *mut u8, length: usize, tag: u8) {
    debug_assert!(start.addr().is_multiple_of(GRANULE) && length.is_multiple_of(GRANULE));
    // SAFETY: changes the tags of the caller's memory, and nothing else: where `length` is no multiple
    // of two granules the last one is taken by itself.
    unsafe {
        asm!(
            ".arch_extension memtag",
            "tbz {length}, #4, 3f",
            "stg {tag}, [{at}], #16",
            "sub {length}, {length}, #16",
            "3: cbz {length}, 5f",
            "4: st2g {tag}, [{at}], #32",
            "subs {length}, {length}, #32",
            "b.ne 4b",
            "5:",
            ".arch_extension nomemtag",
            length = inout(reg) length => _,
            at = inout(reg) start => _,
            tag = in(reg) u64::from(tag) << SHIFT,
            options(nostack)
        );
    }
}

/// Whether the memory at `start`, four granules of it, keeps a tag for each: tries it, and leaves tags
/// of its own behind. An emulator can say that it has tags, and have one for a page (QEMU 7.2 and its
/// contemporaries do); what is mapped otherwise keeps none.
///
/// # Safety
/// As for [`write`].
#[must_use]
pub unsafe fn are_kept(start: *mut u8) -> bool {
    const TRIED: [u8; 4] = [3, 5, 6, 9];
    let granules =
        || TRIED.iter().zip(0..).map(|(tag, at)| (*tag, start.wrapping_add(at * GRANULE)));
    for (tag, granule) in granules() {
        // SAFETY: the caller's.
        unsafe { write(granule, GRANULE, tag) };
    }
    // SAFETY: the caller's.
    granules().all(|(tag, granule)| unsafe { read(granule) } == tag)
}

/// Does `work` with tag checks off (`PSTATE.TCO`), and turns them on afterwards, whether they were or
/// not. For an allocator's own data, which lies between blocks of any tag. An exception in between
/// keeps the state, as all of `PSTATE`.
///
/// # Safety
/// As for [`choose`].
#[inline]
pub unsafe fn unchecked<R>(work: impl FnOnce() -> R) -> R {
    // SAFETY: no memory is touched; that the compiler moves no access past it is why this does not say
    // so.
    unsafe {
        asm!(
            ".arch_extension memtag",
            "msr tco, #1",
            ".arch_extension nomemtag",
            options(nostack, preserves_flags)
        );
    }
    let result = work();
    // SAFETY: as above.
    unsafe {
        asm!(
            ".arch_extension memtag",
            "msr tco, #0",
            ".arch_extension nomemtag",
            options(nostack, preserves_flags)
        );
    }
    result
}

/// The tag in an address.
const fn tag(address: u64) -> u8 {
    (address >> SHIFT) as u8 & 0xf
}
