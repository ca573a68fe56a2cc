//! What can be wrong with a device tree: errors end the boot, warnings are told and lived with.

use core::fmt;

use heapless::String;

use crate::text::Cut;

/// Why the device tree cannot be used. Without it nothing is known of the machine, so none of these
/// can be lived with; all of them are the fault of whoever made or handed over the tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MachineError {
    /// What was handed over is not a device tree: it does not begin with the magic number.
    NotATree,
    /// The tree is of a version that cannot be read; 17 is the one that can.
    Version(u32),
    /// The tree says it is this many bytes: more than 2 MiB, the boot protocol's limit.
    TooLarge(u32),
    /// A block, or the tree's end, lies outside of what there is of it: it was cut, or its header
    /// is wrong.
    Truncated,
    /// The structure or strings block breaks the rules of its format.
    BadStructure,
    /// Nodes are nested deeper than [`DEPTH`](super::DEPTH).
    TooDeep,
    /// No enabled node describes RAM.
    NoMemory,
    /// More reservations than [`RESERVATIONS`](super::RESERVATIONS): to forget one is to overwrite it.
    TooManyReservations,
}

impl fmt::Display for MachineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotATree => f.write_str("there is no device tree"),
            Self::Version(version) => write!(f, "the device tree is of version {version}, not 17"),
            Self::TooLarge(size) => write!(f, "the device tree has {size} bytes, over 2 MiB"),
            Self::Truncated => f.write_str("the device tree is cut short"),
            Self::BadStructure => f.write_str("the device tree is malformed"),
            Self::TooDeep => f.write_str("the device tree is nested too deep"),
            Self::NoMemory => f.write_str("the device tree names no memory"),
            Self::TooManyReservations => f.write_str("the device tree reserves too many ranges"),
        }
    }
}

impl core::error::Error for MachineError {}

/// How much of a node's name a warning keeps: 31 bytes of name, `@`, and 16 digits.
const NAME: usize = 48;

/// Something odd in the tree that the machine can be used without.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    /// The node's name with its unit address, cut where it is longer than names may be.
    pub node: String<NAME>,
    /// What is odd about it.
    pub problem: Problem,
}

/// What is odd about a node, and what was made of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Problem {
    /// The property of this name is missing or malformed. The node is ignored, or (for what is
    /// optional) the property.
    BadProperty(&'static str),
    /// The node's addresses have no translation to the processor's (Devicetree Specification 0.4,
    /// section 2.3.8). The node is ignored.
    NotTranslatable,
    /// The node's interrupt goes to a controller other than the machine's. It is ignored.
    ForeignInterrupt,
    /// The node's GPIO line is of a controller that is not known. It is ignored.
    ForeignLine,
    /// The interrupt is a level that nobody could take back. The node is used without it.
    Level,
    /// The list that the node belongs to is full. The node is ignored.
    NoRoom,
    /// There is another node of this kind, which came first and is used.
    Second,
    /// What the node describes is known, and not supported.
    Unsupported,
    /// This (`stdout-path`, `console=`) leads to no UART that can be used.
    NoSuchConsole(&'static str),
    /// The UART is the console, since this names it, or as the tree's first one; told where something
    /// else names another one, or none.
    IsConsole(Option<&'static str>),
    /// The UART is not the console, though this names it.
    IsNotConsole(&'static str),
    /// The bank has addresses of another one as well. They count once.
    Overlaps,
}

impl Warning {
    pub(super) fn new(node: fmt::Arguments<'_>, problem: Problem) -> Self {
        let mut name = String::<NAME>::new();
        // What does not fit is cut off; the name is for a human to read.
        let _ = fmt::write(&mut Cut::at(NAME, &mut name), node);
        Self { node: name, problem }
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "device tree, {}: ", self.node)?;
        match self.problem {
            Problem::BadProperty(name) => write!(f, "`{name}` is missing or malformed"),
            Problem::NotTranslatable => f.write_str("its bus has no way to the processor"),
            Problem::ForeignInterrupt => f.write_str("its interrupt goes to an unknown controller"),
            Problem::ForeignLine => f.write_str("its line is of an unknown GPIO controller"),
            Problem::Level => f.write_str("its interrupt is a level, which nobody could take back"),
            Problem::NoRoom => f.write_str("one too many of its kind"),
            Problem::Second => f.write_str("there is another one, which is used"),
            Problem::Unsupported => f.write_str("not supported"),
            Problem::NoSuchConsole(name) => write!(f, "`{name}` leads to no usable UART"),
            Problem::IsConsole(Some(name)) => write!(f, "it is the console: `{name}` names it"),
            Problem::IsConsole(None) => f.write_str("it is the console, being the first UART"),
            Problem::IsNotConsole(name) => write!(f, "not the console, though `{name}` names it"),
            Problem::Overlaps => f.write_str("it overlaps other memory; that counts once"),
        }
    }
}
