//! The devices of a map.

use serde::Deserialize;

use super::Properties;

/// A shared peripheral interrupt, as the tree has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Interrupt {
    /// Its number among the shared ones: 0 is the GIC's interrupt 32.
    pub spi: u32,
    /// The third cell (Linux binding `arm,gic.yaml`): 1 a rising edge, 4 a level, 2 and 8 their
    /// opposites, which a GIC does not tell from them.
    pub flags: u32,
}

/// What makes an interrupt pending.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trigger {
    /// That its line rises.
    Edge,
    /// That its line is up.
    Level,
}

impl Interrupt {
    /// What makes it pending.
    #[must_use]
    pub const fn trigger(self) -> Trigger {
        if self.flags & 0b11 != 0 { Trigger::Edge } else { Trigger::Level }
    }
}

/// A GICv3.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct GicV3 {
    /// The node's name.
    pub node: String,
    /// GICD, 64 KiB.
    pub distributor: u64,
    /// GICR, 128 KiB a core. Without one they end where the distributor begins, so that they begin
    /// lower the more cores there are.
    pub redistributors: Option<u64>,
    /// The third cell of the timer's interrupts.
    pub timer_flags: u32,
    /// The node's other properties, bar `reg`, `phandle` and those of any interrupt controller.
    pub properties: Properties,
}

/// A GICv2.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct GicV2 {
    /// The node's name.
    pub node: String,
    /// GICD, and the bytes that the tree says it has.
    pub distributor: u64,
    /// See [`GicV2::distributor`].
    pub distributor_size: u64,
    /// GICC, and the bytes that the tree says it has.
    pub cpu_interface: u64,
    /// See [`GicV2::cpu_interface`].
    pub cpu_interface_size: u64,
    /// The third cell of the timer's interrupts, without the set of cores in its second byte.
    pub timer_flags: u32,
    /// Whether the second byte says which cores get them.
    #[serde(default)]
    pub timer_names_cores: bool,
    /// The node's other properties, bar `reg`, `phandle` and those of any interrupt controller.
    pub properties: Properties,
}

/// A serial port.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Serial {
    /// What it understands.
    pub model: SerialModel,
    /// The node's name.
    pub node: String,
    /// Where its registers are.
    pub address: u64,
    /// How many bytes of registers there are.
    pub size: u64,
    /// A 16550's register `n` is at offset `n << register_shift`.
    #[serde(default)]
    pub register_shift: u32,
    /// Its interrupt. If it is an edge, another serial port may have the same.
    pub interrupt: Interrupt,
    /// What has to be in the settings for the port to be there at all.
    #[serde(default)]
    pub only_with: String,
    /// What the monitor puts behind the settings, and behind [`super::Chosen::after`], for it.
    #[serde(default)]
    pub announces: String,
    /// The node's other properties.
    #[serde(default)]
    pub properties: Properties,
}

/// What a serial port understands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SerialModel {
    /// National Semiconductor 16550A.
    Ns16550a,
    /// Arm PrimeCell UART.
    Pl011,
}

/// A clock that knows the date.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Clock {
    /// What it understands.
    pub model: ClockModel,
    /// The node's name.
    pub node: String,
    /// Where its registers are.
    pub address: u64,
    /// How many bytes of registers there are.
    pub size: u64,
    /// What the tree says is its interrupt. It never comes: nobody sets an alarm.
    pub interrupt: Option<Interrupt>,
    /// The node's other properties.
    #[serde(default)]
    pub properties: Properties,
}

/// What a clock understands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ClockModel {
    /// Arm PrimeCell Real Time Clock, and what of its predecessor, the PL030, is the same: the
    /// seconds since 1970 in its first register.
    Pl031,
    /// The PC's clock: the index of a register, then that register.
    Mc146818,
}

/// Places of virtio devices, one after the other.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Slots {
    /// What comes before `@` and the address in the nodes' names.
    pub node: String,
    /// Where the first has its registers.
    pub address: u64,
    /// From one to the next, in bytes; also what each has.
    pub stride: u64,
    /// How many there are.
    pub count: u32,
    /// The first one's interrupt; the others have those that follow.
    pub interrupt: Interrupt,
    /// Whether the tree names those in which nothing is.
    #[serde(default)]
    pub list_empty: bool,
    /// The nodes' other properties.
    #[serde(default)]
    pub properties: Properties,
}

/// A page, or less, of the monitor's memory in which it tells the guest something.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Page {
    /// The node's name.
    pub node: String,
    /// Where it is: in [`super::Memory::reserved`].
    pub address: u64,
    /// How many bytes it has.
    pub size: u64,
    /// The interrupt that says that it has changed.
    pub interrupt: Interrupt,
}

/// A power button: a key on a line of a PL061.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Button {
    /// The name of the PL061's node.
    pub node: String,
    /// Where the PL061's registers are, 4 KiB.
    pub address: u64,
    /// The PL061's interrupt.
    pub interrupt: Interrupt,
    /// What the key's node calls the PL061 by.
    pub phandle: u32,
    /// The line that the button pulls up: 0 to 7.
    pub line: u8,
    /// The other properties of the PL061's node.
    #[serde(default)]
    pub properties: Properties,
}

/// Where a PCI bus would answer, if anything were plugged in.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct EmptyBus {
    /// Where its configuration space begins.
    pub address: u64,
    /// How many bytes it has.
    pub size: u64,
}
