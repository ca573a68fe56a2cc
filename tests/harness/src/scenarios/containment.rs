//! What a contained application cannot reach, and that a kernel which it asks for anything at all
//! stands (HARDENING, row 14).

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};

use crate::scenario::scenarios;
use crate::{Context, Ending, Guest, Network, Scenario};

pub(super) const SCENARIOS: &[Scenario] = scenarios!["containment":
    Quick el0_reaches_nothing in Contained,
    Quick el0_reaches_nothing_on_the_least_core in Contained,
    Quick el0_reaches_nothing_with_every_feature in Contained,
    Quick the_attacks_are_real in Joined,
    Quick the_time_needs_no_call in Contained,
    Quick lives_begin_alike in Contained,
    Quick a_hundred_thousand_random_calls_end_nothing in Contained,
    Long millions_of_random_calls_end_nothing in Contained,
];

const PATIENCE: Duration = Duration::from_secs(60);
/// For millions of calls.
const LONG: Duration = Duration::from_secs(900);

/// Where a kernel's image is linked.
const IMAGE: u64 = 0xffff_ff80_0000_0000;

/// Attacks by an instruction that EL0 does not have (Arm ARM, section C5.2).
const UNDEFINED: &[&str] = &[
    "mrs-sctlr",
    "mrs-ttbr0",
    "mrs-ttbr1",
    "mrs-vbar",
    "mrs-esr",
    "mrs-far",
    "mrs-elr",
    "mrs-currentel",
    "mrs-id",
    "msr-sctlr",
    "msr-ttbr0",
    "msr-ttbr1",
    "msr-tcr",
    "msr-mair",
    "msr-vbar",
    "msr-cpacr",
    "msr-elr",
    "msr-spsr",
    "msr-far",
    "msr-tpidr",
    "msr-mdscr",
    "msr-breakpoint",
    "msr-cntkctl",
    "msr-pmuserenr",
    "msr-spsel",
    "tlbi",
    "at",
    "ic-all",
    "dc-set-way",
    "dc-invalidate",
    "eret",
    "hvc",
    "smc",
    "hlt",
    "sp-of-the-kernel",
    "record-of-the-kernel",
    "record-of-a-circle",
    "record-at-the-end",
];
/// Attacks by one that EL0 could be given, and is not.
const TRAPPED: &[&str] = &[
    "mrs-daif",
    "msr-daif",
    "msr-daifset",
    "msr-daifclr",
    "mrs-cntpct",
    "mrs-cntv-ctl",
    "msr-cntv-ctl",
    "msr-cntv-cval",
    "mrs-cntp-ctl",
    "msr-cntp-tval",
    "mrs-pmccntr",
    "mrs-ctr",
    "ic-line",
    "dc-clean",
    "dc-zero",
];
/// Attacks on memory: there are so many, their names begin with what they do.
const ON_MEMORY: usize = 41;

fn el0_reaches_nothing(context: &Context) -> Result<()> {
    for board in ["qemu-virt", "qemu-virt-gicv3"] {
        nothing_is_reached(context, board)?;
    }
    Ok(())
}

fn el0_reaches_nothing_on_the_least_core(context: &Context) -> Result<()> {
    nothing_is_reached(context, "qemu-virt-a53")
}

fn el0_reaches_nothing_with_every_feature(context: &Context) -> Result<()> {
    nothing_is_reached(context, "qemu-virt-max")
}

/// Each attack is a life of its own, which ends in one fault of the right class, at the address that
/// was attacked.
fn nothing_is_reached(context: &Context, board: &str) -> Result<()> {
    let ending = attack(context, board, "fault-limit=none")?;
    ensure!(!ending.console.contains("SURVIVED"), "an attack came through: {ending}");
    let (mut made, mut attacked) = (Vec::new(), None);
    for line in ending.console.lines() {
        if let Some((_, attack)) = line.split_once(": attack ") {
            let (name, target) = attack.split_once(" target 0x").context(attack.to_owned())?;
            ensure!(attacked.is_none(), "{name} begins before the last one failed: {ending}");
            attacked = Some((name, u64::from_str_radix(target, 16)?));
        } else if line.starts_with("FAULT ") {
            let (name, target) = attacked.take().with_context(|| line.to_owned())?;
            is_stopped(board, name, target, line)?;
            made.push(name);
        }
    }
    let all = ON_MEMORY + UNDEFINED.len() + TRAPPED.len() + 3;
    ensure!(
        made.len() == all && ending.status == Some(0),
        "{} attacks of {all}: {ending}",
        made.len()
    );
    ensure!(ending.console.contains(&format!("all {all} attacks were made")), "{ending}");
    Ok(())
}

/// Whether a fault's line is that of an attack of this name on this address.
fn is_stopped(board: &str, name: &str, target: u64, line: &str) -> Result<()> {
    let newest = board.ends_with("max");
    let class = match name {
        "wfi" => "wait-instruction",
        "svc-1" => "supervisor-call",
        "brk" => "breakpoint",
        // What a core is can be asked at EL0, by a trap, where there is FEAT_IDST.
        "mrs-id" if newest => "system-access",
        _ if UNDEFINED.contains(&name) => "undefined-instruction",
        _ if TRAPPED.contains(&name) => "system-access",
        _ => match name.split('-').next() {
            Some("read") => "read-abort",
            Some("write") => "write-abort",
            Some("run") => "execute-abort",
            _ => "(unknown)",
        },
    };
    let right = line.contains(&format!("class={class} ")) && line.ends_with(" level=EL0");
    let there = !class.ends_with("-abort") || line.contains(&format!(" far={target:#018x} "));
    ensure!(right && there, "{name} at {target:#x} on {board}: expected {class}, not {line}");
    Ok(())
}

/// The same code at EL1, where those attacks come through that the machine outlives.
fn the_attacks_are_real(context: &Context) -> Result<()> {
    let ending = attack(context, "qemu-virt", "on-fault=off")?;
    ending.expect_status(0)?;
    let came_through = |name: &str| {
        let line = format!(": SURVIVED {name}");
        ending.console.lines().any(|said| said.ends_with(&line))
    };
    for name in [
        "read-kernel-text",
        "run-kernel-text",
        "read-kernel-data",
        "read-kernel-tables",
        "read-kernel-stack",
        "write-kernel-stack",
        "read-ram-window",
        "write-ram-window",
        "read-device",
        "mrs-sctlr",
        "mrs-ttbr1",
        "msr-elr",
        "msr-tpidr",
        "tlbi",
        "ic-all",
        "hvc",
    ] {
        ensure!(came_through(name), "{name} does not come through: {ending}");
    }
    for name in TRAPPED {
        ensure!(came_through(name), "{name} does not come through: {ending}");
    }
    Ok(())
}

fn attack(context: &Context, board: &str, setting: &str) -> Result<Ending> {
    let end = image_end(&context.image("el0_reaches_nothing")?)?;
    let machine = context.machine(board, "el0_reaches_nothing")?.setting(setting);
    machine.setting(&format!("app.end={end:x}")).boot()?.ending(PATIENCE)
}

/// Where an image ends in the kernel's addresses: its header says how large it is (Linux,
/// Documentation/arch/arm64/booting.rst).
fn image_end(image: &Path) -> Result<u64> {
    let header = fs::read(image)?;
    let size = header.get(16..24).and_then(|size| size.try_into().ok());
    Ok(IMAGE + u64::from_le_bytes(size.context("the image is too short for a header")?))
}

/// With `-icount` time is made of instructions: a thousand looks at the clock take fewer of them
/// than a call would, and what they see is what the kernel says.
fn the_time_needs_no_call(context: &Context) -> Result<()> {
    let machine = context.machine("qemu-virt", "time_needs_no_call")?;
    let machine = machine.argument("-icount").argument("shift=0,sleep=off");
    machine.boot()?.ending(PATIENCE)?.expect_status(0)
}

/// No life finds anything of the one before it, nor the first one anything of firmware's.
fn lives_begin_alike(context: &Context) -> Result<()> {
    let machine = context.machine("qemu-virt", "lives_begin_alike")?.setting("app.times=3");
    let ending = machine.boot()?.ending(PATIENCE)?;
    ensure!(ending.status == Some(0), "{ending}"); // after three deaths
    ensure!(ending.console.contains("3 lives began as the first did"), "{ending}");
    Ok(())
}

fn a_hundred_thousand_random_calls_end_nothing(context: &Context) -> Result<()> {
    stands(context, "qemu-virt", 1, 50_000)?;
    stands(context, "qemu-virt-modern-gicv3", 2, 50_000)
}

fn millions_of_random_calls_end_nothing(context: &Context) -> Result<()> {
    for (seed, board) in (3..).zip(["qemu-virt", "qemu-virt-modern", "qemu-virt-max"]) {
        stands(context, board, seed, 1_000_000)?;
    }
    Ok(())
}

/// The test is on the wire all the time: it sends what may come in the middle of anything, and at
/// the end answers a question.
fn stands(context: &Context, board: &str, seed: u64, calls: u64) -> Result<()> {
    let file = context.scratch.join(format!("hostile-{seed}.disk"));
    fs::create_dir_all(&context.scratch)?;
    fs::write(&file, vec![0; 1 << 20])?;
    let machine = context.machine(board, "hostile_calls")?.network(Network::Wire).disk(&file);
    let machine = machine.setting(&format!("app.seed={seed}")).setting("on-fault=off");
    let guest = machine.setting(&format!("app.calls={calls}")).boot()?;
    converse(&guest)?;
    let ending = guest.ending(PATIENCE)?;
    ending.expect_status(0)?;
    let words = format!("the kernel has stood {calls} calls from seed {seed}");
    ensure!(ending.console.contains(&words), "{ending}");
    ensure!(ending.console.contains(&format!(" {calls} in all")), "{ending}");
    Ok(())
}

/// Answers the guest's questions, and talks to it unasked, until it has ended.
fn converse(guest: &Guest) -> Result<()> {
    const QUESTION: &[u8] = b"are you well?";
    let wire = guest.wire()?;
    let frame = |words: &[u8]| {
        let mut frame = vec![0xff; 6];
        frame.extend([2, 0, 0, 0, 0, 1, 0x88, 0xb5]);
        frame.extend(words);
        frame.resize(64, 0);
        frame
    };
    let deadline = Instant::now() + LONG;
    while !guest.has_ended(Duration::ZERO) && Instant::now() < deadline {
        let asked = wire.receive(Duration::from_millis(20))?;
        let asked = asked.is_some_and(|asked| asked.windows(QUESTION.len()).any(|w| w == QUESTION));
        let words: &[u8] = if asked { b"it goes on" } else { b"by the way" };
        // A guest that ends in this moment leaves nobody to send to.
        let _ = wire.send(&frame(words));
    }
    Ok(())
}
