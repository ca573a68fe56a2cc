//! The order of memory between a driver and its device, where a release or an acquire is not enough.

#[cfg(not(target_os = "none"))]
use core::sync::atomic::{Ordering, fence};

#[cfg(target_os = "none")]
use aarch64_cpu::asm::barrier;

/// Has every access before this seen before any after it, memory and registers alike, by whatever the
/// device is: a hypervisor's thread, or hardware that reads memory over PCI Express. The latter is what
/// ORDER_PLATFORM asks for (virtio 1.2, section 6). Its registers are device memory, which is outer
/// shareable: a fence of the language's (`dmb ish`) need not keep a store to memory before one to them.
/// This is one instruction too, so everybody has it, whether or not that was negotiated.
///
/// Of accesses to memory among themselves, `stlr` and `ldar` keep the order, for the domain of the
/// memory, which all of a pool's devices are in, as they see it coherently
/// ([`DmaPool::new`](crate::dma::DmaPool::new)).
#[inline]
pub(super) fn full() {
    #[cfg(target_os = "none")]
    barrier::dmb(barrier::SY);
    #[cfg(not(target_os = "none"))]
    fence(Ordering::SeqCst);
}
