//! Memory that nothing on the machine can write to any more, changed from outside.

use std::fs;
use std::ops::Range;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use object::{Object, ObjectSymbol};

use crate::client::{PATIENCE, connect};
use crate::http::Client;
use crate::scenario::scenarios;
use crate::stub::Stub;
use crate::{Context, Forward, Guest, Machine, Network, Resets, Scenario, Shutdown};

pub(super) const SCENARIOS: &[Scenario] = scenarios!["integrity":
    Quick another_instruction_is_found,
    Quick another_constant_is_found,
    Quick another_sealed_word_is_found,
    Quick another_descriptor_is_found,
    Quick another_application_is_found in Contained,
    Quick a_machine_that_never_sleeps_is_checked,
    Quick the_machine_begins_again_as_it_was,
    Quick the_machine_goes_off_if_asked,
    Quick what_is_not_checked_is_not_found,
    Quick what_does_not_change_is_not_found,
    Quick an_application_is_not_woken_for_it,
];

/// Serves HTTP, and otherwise waits.
const SERVER: &str = "crashes_on_request";
/// Calls `wait` without end, with deadlines that have passed.
const RESTLESS: &str = "hangs_are_found";
/// Where the emulator's loader puts an image: 2 MiB above the begin of RAM (QEMU, hw/arm/boot.c).
/// Physically it is one piece, wherever it is seen.
const LOADED: u64 = 0x4020_0000;
const PAGE: u64 = 4096;
/// What the kernel says once it knows what memory has to be like, if it is asked to say everything;
/// what is changed before is taken for what it was at boot.
const LEARNT: &str = "pages are compared every";
/// What it says of a pass.
const UNCHANGED: &str = "pages are what they were";
/// For how long nothing must happen: several periods of `integrity=1`.
const WHILE: Duration = Duration::from_secs(4);

/// Changes something, and returns where, physically.
type Change = fn(&Image, &mut Stub) -> Result<u64>;

fn another_instruction_is_found(context: &Context) -> Result<()> {
    is_found(server(context)?, instruction, "text", context, SERVER)
}

fn another_constant_is_found(context: &Context) -> Result<()> {
    is_found(server(context)?, constant, "read-only data", context, SERVER)
}

/// What the boot has relocated, and what it has written for good.
fn another_sealed_word_is_found(context: &Context) -> Result<()> {
    for changed in [relocated, settled] {
        is_found(server(context)?, changed, "sealed data", context, SERVER)?;
    }
    Ok(())
}

fn another_descriptor_is_found(context: &Context) -> Result<()> {
    is_found(server(context)?, descriptor, "a page table", context, SERVER)
}

fn another_application_is_found(context: &Context) -> Result<()> {
    is_found(server(context)?, application, "the application's image", context, SERVER)
}

/// It waits without end, but never for anything that has not come: no alarm ever wakes it.
fn a_machine_that_never_sleeps_is_checked(context: &Context) -> Result<()> {
    let machine = context.machine("qemu-virt", RESTLESS)?.setting("app.how=waits");
    is_found(machine, instruction, "text", context, RESTLESS)
}

/// Without a setting the machine restarts, with the image as it was built.
fn the_machine_begins_again_as_it_was(context: &Context) -> Result<()> {
    let machine = server(context)?.setting("integrity=1").resets(Resets::Reboot);
    let mut guest = begin_checked(machine, SERVER)?;
    change(context, SERVER, &mut guest, instruction)?;
    for line in [
        "FAULT class=integrity esr=0x0 far=0x",
        "restarting the machine",
        "black box: fault 1 of this machine, restart 1: FAULT class=integrity",
        "listening on",
    ] {
        guest.wait_for(line, PATIENCE)?;
    }
    ensure!(!guest.has_ended(WHILE), "it ended: {}", guest.console());
    answers(&mut guest, r#"{"restarts":1,"faults":1}"#)?;
    let ending = guest.stop()?;
    let faults = ending.console.lines().filter(|line| line.starts_with("FAULT ")).count();
    ensure!(faults == 1 && ending.shutdown == Shutdown::Stopped, "{ending}");
    Ok(())
}

fn the_machine_goes_off_if_asked(context: &Context) -> Result<()> {
    let machine = server(context)?.setting("integrity=1").setting("on-fault=off");
    let mut guest = begin_checked(machine, SERVER)?;
    change(context, SERVER, &mut guest, constant)?;
    let ending = guest.ending(PATIENCE)?;
    ending.expect_fault(&["class=integrity esr=0x0 far=0x", " level=EL1"])?;
    ensure!(ending.status == Some(101), "{ending}");
    Ok(())
}

/// The same changes, where nobody looks: they are real, and nothing else reports them.
fn what_is_not_checked_is_not_found(context: &Context) -> Result<()> {
    let mut guest = begin(server(context)?.setting("integrity=off"), SERVER)?;
    for what in [instruction, constant, descriptor] {
        change(context, SERVER, &mut guest, what)?;
    }
    runs_on(guest)
}

fn what_does_not_change_is_not_found(context: &Context) -> Result<()> {
    let mut guest = begin_checked(server(context)?.setting("integrity=1"), SERVER)?;
    for _pass in 0..3 {
        guest.wait_for(UNCHANGED, PATIENCE)?;
        answers(&mut guest, r#"{"restarts":0,"faults":0}"#)?;
    }
    runs_on(guest)
}

/// It sleeps for longer than a pass takes to come and go, and must be woken once, for its own sake.
fn an_application_is_not_woken_for_it(context: &Context) -> Result<()> {
    for board in ["qemu-virt", "qemu-virt-gicv3"] {
        let machine = context.machine(board, "idle_sleeps")?.setting("app.seconds=4");
        // The watchdog is the alarm's other user.
        for watchdog in ["watchdog=off", "watchdog=1"] {
            let machine = machine.clone().setting(watchdog).setting("integrity=1");
            let ending = machine.setting("log=trace").boot()?.ending(PATIENCE)?;
            ending.expect_status(0)?;
            let before = ending.console.split(" wake-up in 4 s").next().unwrap_or_default();
            ensure!(before.contains(UNCHANGED), "it was not checked asleep: {ending}");
        }
    }
    Ok(())
}

/// An instruction of a function that only a panic calls: now it returns.
fn instruction(image: &Image, stub: &mut Stub) -> Result<u64> {
    const RETURN: u32 = 0xd65f_03c0;
    let offset = image.function("core9panicking9panic_fmt")?;
    image.overwrite(stub, offset, &RETURN.to_le_bytes())
}

/// A letter of a file's name that only a panic tells.
fn constant(image: &Image, stub: &mut Stub) -> Result<u64> {
    let constants = image.symbol("__text_end")?..image.symbol("__application_start")?;
    let offset = image.find(b".rs", constants)?;
    image.overwrite(stub, offset, b"!")
}

/// The same in the application's own image.
fn application(image: &Image, stub: &mut Stub) -> Result<u64> {
    let package = image.symbol("__application_start")?..image.symbol("__application_end")?;
    let offset = image.find(b".rs", package)?;
    image.overwrite(stub, offset, b"!")
}

fn relocated(image: &Image, stub: &mut Stub) -> Result<u64> {
    flip_before(image.symbol("__sealed_end")?, stub)
}

fn settled(image: &Image, stub: &mut Stub) -> Result<u64> {
    flip_before(image.symbol("__sealed_bss_end")?, stub)
}

/// The last word before the end of a part, which fills up its page: every bit is another.
fn flip_before(end: u64, stub: &mut Stub) -> Result<u64> {
    let address = LOADED + end - 8;
    let word: Vec<u8> = stub.read(address, 8)?.iter().map(|byte| !byte).collect();
    stub.write(address, &word)?;
    Ok(address)
}

/// The descriptor of the first page of text: now the page can be written to (AP[2], Arm ARM, section
/// D8.4.1).
fn descriptor(image: &Image, stub: &mut Stub) -> Result<u64> {
    const READ_ONLY: u64 = 1 << 7;
    const ADDRESS: u64 = 0x0000_ffff_ffff_f000;
    const PAGE_OR_TABLE: u64 = 0b11;
    let (start, end) = (image.symbol("__tables_start")?, image.symbol("__tables_end")?);
    let text = LOADED + image.symbol("__init_end")?;
    let tables = stub.read(LOADED + start, usize::try_from(end - start)?)?;
    let (words, _) = tables.as_chunks::<8>();
    let found = words.iter().map(|word| u64::from_le_bytes(*word)).zip(0..).find(|(word, _)| {
        word & ADDRESS == text && word & PAGE_OR_TABLE == PAGE_OR_TABLE && word & READ_ONLY != 0
    });
    let (word, index) = found.context("no descriptor leads to the text")?;
    let address: u64 = LOADED + start + index * 8;
    stub.write(address, &(word & !READ_ONLY).to_le_bytes())?;
    Ok(address)
}

fn server(context: &Context) -> Result<Machine> {
    let machine = context.machine("qemu-virt", SERVER)?.setting("ip=10.0.2.15/24,10.0.2.2");
    Ok(machine.network(Network::User(vec![Forward::tcp(80)])))
}

/// Boots a machine that can be stopped, and waits until its application says something.
fn begin(machine: Machine, name: &str) -> Result<Guest> {
    let guest = Stub::offered_by(machine).boot()?;
    guest.wait_for(&format!(" {name}: "), PATIENCE)?;
    Ok(guest)
}

/// The same, of a machine that is checked; waits until it is.
fn begin_checked(machine: Machine, name: &str) -> Result<Guest> {
    let guest = begin(machine.setting("log=trace"), name)?;
    if !guest.console().contains(LEARNT) {
        guest.wait_for(LEARNT, PATIENCE)?;
    }
    Ok(guest)
}

/// Makes a change while the machine stands still; returns where, physically.
fn change(context: &Context, name: &str, guest: &mut Guest, change: Change) -> Result<u64> {
    let image = Image::read(context, name)?;
    let mut stub = Stub::stop(guest)?;
    let place = change(&image, &mut stub)?;
    stub.leave()?;
    Ok(place)
}

/// Checks that a change is reported as one of `what`, at the page where it was made.
fn is_found(
    machine: Machine,
    changed: Change,
    what: &str,
    context: &Context,
    name: &str,
) -> Result<()> {
    // Left as it is, the machine can be asked what its addresses mean.
    let machine = machine.setting("integrity=1").setting("on-fault=halt");
    let mut guest = begin_checked(machine, name)?;
    let place = change(context, name, &mut guest, changed)?;
    let fault = guest.wait_for("FAULT ", PATIENCE)?;
    let far = fault.strip_prefix("FAULT class=integrity esr=0x0 far=0x");
    let far = far.and_then(|rest| rest.split_once(' '));
    let (far, rest) = far.with_context(|| format!("another fault: {fault}"))?;
    ensure!(rest.starts_with("elr=0x") && rest.ends_with(" level=EL1"), "{fault}");
    let words = guest.wait_for("", PATIENCE)?;
    let address = u64::from_str_radix(far, 16)?;
    let expected = format!("  {what} at {address:#x} is not what it was at boot");
    ensure!(words == expected, "{words:?}, not {expected:?}");
    guest.wait_for("exit status 101", PATIENCE)?;
    let physical = guest.qmp()?.monitor(&format!("gva2gpa {address:#x}"))?;
    let expected = format!("gpa: {:#x}", place / PAGE * PAGE);
    ensure!(physical.trim() == expected, "{address:#x} is {physical}, not {expected}");
    Ok(())
}

/// Checks that a server runs on, that it is served by as before, and that nothing is reported.
fn runs_on(mut guest: Guest) -> Result<()> {
    ensure!(!guest.has_ended(WHILE), "it ended: {}", guest.console());
    answers(&mut guest, r#"{"restarts":0,"faults":0}"#)?;
    let ending = guest.stop()?;
    ensure!(ending.fault.is_none() && ending.shutdown == Shutdown::Stopped, "{ending}");
    Ok(())
}

fn answers(guest: &mut Guest, expected: &str) -> Result<()> {
    let response = Client::new(connect(guest, 80)?).get("/")?;
    let body = String::from_utf8_lossy(&response.body).into_owned();
    ensure!(response.status == 200 && body.trim() == expected, "{body}, not {expected}");
    Ok(())
}

/// An image as it was built, and its symbols.
struct Image {
    bytes: Vec<u8>,
    /// Names, and how far behind the image's first byte.
    symbols: Vec<(String, u64)>,
}

impl Image {
    fn read(context: &Context, name: &str) -> Result<Self> {
        let path = context.image(name)?;
        let linked = fs::read(path.with_extension("elf"))?;
        let file = object::File::parse(&*linked)?;
        let named = |symbol: object::Symbol<'_, '_>| {
            Some((symbol.name().ok()?.to_owned(), symbol.address()))
        };
        let mut symbols: Vec<_> = file.symbols().filter_map(named).collect();
        let start = symbols.iter().find(|(name, _)| name == "__image_start");
        let start = start.context("the image has no begin")?.1;
        symbols.iter_mut().for_each(|(_, address)| *address = address.wrapping_sub(start));
        Ok(Self { bytes: fs::read(path)?, symbols })
    }

    /// Where a symbol is.
    fn symbol(&self, name: &str) -> Result<u64> {
        let found = self.symbols.iter().find(|(other, _)| other == name);
        Ok(found.with_context(|| format!("the image has no {name}"))?.1)
    }

    /// Where the function is whose mangled name has this in it.
    fn function(&self, name: &str) -> Result<u64> {
        let text = self.symbol("__init_end")?..self.symbol("__text_end")?;
        let mut all = self.symbols.iter();
        let found = all.find(|(other, at)| other.contains(name) && text.contains(at));
        Ok(found.with_context(|| format!("the image has no function {name}"))?.1)
    }

    /// Where these bytes are, within a range.
    fn find(&self, bytes: &[u8], range: Range<u64>) -> Result<u64> {
        let start = usize::try_from(range.start)?;
        let within =
            self.bytes.get(start..usize::try_from(range.end)?).context("not in the image")?;
        let found = within.windows(bytes.len()).position(|window| window == bytes);
        Ok((start + found.with_context(|| format!("{} is nowhere", bytes.escape_ascii()))?) as u64)
    }

    /// Writes over what the image has at `offset`, which must be in memory as it is in the image.
    fn overwrite(&self, stub: &mut Stub, offset: u64, bytes: &[u8]) -> Result<u64> {
        let at = usize::try_from(offset)?;
        let expected = self.bytes.get(at..at + bytes.len()).context("not in the image")?;
        ensure!(expected != bytes, "it would be no change");
        let there = stub.read(LOADED + offset, bytes.len())?;
        ensure!(there == expected, "the image is not at {LOADED:#x}: {there:x?}");
        stub.write(LOADED + offset, bytes)?;
        Ok(LOADED + offset)
    }
}
