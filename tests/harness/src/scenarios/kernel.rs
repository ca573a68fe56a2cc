//! What the kernel does for its application: time, sleep, registers, status, console.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, ensure};

use crate::scenario::scenarios;
use crate::{Context, Mode, Network, Scenario, Shutdown};

pub(super) const SCENARIOS: &[Scenario] = scenarios!["kernel":
    Quick the_timer_is_exact,
    Quick idle_sleeps,
    Quick registers_survive_interrupts in Joined,
    Quick registers_survive_interrupts_at_el0 in Contained,
    Quick the_gate_refuses,
    Quick the_exit_status_arrives,
    Quick a_fault_resets_the_machine_if_asked,
    Quick a_fault_halts_the_machine_if_asked,
    Quick the_console_is_read,
    Quick the_machine_is_described,
    Quick a_machine_without_devices_is_described,
];

const PATIENCE: Duration = Duration::from_secs(30);

/// With `-icount` time is made of instructions, so how late a sleep ends does not depend on the
/// host: what is measured is the path from the timer's interrupt back to whoever slept.
fn the_timer_is_exact(context: &Context) -> Result<()> {
    for board in ["qemu-virt", "qemu-virt-gicv3"] {
        let machine = context.machine(board, "timer_is_exact")?;
        let ending = machine.argument("-icount").argument("shift=0,sleep=off").boot()?;
        let ending = ending.ending(PATIENCE)?;
        ending.expect_status(0)?;
        let late = ending
            .console
            .lines()
            .find_map(|line| line.split("at most ").nth(1)?.split(' ').next()?.parse::<u64>().ok());
        let late = late.with_context(|| format!("no lateness: {ending}"))?;
        ensure!(late < 20_000, "{late} ns late on {board}");
    }
    Ok(())
}

fn idle_sleeps(context: &Context) -> Result<()> {
    for board in ["qemu-virt", "qemu-virt-gicv3", "qemu-virt-modern"] {
        let ending = context.machine(board, "idle_sleeps")?.boot()?.ending(PATIENCE)?;
        ending.expect_status(0)?;
    }
    Ok(())
}

fn registers_survive_interrupts(context: &Context) -> Result<()> {
    for board in ["qemu-virt", "qemu-virt-gicv3"] {
        // The timer is its own: it asks for the interrupts that it looks out for.
        let machine = context.machine(board, "registers_survive_interrupts")?;
        let ending = machine.setting("watchdog=off").boot()?;
        ending.ending(PATIENCE)?.expect_status(0)?;
    }
    Ok(())
}

/// With `-icount`, a second is so many instructions and takes a fraction of one.
fn registers_survive_interrupts_at_el0(context: &Context) -> Result<()> {
    for board in ["qemu-virt", "qemu-virt-gicv3"] {
        let machine = context.machine(board, "registers_survive_at_el0")?.setting("watchdog=1");
        let machine = machine.setting("on-fault=off").argument("-icount");
        let ending = machine.argument("shift=10,sleep=off").boot()?.ending(PATIENCE)?;
        ending.expect_fault(&["class=hang "])?;
        ensure!(ending.console.contains("every register survived 100 interrupts"), "{ending}");
    }
    Ok(())
}

fn the_gate_refuses(context: &Context) -> Result<()> {
    let file = context.scratch.join("refusals.disk");
    std::fs::write(&file, [0; 8 * 512])?;
    let ending = context.machine("qemu-virt", "the_gate_refuses")?.disk(&file).boot()?;
    ending.ending(PATIENCE)?.expect_status(0)
}

fn the_exit_status_arrives(context: &Context) -> Result<()> {
    for status in [0, 1, 7, 255] {
        let machine = context.machine("qemu-virt", "exit_status_arrives")?;
        let ending = machine.setting(&format!("app.status={status}")).boot()?.ending(PATIENCE)?;
        ending.expect_status(status)?;
    }
    Ok(())
}

fn a_fault_resets_the_machine_if_asked(context: &Context) -> Result<()> {
    let machine = context.machine("qemu-virt", "faults_are_named")?.setting("app.what=undefined");
    let ending = machine.setting("on-fault=reset").boot()?.ending(PATIENCE)?;
    ensure!(ending.shutdown == Shutdown::Reset && ending.fault.is_some(), "{ending}");
    Ok(())
}

fn a_fault_halts_the_machine_if_asked(context: &Context) -> Result<()> {
    let machine = context.machine("qemu-virt", "faults_are_named")?.setting("app.what=panic");
    let guest = machine.setting("on-fault=halt").boot()?;
    guest.wait_for("exit status 101", PATIENCE)?;
    ensure!(!guest.has_ended(Duration::from_millis(500)), "it ended: {}", guest.console());
    Ok(())
}

fn the_console_is_read(context: &Context) -> Result<()> {
    let mut guest = context.machine("qemu-virt", "console_is_read")?.boot()?;
    guest.wait_for("type a line", PATIENCE)?;
    guest.type_in(b"well, hello\n")?;
    let ending = guest.ending(PATIENCE)?;
    ending.expect_status(0)?;
    ensure!(ending.console.contains("you said WELL, HELLO"), "not heard: {ending}");
    Ok(())
}

fn the_machine_is_described(context: &Context) -> Result<()> {
    let file = context.scratch.join("three-sectors.disk");
    std::fs::create_dir_all(&context.scratch)?;
    std::fs::write(&file, [0; 3 * 512])?;
    let machine = context.machine("qemu-virt-el2", "machine_is_described")?.memory(96).disk(&file);
    let ending = machine.boot()?.ending(PATIENCE)?;
    ending.expect_status(0)?;
    let levels = match context.mode() {
        Mode::Joined => "entered EL2 application EL1",
        Mode::Contained => "entered EL2 application EL0",
    };
    for words in [
        levels,
        "hypervisor [none (entered at EL2)] board [linux,dummy-virt]",
        "core [Cortex-A72] controller [GICv2]",
        "memory 100663296",
        "disk 0: 3 sectors, read only: false",
        "disk 1: no such device on this machine",
        "net: mac [52, 54, 0, 12, 34, 56] mtu 1500",
        "net again: the device has an owner already",
    ] {
        ensure!(ending.console.contains(words), "{words:?} is not in {ending}");
    }
    let date = ending.console.lines().find_map(|line| line.split(": date ").nth(1));
    let date: u64 = date.with_context(|| format!("no date: {ending}"))?.trim().parse()?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    ensure!(now.abs_diff(date) <= 120, "the date is {date}, here it is {now}");
    Ok(())
}

fn a_machine_without_devices_is_described(context: &Context) -> Result<()> {
    let machine = context.machine("qemu-virt", "machine_is_described")?;
    let ending = machine.network(Network::Absent).without_entropy().boot()?.ending(PATIENCE)?;
    ending.expect_status(0)?;
    ensure!(ending.console.contains("net: no such device on this machine"), "{ending}");
    Ok(())
}
