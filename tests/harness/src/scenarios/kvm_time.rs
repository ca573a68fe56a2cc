//! Under KVM/arm64: what KVM tells of itself, which no emulator does: its name, the date by its own
//! call, for how long it let others run.

use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::json;

use crate::scenario::scenarios;
use crate::{Context, Guest, Machine, Network, Scenario};

pub(super) const SCENARIOS: &[Scenario] = scenarios!["kvm":
    Quick the_hypervisor_says_who_it_is,
    Quick the_date_is_the_hypervisors,
    Quick a_pause_is_noticed,
    Quick stolen_time_is_told,
];

const PATIENCE: Duration = Duration::from_secs(120);

fn the_hypervisor_says_who_it_is(context: &Context) -> Result<()> {
    let mut guest = boot(machine(context)?, "hypervisor KVM, KVM: true")?;
    guest.type_in(b"end\n")?;
    guest.ending(PATIENCE)?.expect_status(0)
}

/// By the call, and not by the chip that there is as well.
fn the_date_is_the_hypervisors(context: &Context) -> Result<()> {
    let machine = machine(context)?.setting("log=debug");
    let mut guest = boot(machine, "the date comes from KVM's clock")?;
    let before = ask(&mut guest, "date")?;
    // After more than a second it is asked for again; no jump must come of that.
    thread::sleep(Duration::from_millis(2500));
    let after = ask(&mut guest, "date")?;
    ensure!(after >= before + 2, "{before}, {after}");
    guest.type_in(b"end\n")?;
    let ending = guest.ending(PATIENCE)?;
    ending.expect_status(0)?;
    ensure!(!ending.console.contains("the wall clock went"), "{ending}");
    Ok(())
}

fn a_pause_is_noticed(context: &Context) -> Result<()> {
    const PAUSE: u64 = 6;
    let mut guest = boot(machine(context)?, "ready")?;
    let before = ask(&mut guest, "date")?;
    thread::sleep(Duration::from_millis(1200));
    guest.qmp()?.execute("stop", json!({}))?;
    thread::sleep(Duration::from_secs(PAUSE));
    guest.qmp()?.execute("cont", json!({}))?;
    guest.type_in(b"date\n")?;
    guest.wait_for("the wall clock went on ", PATIENCE)?;
    let after = number(&guest.wait_for(": date ", PATIENCE)?, "date")?;
    ensure!(after >= before + PAUSE, "{before}, {after}");
    guest.type_in(b"end\n")?;
    guest.ending(PATIENCE)?.expect_status(0)
}

fn stolen_time_is_told(context: &Context) -> Result<()> {
    let mut guest = boot(machine(context)?, "ready")?;
    let mut last = 0;
    for _look in 0..3 {
        let stolen = ask(&mut guest, "stolen")?;
        // The host's own work, between two turns of the guest, is time that the guest could have had.
        ensure!(stolen > 0 && stolen >= last, "{last}, {stolen}");
        last = stolen;
        thread::sleep(Duration::from_millis(300));
    }
    guest.type_in(b"end\n")?;
    guest.ending(PATIENCE)?.expect_status(0)
}

fn machine(context: &Context) -> Result<Machine> {
    Ok(context.machine("kvm", "absence_is_noticed")?.network(Network::Absent))
}

/// Boots it, and waits until it has said something, and listens.
fn boot(machine: Machine, said: &str) -> Result<Guest> {
    let guest = machine.boot()?;
    guest.wait_for(said, PATIENCE)?;
    if said != "ready" {
        guest.wait_for("noticed: ready", PATIENCE)?;
    }
    Ok(guest)
}

fn ask(guest: &mut Guest, what: &str) -> Result<u64> {
    guest.type_in(format!("{what}\n").as_bytes())?;
    number(&guest.wait_for(&format!(": {what} "), PATIENCE)?, what)
}

fn number(line: &str, what: &str) -> Result<u64> {
    let number = line.split(&format!(": {what} ")).nth(1);
    Ok(number.with_context(|| format!("no number: {line}"))?.trim().parse()?)
}
