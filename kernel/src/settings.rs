//! The settings that the operator gives the machine: words in `/chosen/bootargs`, with blanks
//! between them.
//!
//! | word | what it does |
//! |---|---|
//! | `ip=dhcp` | the network is set up by DHCP; so it is without a word |
//! | `ip=ADDRESS/PREFIX[,GATEWAY[,DNS]]` | the network is set up as said, IPv4 or IPv6 |
//! | `log=error`, `warn`, `info`, `debug`, `trace`, `off` | the least important messages shown |
//! | `on-fault=restart-app`, `reset`, `off`, `halt` | what follows a fault, a panic or a hang: the application is started again (`restart-app`, and so it is without a word; where it is linked with the kernel the machine restarts), the machine restarts, is switched off, or stays as it is |
//! | `fault-limit=FAULTS/SECONDS`, `none` | which fault within how many seconds ends the machine with status 101 instead of a restart; `5/60` without a word |
//! | `watchdog=SECONDS`, `off` | how long the application may run without waiting for anything before it is taken to hang; 10 without a word |
//! | `integrity=SECONDS`, `off` | how often code, constants and page tables are compared with what they were at boot; every 60 without a word |
//! | `shutdown=SECONDS` | how long the application has once it is asked to end; 30 without a word, 0 for no time at all |
//! | `console-end=break`, `ctrl-d`, `off` | what asks for the end on the console: a break and then `o`, that or Ctrl-D, or nothing; `break` without a word |
//! | `gpio=LINE[,LINE…]` | the lines of GPIO controllers that the application may have, 16 at most: a number, or `CONTROLLER:NUMBER`; none without a word |
//! | `require-entropy` | no boot without a source of entropy |
//! | `app.NAME=VALUE` | the application's own; the kernel passes it on as it is |
//!
//! A word that is wrong is reported by name and has no effect; the others still apply. Of a
//! setting that comes twice the last one counts. Monitors write settings for Linux of their own
//! accord; those of [`FOREIGN`] and [`FOREIGN_GROUPS`] are passed over in silence.

use core::fmt;
use core::net::IpAddr;

use elone_gate::{GpioLine, Network, SHUTDOWN_TIME, shutdown_time};
use log::LevelFilter;

use crate::attention::ConsoleEnd;
use crate::policy::{FaultLimit, History, OnFault, Policy};
use crate::text::Escaped;

/// What the operator asks of the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// How the network is set up.
    pub network: Network,
    /// The least important log messages that are shown.
    pub log: LevelFilter,
    /// What follows a fault, and how often.
    pub policy: Policy,
    /// How long the application may run without waiting, in seconds: 1 to [`LONGEST_WATCH`]. `None`
    /// for as long as it likes.
    pub watchdog: Option<u32>,
    /// How often memory that must not change is compared with what it was at boot, in seconds: 1 to
    /// [`LONGEST_WATCH`]. `None` for never.
    pub integrity: Option<u32>,
    /// How long the application has once it is asked to end, in seconds: 0 to [`LONGEST_WATCH`].
    pub shutdown: u32,
    /// What asks for the end on the console.
    pub console_end: ConsoleEnd,
    /// The GPIO lines that the application may have.
    pub gpio: [Option<GpioLine>; GPIO_LINES],
    /// Whether to refuse to boot where there is no entropy.
    pub require_entropy: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            network: Network::Dhcp,
            log: LevelFilter::Info,
            policy: Policy {
                on_fault: OnFault::RestartApplication,
                limit: Some(FaultLimit { faults: 5, seconds: 60 }),
            },
            watchdog: Some(10),
            integrity: Some(60),
            shutdown: SHUTDOWN_TIME,
            console_end: ConsoleEnd::Break,
            gpio: [None; GPIO_LINES],
            require_entropy: false,
        }
    }
}

/// Why a word had no effect. Its `Display` is for the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SettingError<'a> {
    /// There is no setting of this name. It may be misspelt, or meant for another kernel.
    Unknown(&'a str),
    /// The setting cannot have this value.
    BadValue {
        /// The setting.
        name: &'a str,
        /// The value, or nothing where there is none.
        value: &'a str,
        /// What it could have been.
        expected: &'static str,
    },
}

impl fmt::Display for SettingError<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown(name) => {
                write!(f, "unknown setting \"{}\"", Escaped(name.as_bytes()))
            }
            Self::BadValue { name, value, expected } => {
                let (name, value) = (Escaped(name.as_bytes()), Escaped(value.as_bytes()));
                write!(f, "bad value \"{value}\" for \"{name}\": expected {expected}")
            }
        }
    }
}

impl core::error::Error for SettingError<'_> {}

impl Settings {
    /// Reads `bootargs`, and reports each word that has no effect.
    pub fn parse<'a>(bootargs: &'a str, mut report: impl FnMut(SettingError<'a>)) -> Self {
        let mut settings = Self::default();
        for word in bootargs.split_ascii_whitespace() {
            let _ = settings.apply(word).map_err(&mut report);
        }
        settings
    }

    fn apply<'a>(&mut self, word: &'a str) -> Result<(), SettingError<'a>> {
        let (name, value) = match word.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (word, None),
        };
        let bad = |expected| SettingError::BadValue { name, value: value.unwrap_or(""), expected };

        match (name, value) {
            ("ip", value) => {
                self.network = value
                    .and_then(network)
                    .ok_or(bad("\"dhcp\" or ADDRESS/PREFIX[,GATEWAY[,DNS]]"))?;
            }
            ("log", value) => {
                self.log = value
                    .and_then(|level| level.parse().ok())
                    .ok_or(bad("\"error\", \"warn\", \"info\", \"debug\", \"trace\" or \"off\""))?;
            }
            ("on-fault", value) => {
                self.policy.on_fault = match value {
                    Some("restart-app") => OnFault::RestartApplication,
                    Some("reset") => OnFault::Reset,
                    Some("off") => OnFault::Off,
                    Some("halt") => OnFault::Halt,
                    _ => return Err(bad("\"restart-app\", \"reset\", \"off\" or \"halt\"")),
                };
            }
            ("fault-limit", value) => {
                self.policy.limit = value
                    .and_then(fault_limit)
                    .ok_or(bad("\"none\" or FAULTS/SECONDS, 1 to 16 faults in 1 second or more"))?;
            }
            ("watchdog", value) => {
                self.watchdog = value.and_then(period).ok_or(bad(PERIOD))?;
            }
            ("integrity", value) => {
                self.integrity = value.and_then(period).ok_or(bad(PERIOD))?;
            }
            ("shutdown", value) => {
                self.shutdown = value.and_then(shutdown_time).ok_or(bad("SECONDS, 0 to 86400"))?;
            }
            ("console-end", value) => {
                self.console_end = match value {
                    Some("break") => ConsoleEnd::Break,
                    Some("ctrl-d") => ConsoleEnd::ControlD,
                    Some("off") => ConsoleEnd::Off,
                    _ => return Err(bad("\"break\", \"ctrl-d\" or \"off\"")),
                };
            }
            ("gpio", value) => {
                self.gpio = value
                    .and_then(lines)
                    .ok_or(bad("LINE[,LINE…], each NUMBER or CONTROLLER:NUMBER, 16 at most"))?;
            }
            ("require-entropy", None) => self.require_entropy = true,
            ("require-entropy", Some(_)) => return Err(bad("no value")),
            (name, Some(_)) if name.strip_prefix("app.").is_some_and(|name| !name.is_empty()) => {}
            (name, _) if name.starts_with("app.") => return Err(bad("app.NAME=VALUE")),
            (name, _) if is_foreign(name) => {}
            (name, _) => return Err(SettingError::Unknown(name)),
        }
        Ok(())
    }
}

/// How many GPIO lines an application can have.
pub const GPIO_LINES: usize = 16;

/// The longest period of whatever watches, in seconds: a day.
pub const LONGEST_WATCH: u32 = 86_400;
/// What the value of such a setting is.
const PERIOD: &str = "\"off\" or SECONDS, 1 to 86400";

/// Reads the value of `fault-limit=`.
fn fault_limit(value: &str) -> Option<Option<FaultLimit>> {
    if value == "none" {
        return Some(None);
    }
    let (faults, seconds) = value.split_once('/')?;
    let faults = u8::try_from(number(faults)?).ok()?;
    let seconds = number(seconds)?;
    let possible = (1..=History::CAPACITY).contains(&faults.into()) && seconds > 0;
    possible.then_some(Some(FaultLimit { faults, seconds }))
}

/// Reads the value of `gpio=`.
fn lines(value: &str) -> Option<[Option<GpioLine>; GPIO_LINES]> {
    let mut lines = [None; GPIO_LINES];
    let mut places = lines.iter_mut();
    for name in value.split(',') {
        let (controller, line) = name.split_once(':').unwrap_or(("0", name));
        let byte = |text: &str| u8::try_from(number(text)?).ok();
        let line = GpioLine { controller: byte(controller)?, line: byte(line)? };
        *places.next()? = Some(line);
    }
    Some(lines)
}

/// Reads the value of `watchdog=` or `integrity=`.
fn period(value: &str) -> Option<Option<u32>> {
    if value == "off" {
        return Some(None);
    }
    number(value).filter(|seconds| (1..=LONGEST_WATCH).contains(seconds)).map(Some)
}

/// Reads a number of nothing but digits: `parse` alone would take a sign.
fn number(text: &str) -> Option<u32> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

/// Reads the value of `ip=`.
fn network(value: &str) -> Option<Network> {
    if value == "dhcp" {
        return Some(Network::Dhcp);
    }
    let mut parts = value.split(',');
    let (address, prefix) = parts.next()?.split_once('/')?;
    let address: IpAddr = address.parse().ok().filter(is_unicast)?;
    let prefix = u8::try_from(number(prefix)?).ok().filter(|prefix| *prefix <= bits(address))?;

    // What is there must be right; what is not there may be missing.
    let optional = |part: Option<&str>| match part {
        None => Some(None),
        Some(part) => part.parse().ok().filter(is_unicast).map(Some),
    };
    let gateway = optional(parts.next())?;
    let dns = optional(parts.next())?;
    let reachable = gateway.is_none_or(|gateway| gateway.is_ipv4() == address.is_ipv4());
    (reachable && parts.next().is_none()).then_some(Network::Static {
        address,
        prefix,
        gateway,
        dns,
    })
}

/// The length of an address, in bits.
fn bits(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

/// Whether one machine can have the address.
fn is_unicast(address: &IpAddr) -> bool {
    let broadcast = matches!(address, IpAddr::V4(address) if address.is_broadcast());
    !address.is_unspecified() && !address.is_multicast() && !broadcast
}

/// Words for Linux that monitors add of their own accord, or that come with every recipe for one:
/// Firecracker's default (`reboot=k panic=1 nomodule 8250.nr_uarts=0 i8042.noaux … swiotlb=noforce`,
/// and `pci=off`, `root=`, `ro` or `rw`, `earlycon=`), kvmtool's (`console=`, `root=`,
/// `rootfstype=`, `rootflags=`, `rw`, `init=`), crosvm's (`panic=-1`). They set nothing here: which port
/// is the console is read from `console=` and `earlycon=` before there are settings ([`crate::machine`]).
pub const FOREIGN: &[&str] = &[
    "console",
    "earlycon",
    "earlyprintk",
    "keep_bootcon",
    "loglevel",
    "quiet",
    "debug",
    "ignore_loglevel",
    "printk.time",
    "root",
    "rootfstype",
    "rootflags",
    "rootwait",
    "rootdelay",
    "ro",
    "rw",
    "init",
    "rdinit",
    "initrd",
    "noinitrd",
    "reboot",
    "panic",
    "pci",
    "nomodule",
    "nomodules",
    "nokaslr",
    "swiotlb",
    "random.trust_cpu",
    "random.trust_bootloader",
    "net.ifnames",
    "biosdevname",
    "noapic",
    "noacpi",
    "acpi",
    "nosmp",
    "maxcpus",
    "mitigations",
    "tsc",
    "cma",
    "audit",
    "selinux",
    "apparmor",
];

/// Words for a module of Linux: the module's name, a dot, and anything.
pub const FOREIGN_GROUPS: &[&str] = &["8250.", "i8042.", "virtio_mmio.", "systemd.", "cryptomgr."];

fn is_foreign(name: &str) -> bool {
    FOREIGN.contains(&name) || FOREIGN_GROUPS.iter().any(|group| name.starts_with(group))
}
