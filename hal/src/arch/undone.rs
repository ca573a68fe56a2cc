//! What the boot does where a protection is to be missing: for the image that is attacked, in which
//! an attack must succeed once to prove that it is one. In every other image none of it is compiled.

use aarch64_cpu::asm::barrier;
use aarch64_cpu::registers::{ReadWriteable, TCR_EL1, TTBR0_EL1};
use elone_protections::Protection;

use super::places::{Places, UPPER};
use super::tables::MapError;
use super::translation::{Attributes, Tree};
use crate::address::PhysicalRange;
use crate::protections::wanted;

/// A second, writable name of the image and its tables, in a part of the upper half that is not used
/// otherwise.
const ALIAS: u64 = UPPER + (509 << 39);
/// How much is mapped where nothing should be, in bytes.
const SPILL: u64 = 1 << 20;

/// Maps what must not be mapped: `image` is where all of the image lies.
#[unsafe(link_section = ".init.text")]
pub(super) fn undo(tree: &mut Tree, places: &Places, image: PhysicalRange) -> Result<(), MapError> {
    let mut map = |seen: u64, range: Option<PhysicalRange>| {
        let seen = usize::try_from(seen).map_err(|_| MapError::OutOfRange)?;
        tree.map(seen, range.ok_or(MapError::OutOfRange)?, Attributes::KERNEL_WRITE)
    };
    if !wanted(Protection::NoAliases) {
        map(ALIAS, Some(image))?;
    }
    if !wanted(Protection::StackGuards) {
        let [_, _, ordinary] = places.stacks;
        map(ordinary.bottom - SPILL, PhysicalRange::new(image.end().0, SPILL))?;
    }
    Ok(())
}

/// Maps the first of the lower half, readable and writable (and to be run where nothing forbids that),
/// by the tables that the entry code used for its own address: their root is the first of all tables.
#[unsafe(link_section = ".init.text")]
pub(super) fn undo_low(tree: &mut Tree, root: usize, image: PhysicalRange) -> Result<(), MapError> {
    if wanted(Protection::LowUnmapped) {
        return Ok(());
    }
    let behind = PhysicalRange::new(image.end().0, SPILL).ok_or(MapError::OutOfRange)?;
    let root = tree.with_root(root, |low| {
        low.map(0, behind, Attributes::kernel_write())?;
        Ok(low.root())
    })?;
    TTBR0_EL1.set_baddr(root);
    TCR_EL1.modify(TCR_EL1::EPD0::EnableTTBR0Walks);
    barrier::isb(barrier::SY);
    Ok(())
}
