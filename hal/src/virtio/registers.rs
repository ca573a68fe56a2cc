//! The registers of the memory-mapped transport (virtio 1.2, sections 4.2.2 and 4.2.4), by their
//! names there. Offsets in bytes.

pub(super) const MAGIC_VALUE: usize = 0x000;
pub(super) const VERSION: usize = 0x004;
pub(super) const DEVICE_ID: usize = 0x008;
pub(super) const DEVICE_FEATURES: usize = 0x010;
pub(super) const DEVICE_FEATURES_SEL: usize = 0x014;
pub(super) const DRIVER_FEATURES: usize = 0x020;
pub(super) const DRIVER_FEATURES_SEL: usize = 0x024;
/// Legacy only: the unit of `QUEUE_PFN`.
pub(super) const GUEST_PAGE_SIZE: usize = 0x028;
pub(super) const QUEUE_SEL: usize = 0x030;
pub(super) const QUEUE_NUM_MAX: usize = 0x034;
pub(super) const QUEUE_NUM: usize = 0x038;
/// Legacy only: what the used ring is aligned to.
pub(super) const QUEUE_ALIGN: usize = 0x03c;
/// Legacy only: where the queue is, in pages.
pub(super) const QUEUE_PFN: usize = 0x040;
pub(super) const QUEUE_READY: usize = 0x044;
pub(super) const QUEUE_NOTIFY: usize = 0x050;
pub(super) const INTERRUPT_STATUS: usize = 0x060;
pub(super) const INTERRUPT_ACK: usize = 0x064;
pub(super) const STATUS: usize = 0x070;
pub(super) const QUEUE_DESC_LOW: usize = 0x080;
pub(super) const QUEUE_DESC_HIGH: usize = 0x084;
pub(super) const QUEUE_DRIVER_LOW: usize = 0x090;
pub(super) const QUEUE_DRIVER_HIGH: usize = 0x094;
pub(super) const QUEUE_DEVICE_LOW: usize = 0x0a0;
pub(super) const QUEUE_DEVICE_HIGH: usize = 0x0a4;
pub(super) const CONFIG_GENERATION: usize = 0x0fc;
/// Where the device's own configuration starts.
pub(super) const CONFIG: usize = 0x100;

/// `virt`, little-endian.
pub(super) const MAGIC: u32 = 0x7472_6976;

/// The bits of `STATUS` (section 2.1).
pub(super) mod status {
    pub(in crate::virtio) const ACKNOWLEDGE: u32 = 1;
    pub(in crate::virtio) const DRIVER: u32 = 2;
    pub(in crate::virtio) const DRIVER_OK: u32 = 4;
    pub(in crate::virtio) const FEATURES_OK: u32 = 8;
    pub(in crate::virtio) const DEVICE_NEEDS_RESET: u32 = 64;
    pub(in crate::virtio) const FAILED: u32 = 128;
}
