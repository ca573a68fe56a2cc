//! Device trees of QEMU's `virt` machine, written by the test: as it is (hw/arm/virt.c), or with
//! parts missing or strange.

use anyhow::{Result, anyhow};
use vm_fdt::{FdtWriter, FdtWriterNode, FdtWriterResult as FdtResult};

use crate::graft::node;

/// What the interrupt controller's node is called by.
const CONTROLLER: u32 = 1;
/// What the UART's clock is called by.
const CLOCK: u32 = 2;
/// What the GPIO controller is called by.
const GPIO: u32 = 3;

/// What a tree says. A part that is `None` is not in it; a name that nobody knows is written as it
/// is.
#[derive(Clone, Debug)]
pub(crate) struct Tree {
    /// Banks of RAM: where they start, and how many bytes they have.
    pub(crate) ram: Vec<(u64, u64)>,
    pub(crate) controller: Option<&'static str>,
    /// Where the distributor is; the interface to the core comes 64 KiB after it.
    pub(crate) controller_at: u64,
    pub(crate) uart: Option<&'static str>,
    pub(crate) uart_at: u64,
    pub(crate) timer: Option<&'static str>,
    /// The virtual timer's private interrupt.
    pub(crate) timer_line: u32,
    pub(crate) psci: Option<&'static str>,
    /// By which instruction it is called.
    pub(crate) method: &'static str,
    /// Where virtio slots are, and their interrupts.
    pub(crate) slots: Vec<(u64, u32)>,
    pub(crate) bootargs: &'static str,
    /// The path of the console.
    pub(crate) stdout_path: Option<&'static str>,
    /// More of `/chosen`: names, and bytes.
    pub(crate) seeds: Vec<(&'static str, &'static [u8])>,
    /// A power button: where its GPIO controller is, and its line there.
    pub(crate) button: Option<(u64, u32)>,
    /// More devices.
    pub(crate) devices: Vec<Device>,
    /// How many levels of nodes that mean nothing there are.
    pub(crate) depth: usize,
}

/// A device: what it is, its memory, and its interrupt (an SPI, on a rising edge).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Device {
    pub(crate) compatible: &'static str,
    pub(crate) address: u64,
    pub(crate) length: u64,
    pub(crate) interrupt: Option<u32>,
}

impl Default for Tree {
    /// The machine as QEMU makes it, with 128 MiB.
    fn default() -> Self {
        Self {
            ram: vec![(0x4000_0000, 128 << 20)],
            controller: Some("arm,cortex-a15-gic"),
            controller_at: 0x0800_0000,
            uart: Some("arm,pl011"),
            uart_at: 0x0900_0000,
            timer: Some("arm,armv8-timer"),
            timer_line: 11,
            psci: Some("arm,psci-1.0"),
            method: "hvc",
            slots: (0..32).map(|slot| (0x0a00_0000 + 0x200 * u64::from(slot), 16 + slot)).collect(),
            bootargs: "",
            stdout_path: None,
            seeds: Vec::new(),
            button: None,
            devices: Vec::new(),
            depth: 0,
        }
    }
}

impl Tree {
    /// The tree, flattened.
    pub(crate) fn bytes(&self) -> Result<Vec<u8>> {
        self.write().map_err(|error| anyhow!("writing a device tree: {error}"))
    }

    fn write(&self) -> FdtResult<Vec<u8>> {
        let mut fdt = FdtWriter::new()?;
        let root = fdt.begin_node("")?;
        fdt.property_u32("#address-cells", 2)?;
        fdt.property_u32("#size-cells", 2)?;
        fdt.property_u32("interrupt-parent", CONTROLLER)?;
        fdt.property_string("compatible", "test,virt")?;
        node(&mut fdt, "chosen", |fdt| {
            self.seeds.iter().try_for_each(|(name, seed)| fdt.property(name, seed))?;
            if let Some(path) = self.stdout_path {
                fdt.property_string("stdout-path", path)?;
            }
            fdt.property_string("bootargs", self.bootargs)
        })?;
        for (start, length) in &self.ram {
            node(&mut fdt, &format!("memory@{start:x}"), |fdt| {
                fdt.property_string("device_type", "memory")?;
                fdt.property_array_u64("reg", &[*start, *length])
            })?;
        }
        self.core(&mut fdt)?;
        for (address, interrupt) in &self.slots {
            node(&mut fdt, &format!("virtio_mmio@{address:x}"), |fdt| {
                fdt.property_string("compatible", "virtio,mmio")?;
                fdt.property_array_u64("reg", &[*address, 0x200])?;
                fdt.property_array_u32("interrupts", &[0, *interrupt, 1])?;
                fdt.property_null("dma-coherent")
            })?;
        }
        for device in &self.devices {
            node(&mut fdt, &format!("device@{:x}", device.address), |fdt| {
                fdt.property_string("compatible", device.compatible)?;
                fdt.property_array_u64("reg", &[device.address, device.length])?;
                device
                    .interrupt
                    .map_or(Ok(()), |line| fdt.property_array_u32("interrupts", &[0, line, 1]))
            })?;
        }
        if let Some((address, line)) = self.button {
            button(&mut fdt, address, line)?;
        }
        let nested = (0..self.depth).map(|_| fdt.begin_node("deeper"));
        let nested: Vec<FdtWriterNode> = nested.collect::<Result<_, _>>()?;
        nested.into_iter().rev().try_for_each(|node| fdt.end_node(node))?;
        fdt.end_node(root)?;
        fdt.finish()
    }

    /// What belongs to every core: the controller, the timer, PSCI, and a UART to talk on.
    fn core(&self, fdt: &mut FdtWriter) -> FdtResult<()> {
        if let Some(name) = self.controller {
            let at = self.controller_at;
            node(fdt, &format!("intc@{at:x}"), |fdt| {
                fdt.property_string("compatible", name)?;
                fdt.property_array_u64("reg", &[at, 0x1_0000, at + 0x1_0000, 0x1_0000])?;
                fdt.property_null("interrupt-controller")?;
                fdt.property_u32("#interrupt-cells", 3)?;
                fdt.property_phandle(CONTROLLER)
            })?;
        }
        if let Some(name) = self.timer {
            node(fdt, "timer", |fdt| {
                fdt.property_string("compatible", name)?;
                // Secure, non-secure, virtual, hypervisor: private interrupts, level-triggered.
                let lines = [1, 13, 4, 1, 14, 4, 1, self.timer_line, 4, 1, 10, 4];
                fdt.property_array_u32("interrupts", &lines)
            })?;
        }
        if let Some(name) = self.psci {
            node(fdt, "psci", |fdt| {
                fdt.property_string("compatible", name)?;
                fdt.property_string("method", self.method)
            })?;
        }
        if let Some(name) = self.uart {
            node(fdt, "clock", |fdt| {
                fdt.property_string("compatible", "fixed-clock")?;
                fdt.property_phandle(CLOCK)
            })?;
            node(fdt, &format!("serial@{:x}", self.uart_at), |fdt| {
                fdt.property_string("compatible", name)?;
                fdt.property_array_u64("reg", &[self.uart_at, 0x1000])?;
                fdt.property_array_u32("interrupts", &[0, 1, 4])?;
                fdt.property_array_u32("clocks", &[CLOCK, CLOCK])
            })?;
        }
        Ok(())
    }
}

/// A key for the power, on a line of a PL061 that is named after it.
fn button(fdt: &mut FdtWriter, address: u64, line: u32) -> FdtResult<()> {
    let keys = fdt.begin_node("buttons")?;
    fdt.property_string("compatible", "gpio-keys")?;
    node(fdt, "poweroff", |fdt| {
        fdt.property_u32("linux,code", 116)?;
        fdt.property_array_u32("gpios", &[GPIO, line, 0])
    })?;
    fdt.end_node(keys)?;
    node(fdt, &format!("gpio@{address:x}"), |fdt| {
        fdt.property_string("compatible", "arm,pl061")?;
        fdt.property_array_u64("reg", &[address, 0x1000])?;
        fdt.property_array_u32("interrupts", &[0, 7, 4])?;
        fdt.property_u32("#gpio-cells", 2)?;
        fdt.property_phandle(GPIO)
    })
}
