//! The date, and what a machine makes of not having been there: pauses, restores, other generations.
//!
//! The emulator's `virt` machine has neither vmgenid nor vmclock in its device tree. Here the tree is
//! the test's own and names them in memory that nothing else uses; the monitor's part is played by the
//! debugging stub, which writes there, and to the interrupt controller, behind the guest's back.

use std::fs;
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, ensure};
use serde_json::json;

use crate::scenario::scenarios;
use crate::shim::with_tree;
use crate::stub::Stub;
use crate::tree::{Device, Tree};
use crate::{Board, Context, Guest, Machine, Network, Scenario, snapshot};

pub(super) const SCENARIOS: &[Scenario] = scenarios!["clock":
    Quick the_date_is_the_clocks,
    Quick a_date_that_cannot_be_is_not_taken,
    Quick a_pause_is_noticed,
    Quick a_pause_is_noticed_by_who_asks_for_the_date,
    Quick what_is_restored_twice_draws_other_numbers,
    Quick a_copy_draws_other_numbers_at_once,
    Quick another_generation_is_told_at_once,
    Quick another_generation_is_noticed_without_an_interrupt,
    Quick a_notification_of_nothing_is_nothing,
    Quick a_clock_in_memory_tells_the_date,
    Quick a_clock_in_memory_tells_of_a_disruption,
    Quick what_is_no_generation_and_no_clock_is_told,
];

/// The clock is not asked again within a second.
const A_WHILE: Duration = Duration::from_millis(1200);
const PATIENCE: Duration = Duration::from_secs(60);
const IMAGE: &str = "absence_is_noticed";

/// Where the tree of the test has vmgenid and vmclock: in RAM, but in nobody's way.
const GENERATION: u64 = 0x4700_0ff0;
const VMCLOCK: u64 = 0x4700_1000;
/// Their interrupts, among the shared ones.
const GENERATION_LINE: u32 = 100;
const VMCLOCK_LINE: u32 = 101;

fn the_date_is_the_clocks(context: &Context) -> Result<()> {
    /// By `date -u -d 2031-02-03T04:05:06 +%s`.
    const BEGIN: u64 = 1_927_857_906;
    let machine = machine(context)?.argument("-rtc").argument("base=2031-02-03T04:05:06");
    let (mut guest, begun) = (boot(machine)?, SystemTime::now());
    let date = date(&mut guest)?;
    let since = begun.elapsed()?.as_secs();
    // It began some time before it was seen to have, and counts whole seconds.
    ensure!(date + 1 >= BEGIN, "the date is {date}, and it began at {BEGIN}");
    ensure!(date <= BEGIN + since + PATIENCE.as_secs(), "{date}, {since} s after {BEGIN}");
    end(guest)
}

fn a_date_that_cannot_be_is_not_taken(context: &Context) -> Result<()> {
    for base in ["2001-09-09T01:46:40", "1970-01-01T00:00:00"] {
        let machine = machine(context)?.argument("-rtc").argument(&format!("base={base}"));
        let mut guest = machine.boot()?;
        guest.wait_for("s since 1970, which cannot be; not asked for the date", PATIENCE)?;
        guest.wait_for("noticed: ready", PATIENCE)?;
        guest.type_in(b"date\n")?;
        guest.wait_for("date: the machine has no clock", PATIENCE)?;
        end(guest)?;
    }
    Ok(())
}

/// An idle machine stands still for some seconds, and goes on with the date that it is then.
fn a_pause_is_noticed(context: &Context) -> Result<()> {
    let mut guest = boot(machine(context)?)?;
    let before = draw(&mut guest)?;
    pause(&mut guest, Duration::from_secs(5))?;
    // Whoever comes to wait notices it: that is to say, at whatever it is woken by.
    guest.type_in(b"draw\n")?;
    let line = guest.wait_for("the wall clock went on ", PATIENCE)?;
    ensure!(seconds(&line)? >= 3, "{line}");
    guest.wait_for("perhaps restored from a snapshot: entropy is renewed", PATIENCE)?;
    // Here nothing else tells of a restore, so it might have been one.
    for after in both(&guest)? {
        ensure!(before != after, "{before} again");
    }
    is_right(&mut guest)?;
    end(guest)
}

fn a_pause_is_noticed_by_who_asks_for_the_date(context: &Context) -> Result<()> {
    let mut guest = boot(machine(context)?)?;
    is_right(&mut guest)?;
    thread::sleep(A_WHILE);
    pause(&mut guest, Duration::from_secs(5))?;
    is_right(&mut guest)?;
    end(guest)
}

/// Twice from the same memory, and the emulator says nothing of it: the date alone is another.
fn what_is_restored_twice_draws_other_numbers(context: &Context) -> Result<()> {
    let mut drawn = Vec::new();
    for machine in [machine(context)?, machine(context)?.without_entropy()] {
        let mut guest = boot(machine)?;
        prepared(context, &mut guest)?;
        snapshot::save(&mut guest)?;
        drawn.push(draw(&mut guest)?);
        for _copy in 0..2 {
            snapshot::restore(&mut guest)?;
            thread::sleep(Duration::from_secs(4));
            guest.qmp()?.execute("cont", json!({}))?;
            drawn.push(draw(&mut guest)?);
        }
        is_right(&mut guest)?;
        end(guest)?;
    }
    all_differ(&drawn)
}

/// What was asked for, and what is drawn on being told of a restore: whichever comes first.
fn both(guest: &Guest) -> Result<[String; 2]> {
    let lines = [guest.wait_for("drawn ", PATIENCE)?, guest.wait_for("drawn ", PATIENCE)?];
    let told = lines.iter().filter(|line| line.contains("restored, and drawn ")).count();
    ensure!(told == 1, "{lines:?}");
    let [one, other] = lines.map(|line| number(&line));
    Ok([one?, other?])
}

/// Copies that are told apart by the generation, and by nothing else: they go on in the same second,
/// and all entropy that there ever was is a seed in the device tree.
fn a_copy_draws_other_numbers_at_once(context: &Context) -> Result<()> {
    let machine = with(context, "copies", &[generation(None)], &[])?.without_entropy();
    let mut guest = boot(Stub::offered_by(machine))?;
    prepared(context, &mut guest)?;
    snapshot::save(&mut guest)?;
    let mut drawn = vec![draw(&mut guest)?];
    for copy in 1..4_u64 {
        snapshot::restore(&mut guest)?;
        let mut stub = Stub::stop(&mut guest)?;
        stub.write(GENERATION, &copy.to_le_bytes())?;
        stub.leave()?;
        guest.qmp()?.execute("cont", json!({}))?;
        guest.type_in(b"draw\n")?;
        // Renewed first, drawn after that.
        guest.wait_for("restored from a snapshot, or moved: entropy is renewed", PATIENCE)?;
        drawn.extend(both(&guest)?);
    }
    all_differ(&drawn)?;
    end(guest)
}

/// By its interrupt, on an idle machine that nothing else wakes.
fn another_generation_is_told_at_once(context: &Context) -> Result<()> {
    let machine = with(context, "told", &[generation(Some(GENERATION_LINE))], &[])?;
    let mut guest = boot(Stub::offered_by(machine))?;
    for copy in 1..4_u64 {
        let mut stub = Stub::stop(&mut guest)?;
        stub.write(GENERATION + 8, &copy.to_le_bytes())?;
        interrupt(&mut stub, GENERATION_LINE)?;
        stub.leave()?;
        guest.wait_for("restored from a snapshot, or moved: entropy is renewed", PATIENCE)?;
        guest.wait_for("restored, and drawn ", PATIENCE)?;
    }
    is_right(&mut guest)?;
    end(guest)
}

fn another_generation_is_noticed_without_an_interrupt(context: &Context) -> Result<()> {
    let machine = with(context, "unheard", &[generation(None)], &[])?;
    let mut guest = boot(Stub::offered_by(machine))?;
    let mut stub = Stub::stop(&mut guest)?;
    stub.write(GENERATION, &[0xa5; 16])?;
    stub.leave()?;
    guest.type_in(b"draw\n")?;
    guest.wait_for("restored from a snapshot, or moved: entropy is renewed", PATIENCE)?;
    both(&guest)?;
    end(guest)
}

/// Where there is a generation a pause is a pause, and an interrupt without a reason is none.
fn a_notification_of_nothing_is_nothing(context: &Context) -> Result<()> {
    let machine = with(context, "nothing", &[generation(Some(GENERATION_LINE))], &[])?;
    let mut guest = boot(Stub::offered_by(machine))?;
    let mut stub = Stub::stop(&mut guest)?;
    stub.write(GENERATION, &[0xa5; 16])?;
    stub.leave()?;
    draw(&mut guest)?;
    draw(&mut guest)?;
    let heard = guest.console().len();
    let mut stub = Stub::stop(&mut guest)?;
    interrupt(&mut stub, GENERATION_LINE)?;
    stub.leave()?;
    draw(&mut guest)?;
    thread::sleep(A_WHILE);
    pause(&mut guest, Duration::from_secs(4))?;
    draw(&mut guest)?;
    is_right(&mut guest)?;
    guest.type_in(b"end\n")?;
    let ending = guest.ending(PATIENCE)?;
    ending.expect_status(0)?;
    // That there is an identifier at all was news, and nothing after it.
    let after = ending.console.get(heard..).unwrap_or_default();
    ensure!(after.contains("the wall clock went on "), "{ending}");
    ensure!(!after.contains("restored"), "{ending}");
    Ok(())
}

/// A clock in memory counts for more than the chip, which says something else.
fn a_clock_in_memory_tells_the_date(context: &Context) -> Result<()> {
    const DATE: u64 = 1_893_456_000; // 2030-01-01
    let devices = [vmclock(None), chip()];
    let mut guest = boot(with(context, "vmclock", &devices, &page(2, DATE))?)?;
    let first = date(&mut guest)?;
    ensure!((DATE..DATE + 600).contains(&first), "{first}");
    thread::sleep(Duration::from_millis(1500));
    let second = date(&mut guest)?;
    ensure!(second > first && second < DATE + 600, "{first}, {second}");
    end(guest)?;
    // One that says that it does not know the date (Firecracker's) leaves it to the chip.
    let mut guest = boot(with(context, "no-date", &devices, &page(0, DATE))?)?;
    is_right(&mut guest)?;
    end(guest)
}

fn a_clock_in_memory_tells_of_a_disruption(context: &Context) -> Result<()> {
    const MARKER: u64 = VMCLOCK + 16;
    const GENERATION_COUNTER: u64 = VMCLOCK + 104;
    for line in [Some(VMCLOCK_LINE), None] {
        let machine = with(context, "disrupted", &[vmclock(line), chip()], &page(0, 0))?;
        let mut guest = boot(Stub::offered_by(machine))?;
        for (word, value) in [(MARKER, 1_u64), (GENERATION_COUNTER, 1), (MARKER, 2)] {
            let mut stub = Stub::stop(&mut guest)?;
            stub.write(word, &value.to_le_bytes())?;
            match line {
                Some(line) => interrupt(&mut stub, line)?,
                None => guest.type_in(b"draw\n")?,
            }
            stub.leave()?;
            guest.wait_for("restored from a snapshot, or moved: entropy is renewed", PATIENCE)?;
            guest.wait_for("restored, and drawn ", PATIENCE)?;
        }
        is_right(&mut guest)?;
        end(guest)?;
    }
    Ok(())
}

/// What cannot be used is told, and the rest is.
fn what_is_no_generation_and_no_clock_is_told(context: &Context) -> Result<()> {
    let place = |device: Device, address, length| Device { address, length, ..device };
    let (generation, vmclock) = (generation(Some(GENERATION_LINE)), vmclock(Some(VMCLOCK_LINE)));
    for (name, device, said) in [
        ("short", place(generation, GENERATION, 8), "`reg` is missing or malformed"),
        ("odd", place(generation, GENERATION + 4, 16), "vmgenid: registers at an odd address"),
        ("taken", place(generation, 0x0800_0000, 16), "vmgenid: mapped already"),
        ("zeros", vmclock, "vmclock: it is not what it is said to be"),
        ("short-clock", place(vmclock, VMCLOCK, 64), "`reg` is missing or malformed"),
        ("taken-clock", place(vmclock, 0x0900_0000, 4096), "vmclock: mapped already"),
    ] {
        let mut guest = with(context, name, &[device, chip()], &[])?.boot()?;
        guest.wait_for(said, PATIENCE).with_context(|| name.to_owned())?;
        guest.wait_for("noticed: ready", PATIENCE)?;
        is_right(&mut guest)?;
        draw(&mut guest)?;
        end(guest)?;
    }
    Ok(())
}

fn machine(context: &Context) -> Result<Machine> {
    Ok(context.machine("qemu-virt", IMAGE)?.network(Network::Absent))
}

const fn generation(interrupt: Option<u32>) -> Device {
    Device { compatible: "microsoft,vmgenid", address: GENERATION, length: 16, interrupt }
}

const fn vmclock(interrupt: Option<u32>) -> Device {
    Device { compatible: "amazon,vmclock", address: VMCLOCK, length: 4096, interrupt }
}

/// The machine's clock, which a tree of our own must name.
const fn chip() -> Device {
    Device { compatible: "arm,pl031", address: 0x0901_0000, length: 4096, interrupt: Some(2) }
}

/// A machine whose tree names these devices, with `page` where vmclock is.
fn with(context: &Context, name: &str, devices: &[Device], page: &[u8]) -> Result<Machine> {
    let mut devices = devices.to_vec();
    if !devices.iter().any(|device| device.compatible == "arm,pl031") {
        devices.push(chip());
    }
    let seeds = vec![("rng-seed", &b"bytes that are the same for every copy"[..])];
    let tree = Tree { devices, seeds, ..Tree::default() };
    let image = with_tree(&context.image(IMAGE)?, &tree.bytes()?, &context.scratch, name)?;
    let machine = Machine::new(&Board::find(&context.boards, "qemu-virt")?, &image);
    let machine = machine.network(Network::Absent);
    if page.is_empty() {
        return Ok(machine);
    }
    let file = context.scratch.join(format!("{name}.page"));
    fs::write(&file, page)?;
    let file = file.display().to_string().replace(',', ",,");
    let loader = format!("loader,file={file},addr={VMCLOCK:#x},force-raw=on");
    Ok(machine.argument("-device").argument(&loader))
}

/// A vmclock's page (Linux, `include/uapi/linux/vmclock-abi.h`): `date` is when the counter, of
/// 62.5 MHz, was at 0.
fn page(status: u8, date: u64) -> Vec<u8> {
    const PERIOD: u64 = 75_557_863_725_914; // 16 ns in 2^-72 s
    let mut page = vec![0; 4096];
    let mut put = |at: usize, bytes: &[u8]| page[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, b"VCLK");
    put(4, &4096_u32.to_le_bytes());
    put(8, &1_u16.to_le_bytes()); // version; the counter and the kind of time are 0: virtual, UTC
    put(34, &[status]);
    put(39, &[8]); // the period's shift
    put(48, &PERIOD.to_le_bytes());
    put(72, &date.to_le_bytes());
    page
}

fn boot(machine: Machine) -> Result<Guest> {
    let guest = machine.boot()?;
    guest.wait_for("noticed: ready", PATIENCE)?;
    Ok(guest)
}

fn end(mut guest: Guest) -> Result<()> {
    guest.type_in(b"end\n")?;
    guest.ending(PATIENCE)?.expect_status(0)
}

fn prepared(context: &Context, guest: &mut Guest) -> Result<()> {
    fs::create_dir_all(&context.scratch)?;
    let file = context.scratch.join("snapshots.qcow2");
    if file.exists() {
        fs::remove_file(&file)?;
    }
    snapshot::prepare(guest, &file)
}

/// Stops the machine for so long.
fn pause(guest: &mut Guest, time: Duration) -> Result<()> {
    guest.qmp()?.execute("stop", json!({}))?;
    thread::sleep(time);
    guest.qmp()?.execute("cont", json!({})).map(drop)
}

/// Makes a shared line pending, as its edge does (Arm IHI 0048, `GICD_ISPENDR`).
fn interrupt(stub: &mut Stub, line: u32) -> Result<()> {
    const SET_PENDING: u64 = 0x0800_0200;
    let number = 32 + line;
    stub.write(SET_PENDING + u64::from(number / 32 * 4), &(1_u32 << (number % 32)).to_le_bytes())
}

fn draw(guest: &mut Guest) -> Result<String> {
    guest.type_in(b"draw\n")?;
    number(&guest.wait_for(": drawn ", PATIENCE)?)
}

fn number(line: &str) -> Result<String> {
    let number = line.split("drawn ").nth(1).with_context(|| format!("no number: {line}"))?;
    ensure!(number.trim().len() == 16, "{line}");
    Ok(number.trim().to_owned())
}

fn date(guest: &mut Guest) -> Result<u64> {
    guest.type_in(b"date\n")?;
    let line = guest.wait_for(": date ", PATIENCE)?;
    let date = line.split(": date ").nth(1).with_context(|| format!("no date: {line}"))?;
    Ok(date.trim().parse()?)
}

fn seconds(line: &str) -> Result<u64> {
    let words = line.split("went on ").nth(1).and_then(|rest| rest.split(' ').next());
    Ok(words.with_context(|| format!("no seconds: {line}"))?.parse()?)
}

/// Whether the guest's date is the host's, between asking and hearing, to what its clock is off by.
fn is_right(guest: &mut Guest) -> Result<()> {
    const OFF: u64 = 4;
    let now = || SystemTime::now().duration_since(UNIX_EPOCH).map(|since| since.as_secs());
    let before = now()?;
    let date = date(guest)?;
    let after = now()?;
    ensure!((before - OFF..=after + OFF).contains(&date), "{date}, not {before} to {after}");
    Ok(())
}

fn all_differ(drawn: &[String]) -> Result<()> {
    let mut sorted = drawn.to_vec();
    sorted.sort();
    sorted.dedup();
    ensure!(sorted.len() == drawn.len(), "the same number twice: {drawn:?}");
    Ok(())
}
