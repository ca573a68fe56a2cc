//! One image boots on every board, from every level, and arrives at its application.

use std::time::Duration;

use anyhow::{Result, ensure};

use crate::scenario::scenarios;
use crate::{Context, Machine, Mode, Network, Scenario};

pub(super) const SCENARIOS: &[Scenario] = scenarios!["boot":
    Quick hello_on_qemu_virt,
    Quick hello_on_gicv3,
    Quick hello_from_el2,
    Quick hello_from_el2_with_vhe,
    Quick hello_from_el3,
    Quick hello_from_el3_with_all_cores,
    Quick hello_from_el3_through_el2,
    Quick hello_on_every_feature,
    Quick hello_on_the_least_core,
    Quick hello_with_modern_virtio,
    Quick hello_in_16_mib,
    Quick hello_in_4_gib,
    Quick hello_without_any_device,
];

/// How long a boot may take on a busy machine; an idle one needs a tenth of a second.
const BOOT: Duration = Duration::from_secs(30);

fn hello_on_qemu_virt(context: &Context) -> Result<()> {
    hello_on(context, "qemu-virt", &["entered at EL1", "GICv2", "Cortex-A72"])
}

fn hello_on_gicv3(context: &Context) -> Result<()> {
    hello_on(context, "qemu-virt-gicv3", &["entered at EL1", "GICv3"])
}

fn hello_from_el2(context: &Context) -> Result<()> {
    hello_on(context, "qemu-virt-el2", &["entered at EL2", "hypervisor none"])
}

fn hello_from_el2_with_vhe(context: &Context) -> Result<()> {
    hello_on(context, "qemu-virt-el2-vhe", &["entered at EL2", "GICv3", "QEMU max"])
}

fn hello_from_el3(context: &Context) -> Result<()> {
    hello_and_halt(context, "qemu-virt-el3")
}

/// All cores come out of reset at the image's first instruction: one boots, the others sleep.
fn hello_from_el3_with_all_cores(context: &Context) -> Result<()> {
    hello_and_halt(context, "qemu-virt-el3-cores")
}

/// What EL3 must not trap of what EL2's part of the entry does.
fn hello_from_el3_through_el2(context: &Context) -> Result<()> {
    hello_and_halt(context, "qemu-virt-el3-el2")
}

/// Nobody is left who could switch this machine off (PSCI is firmware's, and there is none), so it
/// says so and sleeps.
fn hello_and_halt(context: &Context, board: &str) -> Result<()> {
    let guest = context.machine(board, "hello")?.boot()?;
    let banner = format!("entered at EL3, {}", level(context));
    for line in [&banner, "Hello", "exit status 0", "halted"] {
        guest.wait_for(line, BOOT)?;
    }
    Ok(())
}

fn hello_on_every_feature(context: &Context) -> Result<()> {
    hello_on(context, "qemu-virt-max", &["entered at EL1", "QEMU max"])
}

fn hello_on_the_least_core(context: &Context) -> Result<()> {
    hello_on(context, "qemu-virt-a53", &["entered at EL1", "Cortex-A53"])
}

fn hello_with_modern_virtio(context: &Context) -> Result<()> {
    hello_on(context, "qemu-virt-modern", &["entered at EL1"])
}

fn hello_in_16_mib(context: &Context) -> Result<()> {
    greets(context, context.machine("qemu-virt", "hello")?.memory(16), &[": 16 MiB"])
}

fn hello_in_4_gib(context: &Context) -> Result<()> {
    greets(context, context.machine("qemu-virt", "hello")?.memory(4096), &[": 4096 MiB"])
}

fn hello_without_any_device(context: &Context) -> Result<()> {
    let machine = context.machine("qemu-virt", "hello")?;
    greets(context, machine.network(Network::Absent).without_entropy(), &[])
}

fn hello_on(context: &Context, board: &str, facts: &[&str]) -> Result<()> {
    greets(context, context.machine(board, "hello")?, facts)
}

/// Where the log says that the application runs.
fn level(context: &Context) -> &'static str {
    match context.mode() {
        Mode::Joined => "application at EL1",
        Mode::Contained => "application at EL0",
    }
}

/// Boots hello: it says a line that begins with `Hello`, and ends with status 0. The log says at
/// which level the application runs, and each of `facts`: the board is what it is meant to be.
fn greets(context: &Context, machine: Machine, facts: &[&str]) -> Result<()> {
    let ending = machine.boot()?.ending(BOOT)?;
    ending.expect_status(0)?;
    ensure!(ending.console.lines().any(|line| line.starts_with("Hello")), "no greeting: {ending}");
    for fact in facts.iter().chain(&[level(context)]) {
        ensure!(ending.console.contains(fact), "{fact:?} is not in {ending}");
    }
    Ok(())
}
