//! Under KVM/arm64: a hypervisor that traps, injects interrupts and decodes accesses, which an
//! emulator's own machine does not. The host is emulated; KVM, and QEMU on it, are Debian's
//! (`tests/edge`). What is tested elsewhere with more care is kept up here with less of it.

use std::collections::HashSet;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};

use super::{devices, gateway, network};
use crate::client::connect;
use crate::scenario::scenarios;
use crate::{Context, Ending, Forward, Machine, Mode, Network, Resets, Scenario, Shutdown};

pub(super) const SCENARIOS: &[Scenario] = scenarios!["kvm":
    Quick hello_on_gicv3,
    Quick hello_on_gicv2,
    Quick hello_with_modern_virtio,
    Quick power_off_tells_the_status,
    Quick a_reset_is_one_to_the_hypervisor,
    Quick a_machine_starts_again in Joined,
    Quick an_application_starts_again in Contained,
    Quick the_console_works_both_ways,
    Quick the_timer_wakes_never_early,
    Quick idle_sleeps,
    Quick registers_survive_interrupts in Joined,
    Quick entropy_has_every_source,
    Quick the_hypervisor_is_a_source_of_entropy,
    Quick blocks_round_trip,
    Quick blocks_round_trip_on_gicv2,
    Long blocks_round_trip_for_long,
    Quick a_mebibyte_comes_back_unchanged,
    Quick the_gateway_serves,
    Quick the_gateway_serves_on_gicv2,
    Quick hundreds_of_requests_are_all_answered,
    Long ten_thousand_requests_are_all_answered,
];

/// How long anything may take on a busy machine, where everything is emulated twice.
const PATIENCE: Duration = Duration::from_secs(120);

/// The boards: on a host with a GICv3, with a GICv2.
const KVM: &str = "kvm";
const GICV2: &str = "kvm-gicv2";

fn hello_on_gicv3(context: &Context) -> Result<()> {
    hello_on(context, KVM, "GICv3")
}

fn hello_on_gicv2(context: &Context) -> Result<()> {
    hello_on(context, GICV2, "GICv2")
}

fn hello_with_modern_virtio(context: &Context) -> Result<()> {
    hello_on(context, "kvm-modern", "GICv3")
}

fn hello_on(context: &Context, board: &str, controller: &str) -> Result<()> {
    let ending = run(context.machine(board, "hello")?)?;
    ending.expect_status(0)?;
    let level = match context.mode() {
        Mode::Joined => "application at EL1",
        Mode::Contained => "application at EL0",
    };
    ensure!(ending.console.lines().any(|line| line.starts_with("Hello")), "no greeting: {ending}");
    let hypervisor = "hypervisor KVM";
    expect(&ending, &[controller, "Neoverse N1", "entered at EL1", hypervisor, level])
}

/// PSCI `SYSTEM_OFF`, as the hypervisor sees it.
fn power_off_tells_the_status(context: &Context) -> Result<()> {
    for status in [7, 255] {
        let machine = context.machine(KVM, "exit_status_arrives")?;
        run(machine.setting(&format!("app.status={status}")))?.expect_status(status)?;
    }
    Ok(())
}

/// PSCI `SYSTEM_RESET`.
fn a_reset_is_one_to_the_hypervisor(context: &Context) -> Result<()> {
    let machine = context.machine(KVM, "faults_are_named")?.setting("app.what=undefined");
    let ending = run(machine.setting("on-fault=reset"))?;
    ensure!(ending.shutdown == Shutdown::Reset, "{ending}");
    let level = match context.mode() {
        Mode::Joined => "level=EL1",
        Mode::Contained => "level=EL0",
    };
    let fault = ending.fault.as_deref().unwrap_or_default();
    ensure!(fault.contains("class=undefined-instruction ") && fault.contains(level), "{ending}");
    Ok(())
}

/// What a fault leaves is told in the next life, and that life has an image as good as the first.
fn a_machine_starts_again(context: &Context) -> Result<()> {
    let ending = run(survivor(context)?)?;
    is_survived(&ending)?;
    expect(&ending, &["level=EL1", "\nrestarting the machine", "black box: fault 1"])
}

fn an_application_starts_again(context: &Context) -> Result<()> {
    let ending = run(survivor(context)?)?;
    is_survived(&ending)?;
    expect(&ending, &["level=EL0", "\nrestarting the application (restart 1)"])
}

/// It dies once, at an instruction that is not there.
fn survivor(context: &Context) -> Result<Machine> {
    let machine = context.machine(KVM, "faults_are_survived")?.setting("app.how=undefined");
    Ok(machine.setting("on-fault=restart-app").resets(Resets::Reboot))
}

fn is_survived(ending: &Ending) -> Result<()> {
    let faults = ending.console.lines().filter(|line| line.starts_with("FAULT "));
    let ended = ending.shutdown == Shutdown::PoweredOff && ending.status == Some(0);
    ensure!(ended && faults.count() == 1, "{ending}");
    let fault = "report FAULT class=undefined-instruction esr=0x02000000 ";
    expect(ending, &["END FAULT", "restarts 1 faults 1", fault, "I am still here"])
}

fn the_console_works_both_ways(context: &Context) -> Result<()> {
    let mut guest = context.machine(KVM, "console_is_read")?.boot()?;
    guest.wait_for("type a line", PATIENCE)?;
    guest.type_in(b"well, ")?;
    guest.type_in(b"hello\n")?;
    let ending = guest.ending(PATIENCE)?;
    ending.expect_status(0)?;
    expect(&ending, &["you said WELL, HELLO"])
}

/// How late it wakes says nothing here, where the host is emulated on a busy machine.
fn the_timer_wakes_never_early(context: &Context) -> Result<()> {
    for board in [KVM, GICV2] {
        let ending = run(context.machine(board, "timer_is_exact")?)?;
        ending.expect_status(0)?;
        expect(&ending, &["never early"])?;
    }
    Ok(())
}

/// Nothing is injected that was not asked for.
fn idle_sleeps(context: &Context) -> Result<()> {
    for board in [KVM, GICV2] {
        let ending = run(context.machine(board, "idle_sleeps")?)?;
        ending.expect_status(0)?;
        expect(&ending, &["1 wake-up in "])?;
    }
    Ok(())
}

fn registers_survive_interrupts(context: &Context) -> Result<()> {
    let machine = context.machine(KVM, "registers_survive_interrupts")?;
    run(machine.setting("watchdog=off"))?.expect_status(0)
}

/// A host that has other things to do may let the device be late, which is told: the next boot asks
/// again.
fn entropy_has_every_source(context: &Context) -> Result<()> {
    let mut seen = HashSet::new();
    for _ in 0..5 {
        let machine = context.machine(KVM, "entropy_differs")?.setting("log=debug");
        let ending = run(machine.setting("require-entropy"))?;
        ending.expect_status(0)?;
        let line = ending.console.lines().find_map(|line| line.split("entropy ").nth(1));
        let bytes = line.with_context(|| format!("no entropy: {ending}"))?.trim().to_owned();
        ensure!(bytes.len() == 32 && seen.insert(bytes.clone()), "{bytes} again");
        let late = ending.console.contains("entropy device: the device did not answer in time");
        let device = if late { "" } else { ", virtio-rng" };
        let sources = format!(" entropy: kaslr-seed, rng-seed, firmware TRNG{device}\n");
        expect(&ending, &[&sources])?;
        if !late && seen.len() > 1 {
            return Ok(());
        }
    }
    bail!("the entropy device is late at each boot")
}

/// Neither device, nor seeds in the tree, nor a core that has any: KVM itself answers the calls of
/// the firmware's generator (Arm DEN0098).
fn the_hypervisor_is_a_source_of_entropy(context: &Context) -> Result<()> {
    let machine = context.machine(KVM, "entropy_differs")?.without_entropy();
    let machine = machine.argument("-machine").argument("dtb-randomness=off").setting("log=debug");
    let ending = run(machine.setting("require-entropy"))?;
    ending.expect_status(0)?;
    expect(&ending, &[" entropy: firmware TRNG\n"])
}

fn blocks_round_trip(context: &Context) -> Result<()> {
    devices::round_trips(context, KVM, &[1, 1_000])
}

fn blocks_round_trip_on_gicv2(context: &Context) -> Result<()> {
    devices::round_trips(context, GICV2, &[1_000])
}

fn blocks_round_trip_for_long(context: &Context) -> Result<()> {
    devices::round_trips(context, KVM, &[16_384])
}

fn a_mebibyte_comes_back_unchanged(context: &Context) -> Result<()> {
    let network = Network::User(vec![Forward::tcp(7)]);
    let mut guest = context.machine(KVM, "echo")?.network(network).boot()?;
    guest.wait_for("echoing on 10.0.2.15:7", PATIENCE)?;
    network::echoes(connect(&mut guest, 7)?, 77, 1 << 20)
}

fn the_gateway_serves(context: &Context) -> Result<()> {
    serves(context, KVM, "GICv3")
}

fn the_gateway_serves_on_gicv2(context: &Context) -> Result<()> {
    serves(context, GICV2, "GICv2")
}

/// The page is the right one, and the machine that it tells of too.
fn serves(context: &Context, board: &str, controller: &str) -> Result<()> {
    let mut guest = gateway::boot(context, board)?;
    let mut client = gateway::client(&mut guest)?;
    let page = client.get("/")?.expect(200)?;
    ensure!(page.field("content-type") == Some("text/html; charset=utf-8"), "{page:?}");
    let page = page.text();
    let whole = page.contains("<title>Elone gateway</title>") && page.ends_with("</html>\n");
    ensure!(whole && !page.contains("{{"), "a gap, or no end: {page}");
    let status = client.get("/api/status")?.expect(200)?.json()?;
    for (name, expected) in
        [("core", "Neoverse N1"), ("interrupt_controller", controller), ("entered_at", "EL1")]
    {
        ensure!(status["machine"][name] == expected, "{name} is {}", status["machine"][name]);
    }
    Ok(())
}

fn hundreds_of_requests_are_all_answered(context: &Context) -> Result<()> {
    gateway::all_are_answered(context, KVM, 50)
}

fn ten_thousand_requests_are_all_answered(context: &Context) -> Result<()> {
    gateway::all_are_answered(context, KVM, 1_250)
}

fn run(machine: Machine) -> Result<Ending> {
    machine.boot()?.ending(PATIENCE)
}

fn expect(ending: &Ending, words: &[&str]) -> Result<()> {
    for words in words {
        ensure!(ending.console.contains(words), "{words:?} is not in {ending}");
    }
    Ok(())
}
