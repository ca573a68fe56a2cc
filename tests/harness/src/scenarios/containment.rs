//! What a contained application cannot reach, and that a kernel which it asks for anything at all
//! stands (HARDENING, row 14).

use std::collections::HashSet;
use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};

use crate::kernel_map::KernelMap;
use crate::scenario::scenarios;
use crate::stub::Stub;
use crate::{Context, Ending, Guest, Machine, Network, Scenario};

pub(super) const SCENARIOS: &[Scenario] = scenarios!["containment":
    Quick el0_reaches_nothing in Contained,
    Quick el0_reaches_nothing_on_the_least_core in Contained,
    Quick el0_reaches_nothing_with_every_feature in Contained,
    Quick the_attacks_are_real in Joined,
    Quick the_time_needs_no_call in Contained,
    Quick lives_begin_alike in Contained,
    Quick lives_are_elsewhere in Contained,
    Quick lives_are_elsewhere_without_entropy in Contained,
    Quick a_hundred_thousand_random_calls_end_nothing in Contained,
    Long millions_of_random_calls_end_nothing in Contained,
];

const PATIENCE: Duration = Duration::from_secs(60);
/// For millions of calls.
const LONG: Duration = Duration::from_secs(900);

/// Where the emulator's loader puts an image that may lie anywhere (QEMU, hw/arm/boot.c).
const LOADED: u64 = 0x4020_0000;

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

/// Boots the attacks, and tells each life that asks where the kernel is.
fn attack(context: &Context, board: &str, setting: &str) -> Result<Ending> {
    const QUESTION: &str = "where is the kernel?";
    let image = context.image("el0_reaches_nothing")?;
    let machine = context.machine(board, "el0_reaches_nothing")?.setting(setting);
    let mut guest = Stub::offered_by(machine).boot()?;
    guest.wait_for(QUESTION, PATIENCE)?;
    let mut stub = Stub::stop(&mut guest)?;
    let map = KernelMap::read(&mut stub, &image, LOADED)?;
    stub.leave()?;
    let answer = answer(&map).with_context(|| format!("{map:x?}"))?;
    guest.type_in(answer.as_bytes())?;
    while guest.wait_for(QUESTION, PATIENCE).is_ok() {
        if guest.type_in(answer.as_bytes()).is_err() {
            break; // it has ended, for a reason that it may have said
        }
    }
    guest.ending(PATIENCE)
}

/// What is where, as the attacks read it: the image's header (which is not there any more), text and
/// data, the tables, the top of the stack, RAM, a device.
fn answer(map: &KernelMap) -> Result<String> {
    const IMAGE: std::ops::Range<u64> = 1..128;
    const STACKS: std::ops::Range<u64> = 128..192;
    const RAM: std::ops::Range<u64> = 192..320;
    const DEVICES: std::ops::Range<u64> = 384..432;
    const TABLES: std::ops::Range<u64> = 480..508;
    let text = map.within(IMAGE).find(|part| part.runs).context("no text is mapped")?;
    let data = map.within(IMAGE).find(|part| part.writes).context("no data is mapped")?;
    let tables = map.within(TABLES).next().context("no table is mapped")?;
    let stack = map.within(STACKS).last().context("no stack is mapped")?;
    let ram = map.within(RAM).next().context("no RAM is mapped")?;
    let device = map.within(DEVICES).next().context("no device is mapped")?;
    ensure!(!text.writes && !data.runs, "what runs can be written");
    let header = text.at.start - 4096;
    let numbers = [
        header,
        text.at.start,
        data.at.end - 64,
        tables.at.start,
        stack.at.end,
        ram.at.start,
        device.at.start,
    ];
    Ok(numbers.map(|number| format!("{number:x} ")).concat() + "\n")
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

/// Every life has everything somewhere else; an address that one life used is the next one's end.
fn lives_are_elsewhere(context: &Context) -> Result<()> {
    let ending = lead_lives(context.machine("qemu-virt", "lives_are_elsewhere")?)?;
    ensure!(!ending.console.contains("it can be guessed where"), "there is entropy: {ending}");
    lead_lives(context.machine("qemu-virt-max", "lives_are_elsewhere")?)?;
    Ok(())
}

/// The same where nothing gives a seed, which is said.
fn lives_are_elsewhere_without_entropy(context: &Context) -> Result<()> {
    let machine = context.machine("qemu-virt", "lives_are_elsewhere")?.without_entropy();
    let machine = machine.argument("-machine").argument("dtb-randomness=off");
    let ending = lead_lives(machine)?;
    let said = ending.console.matches("it can be guessed where the application has what").count();
    ensure!(said == 1, "it is said {said} times that places can be guessed: {ending}");
    Ok(())
}

fn lead_lives(machine: Machine) -> Result<Ending> {
    const LIVES: usize = 41;
    let machine = machine.setting("fault-limit=none").setting(&format!("app.lives={LIVES}"));
    let ending = machine.boot()?.ending(PATIENCE)?;
    ensure!(ending.status == Some(0) && !ending.console.contains("SURVIVED"), "{ending}");
    let places =
        ending.console.lines().filter_map(|line| line.split_once(": it is at ")).map(|at| at.1);
    let places: Vec<Vec<&str>> = places.map(|line| line.split(' ').collect()).collect();
    ensure!(places.len() == LIVES, "{} lives of {LIVES}: {ending}", places.len());
    for kind in 0..places[0].len() {
        let all: HashSet<_> = places.iter().filter_map(|life| life.get(kind)).collect();
        ensure!(all.len() == LIVES, "{} places of {LIVES} for the {kind}th: {ending}", all.len());
    }
    // One life leaves an address that is good, the next one uses it.
    let left = ending.console.lines().filter(|line| line.starts_with("  said: "));
    let left: Vec<_> =
        left.filter_map(|line| line.split_once(" was at 0x")).map(|at| at.1).collect();
    let faults: Vec<_> = ending.console.lines().filter(|line| line.starts_with("FAULT ")).collect();
    ensure!(left.len() == LIVES / 2 && faults.len() == LIVES - 1, "{left:?}: {ending}");
    for (address, pair) in left.iter().zip(faults.chunks(2)) {
        let address =
            u64::from_str_radix(address.trim_end(), 16).with_context(|| ending.to_string())?;
        ensure!(pair[0].starts_with("FAULT class=panic "), "{}", pair[0]);
        let there = pair[1].contains(&format!(" far={address:#018x} "));
        let refused = pair[1].starts_with("FAULT class=read-abort ") && there;
        ensure!(refused, "{} after an address was left: {address:#x}", pair[1]);
    }
    Ok(ending)
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
