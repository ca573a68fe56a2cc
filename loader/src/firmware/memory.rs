//! Memory of firmware's that becomes the image's.

use core::ops::Range;

use elone_loader::kept::Kept;
use uefi::boot::{self, AllocateType, MemoryType, PAGE_SIZE};
use uefi::mem::memory_map::{MemoryDescriptor, MemoryMap};

use super::{Refusal, raw};

/// Memory in one piece, which nobody else has.
pub(super) struct Pages {
    bytes: &'static mut [u8],
}

impl Pages {
    /// At least `length` bytes from a multiple of `boundary` on, which is one of the page's size.
    pub(super) fn allocate(length: usize, boundary: usize) -> Result<Self, Refusal> {
        let count = (length + boundary).div_ceil(PAGE_SIZE);
        let pages = boot::allocate_pages(AllocateType::AnyPages, MemoryType::LOADER_DATA, count);
        let pages = pages.map_err(|error| Refusal::NoMemory(length, error.status()))?;
        let before = pages.as_ptr().align_offset(boundary);
        let bytes = raw::allocated(pages, count);
        let end = length.next_multiple_of(PAGE_SIZE).saturating_add(before);
        let bytes = bytes.get_mut(before..end);
        bytes.map(|bytes| Self { bytes }).ok_or(Refusal::NoMemory(length, uefi::Status::ABORTED))
    }

    pub(super) fn bytes(&mut self) -> &mut [u8] {
        self.bytes
    }

    /// Its addresses: firmware maps memory where it is (UEFI 2.10, section 2.3.6).
    pub(super) fn addresses(&self) -> Range<usize> {
        let range = self.bytes.as_ptr_range();
        range.start.addr()..range.end.addr()
    }
}

/// The memory that firmware keeps for itself once it is left: all that has a kind which is not
/// there for anybody to take then (UEFI 2.10, table 7.10). Devices are no memory.
pub(super) fn kept(map: &impl MemoryMap) -> Kept {
    let mut kept = Kept::default();
    for one in map.entries().filter(|one| !is_free(one)) {
        let length = one.page_count.saturating_mul(PAGE_SIZE as u64);
        kept.keep(one.phys_start..one.phys_start.saturating_add(length));
    }
    kept
}

fn is_free(one: &MemoryDescriptor) -> bool {
    const FREE: [MemoryType; 7] = [
        MemoryType::LOADER_CODE,
        MemoryType::LOADER_DATA,
        MemoryType::BOOT_SERVICES_CODE,
        MemoryType::BOOT_SERVICES_DATA,
        MemoryType::CONVENTIONAL,
        MemoryType::MMIO,
        MemoryType::MMIO_PORT_SPACE,
    ];
    FREE.contains(&one.ty)
}
