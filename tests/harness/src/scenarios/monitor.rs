//! Other monitors' machines under KVM, each as our own monitor builds it (`monitor/`): the same images
//! boot on every map. What is tested elsewhere with more care is kept up here with less of it.

pub(crate) mod guest;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, ensure};

use self::guest::Order;
use crate::scenario::scenarios;
use crate::{Context, Mode, Scenario};

pub(super) const SCENARIOS: &[Scenario] = scenarios!["monitor":
    Quick every_map_boots,
    Quick every_map_boots_on_gicv2,
    Quick memory_may_be_above_4_gib,
    Quick other_cores_stay_off,
    Quick the_console_works_both_ways,
    Quick the_date_is_read_from_every_clock,
    Quick the_timer_wakes_never_early,
    Quick blocks_round_trip,
    Quick the_gateway_serves_on_firecrackers_map,
    Quick the_gateway_serves_on_kvmtools_map,
    Quick the_gateway_serves_on_gicv2,
    Quick a_reset_ends_the_monitor,
    Quick a_machine_boots_again in Joined,
    Quick the_power_button_asks_for_the_end,
    Quick without_a_button_the_end_is_at_once,
    Quick another_machine_is_noticed,
    Quick what_the_monitor_may_not_do_ends_it,
    Quick a_host_that_cannot_is_told,
];

/// How long anything may take on a busy machine, where everything is emulated twice.
const PATIENCE: Duration = Duration::from_secs(120);
/// The boards of the hosts.
const HOST: &str = "edge";
const HOST_WITH_GICV2: &str = "edge-gicv2";
/// The maps, and what a guest says of each.
const MAPS: [(&str, &str); 4] = [
    ("firecracker", "linux,dummy-virt: 126 MiB, {gic}, 16550, 1 core"),
    ("kvmtool", "linux,dummy-virt: 128 MiB, {gic}, 16550, 1 core"),
    ("crosvm", "linux,dummy-virt: 128 MiB, {gic}, 16550, 1 core"),
    ("banks", "Three banks: 128 MiB, {gic}, PL011, 1 core"),
];

fn every_map_boots(context: &Context) -> Result<()> {
    hello(context, HOST, "GICv3")
}

fn every_map_boots_on_gicv2(context: &Context) -> Result<()> {
    hello(context, HOST_WITH_GICV2, "GICv2")
}

fn hello(context: &Context, host: &str, gic: &str) -> Result<()> {
    let level = match context.mode() {
        Mode::Joined => "entered at EL1, application at EL1, hypervisor KVM",
        Mode::Contained => "entered at EL1, application at EL0, hypervisor KVM",
    };
    for (map, machine) in MAPS {
        let ended = Order::new(context, host, map, "hello")?.run()?;
        ended.expect_status(0)?;
        ended.expect(&[level, &machine.replace("{gic}", gic), "Hello from "])?;
        // Nothing was looked for where nothing is.
        ensure!(!ended.complaint.contains("where nothing is"), "{map}: {ended}");
    }
    Ok(())
}

/// More than the host has, in three banks: what is not used is not there.
fn memory_may_be_above_4_gib(context: &Context) -> Result<()> {
    let order = Order::new(context, HOST, "banks", "hello")?.with(&["--memory", "5000"]);
    let ended = order.run()?;
    ended.expect_status(0)?;
    ended.expect(&["Three banks: 5000 MiB"])
}

fn other_cores_stay_off(context: &Context) -> Result<()> {
    for (host, map) in [(HOST, "firecracker"), (HOST, "kvmtool"), (HOST_WITH_GICV2, "kvmtool")] {
        let ended = Order::new(context, host, map, "hello")?.with(&["--cores", "8"]).run()?;
        ended.expect_status(0)?;
        ended.expect(&[" 8 cores"])?;
    }
    Ok(())
}

fn the_console_works_both_ways(context: &Context) -> Result<()> {
    for (map, _) in MAPS {
        let mut guest = Order::new(context, HOST, map, "console_is_read")?.boot()?;
        guest.wait_for("type a line")?;
        guest.type_in(b"well, ")?;
        guest.type_in(b"hello\n")?;
        let ended = guest.ended()?;
        ended.expect_status(0)?;
        ended.expect(&["you said WELL, HELLO"])?;
    }
    Ok(())
}

/// PL031 and mc146818; the host's clock is this machine's.
fn the_date_is_read_from_every_clock(context: &Context) -> Result<()> {
    for map in ["firecracker", "kvmtool", "banks"] {
        let ended = Order::new(context, HOST, map, "machine_is_described")?.run()?;
        ended.expect_status(0)?;
        let date = ended.console.lines().find_map(|line| line.split(": date ").nth(1));
        let date = date.and_then(|date| date.trim().parse::<u64>().ok());
        let date = date.with_context(|| format!("{map}: no date: {ended}"))?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
        // The host has read its own clock when it came up.
        ensure!(date.abs_diff(now) < 3600, "{map}: {date} is not {now}");
    }
    Ok(())
}

/// How late it wakes says nothing here, where the host is emulated on a busy machine.
fn the_timer_wakes_never_early(context: &Context) -> Result<()> {
    for (host, map) in [(HOST, "kvmtool"), (HOST_WITH_GICV2, "firecracker")] {
        let ended = Order::new(context, host, map, "timer_is_exact")?.run()?;
        ended.expect_status(0)?;
        ended.expect(&["never early"])?;
    }
    Ok(())
}

/// Slots that share a page and slots that do not; interrupts that are edges and that are levels.
fn blocks_round_trip(context: &Context) -> Result<()> {
    for map in ["firecracker", "kvmtool", "banks"] {
        let order = Order::new(context, HOST, map, "block_round_trips")?.disk(1000 * 512)?;
        let ended = order.run()?;
        ended.expect_status(0)?;
        ended.expect(&["1000 sectors round-tripped", "beyond the end: outside"])?;
        let disk = ended.disk()?;
        ensure!(disk.len() == 1000 * 512, "the disk has {} bytes", disk.len());
        for (number, word) in (0_u64..).zip(disk.as_chunks::<8>().0) {
            // As `tests/unikernels/src/bin/block_round_trips.rs` fills it.
            let expected = (number / 64).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ (number % 64);
            ensure!(u64::from_le_bytes(*word) == expected, "{map}: word {number} is {word:02x?}");
        }
    }
    Ok(())
}

fn the_gateway_serves_on_firecrackers_map(context: &Context) -> Result<()> {
    serves(context, HOST, "firecracker", "GICv3")
}

fn the_gateway_serves_on_kvmtools_map(context: &Context) -> Result<()> {
    serves(context, HOST, "kvmtool", "GICv3")
}

fn the_gateway_serves_on_gicv2(context: &Context) -> Result<()> {
    serves(context, HOST_WITH_GICV2, "firecracker", "GICv2")?;
    serves(context, HOST_WITH_GICV2, "banks", "GICv2")
}

/// The page is whole, the machine that it tells of is this one, and many requests over one
/// connection are all answered.
fn serves(context: &Context, host: &str, map: &str, controller: &str) -> Result<()> {
    let (order, address) = Order::new(context, host, map, "gateway")?.network()?;
    let guest = order.boot()?;
    guest.wait_for(&format!("listening on {address}:80"))?;
    let (mut client, _relay) = guest.client(address)?;
    let page = client.get("/")?.expect(200)?.text();
    let whole = page.contains("<title>Elone gateway</title>") && page.ends_with("</html>\n");
    ensure!(whole && !page.contains("{{"), "a gap, or no end: {page}");
    let machine = &client.get("/api/status")?.expect(200)?.json()?["machine"];
    for (name, expected) in
        [("core", "Neoverse N1"), ("interrupt_controller", controller), ("hypervisor", "KVM")]
    {
        ensure!(machine[name] == expected, "{name} is {}", machine[name]);
    }
    for number in 0..200 {
        let reading = format!("{{\"sensor\": \"s\", \"value\": {number}}}");
        let stored = client.post("/api/readings", &reading)?.expect(201)?.json()?;
        ensure!(stored["last"] == number + 1, "{stored}");
    }
    drop(client);
    ensure!(guest.runs_on(Duration::ZERO), "{map}: it has ended");
    Ok(())
}

/// PSCI `SYSTEM_RESET`, of which the monitor's exit status tells whoever started it.
fn a_reset_ends_the_monitor(context: &Context) -> Result<()> {
    let order = Order::new(context, HOST, "firecracker", "faults_are_named")?;
    let ended = order.setting("app.what=undefined").setting("on-fault=reset").run()?;
    ended.expect(&["FAULT class=undefined-instruction "])?;
    ensure!(ended.monitor == 3, "{ended}");
    Ok(())
}

/// In memory that the monitor keeps, the black box is found again; everything else is made anew.
fn a_machine_boots_again(context: &Context) -> Result<()> {
    for map in ["firecracker", "banks"] {
        let order = Order::new(context, HOST, map, "faults_are_survived")?;
        let order = order.setting("app.how=undefined").setting("on-fault=restart-app");
        let ended = order.with(&["--on-reset", "again", "--cores", "3"]).run()?;
        ended.expect_status(0)?;
        ended.expect(&["restarting the machine", "restarts 1 faults 1", "I am still here"])?;
        ensure!(ended.complaint.contains("the machine boots again"), "{map}: {ended}");
    }
    Ok(())
}

/// `SIGTERM` presses it, and the application has the time that it takes.
fn the_power_button_asks_for_the_end(context: &Context) -> Result<()> {
    for host in [HOST, HOST_WITH_GICV2] {
        let guest = Order::new(context, host, "banks", "is_asked_to_end")?.boot()?;
        guest.wait_for("ends: ready")?;
        guest.signal("TERM")?;
        let ended = guest.ended()?;
        ended.expect_status(7)?;
        ended.expect(&["asked to end: power button"])?;
    }
    Ok(())
}

fn without_a_button_the_end_is_at_once(context: &Context) -> Result<()> {
    for map in ["kvmtool", "crosvm"] {
        let guest = Order::new(context, HOST, map, "is_asked_to_end")?.boot()?;
        guest.wait_for("ends: ready")?;
        guest.signal("TERM")?;
        let ended = guest.ended()?;
        ensure!(ended.monitor == 0 && !ended.console.contains("asked to end"), "{map}: {ended}");
    }
    Ok(())
}

/// By its generation, of which vmgenid and vmclock each tell by an interrupt.
fn another_machine_is_noticed(context: &Context) -> Result<()> {
    let mut guest = Order::new(context, HOST, "firecracker", "absence_is_noticed")?.boot()?;
    guest.wait_for("ready")?;
    guest.signal("USR1")?;
    guest.wait_for("restored from a snapshot, or moved: entropy is renewed")?;
    guest.type_in(b"end\n")?;
    guest.ended()?.expect_status(0)
}

/// The filter that is in force while a guest runs is tried where guests run.
fn what_the_monitor_may_not_do_ends_it(context: &Context) -> Result<()> {
    let order = Order::new(context, HOST, "firecracker", "hello")?;
    let ended = order.with(&["--break-out"]).run()?;
    let refused = ended.complaint.starts_with("monitor: confined: system call ");
    ensure!(ended.monitor == 1 && refused && ended.console.is_empty(), "{ended}");
    Ok(())
}

fn a_host_that_cannot_is_told(context: &Context) -> Result<()> {
    for (host, version) in [(HOST, "2"), (HOST_WITH_GICV2, "3")] {
        let order = Order::new(context, host, "kvmtool", "hello")?.with(&["--gic", version]);
        let ended = order.run()?;
        let told = ended.complaint.contains(&format!("KVM makes no GICv{version} here"));
        ensure!(ended.monitor == 1 && told, "{ended}");
    }
    Ok(())
}
