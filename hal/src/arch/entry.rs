//! From the boot loader to Rust: the assembly, and what it hands over.

use core::arch::global_asm;

use crate::address::PhysicalRange;
use crate::seed::EarlySeed;

global_asm!(include_str!("entry.s"));
global_asm!(include_str!("frame.s"), include_str!("vectors.s"), include_str!("user.s"));

unsafe extern "C" {
    static __image_start: u8;
    static __image_end: u8;
    static __build_id: u8;
    static __build_id_end: u8;
    static __application_start: u8;
    static __application_end: u8;
}

unsafe extern "Rust" {
    /// The kernel's first function. It gets the only [`Handoff`] there will ever be.
    safe fn __elone_start(handoff: Handoff) -> !;
}

/// Defines, once an image, the symbols that the entry code and what it calls first read a board's
/// facts from: the fields `distributor` and `cpu_interface` (0 where there is none), for the one case
/// in which they must be known before the device tree is read, entered at EL3, where Elone is the
/// firmware and has to open the interrupt controller to the non-secure world (GICv2 and v3
/// architecture, "Security" sections); for the same case `counter_frequency`, which firmware tells
/// everybody else, where the register does not say it yet; and `device_tree`, an `Option`, where that
/// lies if nobody says where.
#[macro_export]
macro_rules! early_facts {
    ($facts:expr) => {
        #[expect(unsafe_code, reason = "symbols that the entry code reads")]
        mod early_facts {
            #[unsafe(no_mangle)]
            static __elone_early_distributor: u64 = $facts.distributor;
            #[unsafe(no_mangle)]
            static __elone_early_cpu_interface: u64 = $facts.cpu_interface;
            #[unsafe(no_mangle)]
            static __elone_early_counter_frequency: u64 = $facts.counter_frequency;
            #[unsafe(no_mangle)]
            static __elone_early_device_tree: u64 = match $facts.device_tree {
                Some(address) => address,
                None => u64::MAX, // `NO_TREE` in slide.rs
            };
        }
    };
}

/// What the entry code hands to the kernel: exactly one exists, so whoever holds it knows that this
/// is the boot core's first pass. On entry to the kernel: EL1, MMU and caches on, the image,
/// its stacks and its tables mapped W^X and nothing else, the boot stack, interrupts masked.
#[derive(Debug)]
pub struct Handoff {
    device_tree: u64,
    image: PhysicalRange,
    entered_at: u8,
}

impl Handoff {
    /// x0 at entry: the device tree's physical address; 0 where the loader gave none.
    #[must_use]
    pub const fn device_tree(&self) -> u64 {
        self.device_tree
    }

    /// What was collected of entropy so far; once, then there is nothing.
    pub fn take_seed(&mut self) -> EarlySeed {
        super::slide::take_seed(self)
    }

    /// Where the image lies, with its tables and stacks.
    #[must_use]
    pub const fn image(&self) -> PhysicalRange {
        self.image
    }

    /// The exception level of the entry: 1, 2 or 3.
    #[must_use]
    pub const fn entered_at(&self) -> u8 {
        self.entered_at
    }
}

/// Where the image runs on this boot: what has to be known to explain its addresses.
#[must_use]
pub fn image_base() -> usize {
    (&raw const __image_start).addr()
}

/// The build id that the linker put into the image: names the build, for symbolising its reports.
#[must_use]
pub fn build_id() -> &'static [u8] {
    // An ELF note: name size, descriptor size, type (12 bytes), name "GNU\0", then the id.
    const HEADER: usize = 16;
    let start = &raw const __build_id;
    let length = (&raw const __build_id_end).addr().saturating_sub(start.addr());
    if length <= HEADER {
        return &[];
    }
    // SAFETY: the linker script places the note, `length` bytes of it, in read-only data.
    unsafe { core::slice::from_raw_parts(start.wrapping_add(HEADER), length - HEADER) }
}

/// The application that was packed into the image to run at EL0; empty where it is linked with the
/// kernel.
#[must_use]
pub fn application() -> &'static [u8] {
    let start = &raw const __application_start;
    let length = (&raw const __application_end).addr().saturating_sub(start.addr());
    // SAFETY: the linker script places the package, `length` bytes of it, in read-only data.
    unsafe { core::slice::from_raw_parts(start, length) }
}

/// Where the assembly arrives, on the boot stack, at the image's own address.
#[unsafe(no_mangle)]
extern "C" fn elone_hal_enter(device_tree: u64, image: u64, entered_at: u8) -> ! {
    let length = (&raw const __image_end).addr() - image_base();
    let image = PhysicalRange::new(image, length as u64).unwrap_or_default();
    __elone_start(Handoff { device_tree, image, entered_at })
}
