//! The settings in the boot arguments: the good ones, the bad ones, and anything at all.
#![allow(missing_docs, clippy::cast_possible_truncation, reason = "a test crate")]

mod common;

use common::fixtures;
use elone_gate::{GpioLine, Network};
use elone_kernel::attention::ConsoleEnd;
use elone_kernel::machine::Machine;
use elone_kernel::policy::{FaultLimit, OnFault, Policy};
use elone_kernel::settings::{FOREIGN, FOREIGN_GROUPS, GPIO_LINES, SettingError, Settings};
use log::LevelFilter;
use rand_chacha::ChaCha8Rng;
use rand_core::{RngCore, SeedableRng};

/// The settings in `bootargs`, and what was reported.
fn parse(bootargs: &str) -> (Settings, Vec<String>) {
    let mut reports = Vec::new();
    let settings = Settings::parse(bootargs, |error| reports.push(error.to_string()));
    (settings, reports)
}

/// The settings in `bootargs`, of which nothing is reported.
fn good(bootargs: &str) -> Settings {
    let (settings, reports) = parse(bootargs);
    assert_eq!(reports, [""; 0], "{bootargs}");
    settings
}

fn network(address: &str, prefix: u8, gateway: Option<&str>, dns: Option<&str>) -> Network {
    let parse = |text: &str| text.parse().expect("an address");
    let (gateway, dns) = (gateway.map(parse), dns.map(parse));
    Network::Static { address: parse(address), prefix, gateway, dns }
}

#[test]
fn nothing_means_the_defaults() {
    for bootargs in ["", " ", "\t\n "] {
        let expected = Settings {
            network: Network::Dhcp,
            log: LevelFilter::Info,
            policy: Policy {
                on_fault: OnFault::RestartApplication,
                limit: Some(FaultLimit { faults: 5, seconds: 60 }),
            },
            watchdog: Some(10),
            integrity: Some(60),
            shutdown: 30,
            console_end: ConsoleEnd::Break,
            gpio: [None; GPIO_LINES],
            require_entropy: false,
        };
        assert_eq!(good(bootargs), expected);
        assert_eq!(good(bootargs), Settings::default());
    }
}

#[test]
fn the_network_is_set_up_as_asked() {
    for (value, expected) in [
        ("dhcp", Network::Dhcp),
        ("10.0.2.15/24", network("10.0.2.15", 24, None, None)),
        ("10.0.2.15/24,10.0.2.2", network("10.0.2.15", 24, Some("10.0.2.2"), None)),
        (
            "10.0.2.15/0,10.0.2.2,1.1.1.1",
            network("10.0.2.15", 0, Some("10.0.2.2"), Some("1.1.1.1")),
        ),
        ("10.0.2.15/32,10.0.2.2,::1", network("10.0.2.15", 32, Some("10.0.2.2"), Some("::1"))),
        ("fd00::2/64", network("fd00::2", 64, None, None)),
        (
            "fd00::2/128,fe80::1,fd00::53",
            network("fd00::2", 128, Some("fe80::1"), Some("fd00::53")),
        ),
    ] {
        assert_eq!(good(&format!("ip={value}")).network, expected, "{value}");
    }
}

#[test]
fn a_network_that_cannot_be_is_reported_and_left_alone() {
    for value in [
        "",
        "DHCP",
        "dhcp6",
        "10.0.2.15",
        "10.0.2.15/",
        "10.0.2.15/33",
        "10.0.2.15/-1",
        "10.0.2.15/+24",
        "10.0.2/24",
        "10.0.2.256/24",
        "10.0.2.15/24,",
        "10.0.2.15/24,10.0.2",
        "10.0.2.15/24,fd00::1",
        "10.0.2.15/24,10.0.2.2,",
        "10.0.2.15/24,10.0.2.2,1.1.1.1,",
        "0.0.0.0/0",
        "224.0.0.1/4",
        "255.255.255.255/32",
        "10.0.2.15/24,0.0.0.0",
        "fd00::2/129",
        "fd00::2/64,10.0.2.2",
        "::/0",
        "ff02::1/64",
        "[fd00::2]/64",
        "10.0.2.15::10.0.2.2:255.255.255.0::eth0:off",
        "/",
        "/24",
        ",",
    ] {
        let (settings, reports) = parse(&format!("ip=10.0.0.1/8 ip={value} log=warn"));
        assert_eq!(settings.network, network("10.0.0.1", 8, None, None), "{value}");
        assert_eq!(settings.log, LevelFilter::Warn, "{value}: the rest still applies");
        let expected = format!(
            "bad value {value:?} for \"ip\": expected \"dhcp\" or ADDRESS/PREFIX[,GATEWAY[,DNS]]"
        );
        assert_eq!(reports, [expected]);
    }
}

#[test]
fn the_time_to_end_is_a_number_of_seconds() {
    for seconds in [0, 1, 30, 86_400] {
        assert_eq!(good(&format!("shutdown={seconds}")).shutdown, seconds);
    }
    for word in
        ["shutdown", "shutdown=", "shutdown=off", "shutdown=-1", "shutdown=+1", "shutdown=86401"]
    {
        let (settings, reports) = parse(&format!("shutdown=5 {word}"));
        assert_eq!(settings.shutdown, 5, "{word}");
        let value = word.split_once('=').map_or("", |(_, value)| value);
        let expected = "expected SECONDS, 0 to 86400";
        assert_eq!(reports, [format!("bad value {value:?} for \"shutdown\": {expected}")]);
    }
}

#[test]
fn what_asks_for_the_end_on_the_console_is_one_of_three() {
    for (value, expected) in
        [("off", ConsoleEnd::Off), ("break", ConsoleEnd::Break), ("ctrl-d", ConsoleEnd::ControlD)]
    {
        assert_eq!(good(&format!("console-end={value}")).console_end, expected);
    }
    for value in ["", "on", "ctrl-c", "Break"] {
        let (settings, reports) = parse(&format!("console-end=off console-end={value}"));
        assert_eq!(settings.console_end, ConsoleEnd::Off);
        let expected = "expected \"break\", \"ctrl-d\" or \"off\"";
        assert_eq!(reports, [format!("bad value {value:?} for \"console-end\": {expected}")]);
    }
}

#[test]
fn gpio_lines_are_those_that_are_named_and_no_others() {
    let lines = |value: &str| -> Vec<_> {
        let settings = good(&format!("gpio={value}"));
        settings
            .gpio
            .into_iter()
            .flatten()
            .map(|GpioLine { controller, line }| (controller, line))
            .collect()
    };
    assert_eq!(lines("17"), [(0, 17)]);
    assert_eq!(lines("17,0:18,2:0"), [(0, 17), (0, 18), (2, 0)]);
    let many = ["1"; GPIO_LINES].join(",");
    assert_eq!(lines(&many), [(0, 1); GPIO_LINES]);
    let too_many = format!("{many},1");
    for wrong in ["", "17,", ",17", "x", "-1", "+1", "256", "1:", ":1", "1:2:3", "17;18", &too_many]
    {
        let (settings, reports) = parse(&format!("gpio={wrong}"));
        assert_eq!((settings.gpio, reports.len()), ([None; GPIO_LINES], 1), "{wrong}");
    }
    assert_eq!(parse("gpio").1.len(), 1);
}

#[test]
fn the_log_says_as_much_as_asked() {
    for (value, expected) in [
        ("off", LevelFilter::Off),
        ("error", LevelFilter::Error),
        ("warn", LevelFilter::Warn),
        ("info", LevelFilter::Info),
        ("debug", LevelFilter::Debug),
        ("trace", LevelFilter::Trace),
    ] {
        assert_eq!(good(&format!("log={value}")).log, expected);
    }
    for value in ["", "loud", "info,debug", "3"] {
        let (settings, reports) = parse(&format!("log={value}"));
        assert_eq!(settings, Settings::default());
        assert_eq!(reports.len(), 1, "{value}");
        assert!(reports[0].starts_with(&format!("bad value {value:?} for \"log\": expected ")));
    }
}

#[test]
fn the_last_of_a_setting_counts_unless_it_is_wrong() {
    assert_eq!(good("log=warn log=debug").log, LevelFilter::Debug);
    assert_eq!(parse("log=warn log=debug log=x").0.log, LevelFilter::Debug);
}

#[test]
fn entropy_can_be_required() {
    assert!(good("quiet require-entropy rw").require_entropy);
    let (settings, reports) = parse("require-entropy=no");
    assert!(!settings.require_entropy);
    assert_eq!(reports, ["bad value \"no\" for \"require-entropy\": expected no value"]);
}

#[test]
fn what_is_the_applications_is_passed_over() {
    assert_eq!(
        good("app.a=1 app.broker=mqtt://10.0.2.2:1883 app.x= app.y==="),
        Settings::default()
    );
    for word in ["app.", "app.=1", "app.name"] {
        let (_, reports) = parse(word);
        assert_eq!(reports.len(), 1);
        assert!(reports[0].ends_with("expected app.NAME=VALUE"), "{}", reports[0]);
    }
}

#[test]
fn an_unknown_setting_is_reported_by_name() {
    let (settings, reports) =
        parse("foo lgo=debug IP=dhcp =1 = log=error \u{7}=x aip=dhcp application=1");
    assert_eq!(settings.log, LevelFilter::Error);
    let names = ["foo", "lgo", "IP", "", "", "\u{7}", "aip", "application"];
    assert_eq!(reports, names.map(|name| format!("unknown setting {name:?}")));
    assert_eq!(reports[5], "unknown setting \"\\u{7}\"", "a terminal never sees it");
    let error = SettingError::Unknown("foo");
    assert_eq!(error.to_string(), "unknown setting \"foo\"");
}

#[test]
fn what_monitors_add_for_linux_is_passed_over() {
    for bootargs in [
        // Firecracker's own default, of different years, and what it appends.
        "reboot=k panic=1 pci=off nomodules 8250.nr_uarts=0 i8042.noaux i8042.nomux i8042.nopnp \
         i8042.dumbkbd",
        "reboot=k panic=1 nomodule 8250.nr_uarts=0 i8042.noaux i8042.nomux i8042.dumbkbd \
         swiotlb=noforce",
        "console=ttyS0 root=/dev/vda ro earlycon=uart,mmio,0x40002000 pci=off",
        "root=PARTUUID=1234-02 rw virtio_mmio.device=4K@0xd0000000:5",
        // kvmtool's, crosvm's, and recipes for QEMU and cloud-hypervisor.
        " console=ttyS0 rw rootflags=trans=virtio,version=9p2000.L,cache=loose rootfstype=9p \
         init=/virt/init  ip=dhcp",
        "panic=-1 console=ttyS0,115200 keep_bootcon",
        "console=ttyAMA0 earlycon=pl011,0x9000000 root=/dev/vda1 rootwait quiet loglevel=3",
        "console=hvc0 root=/dev/vda1 rw net.ifnames=0 systemd.unit=multi-user.target nokaslr",
    ] {
        assert_eq!(good(bootargs), Settings::default());
    }
    for word in FOREIGN {
        good(word);
        good(&format!("{word}=anything"));
    }
    for group in FOREIGN_GROUPS {
        good(&format!("{group}anything=1"));
    }
}

#[test]
fn what_monitors_were_seen_to_pass_is_understood() {
    for (name, tree) in fixtures() {
        let machine = Machine::read(&tree).expect(&name);
        let (settings, mut reports) = parse(machine.bootargs());
        // The word with which the trees were taken.
        reports.retain(|report| report != "unknown setting \"dumpdtb\"");
        assert_eq!((settings, reports), (Settings::default(), vec![]), "{name}");
    }
}

#[test]
fn no_text_makes_it_panic() {
    const PIECES: &[&str] = &[
        "ip",
        "=",
        "dhcp",
        "/",
        ",",
        " ",
        "10.0.2.15",
        "24",
        "fd00::",
        ":",
        "255",
        "log",
        "info",
        "app.",
        "require-entropy",
        "\u{0}",
        "é",
        "💥",
        "\n",
        "-",
        ".",
        "\"",
        "999999999999999999999",
    ];
    let mut random = ChaCha8Rng::seed_from_u64(7);
    let mut applied = 0;
    for _ in 0..200_000 {
        let count = random.next_u32() as usize % 12;
        let text: String =
            (0..count).map(|_| PIECES[random.next_u32() as usize % PIECES.len()]).collect();
        let (settings, reports) = parse(&text);
        assert!(reports.len() <= text.split_ascii_whitespace().count());
        applied += usize::from(settings != Settings::default());
    }
    assert!(applied > 100, "only {applied} texts said anything");
}

#[test]
fn a_fault_is_answered_as_asked() {
    for (word, expected) in [
        ("", OnFault::RestartApplication),
        ("on-fault=restart-app", OnFault::RestartApplication),
        ("on-fault=reset", OnFault::Reset),
        ("on-fault=off", OnFault::Off),
        ("on-fault=halt", OnFault::Halt),
        ("on-fault=halt on-fault=off", OnFault::Off),
    ] {
        assert_eq!(good(word).policy.on_fault, expected, "{word}");
    }
    for wrong in ["on-fault", "on-fault=", "on-fault=explode", "on-fault=RESET", "on-fault=restart"]
    {
        let (settings, reports) = parse(wrong);
        assert_eq!(settings, Settings::default(), "{wrong}");
        assert_eq!(reports.len(), 1, "{wrong}");
        let end = "expected \"restart-app\", \"reset\", \"off\" or \"halt\"";
        assert!(reports[0].ends_with(end), "{}", reports[0]);
    }
}

#[test]
fn faults_are_limited_as_asked() {
    let limit = |faults, seconds| Some(FaultLimit { faults, seconds });
    for (value, expected) in [
        ("none", None),
        ("1/1", limit(1, 1)),
        ("2/60", limit(2, 60)),
        ("16/4294967295", limit(16, u32::MAX)),
        ("007/08", limit(7, 8)),
    ] {
        assert_eq!(good(&format!("fault-limit={value}")).policy.limit, expected, "{value}");
    }
    for value in [
        "",
        "0",
        "5",
        "/",
        "5/",
        "/60",
        "0/60",
        "5/0",
        "17/60",
        "256/60",
        "+5/60",
        "5/-1",
        "5/60/1",
        "5/4294967296",
        "off",
        "None",
        "5/60s",
        " ",
    ] {
        let (settings, reports) = parse(&format!("fault-limit={value}"));
        assert_eq!(settings, Settings::default(), "{value}");
        let expected = "expected \"none\" or FAULTS/SECONDS, 1 to 16 faults in 1 second or more";
        assert!(reports[0].ends_with(expected), "{value}: {}", reports[0]);
    }
    assert_eq!(parse("fault-limit").1.len(), 1);
}

type Period = fn(&Settings) -> Option<u32>;

#[test]
fn what_watches_does_so_as_often_as_asked() {
    let all: [(&str, Period); 2] =
        [("watchdog", |settings| settings.watchdog), ("integrity", |settings| settings.integrity)];
    for (name, period) in all {
        for (value, expected) in
            [("off", None), ("1", Some(1)), ("60", Some(60)), ("86400", Some(86_400))]
        {
            assert_eq!(period(&good(&format!("{name}={value}"))), expected, "{name}={value}");
        }
        for value in ["", "0", "-1", "+1", "86401", "1.5", "never", "10s", "99999999999999"] {
            let (settings, reports) = parse(&format!("{name}={value}"));
            assert_eq!(settings, Settings::default(), "{name}={value}");
            let expected = format!(
                "bad value {value:?} for {name:?}: expected \"off\" or SECONDS, 1 to 86400"
            );
            assert_eq!(reports, [expected]);
        }
        assert_eq!(parse(name).1.len(), 1);
    }
}
