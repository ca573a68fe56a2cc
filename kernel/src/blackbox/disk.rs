//! The black box on a disk, for machines whose RAM does not last. The disk is used by polling: in a
//! fault there is nobody left to wait for an interrupt.

use elone_gate::Events;
use elone_hal::arch::{core as cpu, timer};
use elone_hal::virtio::blk::{Blk, SECTOR};
use spin::{Mutex, Once};

use super::PAGES;
use crate::interrupts::Source;
use crate::machine::Interrupt;

/// Only a disk of this size is looked at: 64 KiB.
const SECTORS: u64 = 128;
/// How such a disk begins, whatever its layout.
const SIGNATURE: &[u8] = b"ELONE BLACK BOX ";
/// What follows in the layout that is known here.
const VERSION: &[u8] = b"1\n";
/// Where the record begins.
const RECORD: u64 = 1;
/// How long a disk may take to answer, in seconds.
const PATIENCE: u64 = 2;

/// The disk that was set aside. It stays where it is put: drivers are large.
static DISK: Once<Mutex<Blk>> = Once::new();
static LINE: Once<(Interrupt, Source)> = Once::new();

/// What became of a disk.
#[expect(clippy::large_enum_variant, reason = "a driver is passed on, at once")]
pub(crate) enum Kept {
    /// The kernel has it.
    Yes,
    /// It is a black box, but not one for here. It was reset, so nobody has to listen to it.
    LeftAlone,
    /// It is no black box: the application may have it.
    No(Blk),
}

/// Keeps a disk for the kernel if it was set aside as a black box; else gives it back.
pub(crate) fn keep(mut blk: Blk, interrupt: Option<Interrupt>) -> Kept {
    if blk.sectors() != SECTORS {
        return Kept::No(blk);
    }
    let mut sector = [0; SECTOR as usize];
    if let Err(error) = blk.read_now(0, &mut sector, patience()) {
        log::warn!("a disk that may be a black box cannot be read: {error}");
        return Kept::No(blk);
    }
    let Some(version) = sector.strip_prefix(SIGNATURE) else { return Kept::No(blk) };
    if !version.starts_with(VERSION) {
        log::warn!("black box: the disk's layout is not known here; it is left alone");
    } else if DISK.get().is_some() {
        log::warn!("black box: a second disk is left alone");
    } else {
        if let Some(interrupt) = interrupt {
            LINE.call_once(|| (interrupt, Source::Device(blk.interrupt_port(), Events::NONE)));
        }
        DISK.call_once(|| Mutex::new(blk));
        return Kept::Yes;
    }
    blk.leave();
    Kept::LeftAlone
}

/// The disk's line. It may be another device's too, which an interrupt that nobody takes back would
/// hold up.
pub(crate) fn line() -> Option<(Interrupt, Source)> {
    LINE.get().copied()
}

/// Reads what may be a record.
pub(super) fn read(bytes: &mut [u8]) {
    with_disk(bytes, |disk, bytes| disk.read_now(RECORD, bytes, patience()));
}

/// Writes a record, so that it survives a loss of power.
pub(super) fn write(bytes: &mut [u8]) {
    with_disk(bytes, |disk, bytes| {
        disk.write_now(RECORD, bytes, patience())?;
        disk.flush_now(patience())
    });
}

/// Does `work` with the disk, if there is one and nobody is in the midst of something with it.
fn with_disk(
    bytes: &mut [u8],
    work: impl FnOnce(&mut Blk, &mut [u8]) -> Result<(), elone_hal::virtio::blk::NowError>,
) {
    const { assert!(PAGES.is_multiple_of(SECTOR as usize)) };
    let Some(mut disk) = DISK.get().and_then(Mutex::try_lock) else { return };
    if let Err(error) = work(&mut disk, bytes) {
        crate::console::print(format_args!("black box: the disk: {error}\n"));
    }
}

/// Some seconds from now.
fn patience() -> impl FnMut() -> bool {
    let end = timer::ticks().saturating_add(PATIENCE * cpu::counter_frequency());
    move || timer::ticks() < end
}
