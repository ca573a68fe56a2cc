//! Arm's GICv2 and GICv3, as far as one core needs them. The drivers are arm-gic's; this owns their
//! registers and hides which of the two it is.

use aarch64_cpu::asm::barrier;
use arm_gic::gicv2::GicV2;
use arm_gic::gicv3::registers::{Gicd, GicrSgi};
use arm_gic::gicv3::{GicCpuInterface, GicDistributor, GicRedistributor, Group};
use arm_gic::{IntId, InterruptGroup, Trigger, UniqueMmioPointer};

use crate::attempt::Absent;
use crate::its::FIRST_LPI;
use crate::mmio::Window;

/// Between "none" (0) and "all masked" (255), and the same for every line: nothing preempts.
const PRIORITY: u8 = 0x80;
/// Lets every priority through.
const LOWEST_PRIORITY: u8 = 0xff;

/// The registers of one core's GICv3 redistributor: control and SGI frames of 64 KiB each.
pub const REDISTRIBUTOR: u64 = 0x2_0000;
/// The same with the two frames that GICv4 adds.
pub const REDISTRIBUTOR_V4: u64 = 0x4_0000;

/// One byte a line: its priority; the cores that it goes to, a bit each.
const GICD_IPRIORITYR: usize = 0x400;
const GICD_ITARGETSR: usize = 0x800;
/// What there must be of a GICv2's registers, in bytes: each architecture's are all in its first
/// page, those of the interface to the core that are used here at its very start.
const GICD_LENGTH: usize = 0x1000;
const GICC_LENGTH: usize = 0x100;
const GICD_TYPER: usize = 0x4;
const GICD_IIDR: usize = 0x8;
const GICC_CTLR: usize = 0x0;
const PIDR2: usize = 0xffe8;
const GICR_TYPER: usize = 0x8;
const GICR_TYPER_AFFINITY: usize = 0xc;

/// A redistributor's `GICR_TYPER`: whose it is, and where the next one lies.
#[derive(Clone, Copy, Debug)]
pub struct RedistributorType {
    /// Whether it belongs to the core that this runs on.
    pub ours: bool,
    /// Whether it is the last of its region.
    pub last: bool,
    /// How far the next one is, in bytes, where the device tree gives no stride.
    pub stride: u64,
}

/// Whether there is a GICv2 behind these windows.
///
/// # Errors
/// [`Absent`]: of the one or the other nobody answers, or with nothing but zeros or ones.
pub fn look_for_v2(distributor: Window, cpu_interface: Window) -> Result<(), Absent> {
    let kind = distributor.attempt32(GICD_TYPER)?;
    if kind == u32::MAX || kind | distributor.read32(GICD_IIDR) == 0 {
        return Err(Absent);
    }
    match cpu_interface.attempt32(GICC_CTLR)? {
        u32::MAX => Err(Absent),
        _ => Ok(()),
    }
}

/// Whether there is a GICv3's distributor, or redistributor, behind this window, of 64 KiB or more:
/// either says which architecture it is of (Arm IHI 0069, section 12.1.13).
///
/// # Errors
/// [`Absent`].
pub fn look_for_v3(frame: Window) -> Result<(), Absent> {
    const ARCHITECTURES: core::ops::RangeInclusive<u32> = 3..=4;
    if frame.length() <= PIDR2 {
        return Ok(()); // it has too few registers to tell, which is complained of later
    }
    let architecture = frame.attempt32(PIDR2)? >> 4 & 0xf;
    if ARCHITECTURES.contains(&architecture) { Ok(()) } else { Err(Absent) }
}

/// Reads what the redistributor behind `window` is. Needs its first 64 KiB mapped.
#[must_use]
pub fn redistributor_type(window: Window) -> RedistributorType {
    use aarch64_cpu::registers::{MPIDR_EL1, Readable};
    let mpidr = MPIDR_EL1.get();
    let ours = (mpidr >> 8 & 0xff00_0000) | (mpidr & 0x00ff_ffff);
    let kind = window.read32(GICR_TYPER);
    RedistributorType {
        ours: u64::from(window.read32(GICR_TYPER_AFFINITY)) == ours,
        last: kind & 1 << 4 != 0,
        stride: if kind & 1 << 1 != 0 { REDISTRIBUTOR_V4 } else { REDISTRIBUTOR },
    }
}

/// A GIC.
pub enum Gic {
    /// GICv2, or a GICv1 of the same registers.
    V2(GicV2<'static>, Window),
    /// GICv3 and its successors.
    V3(GicDistributor<'static>, GicRedistributor<'static>),
}

impl core::fmt::Debug for Gic {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::V2(..) => "GICv2",
            Self::V3(..) => "GICv3",
        })
    }
}

impl Gic {
    /// Takes over a GICv2, every line disabled. `None` where a window is shorter than the registers.
    ///
    /// Both group enables are set: seen from the non-secure world, the bit that is group 0's
    /// elsewhere enables group 1, the only group there is (GICv2 architecture, section 4.3.1).
    #[must_use]
    pub fn v2(distributor: Window, cpu_interface: Window) -> Option<Self> {
        if distributor.length() < GICD_LENGTH || cpu_interface.length() < GICC_LENGTH {
            return None;
        }
        // SAFETY: windows are mapped as device memory for good, whole pages of it, and are aligned
        // to eight bytes; these are the controller's, and hold what is used of its registers.
        let mut gic = unsafe {
            GicV2::new(distributor.base().as_ptr().cast(), cpu_interface.base().as_ptr().cast())
        };
        gic.enable_all_interrupts(false);
        gic.setup();
        gic.enable_group0(true);
        gic.enable_group1(true);
        Some(Self::V2(gic, distributor))
    }

    /// Takes over a GICv3, every line disabled; `redistributor` is this core's. `None` where a
    /// window is shorter than the registers.
    #[must_use]
    pub fn v3(distributor: Window, redistributor: Window) -> Option<Self> {
        if distributor.length() < size_of::<Gicd>() || redistributor.length() < size_of::<GicrSgi>()
        {
            return None;
        }
        // SAFETY: windows are mapped as device memory for good and are aligned to eight bytes; this
        // is the controller's, and holds all its registers.
        let registers = unsafe { UniqueMmioPointer::new(distributor.base().cast::<Gicd>()) };
        let mut distributor = GicDistributor::new(registers);
        // SAFETY: as above.
        let registers = unsafe { UniqueMmioPointer::new(redistributor.base().cast::<GicrSgi>()) };
        let mut redistributor = GicRedistributor::new(registers);

        GicCpuInterface::enable_system_register_el1();
        barrier::isb(barrier::SY); // before this the other system registers need not exist
        distributor.enable_all_interrupts(false);
        distributor.enable_affinity_routing_secure(true); // from here: the non-secure ARE
        distributor.enable_group1_non_secure(true);
        let _awake_already = redistributor.mark_core_awake();
        redistributor.enable_all_interrupts(false);
        GicCpuInterface::set_priority_mask(LOWEST_PRIORITY);
        GicCpuInterface::enable_group1(true);
        barrier::isb(barrier::SY);
        Some(Self::V3(distributor, redistributor))
    }

    /// Lets a line through to this core; whether the controller has such a line.
    pub fn enable(&mut self, line: IntId, trigger: Trigger) -> bool {
        match self {
            // Those that there are were let through when they were given out.
            _ if u32::from(line) >= FIRST_LPI => matches!(self, Self::V3(..)),
            Self::V2(gic, distributor) => {
                // A byte: arm-gic writes the word, and with it the priorities of three neighbours.
                distributor.write8(GICD_IPRIORITYR + u32::from(line) as usize, PRIORITY);
                if !line.is_sgi() && !line.is_ppi() {
                    gic.set_trigger(line, trigger);
                    let core = distributor.read8(GICD_ITARGETSR); // of a private line: this core
                    distributor.write8(GICD_ITARGETSR + u32::from(line) as usize, core);
                }
                gic.enable_interrupt(line, true).is_ok()
            }
            Self::V3(_, redistributor) if line.is_ppi() || line.is_eppi() => {
                redistributor.set_group(line, Group::Group1NS).is_ok()
                    && redistributor.set_interrupt_priority(line, PRIORITY).is_ok()
                    && redistributor.enable_interrupt(line, true).is_ok()
            }
            Self::V3(distributor, _) => {
                distributor.set_group(line, Group::Group1NS).is_ok()
                    && distributor.set_interrupt_priority(line, PRIORITY).is_ok()
                    && distributor.set_trigger(line, trigger).is_ok()
                    && distributor.set_routing(line, Some(mpidr())).is_ok()
                    && distributor.enable_interrupt(line, true).is_ok()
            }
        }
    }

    /// The line that is to be handled next; it stays active until [`end`](Self::end).
    pub fn acknowledge(&mut self) -> Option<IntId> {
        match self {
            Self::V2(gic, _) => gic.get_and_acknowledge_interrupt(InterruptGroup::Group0),
            Self::V3(..) => GicCpuInterface::get_and_acknowledge_interrupt(InterruptGroup::Group1),
        }
    }

    /// Done with a line that [`acknowledge`](Self::acknowledge) gave.
    pub fn end(&mut self, line: IntId) {
        match self {
            Self::V2(gic, _) => gic.end_interrupt(line, InterruptGroup::Group0),
            Self::V3(..) => GicCpuInterface::end_interrupt(line, InterruptGroup::Group1),
        }
    }
}

fn mpidr() -> u64 {
    use aarch64_cpu::registers::{MPIDR_EL1, Readable};
    MPIDR_EL1.get()
}
