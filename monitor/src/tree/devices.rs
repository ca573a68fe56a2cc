//! The nodes of devices.

use anyhow::Result;
use vm_fdt::FdtWriter;

use super::{node, properties};
use crate::map::{Button, Interrupt, Map, Page, Slots};

/// The first cell of a shared interrupt (Linux binding `arm,gic.yaml`).
const SHARED: u32 = 0;
/// What a power button's key is called (Linux, `include/uapi/linux/input-event-codes.h`).
const KEY_POWER: u32 = 116;

/// Writes the nodes of all devices; `plugged` of the virtio slots have one.
pub(super) fn write(fdt: &mut FdtWriter, map: &Map, plugged: u32) -> Result<()> {
    for port in &map.serial {
        node(fdt, &port.node, |fdt| {
            place(fdt, port.address, port.size, Some(port.interrupt))?;
            if port.register_shift > 0 {
                fdt.property_u32("reg-shift", port.register_shift)?;
            }
            properties(fdt, &port.properties)
        })?;
    }
    if let Some(clock) = &map.clock {
        node(fdt, &clock.node, |fdt| {
            place(fdt, clock.address, clock.size, clock.interrupt)?;
            properties(fdt, &clock.properties)
        })?;
    }
    if let Some(it) = &map.virtio {
        slots(fdt, it, plugged)?;
    }
    page(fdt, map.generation.as_ref(), "microsoft,vmgenid")?;
    page(fdt, map.vmclock.as_ref(), "amazon,vmclock")?;
    map.power_button.as_ref().map_or(Ok(()), |it| button(fdt, it))
}

fn slots(fdt: &mut FdtWriter, slots: &Slots, plugged: u32) -> Result<()> {
    let listed = if slots.list_empty { slots.count } else { plugged.min(slots.count) };
    for slot in 0..listed {
        let address = slots.address + u64::from(slot) * slots.stride;
        let spi = slots.interrupt.spi + slot;
        node(fdt, &format!("{}@{address:x}", slots.node), |fdt| {
            place(fdt, address, slots.stride, Some(Interrupt { spi, ..slots.interrupt }))?;
            properties(fdt, &slots.properties)
        })?;
    }
    Ok(())
}

fn page(fdt: &mut FdtWriter, page: Option<&Page>, compatible: &str) -> Result<()> {
    let Some(page) = page else { return Ok(()) };
    node(fdt, &page.node, |fdt| {
        fdt.property_string("compatible", compatible)?;
        place(fdt, page.address, page.size, Some(page.interrupt))
    })
}

fn place(fdt: &mut FdtWriter, address: u64, size: u64, wired: Option<Interrupt>) -> Result<()> {
    fdt.property_array_u64("reg", &[address, size])?;
    if let Some(Interrupt { spi, flags }) = wired {
        fdt.property_array_u32("interrupts", &[SHARED, spi, flags])?;
    }
    Ok(())
}

/// A PL061, and a key on one of its lines that is down while the line is up (Linux bindings
/// `pl061-gpio.yaml`, `gpio-keys.yaml`).
fn button(fdt: &mut FdtWriter, button: &Button) -> Result<()> {
    node(fdt, &button.node, |fdt| {
        place(fdt, button.address, 0x1000, Some(button.interrupt))?;
        fdt.property_phandle(button.phandle)?;
        fdt.property_null("gpio-controller")?;
        fdt.property_u32("#gpio-cells", 2)?;
        properties(fdt, &button.properties)
    })?;
    node(fdt, "gpio-keys", |fdt| {
        fdt.property_string("compatible", "gpio-keys")?;
        node(fdt, "poweroff", |fdt| {
            fdt.property_string("label", "GPIO Key Poweroff")?;
            fdt.property_u32("linux,code", KEY_POWER)?;
            Ok(fdt.property_array_u32("gpios", &[button.phandle, button.line.into(), 0])?)
        })
    })
}
