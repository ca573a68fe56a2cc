//! What the tests share.

use std::ptr::NonNull;
use std::sync::{Arc, Mutex, MutexGuard};

use elone_hal::dma::DmaPool;
use elone_hal::fake::bus;
use elone_hal::fake::virtio::{Service, Virtio};
use elone_hal::virtio::Transport;

pub(crate) const LEGACY: u32 = 1;
pub(crate) const MODERN: u32 = 2;

pub(crate) const NET: u32 = 1;
pub(crate) const BLOCK: u32 = 2;
pub(crate) const CONSOLE: u32 = 3;
pub(crate) const ENTROPY: u32 = 4;

pub(crate) const INDIRECT: u64 = 1 << 28;
pub(crate) const EVENT_INDEX: u64 = 1 << 29;

/// Both interfaces, with and without each feature of the ring: of each one, to begin with.
const VARIANTS: [(u32, u64); 8] = [
    (LEGACY, EVENT_INDEX),
    (MODERN, INDIRECT),
    (LEGACY, 0),
    (LEGACY, INDIRECT),
    (LEGACY, EVENT_INDEX | INDIRECT),
    (MODERN, 0),
    (MODERN, EVENT_INDEX),
    (MODERN, EVENT_INDEX | INDIRECT),
];

/// All of them; two under Miri, which takes a thousand times as long.
pub(crate) fn variants() -> impl Iterator<Item = (u32, u64)> {
    VARIANTS.into_iter().take(if cfg!(miri) { 2 } else { VARIANTS.len() })
}

/// All of them; the first two under Miri.
pub(crate) fn some<T: Copy>(all: &[T]) -> Vec<T> {
    all.iter().copied().take(if cfg!(miri) { 2 } else { all.len() }).collect()
}

/// A device that a test and a driver share.
#[derive(Clone, Debug)]
pub(crate) struct Shared(Arc<Mutex<Virtio>>);

impl Shared {
    /// The device, for as long as the driver is not called.
    pub(crate) fn lock(&self) -> MutexGuard<'_, Virtio> {
        bus::lock(&self.0)
    }

    /// Asks the device several things in one expression, or does something to it.
    pub(crate) fn look<T>(&self, look: impl FnOnce(&mut Virtio) -> T) -> T {
        look(&mut self.lock())
    }
}

/// Puts a device on the bus and opens its slot.
pub(crate) fn open(device: Virtio) -> (Shared, Transport) {
    let (device, window) = device.place();
    let transport = Transport::open(window).expect("a virtio device").expect("not an empty slot");
    (Shared(device), transport)
}

/// As [`open`], with a service.
pub(crate) fn open_serving(mut device: Virtio, service: Service) -> (Shared, Transport) {
    device.service = Some(service);
    open(device)
}

/// Memory enough for one device.
pub(crate) fn pool() -> DmaPool {
    DmaPool::on_host(512 * 1024)
}

/// Writes a buffer's bytes, as its owner does.
pub(crate) fn write(area: &elone_hal::dma::DmaBuffers, buffer: u16, bytes: &[u8]) {
    assert!(buffer < area.count() && bytes.len() <= usize::from(area.size()));
    let offset = usize::from(buffer) * usize::from(area.size());
    // SAFETY: within the area, as asserted.
    let start = unsafe { area.base().add(offset) };
    // SAFETY: as above, and the buffer is this side's.
    unsafe { start.copy_from_nonoverlapping(NonNull::from(bytes).cast(), bytes.len()) };
}

/// Reads a buffer's first bytes, as its owner does.
pub(crate) fn read(area: &elone_hal::dma::DmaBuffers, buffer: u16, length: usize) -> Vec<u8> {
    assert!(buffer < area.count() && length <= usize::from(area.size()));
    let offset = usize::from(buffer) * usize::from(area.size());
    // SAFETY: within the area, as asserted.
    let start = unsafe { area.base().add(offset) };
    // SAFETY: as above, and the buffer is this side's.
    unsafe { std::slice::from_raw_parts(start.as_ptr(), length) }.to_vec()
}
