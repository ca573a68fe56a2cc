//! What follows a fault: restarts and their limit, the watchdog, and the black box that remembers.

use std::fs;
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use anyhow::{Result, anyhow, ensure};

use crate::scenario::scenarios;
use crate::{Context, Ending, Machine, Resets, Scenario, Shutdown};

pub(super) const SCENARIOS: &[Scenario] = scenarios!["faults":
    Quick a_panic_restarts_the_machine in Joined,
    Quick last_words_and_the_log_are_remembered,
    Quick five_faults_in_a_minute_end_it,
    Quick faults_are_limited_as_asked,
    Quick without_a_limit_it_goes_on,
    Quick a_machine_that_cannot_restart_says_so in Joined,
    Quick a_loop_without_calls_hangs,
    Quick a_flood_of_calls_hangs,
    Quick a_flood_of_waits_does_not_hang,
    Quick without_a_watchdog_a_loop_is_left_alone,
    Long a_hundred_hangs_are_found in Joined,
    Quick a_watched_machine_sleeps,
    Quick a_fault_in_a_report_is_reported in Joined,
    Quick a_fault_in_a_handler_is_reported in Joined,
    Quick a_third_fault_ends_in_silence in Joined,
    Quick a_disk_remembers_over_a_power_off,
    Quick a_restart_is_remembered_on_the_disk_too,
    Quick garbage_in_the_box_is_a_fresh_start,
    Quick a_disk_that_is_no_box_is_left_alone,
    Quick a_box_that_fails_is_told_and_the_rest_goes_on,
    Quick a_box_is_no_disk_to_the_application,
];

const PATIENCE: Duration = Duration::from_secs(60);
const SECTOR: usize = 512;
/// A box is a disk of this size, in bytes.
const BOX: usize = 64 << 10;
/// How it begins.
const SIGNATURE: &[u8] = b"ELONE BLACK BOX 1\n";

fn survivor(context: &Context, settings: &[&str]) -> Result<Machine> {
    let machine = context.machine("qemu-virt", "faults_are_survived")?.resets(Resets::Reboot);
    Ok(settings.iter().fold(machine, |machine, setting| machine.setting(setting)))
}

fn run(machine: Machine) -> Result<Ending> {
    machine.boot()?.ending(PATIENCE)
}

/// The lines that begin with `FAULT`.
fn faults(ending: &Ending) -> usize {
    ending.console.lines().filter(|line| line.starts_with("FAULT ")).count()
}

fn expect(ending: &Ending, words: &[&str]) -> Result<()> {
    for words in words {
        ensure!(ending.console.contains(words), "{words:?} is not in {ending}");
    }
    Ok(())
}

/// Checks that the machine went off by itself with this status after so many faults.
fn expect_end(ending: &Ending, status: u8, count: usize) -> Result<()> {
    let ended = ending.shutdown == Shutdown::PoweredOff && ending.status == Some(status);
    let found = faults(ending);
    ensure!(
        ended && found == count,
        "expected status {status}, {count} faults not {found}: {ending}"
    );
    let ends = ending.console.lines().filter(|line| *line == "END FAULT").count();
    ensure!(ends == count, "{ends} reports of {count} have an end: {ending}");
    Ok(())
}

fn a_panic_restarts_the_machine(context: &Context) -> Result<()> {
    for board in ["qemu-virt", "qemu-virt-gicv3", "qemu-virt-el2"] {
        let machine = context.machine(board, "faults_are_survived")?.resets(Resets::Reboot);
        let ending = run(machine.setting("app.times=2"))?;
        expect_end(&ending, 0, 2)?;
        expect(
            &ending,
            &[
                "restarts 0 faults 0 class None",
                "FAULT class=panic esr=0x0 far=0x0 elr=0xffff",
                "level=EL1",
                "\n  said: panicked at ",
                ": life 0 is over",
                "\n  program image\n  build ",
                "\n  base 0xffff",
                "\nrestarting the machine",
                "black box: fault 1 of this machine, restart 1: FAULT class=panic esr=0x0 far=0x0 elr=0x",
                "restarts 1 faults 1 class Some(\"panic\")",
                ": life 1 is over",
                "black box: fault 2 of this machine, restart 2: FAULT class=panic",
                "restarts 2 faults 2 class Some(\"panic\")",
                "I am still here",
            ],
        )?;
    }
    Ok(())
}

fn last_words_and_the_log_are_remembered(context: &Context) -> Result<()> {
    let ending = run(survivor(context, &["app.how=undefined"])?)?;
    expect_end(&ending, 0, 1)?;
    expect(
        &ending,
        &[
            "report FAULT class=undefined-instruction esr=0x02000000 ",
            "report   undefined instruction",
            "report   said: it is dark\\nhere",
            "report   x0  ",
            "report   sp  ",
            "report   build ",
            "report   backtrace 0x",
            "report   log tail:",
            "report END FAULT",
        ],
    )?;
    let remembers = |words| {
        ending.console.lines().any(|line| line.contains("report   | [") && line.contains(words))
    };
    for words in
        ["kernel: elone ", "restarts 0 faults 0", "the application says: it is dark\\nhere"]
    {
        ensure!(remembers(words), "{words:?} is not in the log's tail: {ending}");
    }
    Ok(())
}

fn five_faults_in_a_minute_end_it(context: &Context) -> Result<()> {
    let ending = run(survivor(context, &["app.times=99"])?)?;
    expect_end(&ending, 101, 5)?;
    expect(&ending, &["\n5 faults in 60 s: not started again"])
}

fn faults_are_limited_as_asked(context: &Context) -> Result<()> {
    let ending = run(survivor(context, &["app.times=99", "fault-limit=2/60"])?)?;
    expect_end(&ending, 101, 2)?;
    expect(&ending, &["\n2 faults in 60 s: not started again"])
}

fn without_a_limit_it_goes_on(context: &Context) -> Result<()> {
    let settings = ["app.times=7", "fault-limit=none", "on-fault=reset"];
    let ending = run(survivor(context, &settings)?)?;
    expect_end(&ending, 0, 7)?;
    expect(&ending, &["restarts 7 faults 7"])
}

/// Entered at EL3 there is nobody to ask for a restart.
fn a_machine_that_cannot_restart_says_so(context: &Context) -> Result<()> {
    let guest = context.machine("qemu-virt-el3", "faults_are_survived")?.boot()?;
    for line in [
        "FAULT class=panic",
        "restarting the machine",
        "this machine cannot be restarted",
        "exit status 101",
        "this machine cannot be powered off: halted",
    ] {
        guest.wait_for(line, PATIENCE)?;
    }
    let ending = guest.ending(PATIENCE)?;
    ensure!(ending.shutdown == Shutdown::Halted && ending.status == Some(101), "{ending}");
    Ok(())
}

fn hanging(context: &Context, board: &str, settings: &[&str]) -> Result<Machine> {
    let machine = context.machine(board, "hangs_are_found")?;
    Ok(settings.iter().fold(machine, |machine, setting| machine.setting(setting)))
}

fn a_loop_without_calls_hangs(context: &Context) -> Result<()> {
    for board in ["qemu-virt", "qemu-virt-gicv3"] {
        let settings = ["watchdog=1", "on-fault=off", "app.how=loop"];
        hangs(&run(hanging(context, board, &settings)?)?)?;
    }
    Ok(())
}

/// Whoever asks for the date holds the clock's lock most of the time, and the report has a date.
fn a_flood_of_calls_hangs(context: &Context) -> Result<()> {
    for how in ["app.how=calls", "app.how=dates"] {
        let settings = ["watchdog=1", "on-fault=off", how];
        hangs(&run(hanging(context, "qemu-virt", &settings)?)?)?;
    }
    Ok(())
}

/// It is reported where it was, not earlier than after the second that it has, and not by luck: it
/// has registers and a backtrace.
fn hangs(ending: &Ending) -> Result<()> {
    expect_end(ending, 101, 1)?;
    ending.expect_fault(&["class=hang esr=0x0 far=0x0 elr=0x"])?;
    expect(ending, &["\n  it runs on without waiting", "\n  x0  ", "\n  backtrace 0x"])
}

/// Each a second after the life before; the hundred-and-first life is told of all. Contained,
/// `endurance` has as many, by a clock that is made of instructions.
/// On four machines, twenty-five each: that a hang is one takes a second to see, on every one.
fn a_hundred_hangs_are_found(context: &Context) -> Result<()> {
    let settings = ["watchdog=1", "fault-limit=none", "app.times=25"];
    let one = || {
        let machine = hanging(context, "qemu-virt", &settings)?.resets(Resets::Reboot);
        let ending = machine.boot()?.ending(Duration::from_secs(300))?;
        expect_end(&ending, 0, 25)?;
        expect(&ending, &["restarts 25 faults 25 class Some(\"hang\")"])
    };
    thread::scope(|scope| {
        let machines = [(); 4].map(|()| scope.spawn(one));
        let ended = machines.map(|machine| machine.join().map_err(|_| anyhow!("it panicked"))?);
        ended.into_iter().collect()
    })
}

fn a_flood_of_waits_does_not_hang(context: &Context) -> Result<()> {
    left_alone(hanging(context, "qemu-virt", &["watchdog=1", "app.how=waits"])?)
}

fn without_a_watchdog_a_loop_is_left_alone(context: &Context) -> Result<()> {
    left_alone(hanging(context, "qemu-virt", &["watchdog=off", "app.how=loop"])?)
}

fn left_alone(machine: Machine) -> Result<()> {
    let guest = machine.boot()?;
    guest.wait_for("here it goes", PATIENCE)?;
    ensure!(!guest.has_ended(Duration::from_secs(3)), "it ended: {}", guest.console());
    let ending = guest.stop()?;
    ensure!(ending.fault.is_none() && ending.shutdown == Shutdown::Stopped, "{ending}");
    Ok(())
}

/// Twice over, while it sleeps, the watchdog would have come.
fn a_watched_machine_sleeps(context: &Context) -> Result<()> {
    for board in ["qemu-virt", "qemu-virt-gicv3"] {
        let machine = context.machine(board, "idle_sleeps")?.setting("watchdog=1");
        run(machine)?.expect_status(0)?;
    }
    Ok(())
}

fn a_fault_in_a_report_is_reported(context: &Context) -> Result<()> {
    let machine = context.machine("qemu-virt", "faults_in_reports_end")?;
    let ending = run(machine.setting("on-fault=off"))?;
    expect_end(&ending, 101, 1)?;
    ending.expect_fault(&["class=undefined-instruction"])?;
    expect(&ending, &["\n  while another fault was being reported"])
}

fn a_fault_in_a_handler_is_reported(context: &Context) -> Result<()> {
    let machine = context.machine("qemu-virt", "faults_in_reports_end")?;
    let ending = run(machine.setting("app.how=handler").setting("on-fault=off"))?;
    expect_end(&ending, 101, 1)?;
    ending.expect_fault(&["class=undefined-instruction"])?;
    expect(&ending, &["\n  while another exception was being handled"])
}

fn a_third_fault_ends_in_silence(context: &Context) -> Result<()> {
    let machine = context.machine("qemu-virt", "faults_in_reports_end")?;
    let ending = run(machine.setting("app.how=panics"))?;
    let silent = ending.shutdown == Shutdown::PoweredOff && ending.status.is_none();
    ensure!(silent && faults(&ending) == 0, "{ending}");
    Ok(())
}

/// A file for a disk that begins so, with `filler` behind it.
fn disk(context: &Context, name: &str, begin: &[u8], filler: u8, length: usize) -> Result<PathBuf> {
    fs::create_dir_all(&context.scratch)?;
    let file = context.scratch.join(format!("{name}.box"));
    let mut bytes = vec![filler; length];
    bytes[..begin.len()].copy_from_slice(begin);
    fs::write(&file, bytes)?;
    Ok(file)
}

fn a_disk_remembers_over_a_power_off(context: &Context) -> Result<()> {
    for board in ["qemu-virt", "qemu-virt-modern"] {
        let file = disk(context, board, SIGNATURE, 0, BOX)?;
        let machine = context.machine(board, "faults_are_survived")?.disk(&file);
        let ending = run(machine.clone().setting("on-fault=off"))?;
        expect_end(&ending, 101, 1)?;
        let whole = fs::read(&file)?;
        ensure!(whole.starts_with(SIGNATURE) && whole.len() == BOX, "the signature is gone");
        ensure!(whole[SECTOR..].starts_with(b"ELONEBOX\x01\0\0\0"), "no record in the box");

        let ending = run(machine.setting("app.times=0"))?;
        ending.expect_status(0)?;
        expect(
            &ending,
            &[
                "black box: fault 1 of this machine, restart 0: FAULT class=panic",
                "restarts 0 faults 1 class Some(\"panic\")",
                "report   said: panicked at ",
            ],
        )?;
    }
    Ok(())
}

/// Restarts, a power-off in between, and the count goes on; so does the limit.
fn a_restart_is_remembered_on_the_disk_too(context: &Context) -> Result<()> {
    let file = disk(context, "restarts", SIGNATURE, 0, BOX)?;
    let machine = survivor(context, &["fault-limit=4/3600"])?.disk(&file);
    expect_end(&run(machine.clone().setting("app.times=2"))?, 0, 2)?;
    let ending = run(machine.setting("app.times=99"))?;
    expect_end(&ending, 101, 2)?;
    expect(
        &ending,
        &[
            "black box: fault 2 of this machine, restart 2: FAULT",
            "restarts 3 faults 3 class Some(\"panic\")",
            "4 faults in 3600 s: not started again",
        ],
    )
}

fn garbage_in_the_box_is_a_fresh_start(context: &Context) -> Result<()> {
    let file = disk(context, "garbage", SIGNATURE, 0xa5, BOX)?;
    let machine = context.machine("qemu-virt", "faults_are_survived")?.disk(&file);
    let fresh = |ending: &Ending| {
        ending.expect_status(0)?;
        ensure!(!ending.console.contains("black box"), "{ending}");
        expect(ending, &["restarts 0 faults 0 class None"])
    };
    fresh(&run(machine.clone().setting("app.times=0"))?)?;
    // A real record, of which one byte is another.
    expect_end(&run(machine.clone().setting("on-fault=off"))?, 101, 1)?;
    let mut bytes = fs::read(&file)?;
    bytes[SECTOR + 100] ^= 1;
    fs::write(&file, bytes)?;
    fresh(&run(machine.setting("app.times=0"))?)
}

/// Of the right size but without the signature, or the other way round; or of a later layout.
fn a_disk_that_is_no_box_is_left_alone(context: &Context) -> Result<()> {
    for (name, begin, length) in [
        ("unsigned", &b"ELONE BLACK BOY 1\n"[..], BOX),
        ("longer", SIGNATURE, BOX + SECTOR),
        ("later", b"ELONE BLACK BOX 2\n", BOX),
    ] {
        let file = disk(context, name, begin, 0x11, length)?;
        let before = fs::read(&file)?;
        let machine = context.machine("qemu-virt", "faults_are_survived")?.disk(&file);
        let ending = run(machine.setting("on-fault=off"))?;
        expect_end(&ending, 101, 1)?;
        ensure!(fs::read(&file)? == before, "{name}: it was written to");
        let told = ending.console.contains("the disk's layout is not known here");
        ensure!(told == (name == "later"), "{name}: {ending}");
    }
    Ok(())
}

fn a_box_that_fails_is_told_and_the_rest_goes_on(context: &Context) -> Result<()> {
    let file = disk(context, "failing", SIGNATURE, 0, BOX)?;
    // It can be read, and fails the writes.
    let node = format!(
        "driver=raw,node-name=bad,file.driver=blkdebug,file.image.driver=file,\
         file.image.filename={},file.inject-error.0.event=pwritev,file.inject-error.0.errno=5",
        file.display()
    );
    let machine = survivor(context, &[])?.argument("-blockdev").argument(&node);
    let ending = run(machine.argument("-device").argument("virtio-blk-device,drive=bad"))?;
    expect_end(&ending, 0, 1)?;
    expect(&ending, &["black box: the disk: the disk reported an error", "I am still here"])
}

fn a_box_is_no_disk_to_the_application(context: &Context) -> Result<()> {
    let file = disk(context, "hidden", SIGNATURE, 0, BOX)?;
    let other = disk(context, "seen", &[], 0, 3 * SECTOR)?;
    let machine = context.machine("qemu-virt", "machine_is_described")?.disk(&file).disk(&other);
    let ending = run(machine)?;
    ending.expect_status(0)?;
    expect(
        &ending,
        &["disk 0: 3 sectors, read only: false", "disk 1: no such device on this machine"],
    )
}
