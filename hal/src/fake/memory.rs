//! The machine's memory as fake devices see it: bytes at physical addresses.

use std::ptr::NonNull;
use std::sync::Mutex;

use super::bus::lock;
use crate::address::{PAGE, PhysicalAddress};
use crate::dma::DmaPool;

/// A stretch of memory that was made into a pool.
struct Bank {
    physical: u64,
    base: NonNull<u8>,
    length: usize,
    /// What has left the driver's caches, for those who read past them; empty until anything has.
    cleaned: Vec<u8>,
}

// SAFETY: a bank is an address; the tests that use one pool run on one thread.
unsafe impl Send for Bank {}

static BANKS: Mutex<Vec<Bank>> = Mutex::new(Vec::new());

/// Where fake memory starts; like on real machines, not at zero.
const FIRST: u64 = 0x4000_0000;
/// What there is in memory where nothing was cleaned.
const STALE: u8 = 0xa5;

impl DmaPool {
    /// Makes a pool of the host's memory, `length` bytes and whole pages, that fake devices reach.
    ///
    /// # Panics
    /// When the host has no memory.
    #[must_use]
    pub fn on_host(length: usize) -> Self {
        let length = length.next_multiple_of(PAGE);
        // Both sides' pointers come from this one, as equals: neither's use forbids the other's.
        let start = NonNull::from(Vec::leak(vec![0_u8; length + PAGE])).cast::<u8>();
        let skip = start.align_offset(PAGE);
        assert!(skip < PAGE, "a page starts within a page");
        // SAFETY: there are `length + PAGE` bytes from `start` on.
        let base = unsafe { start.add(skip) };

        let mut banks = lock(&BANKS);
        let end = banks.last().map_or(FIRST, |bank| bank.physical + bank.length as u64);
        let physical = end + PAGE as u64; // a hole, so that running over the end is found
        banks.push(Bank { physical, base, length, cleaned: Vec::new() });
        // SAFETY: leaked, so it lives as long as the program; initialised, and aligned to a page.
        unsafe { Self::new(base, PhysicalAddress(physical), length) }
    }
}

/// The bank that has `length` bytes of fake memory at `address`, and where in it.
fn bank(banks: &mut [Bank], address: u64, length: usize) -> (&mut Bank, usize) {
    let after = banks.partition_point(|bank| bank.physical <= address); // they are in order
    let bank = after.checked_sub(1).and_then(|last| banks.get_mut(last));
    let bank = bank
        .filter(|bank| address < bank.physical + bank.length as u64)
        .unwrap_or_else(|| panic!("a device reached for {address:#x}, where no memory is"));
    let offset = usize::try_from(address - bank.physical).expect("less than the length");
    assert!(offset + length <= bank.length, "a device ran over the end at {address:#x}");
    (bank, offset)
}

/// Where the host has `length` bytes of fake memory.
fn find(address: u64, length: usize) -> NonNull<u8> {
    let mut banks = lock(&BANKS);
    let (bank, offset) = bank(&mut banks, address, length);
    // SAFETY: `offset` lies within the bank.
    unsafe { bank.base.add(offset) }
}

/// `length` bytes leave the driver's caches, as they are now.
pub(crate) fn clean(address: u64, length: usize) {
    let bytes = read(address, length);
    let mut banks = lock(&BANKS);
    let (bank, offset) = bank(&mut banks, address, length);
    if bank.cleaned.is_empty() {
        bank.cleaned = vec![STALE; bank.length];
    }
    bank.cleaned[offset..][..length].copy_from_slice(&bytes);
}

/// As [`read`], by a device that does not see the driver's caches.
///
/// # Panics
/// When there is no memory: the driver sent the device astray.
#[must_use]
pub fn read_past_the_caches(address: u64, length: usize) -> Vec<u8> {
    let mut banks = lock(&BANKS);
    let (bank, offset) = bank(&mut banks, address, length);
    let place = offset..offset + length;
    bank.cleaned.get(place).map_or_else(|| vec![STALE; length], <[u8]>::to_vec)
}

/// What a device reads: `length` bytes at a physical address.
///
/// # Panics
/// When there is no memory: the driver sent the device astray.
#[must_use]
pub fn read(address: u64, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    copy(address, &mut bytes);
    bytes
}

fn copy(address: u64, bytes: &mut [u8]) {
    let place = find(address, bytes.len());
    // SAFETY: `find` answers for the source, a slice is its own, and both are as long.
    unsafe { place.copy_to_nonoverlapping(NonNull::from(&mut *bytes).cast(), bytes.len()) };
}

/// What a device writes.
///
/// # Panics
/// When there is no memory: the driver sent the device astray.
pub fn write(address: u64, bytes: &[u8]) {
    let place = find(address, bytes.len());
    // SAFETY: `find` answers for the target, which no slice of the caller's overlaps while a
    // device may write to it, and both are as long.
    unsafe { place.copy_from_nonoverlapping(NonNull::from(bytes).cast(), bytes.len()) };
}

/// Reads a little-endian number of `N` bytes.
#[must_use]
pub fn number<const N: usize>(address: u64) -> u64 {
    let mut bytes = [0; 8];
    copy(address, &mut bytes[..N]);
    u64::from_le_bytes(bytes)
}

/// Writes a little-endian number of `N` bytes.
pub fn set_number<const N: usize>(address: u64, value: u64) {
    write(address, &value.to_le_bytes()[..N]);
}
