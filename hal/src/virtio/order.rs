//! The order of memory between a driver and its device, where a release or an acquire is not enough.

#[cfg(not(target_os = "none"))]
use core::sync::atomic::{Ordering, fence};

#[cfg(target_os = "none")]
use aarch64_cpu::asm::barrier;

/// Has every access before this seen before any after it, memory and registers alike, by whatever the
/// device is: a hypervisor's thread, or hardware that reads memory over PCI Express. The latter is what
/// ORDER_PLATFORM asks for (virtio 1.2, section 6). It need not be in the inner shareable domain, nor are
/// its registers, and a fence of the language's (`dmb ish`) is for what is. This is one instruction too,
/// so everybody has it, whether or not that was negotiated.
///
/// Of accesses to memory among themselves, `stlr` and `ldar` keep the order for both: they name no
/// domain, but hold for whoever sees the memory coherently (Arm ARM, section B2.3), and all of a pool's
/// devices do ([`DmaPool::new`](crate::dma::DmaPool::new)).
#[inline]
pub(super) fn full() {
    #[cfg(target_os = "none")]
    barrier::dmb(barrier::SY);
    #[cfg(not(target_os = "none"))]
    fence(Ordering::SeqCst);
}
