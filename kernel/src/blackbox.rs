//! The black box: what is known of faults after whatever followed them.
//!
//! It is written when a fault is reported and read at each boot. It lies in the last pages of the
//! highest free RAM, which is the same place at every boot of the same machine and is nobody else's;
//! where the machine keeps its RAM over a restart, as virtual machines do, that is enough. A power
//! that was off leaves nothing there, or anything; that is then a fresh start, and no word is made of
//! it. So is what was half written: its counts are lost with it.
//!
//! For machines whose RAM does not last there can be a disk. It must have been set aside: exactly
//! 64 KiB (128 sectors) that begin with the 18 bytes `ELONE BLACK BOX 1` and a line feed, and
//! otherwise anything, zeros at first. Such a disk is the kernel's: it gets no handle, no application
//! ever sees it. From its second sector on lies the same [`record`] as in memory, in 16 sectors. It
//! is written, after the memory, when a fault ends or resets the machine, and when the machine ends
//! after faults that it survived; it is read at a boot whose memory has no record. A disk of another
//! size is not looked at, so those who have no black box pay nothing for it; one of that size without
//! the signature is not written to.

pub mod record;

#[cfg(target_os = "none")]
mod disk;
#[cfg(target_os = "none")]
mod kept;

#[cfg(target_os = "none")]
pub(crate) use self::{
    disk::{Kept, keep as keep_disk, line as disk_line},
    kept::*,
};
