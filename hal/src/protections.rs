//! Which protections are in force, and, in the image that is attacked and in no other, which one is
//! left out.
//!
//! An attack proves something only if it succeeds where its protection is missing. So the attacked
//! image, and it alone, holds a word that the attacker's tool sets before it boots it: a bit for
//! each protection that is not to be put up. In every other image the question is answered when the
//! image is compiled, and nothing of this is in it.

use core::sync::atomic::{AtomicU32, Ordering};

use elone_protections::{Protection, Protections};

/// What was put up so far.
#[cfg_attr(target_os = "none", unsafe(link_section = ".bss.ro_after_init"))]
static IN_FORCE: AtomicU32 = AtomicU32::new(0);

/// The word that is set before the image boots; the tool finds it by its symbol. Zeros are not in
/// an image's file, so it is put among what is not zero.
#[cfg(elone_attackable)]
#[unsafe(no_mangle)]
#[unsafe(link_section = ".data.left_out")]
static ELONE_LEFT_OUT: AtomicU32 = AtomicU32::new(0);

/// Whether `protection` is to be put up.
#[must_use]
#[cfg(elone_attackable)]
pub fn wanted(protection: Protection) -> bool {
    !Protections::from_bits(ELONE_LEFT_OUT.load(Ordering::Relaxed)).has(protection)
}

/// Whether `protection` is to be put up: always.
#[must_use]
#[cfg(not(elone_attackable))]
pub const fn wanted(_: Protection) -> bool {
    true
}

/// Notes that `protection` is in force from now on.
pub fn note(protection: Protection) {
    IN_FORCE.fetch_or(Protections::NONE.with(protection).bits(), Ordering::Relaxed);
}

/// All that are in force.
#[must_use]
pub fn in_force() -> Protections {
    Protections::from_bits(IN_FORCE.load(Ordering::Relaxed))
}

/// The seed by which the linker has laid the image out: 0 if it has done so in order.
#[cfg(target_os = "none")]
#[must_use]
pub fn layout_seed() -> u64 {
    unsafe extern "C" {
        static __elone_layout_seed: [u8; 8];
    }
    // SAFETY: the build defines it in every image, in memory that is only read.
    u64::from_le_bytes(unsafe { __elone_layout_seed })
}
