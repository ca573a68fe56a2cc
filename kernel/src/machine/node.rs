//! What one node says: its properties, gathered in one go, and how their values are read
//! (Devicetree Specification 0.4, sections 2.2 and 2.3).

use super::MachineError;
use super::tree::Node;

/// The value of a property: bytes, whose meaning depends on the property.
#[derive(Clone, Copy, Debug)]
pub(super) struct Value<'t>(pub(super) &'t [u8]);

impl<'t> Value<'t> {
    /// A cell (`u32`), and nothing after it.
    pub(super) fn cell(self) -> Option<u32> {
        self.0.try_into().ok().map(u32::from_be_bytes)
    }

    /// One number, in one cell or in two.
    pub(super) fn number(self) -> Option<u64> {
        match *self.0 {
            [a, b, c, d] => Some(u32::from_be_bytes([a, b, c, d]).into()),
            [a, b, c, d, e, f, g, h] => Some(u64::from_be_bytes([a, b, c, d, e, f, g, h])),
            _ => None,
        }
    }

    /// One string, terminated as it must be.
    pub(super) fn text(self) -> Option<&'t str> {
        let (0, text) = self.0.split_last()? else { return None };
        core::str::from_utf8(text).ok()
    }

    /// A list of strings, each terminated; as bytes, since what they are compared with is ASCII.
    pub(super) fn strings(self) -> impl Iterator<Item = &'t [u8]> {
        let list = self.0.strip_suffix(&[0]).unwrap_or(self.0);
        list.split(|byte| *byte == 0)
    }

    /// Its cells; a rest shorter than a cell is left out.
    pub(super) fn cells(self) -> Cells<'t> {
        Cells(self.0)
    }
}

/// Cells yet to be read.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Cells<'t>(&'t [u8]);

impl Cells<'_> {
    /// Reads one number of `count` cells; `None` if they are not there, or it needs over 64 bits.
    pub(super) fn number(&mut self, count: u32) -> Option<u64> {
        (0..count).try_fold(0_u64, |number, _| {
            (number >> 32 == 0).then_some(number << 32 | u64::from(self.next()?))
        })
    }

    /// Whether all have been read.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Iterator for Cells<'_> {
    type Item = u32;

    fn next(&mut self) -> Option<u32> {
        let (cell, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(u32::from_be_bytes(*cell))
    }
}

/// Declares [`Properties`] and how it is filled.
macro_rules! properties {
    ($($field:ident = $name:literal,)*) => {
        /// The properties that anything here looks at.
        #[derive(Clone, Copy, Debug, Default)]
        pub(super) struct Properties<'t> {
            $(pub(super) $field: Option<Value<'t>>,)*
        }

        impl<'t> Properties<'t> {
            /// Gathers those of `node`.
            pub(super) fn gather(&mut self, node: &Node<'t>) -> Result<(), MachineError> {
                for property in node.properties().map_err(|_| MachineError::BadStructure)? {
                    let property = property.map_err(|_| MachineError::BadStructure)?;
                    match property.name {
                        $($name => self.$field = Some(Value(property.value)),)*
                        _ => {}
                    }
                }
                Ok(())
            }
        }
    };
}

properties! {
    address_cells = "#address-cells",
    size_cells = "#size-cells",
    interrupt_cells = "#interrupt-cells",
    redistributor_regions = "#redistributor-regions",
    redistributor_stride = "redistributor-stride",
    compatible = "compatible",
    model = "model",
    device_type = "device_type",
    status = "status",
    reg = "reg",
    reg_shift = "reg-shift",
    reg_io_width = "reg-io-width",
    ranges = "ranges",
    dma_ranges = "dma-ranges",
    no_map = "no-map",
    dma_coherent = "dma-coherent",
    dma_noncoherent = "dma-noncoherent",
    phandle = "phandle",
    linux_phandle = "linux,phandle",
    interrupt_parent = "interrupt-parent",
    interrupts = "interrupts",
    interrupt_controller = "interrupt-controller",
    interrupts_extended = "interrupts-extended",
    interrupt_names = "interrupt-names",
    msi_base_spi = "arm,msi-base-spi",
    msi_num_spis = "arm,msi-num-spis",
    msi_parent = "msi-parent",
    msi_map = "msi-map",
    msi_map_mask = "msi-map-mask",
    bus_range = "bus-range",
    interrupt_map = "interrupt-map",
    interrupt_map_mask = "interrupt-map-mask",
    pci_probe_only = "linux,pci-probe-only",
    method = "method",
    gpio_cells = "#gpio-cells",
    gpios = "gpios",
    linux_code = "linux,code",
    bootargs = "bootargs",
    stdout_path = "stdout-path",
    initrd_start = "linux,initrd-start",
    initrd_end = "linux,initrd-end",
}

impl Properties<'_> {
    /// Whether the node is there for us (section 2.3.4): what has no status is. What only secure
    /// software may use has `disabled` here, and `secure-status` to say so.
    pub(super) fn enabled(&self) -> bool {
        self.status.is_none_or(|status| matches!(status.0, b"okay\0" | b"ok\0"))
    }

    /// Whether the node is of the type `name`, with its terminator.
    pub(super) fn is_type(&self, name: &[u8]) -> bool {
        self.device_type.is_some_and(|value| value.0 == name)
    }

    /// What other nodes call this one by.
    pub(super) fn handle(&self) -> Option<u32> {
        self.phandle.or(self.linux_phandle)?.cell()
    }
}
