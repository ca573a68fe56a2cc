//! All that is unsafe: memory by its address, and the way out.
#![expect(unsafe_code, reason = "firmware names memory by address, and is left by a jump")]

use core::arch::naked_asm;
use core::ptr::{self, NonNull};
use core::slice;

use elone_loader::tree::{self, Room};
use uefi::boot::{self, PAGE_SIZE};
use uefi::{Guid, guid, system};

use super::Refusal;
use super::memory::{self, Pages};

/// Where firmware's configuration table has the device tree (`EFI_DTB_TABLE_GUID`; UEFI 2.10,
/// section 4.6.1.3).
const DEVICE_TREE: Guid = guid!("b1b621d5-f19c-41a5-830b-d9152c69aae0");

/// Firmware's device tree, and its address.
pub(super) fn tree() -> Result<(usize, &'static [u8]), Refusal> {
    let table = system::with_config_table(|entries| {
        let entry = entries.iter().find(|entry| entry.guid == DEVICE_TREE);
        entry.and_then(|entry| NonNull::new(entry.address.cast::<u8>().cast_mut()))
    });
    let start = table.ok_or(Refusal::NoTree)?;
    let address = start.addr().get();
    // SAFETY: firmware says that a tree begins there, so at least its header can be read; firmware
    // does not change it while an application runs.
    let header = unsafe { start.cast::<[u8; tree::HEADER]>().as_ref() };
    let length = tree::length(header).map_err(|no| Refusal::Tree(address, no))?;
    // SAFETY: it has a tree's magic number, and so many bytes are the tree's, as it says itself.
    let bytes = unsafe { slice::from_raw_parts(start.as_ptr(), length) };
    Ok((address, bytes))
}

/// Pages that firmware has allocated to this program just now, cleared.
pub(super) fn allocated(pages: NonNull<u8>, count: usize) -> &'static mut [u8] {
    let length = count * PAGE_SIZE;
    // SAFETY: so many pages from there on can be written, and are nobody else's.
    unsafe { ptr::write_bytes(pages.as_ptr(), 0, length) };
    // SAFETY: as above; they are initialised now, and are never given back.
    unsafe { slice::from_raw_parts_mut(pages.as_ptr(), length) }
}

/// Leaves firmware for good, and enters the image that begins at `offset` of `image` with a tree
/// that says what firmware keeps.
pub(super) fn leave(image: Pages, offset: usize, mut tree: Pages, room: Room) -> ! {
    // SAFETY: of firmware's there is nothing in use any more: what is used from here on is this
    // program's own code and stack, and pages that it has allocated. Nothing is dropped, as nothing
    // returns.
    let map = unsafe { boot::exit_boot_services(None) };
    room.fill(tree.bytes(), &memory::kept(&map));
    let (image, tree) = (image.addresses(), tree.addresses());
    // SAFETY: firmware is left; an image is at that place of pages which are the image's own, and a
    // tree at the other.
    unsafe { enter(tree.start, tree.end, image.start + offset, image.end) }
}

/// Enters the image at `image` as the Linux arm64 boot protocol has it: MMU and data cache off,
/// interrupts masked, x0 the tree's address, x1 to x3 zero, at the level that firmware ran at. What
/// was written through the caches is cleaned to memory before, and so is this code itself, as it
/// goes on without them. Firmware maps memory where it is, so it goes on where it was.
///
/// # Safety
/// Boot services are left. From `tree` to `tree_end` there is a device tree, from `image` to `end` an
/// image and the memory that it takes, in RAM.
#[unsafe(naked)]
unsafe extern "C" fn enter(tree: usize, tree_end: usize, image: usize, end: usize) -> ! {
    naked_asm!(
        "100:",
        "msr     daifset, #0xf",
        "mrs     x4, ctr_el0",
        "ubfx    x4, x4, #16, #4", // DminLine, in words
        "mov     x5, #4",
        "lsl     x4, x5, x4",
        "mov     x10, x0",
        "mov     x11, x2",
        "mov     x5, x1",
        "bl      120f",
        "mov     x0, x11",
        "mov     x5, x3",
        "bl      120f",
        "adr     x0, 100b",
        "adr     x5, 130f",
        "bl      120f",
        "mov     x0, x10",
        "mov     x1, xzr",
        "mov     x2, xzr",
        "mov     x3, xzr",
        "mov     x6, #0x1005", // M, C and I
        "mrs     x5, CurrentEL",
        "cmp     x5, #8",
        "b.eq    110f",
        "mrs     x5, sctlr_el1",
        "bic     x5, x5, x6",
        "msr     sctlr_el1, x5",
        "isb",
        "tlbi    vmalle1",
        "b       111f",
        "110:",
        "mrs     x5, sctlr_el2",
        "bic     x5, x5, x6",
        "msr     sctlr_el2, x5",
        "isb",
        "tlbi    alle2",
        "111:",
        "ic      iallu",
        "dsb     nsh",
        "isb",
        "br      x11",
        // Cleans and invalidates the lines from x0 to x5, x4 bytes each, to the point of coherency.
        "120:",
        "sub     x6, x4, #1",
        "bic     x0, x0, x6",
        "121:",
        "dc      civac, x0",
        "add     x0, x0, x4",
        "cmp     x0, x5",
        "b.lo    121b",
        "dsb     sy",
        "ret",
        "130:",
    )
}
