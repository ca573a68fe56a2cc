//! The bus: fake devices at fake addresses.

use std::collections::BTreeMap;
use std::ptr::NonNull;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::attempt::Absent;
use crate::mmio::Window;

/// How wide an access is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Width {
    /// One byte.
    Bits8,
    /// Two bytes.
    Bits16,
    /// Four bytes.
    Bits32,
}

/// What a device does when its registers are read and written.
pub trait Registers: Send {
    /// Answers a read; bits over `width` are dropped.
    fn read(&mut self, offset: usize, width: Width) -> u32;
    /// Takes a write.
    fn write(&mut self, offset: usize, width: Width, value: u32);
    /// Answers a read of 64 bits, for devices that have such registers.
    fn read64(&mut self, offset: usize) -> u64 {
        panic!("read of 64 bits at {offset:#x}")
    }
    /// Takes a write of 64 bits, for devices that have such registers.
    fn write64(&mut self, offset: usize, value: u64) {
        panic!("write of 64 bits, {value:#x}, at {offset:#x}")
    }
}

type Shared = Arc<Mutex<dyn Registers>>;

/// Where each device starts, how long it is, and what it is.
static DEVICES: Mutex<BTreeMap<usize, (usize, Shared)>> = Mutex::new(BTreeMap::new());

/// The first address given out. Nothing is mapped there: an access that does not come here faults.
const FIRST: usize = 0x0900_0000;

/// Puts a device on the bus, at an address of its own, for the life of the program.
///
/// The device is shared with the caller, who keeps its own reference to look into it.
///
/// # Panics
/// When the address space is used up.
#[must_use]
pub fn place<T: Registers + 'static>(device: &Arc<Mutex<T>>, length: usize) -> Window {
    let mut devices = lock(&DEVICES);
    let after = |(start, (length, _)): (&usize, &(usize, Shared))| start + length;
    let start = devices.last_key_value().map_or(FIRST, after).next_multiple_of(0x1000);
    let shared: Shared = device.clone();
    devices.insert(start, (length, shared));
    let base = NonNull::new(std::ptr::without_provenance_mut(start)).expect("not at zero");
    // SAFETY: on the host a window is only a name.
    unsafe { Window::new(base, length) }
}

/// A window in which no device is, for the first look at it.
///
/// # Panics
/// Never.
#[must_use]
pub fn nobody(length: usize) -> Window {
    /// Below all devices.
    const NOWHERE: usize = FIRST / 2;
    let base = NonNull::new(std::ptr::without_provenance_mut(NOWHERE)).expect("not at zero");
    // SAFETY: on the host a window is only a name.
    unsafe { Window::new(base, length) }
}

/// What some monitors have where no device is: every read gives the same, and no write does anything.
#[derive(Clone, Copy, Debug)]
pub struct Nothing(pub u32);

impl Registers for Nothing {
    fn read(&mut self, _offset: usize, _width: Width) -> u32 {
        self.0
    }

    fn write(&mut self, _offset: usize, _width: Width, _value: u32) {}
}

/// Locks, whatever happened to whoever held the lock before.
pub fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Finds the device at an address, and the offset in it.
fn find(register: NonNull<u8>) -> (Shared, usize) {
    look(register).expect("nothing there on the fake bus")
}

/// Finds the device at an address, if there is one, and the offset in it.
fn look(register: NonNull<u8>) -> Option<(Shared, usize)> {
    let address = register.addr().get();
    let devices = lock(&DEVICES);
    let (start, (length, device)) = devices.range(..=address).next_back()?;
    (address < start + length).then(|| (device.clone(), address - start))
}

pub(crate) unsafe fn attempt8(register: NonNull<u8>) -> Result<u8, Absent> {
    look(register).ok_or(Absent)?;
    // SAFETY: on the host nothing is asked of the address.
    Ok(unsafe { read8(register) })
}

pub(crate) unsafe fn attempt32(register: NonNull<u8>) -> Result<u32, Absent> {
    look(register).ok_or(Absent)?;
    // SAFETY: as above.
    Ok(unsafe { read32(register) })
}

/// Writes a pair of accessors for each width.
macro_rules! access {
    ($($type:ty, $width:ident: $read:ident $write:ident;)*) => {$(
        pub(crate) unsafe fn $read(register: NonNull<u8>) -> $type {
            let (device, offset) = find(register);
            let value = lock(&device).read(offset, Width::$width);
            #[allow(clippy::cast_possible_truncation, reason = "bits over the width are dropped")]
            let value = value as $type;
            value
        }

        pub(crate) unsafe fn $write(register: NonNull<u8>, value: $type) {
            let (device, offset) = find(register);
            lock(&device).write(offset, Width::$width, u32::from(value));
        }
    )*};
}

access! {
    u8, Bits8: read8 write8;
    u16, Bits16: read16 write16;
    u32, Bits32: read32 write32;
}

pub(crate) unsafe fn read64(register: NonNull<u8>) -> u64 {
    let (device, offset) = find(register);
    lock(&device).read64(offset)
}

pub(crate) unsafe fn write64(register: NonNull<u8>, value: u64) {
    let (device, offset) = find(register);
    lock(&device).write64(offset, value);
}
