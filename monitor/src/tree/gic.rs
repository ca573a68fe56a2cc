//! The nodes that differ with the interrupt controller: its own, and the timer's.

use anyhow::{Context as _, Result};
use vm_fdt::FdtWriter;

use super::{Facts, GicVersion, INTERRUPT_CONTROLLER, node, properties};
use crate::map::{GicV2, GicV3, Map, Properties};

/// The first cell of an interrupt that each core has for itself (Linux binding `arm,gic.yaml`).
const PRIVATE: u32 = 1;
/// The timers of each core: secure, non-secure, virtual, hypervisor's (Arm BSA, section 3.8.2).
const TIMERS: [u32; 4] = [13, 14, 11, 10];
/// GICD and, for each core, GICR of a GICv3 (Arm IHI 0069, section 12.10).
const DISTRIBUTOR: u64 = 0x1_0000;
const REDISTRIBUTOR: u64 = 0x2_0000;

impl GicV3 {
    /// Where the redistributors of `cores` cores begin.
    #[must_use]
    pub fn redistributors(&self, cores: u32) -> u64 {
        let below = || self.distributor.saturating_sub(REDISTRIBUTOR * u64::from(cores));
        self.redistributors.unwrap_or_else(below)
    }
}

/// Writes both nodes.
pub(super) fn write(fdt: &mut FdtWriter, map: &Map, facts: &Facts<'_>) -> Result<()> {
    let cores = facts.cores;
    match facts.gic {
        GicVersion::V3 => {
            let gic = map.gic_v3.as_ref().context("the map has no gic-v3")?;
            let redistributors = gic.redistributors(cores);
            let size = REDISTRIBUTOR * u64::from(cores);
            let reg = [gic.distributor, DISTRIBUTOR, redistributors, size];
            controller(fdt, &gic.node, &reg, &gic.properties)?;
            timer(fdt, gic.timer_flags, &map.timer)
        }
        GicVersion::V2 => {
            let gic = map.gic_v2.as_ref().context("the map has no gic-v2")?;
            let GicV2 { distributor, distributor_size, .. } = *gic;
            let reg = [distributor, distributor_size, gic.cpu_interface, gic.cpu_interface_size];
            controller(fdt, &gic.node, &reg, &gic.properties)?;
            let all = if gic.timer_names_cores { (1 << cores.min(8)) - 1 } else { 0 };
            timer(fdt, gic.timer_flags | all << 8, &map.timer)
        }
    }
}

fn controller(fdt: &mut FdtWriter, name: &str, reg: &[u64], others: &Properties) -> Result<()> {
    node(fdt, name, |fdt| {
        fdt.property_null("interrupt-controller")?;
        fdt.property_u32("#interrupt-cells", 3)?;
        fdt.property_array_u64("reg", reg)?;
        fdt.property_phandle(INTERRUPT_CONTROLLER)?;
        properties(fdt, others)
    })
}

fn timer(fdt: &mut FdtWriter, flags: u32, others: &Properties) -> Result<()> {
    let interrupts: Vec<_> = TIMERS.iter().flat_map(|timer| [PRIVATE, *timer, flags]).collect();
    node(fdt, "timer", |fdt| {
        fdt.property_array_u32("interrupts", &interrupts)?;
        properties(fdt, others)
    })
}
