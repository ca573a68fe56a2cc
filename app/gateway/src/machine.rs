//! What the service shows of the machine that it runs on.

use alloc::string::ToString;
use core::fmt::Display;
use core::net::IpAddr;

/// The machine, as the service sees it: what it is, and how it does at the moment.
///
/// Implemented once an image, in `main.rs`, over `elone`; and by the tests. All of it is asked
/// from within a request, so nothing may wait, and nothing fails: what is not known is `None`.
pub trait Machine {
    /// What it is; does not change.
    fn about(&self) -> &About;
    /// What became of earlier starts; does not change.
    fn past(&self) -> &Past;
    /// The network interface at this moment.
    fn network(&self) -> Network;
    /// The application's heap at this moment.
    fn heap(&self) -> Option<Heap>;
    /// For how long, in all, the hypervisor let others run instead, in nanoseconds.
    fn stolen(&self) -> Option<u64>;
    /// The date, in seconds since 1970-01-01 00:00 UTC.
    fn date(&self) -> Option<u64>;
}

/// The text of `value`, for as long as the service runs: for what is shown and never changes.
#[must_use]
pub fn lasting(value: impl Display) -> &'static str {
    value.to_string().leak()
}

/// What protects the machine and the application, by name.
#[derive(Clone, Copy, Debug)]
pub struct Protections {
    /// All that there can be.
    pub names: &'static [&'static str],
    /// Which of them are in force: a bit each, in that order.
    pub in_force: u32,
}

impl Protections {
    /// One by its index, and whether it is in force; `None` behind the last.
    #[must_use]
    pub fn get(&self, index: usize) -> Option<(&'static str, bool)> {
        self.names.get(index).map(|name| (*name, self.in_force >> index & 1 == 1))
    }

    /// The names of those in force.
    pub fn in_force(&self) -> impl Iterator<Item = &'static str> {
        (0..).map_while(|index| self.get(index)).filter(|(_, is_up)| *is_up).map(|(name, _)| name)
    }
}

/// What the machine is.
#[derive(Clone, Copy, Debug)]
pub struct About {
    /// The level at which the kernel was entered, as in `EL2`.
    pub entered_at: &'static str,
    /// The level at which the application runs, as in `EL1`.
    pub running_at: &'static str,
    /// What protects the machine and the application.
    pub protections: Protections,
    /// The hypervisor's name; `none` and why; `unknown`.
    pub hypervisor: &'static str,
    /// The machine's name.
    pub board: &'static str,
    /// The core's name.
    pub core: &'static str,
    /// The interrupt controller's name.
    pub interrupt_controller: &'static str,
    /// All RAM, in bytes.
    pub memory: u64,
    /// The kernel's name and version.
    pub version: &'static str,
}

/// What became of earlier starts, as far as anybody remembers.
///
/// The text in it is not to be trusted: a report holds what an application said at its end.
#[derive(Clone, Copy, Debug, Default)]
pub struct Past {
    /// How often the application was started again after a fault.
    pub restarts: u64,
    /// How many faults were reported.
    pub faults: u64,
    /// The latest one's class, as in `write-abort`. Of a long one the first bytes are shown.
    pub last_fault: Option<&'static str>,
    /// The latest report; empty where there is none.
    pub report: &'static str,
}

impl Past {
    /// Longer than any class, and short enough for every place where one is shown, in bytes.
    const CLASS: usize = 64;

    /// The latest fault's class, cut to what can be shown.
    #[must_use]
    pub fn class(&self) -> Option<&'static str> {
        self.last_fault.map(|class| &class[..class.floor_char_boundary(Self::CLASS)])
    }

    /// Whether there was anything.
    #[must_use]
    pub const fn is_eventful(&self) -> bool {
        self.restarts > 0 || self.faults > 0 || self.last_fault.is_some()
    }
}

/// How the interface came to its address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Configured {
    /// By a lease.
    Dhcp,
    /// By a setting.
    Static,
}

impl Configured {
    /// In a word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Dhcp => "dhcp",
            Self::Static => "static",
        }
    }
}

/// The network interface.
#[derive(Clone, Copy, Debug)]
pub struct Network {
    /// Its address; `None` while there is none.
    pub address: Option<IpAddr>,
    /// Where packets to other networks go.
    pub gateway: Option<IpAddr>,
    /// The hardware address.
    pub mac: [u8; 6],
    /// How it came to its address.
    pub configured: Configured,
    /// Frames that arrived.
    pub received: u64,
    /// Frames that were sent.
    pub sent: u64,
}

/// The application's heap.
#[derive(Clone, Copy, Debug)]
pub struct Heap {
    /// In bytes, what is in use.
    pub used: u64,
    /// In bytes, what there is.
    pub size: u64,
}
