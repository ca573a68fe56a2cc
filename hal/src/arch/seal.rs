//! The seal: from here on the machine runs without what its boot needed.
//!
//! What the boot has set up becomes read-only, the writable name of the page tables goes, and so does
//! the boot's own code, and with it every instruction that could undo any of this: what is left holds
//! no `msr` to a register that says how memory is translated, and no `tlbi` (joined; contained there is
//! one, for the application's own tables). The build looks for them in each image that it makes.
//!
//! The last thing that has to be done is to forget translations, by an instruction that must not be
//! left behind. So the code that does it takes itself out of the map first: it runs as long as the
//! core still knows where it was, and the fault that it takes then is the way out.

use core::arch::global_asm;
use core::sync::atomic::{AtomicBool, Ordering};

use elone_protections::Protection;
use heapless::Vec;

use super::exception::{Frame, Kind, Origin, Vector};
use super::places::{address, places};
use super::tables::{MapError, Mapper};
use super::translation::flush;
use crate::address::PAGE;
use crate::protections::wanted;
use crate::sealed::Sealed;

global_asm!(include_str!("seal.s"));

unsafe extern "C" {
    static __image_start: u8;
    static __init_end: u8;
    static __rodata_end: u8;
    static __sealed_end: u8;
    static __sealed_bss_start: u8;
    static __sealed_bss_end: u8;
    static elone_hal_sealed: u8;
    static elone_hal_ground: u8;
    static elone_hal_ground_end: u8;
    fn elone_hal_seal(ground: *mut u64, tables: *mut u64);
}

/// Whether the one fault that is no fault may come.
static SEALING: AtomicBool = AtomicBool::new(false);

/// How many of the tables are in use for good, from the first one on.
#[unsafe(link_section = ".bss.ro_after_init")]
static TABLES_IN_USE: Sealed<usize> = Sealed::new(0);

/// How many pages the boot's code may have.
const PAGES: usize = 64;

/// What is left to be done when all that needs the boot's code is done.
struct Rest {
    /// The entries of the boot's pages, but for the one with the last step.
    init: Vec<*mut u64, PAGES>,
    ground: *mut u64,
    tables: *mut u64,
}

/// Seals the machine. Nothing can be mapped from now on, and no code of the boot runs any more.
///
/// # Errors
/// What [`MapError`] says; then the machine is not sealed, and must not run an application.
pub fn seal(mapper: Mapper) -> Result<(), MapError> {
    // Stand-ins for entries that a protection's absence leaves alone.
    let mut unused = [0; 2];
    let rest = prepare(mapper, &mut unused)?;
    for entry in rest.init {
        // SAFETY: an entry of a last-level table, mapped writable still; none of this code is in the
        // page that it names, and nothing that is will be called again.
        unsafe { entry.write(0) };
    }
    SEALING.store(true, Ordering::Relaxed);
    // SAFETY: as above for the page with the last step, which needs no other; nothing is written to a
    // table of the kernel's after the one that names them is gone.
    unsafe { elone_hal_seal(rest.ground, rest.tables) };
    SEALING.store(false, Ordering::Relaxed);
    Ok(())
}

/// All that can be done by code that will be gone.
#[unsafe(link_section = ".init.text")]
#[inline(never)]
fn prepare(mut mapper: Mapper, unused: &mut [u64; 2]) -> Result<Rest, MapError> {
    let tree = mapper.tree();
    let at = |symbol: *const u8| symbol.addr() as u64;
    let [unused_ground, unused_tables] = unused;
    let mut rest = Rest { init: Vec::new(), ground: unused_ground, tables: unused_tables };

    let in_use = (tree.next() - address(places().tables)) / PAGE;
    // SAFETY: nobody asks before the seal, and there is one thread of execution.
    unsafe { TABLES_IN_USE.replace(in_use) };
    if wanted(Protection::SealedData) {
        let (start, end) = (at(&raw const __rodata_end), at(&raw const __sealed_end));
        tree.protect(start, end - start)?;
        let (start, end) = (at(&raw const __sealed_bss_start), at(&raw const __sealed_bss_end));
        tree.protect(start, end - start)?;
    }
    if wanted(Protection::SealedCode) {
        let ground = at(&raw const elone_hal_ground) / PAGE as u64 * PAGE as u64;
        let (start, end) = (at(&raw const __image_start), at(&raw const __init_end));
        for page in (start..end).step_by(PAGE) {
            let entry = tree.page(page)?.as_ptr();
            if page == ground {
                rest.ground = entry;
            } else {
                rest.init.push(entry).map_err(|_| MapError::OutOfRange)?;
            }
        }
    }
    if wanted(Protection::SealedTables) {
        rest.tables = tree.root_entry(places().tables);
    }
    flush();
    Ok(rest)
}

/// How many of the tables are in use, from the first one on: known once the machine is sealed.
pub(super) fn tables_in_use() -> usize {
    *TABLES_IN_USE.get()
}

/// Whether an exception is the one that the seal ends with; then the frame is changed so that what
/// sealed the machine goes on.
pub(super) fn landed(frame: &mut Frame, vector: Vector) -> bool {
    let ground = (&raw const elone_hal_ground).addr() as u64;
    let end = (&raw const elone_hal_ground_end).addr() as u64;
    let expected = Vector { origin: Origin::Kernel, kind: Kind::Synchronous };
    let is_it = vector == expected
        && (ground..end).contains(&frame.elr)
        && SEALING.swap(false, Ordering::Relaxed);
    if is_it {
        frame.elr = (&raw const elone_hal_sealed).addr() as u64;
    }
    is_it
}
