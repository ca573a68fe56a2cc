//! What the kernel tells the application once, at its start. None of it changes afterwards.

use core::fmt;
use core::net::{IpAddr, Ipv4Addr};
use core::ops::Deref;

use elone_protections::Protections;

use crate::Hypervisor;

/// What the application is started with.
#[derive(Debug)]
pub struct Start {
    /// Memory that is the application's alone: readable, writable, never executable, contents
    /// unspecified. Whole pages, in ascending order, not overlapping.
    pub heap: MemoryRanges,
    /// What the machine is.
    pub machine: MachineInfo,
    /// How the operator wants the network to be set up.
    pub network: Network,
    /// The settings as they came, `key=value` separated by blanks. The kernel has read its own and
    /// complained of unknown ones; those that begin with `app.` are the application's to read.
    pub settings: &'static str,
    /// The least important records of the log that the operator wants to see.
    pub verbosity: Verbosity,
    /// What became of earlier starts.
    pub past: Past,
}

impl Start {
    /// The value of the application's own setting `app.NAME=VALUE`; the last one counts.
    #[must_use]
    pub fn setting(&self, name: &str) -> Option<&'static str> {
        self.settings
            .split_ascii_whitespace()
            .rev()
            .filter_map(|pair| pair.strip_prefix("app.")?.split_once('='))
            .find_map(|(key, value)| (key == name).then_some(value))
    }

    /// How many seconds the application has once it is asked to end: the setting `shutdown=`.
    #[must_use]
    pub fn shutdown_time(&self) -> u32 {
        let words = self.settings.split_ascii_whitespace().rev();
        let mut values = words.filter_map(|word| word.strip_prefix("shutdown="));
        values.find_map(shutdown_time).unwrap_or(SHUTDOWN_TIME)
    }
}

/// How many seconds an application has to end where no setting says so.
pub const SHUTDOWN_TIME: u32 = 30;

/// Reads the value of the setting `shutdown=`: seconds, at most a day of them.
#[must_use]
pub fn shutdown_time(value: &str) -> Option<u32> {
    let digits = value.bytes().all(|byte| byte.is_ascii_digit());
    value.parse().ok().filter(|seconds| digits && *seconds <= 86_400)
}

/// A range of the application's memory, by address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryRange {
    /// The first byte's address.
    pub start: usize,
    /// How many bytes.
    pub length: usize,
}

/// A few ranges of memory.
#[derive(Clone, Copy)]
pub struct MemoryRanges {
    list: [MemoryRange; Self::CAPACITY],
    count: usize,
}

impl MemoryRanges {
    /// How many there can be.
    pub const CAPACITY: usize = 64;
    /// None.
    pub const NONE: Self =
        Self { list: [MemoryRange { start: 0, length: 0 }; Self::CAPACITY], count: 0 };

    /// Adds one behind the others; whether there was room for it.
    pub fn push(&mut self, range: MemoryRange) -> bool {
        let place = self.list.get_mut(self.count);
        self.count += usize::from(place.is_some());
        place.map(|place| *place = range).is_some()
    }
}

impl Deref for MemoryRanges {
    type Target = [MemoryRange];

    fn deref(&self) -> &[MemoryRange] {
        self.list.get(..self.count).unwrap_or_default()
    }
}

impl fmt::Debug for MemoryRanges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

/// How much of a log is wanted: 0 nothing, 1 errors, then warnings, information, debugging, and 5
/// for everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Verbosity(pub u8);

/// What became of earlier starts, as far as anybody remembers: the machine's memory, where it
/// keeps its contents over a restart, or a disk that was set aside for it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Past {
    /// How often the application was started again after a fault.
    pub restarts: u32,
    /// How many faults were reported.
    pub faults: u32,
    /// The latest report, line by line as the console showed it; empty where there is none.
    pub report: &'static str,
}

impl Past {
    /// The latest fault's class, as in `write-abort`.
    #[must_use]
    pub fn class(&self) -> Option<&'static str> {
        let line = self.report.lines().find_map(|line| line.strip_prefix("FAULT "))?;
        line.split(' ').find_map(|word| word.strip_prefix("class="))
    }
}

/// An exception level (Arm ARM, section D1.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Level {
    /// Applications.
    El0 = 0,
    /// Kernels.
    El1 = 1,
    /// Hypervisors.
    El2 = 2,
    /// Firmware.
    El3 = 3,
}

impl Level {
    /// The level with this number.
    #[must_use]
    pub const fn from_code(code: u64) -> Option<Self> {
        match code {
            0 => Some(Self::El0),
            1 => Some(Self::El1),
            2 => Some(Self::El2),
            3 => Some(Self::El3),
            _ => None,
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EL{}", *self as u8)
    }
}

/// What the machine is, as far as its kernel could find out.
#[derive(Clone, Copy, Debug)]
pub struct MachineInfo {
    /// The level at which the kernel was entered.
    pub entered_at: Level,
    /// The level at which the application runs.
    pub application_at: Level,
    /// Who is at EL2.
    pub hypervisor: Hypervisor,
    /// The machine's name: the device tree's `model`, else its first `compatible`.
    pub board: &'static str,
    /// The core's name, or `unknown core`.
    pub core: &'static str,
    /// The interrupt controller's name.
    pub interrupt_controller: &'static str,
    /// All RAM that the device tree names, in bytes.
    pub memory: u64,
    /// The kernel's name and version.
    pub version: &'static str,
    /// What protects it, and the application, on this core and in this build.
    pub protections: Protections,
}

/// How the network is set up: the setting `ip=`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Network {
    /// `ip=dhcp`, and when there is no setting: by DHCP.
    #[default]
    Dhcp,
    /// `ip=ADDRESS/PREFIX[,GATEWAY[,DNS]]`.
    Static {
        /// The interface's address.
        address: IpAddr,
        /// The length of the network's prefix, in bits.
        prefix: u8,
        /// Where packets to other networks go.
        gateway: Option<IpAddr>,
        /// Who resolves names.
        dns: Option<IpAddr>,
    },
}

impl Network {
    /// The interface's IPv4 address, where the setting names one.
    #[must_use]
    pub fn ipv4(&self) -> Option<Ipv4Addr> {
        match self {
            Self::Static { address: IpAddr::V4(address), .. } => Some(*address),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start(settings: &'static str) -> Start {
        let machine = MachineInfo {
            entered_at: Level::El1,
            application_at: Level::El1,
            hypervisor: Hypervisor::Unknown,
            board: "test",
            core: "test",
            interrupt_controller: "none",
            memory: 0,
            version: "test",
            protections: Protections::NONE,
        };
        Start {
            heap: MemoryRanges::NONE,
            machine,
            network: Network::Dhcp,
            settings,
            verbosity: Verbosity(3),
            past: Past::default(),
        }
    }

    #[test]
    fn the_last_setting_of_a_name_counts() {
        assert_eq!(start("app.x=1 log=info app.x=2 app.y=3").setting("x"), Some("2"));
    }

    #[test]
    fn the_last_time_to_end_that_is_one_counts() {
        assert_eq!(start("").shutdown_time(), SHUTDOWN_TIME);
        assert_eq!(start("shutdown=5 app.shutdown=6 shutdown=0").shutdown_time(), 0);
        for bad in ["", "-1", "+1", "1s", "86401", "99999999999"] {
            assert_eq!(shutdown_time(bad), None, "{bad}");
        }
        assert_eq!(start("shutdown=86400 shutdown=never").shutdown_time(), 86_400);
    }

    #[test]
    fn a_setting_of_the_kernel_is_not_the_applications() {
        assert_eq!(start("log=info app.logs=1").setting("log"), None);
    }

    #[test]
    fn ranges_are_kept_in_order_and_one_too_many_is_refused() {
        let mut ranges = MemoryRanges::NONE;
        for start in 0..MemoryRanges::CAPACITY {
            assert!(ranges.push(MemoryRange { start, length: 1 }));
        }
        assert!(!ranges.push(MemoryRange { start: 99, length: 1 }));
        assert_eq!(ranges.len(), MemoryRanges::CAPACITY);
        assert!(ranges.iter().enumerate().all(|(index, range)| range.start == index));
    }

    #[test]
    fn a_report_names_its_class() {
        let report = "FAULT class=write-abort esr=0x1 far=0x2\n  writing 0x2\n";
        assert_eq!(Past { report, ..Past::default() }.class(), Some("write-abort"));
        assert_eq!(Past::default().class(), None);
    }

    #[test]
    fn a_value_may_hold_an_equals_sign() {
        assert_eq!(start("app.query=a=b").setting("query"), Some("a=b"));
    }
}
