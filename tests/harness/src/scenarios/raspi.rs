//! The Raspberry Pi 3: a board with no hypervisor, whose interrupt controllers are not Arm's and whose
//! power is switched by its own block. What boots is the usual image, the same bytes as everywhere,
//! wherever somebody hands the device tree over.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use crate::scenario::scenarios;
use crate::{Board, Context, Ending, Machine, Mode, Resets, Scenario, Shutdown, TreeSource};

pub(super) const SCENARIOS: &[Scenario] = scenarios!["raspi":
    Quick hello_on_the_mini_uart,
    Quick hello_on_the_pl011,
    Quick hello_at_half_a_mebibyte_from_el2,
    Quick hello_at_half_a_mebibyte_from_el3,
    Quick hello_at_any_page,
    Quick idle_sleeps,
    Quick both_consoles_are_read,
    Quick a_fault_is_reported,
    Quick a_hang_restarts_the_machine,
    Quick gpio_lines_are_driven,
    Quick the_gateway_says_what_is_missing,
    Quick without_a_controller_it_says_so,
    Quick a_timer_on_a_line_that_is_none_is_refused,
];

/// A machine of four cores on a busy host.
const PATIENCE: Duration = Duration::from_secs(60);

/// Where the board's own firmware places a kernel, and QEMU one that asks for it.
const FIRMWARE: u64 = 0x8_0000;

fn hello_on_the_mini_uart(context: &Context) -> Result<()> {
    greets(context, machine(context, "hello")?, &["entered at EL2", "BCM2836", "mini UART"])
}

fn hello_on_the_pl011(context: &Context) -> Result<()> {
    greets(context, on_the_pl011(context, "hello")?, &["entered at EL2", "BCM2836", "PL011"])
}

/// Not at a multiple of 2 MiB, and the image crosses one: all that the header asks for is another place.
fn hello_at_half_a_mebibyte_from_el2(context: &Context) -> Result<()> {
    let mut image = fs::read(context.image("hello")?)?;
    let place = image.get_mut(8..16).context("an image without a header")?;
    place.copy_from_slice(&FIRMWARE.to_le_bytes());
    let moved = file(context, "moved.img", &image)?;
    let board = Board::find(&context.boards, "raspi3b")?;
    let machine = Machine::new(&board, &moved).on(&context.hosts);
    greets(context, machine, &["entered at EL2", "mini UART"])
}

/// As if there were no firmware: all cores at once, and nobody says where the tree is.
fn hello_at_half_a_mebibyte_from_el3(context: &Context) -> Result<()> {
    let machine = context.machine("raspi3b-el3", "hello")?;
    greets(context, machine, &["entered at EL3", "mini UART"])
}

/// In the middle of a block of 2 MiB, and so that its first page ends one.
fn hello_at_any_page(context: &Context) -> Result<()> {
    for address in [0x4028_0000, 0x403f_f000] {
        let board = Board::find(&context.boards, "qemu-virt-el3")?;
        let board = Board { load_address: Some(address), ..board };
        let guest = context.machine_of(&board, "hello")?.boot()?;
        for line in ["entered at EL3", "Hello", "exit status 0", "halted"] {
            guest.wait_for(line, PATIENCE)?;
        }
    }
    Ok(())
}

/// Woken once, by the local controller.
fn idle_sleeps(context: &Context) -> Result<()> {
    let ending = machine(context, "idle_sleeps")?.boot()?.ending(PATIENCE)?;
    ending.expect_status(0)?;
    ensure!(ending.console.contains("1 wake-up in 1 s"), "{ending}");
    Ok(())
}

/// By their interrupts, which come through both controllers.
fn both_consoles_are_read(context: &Context) -> Result<()> {
    for machine in [machine(context, "console_is_read")?, on_the_pl011(context, "console_is_read")?]
    {
        let mut guest = machine.boot()?;
        guest.wait_for("type a line", PATIENCE)?;
        guest.type_in(b"through two controllers\n")?;
        let ending = guest.ending(PATIENCE)?;
        ending.expect_status(0)?;
        ensure!(ending.console.contains("you said THROUGH TWO CONTROLLERS"), "{ending}");
    }
    Ok(())
}

fn a_fault_is_reported(context: &Context) -> Result<()> {
    let machine = machine(context, "null_is_unmapped")?.setting("app.how=read");
    let ending = machine.setting("on-fault=off").boot()?.ending(PATIENCE)?;
    ending.expect_fault(&["class=read-abort", "far=0x0000000000000000"])?;
    ended(&ending, 101)
}

/// The watchdog is the timer's, the restart that of the power management; what is remembered is in
/// memory that keeps what it holds.
fn a_hang_restarts_the_machine(context: &Context) -> Result<()> {
    let settings = ["watchdog=1", "on-fault=reset", "app.times=1"];
    let machine = machine(context, "hangs_are_found")?.resets(Resets::Reboot);
    let machine = settings.iter().fold(machine, |machine, setting| machine.setting(setting));
    let ending = machine.boot()?.ending(PATIENCE)?;
    ended(&ending, 0)?;
    for words in ["class=hang", "restarting the machine", "restarts 1 faults 1"] {
        ensure!(ending.console.contains(words), "{words:?} is not in {ending}");
    }
    Ok(())
}

/// By the traits of embedded-hal: here, and on a PL061, whose fourth line is the power button's. That one
/// nobody may have, whatever the operator says, nor what he does not name.
fn gpio_lines_are_driven(context: &Context) -> Result<()> {
    let name = "gpio_lines_are_driven";
    let pi = || machine(context, name).map(|machine| machine.setting("app.line=17"));
    let virt = || context.machine("qemu-virt", name).map(|machine| machine.setting("app.line=5"));
    for machine in [
        pi()?.setting("gpio=4,17").setting("app.other=18"),
        virt()?.setting("gpio=3,5").setting("app.other=3"),
        virt()?.setting("gpio=0:5,1:7").setting("app.other=6"),
    ] {
        let ending = machine.boot()?.ending(PATIENCE)?;
        ended(&ending, 0)?;
        ensure!(ending.console.contains("driven, and let go: "), "{ending}");
    }
    let ending = pi()?.setting("app.other=18").setting("on-fault=off").boot()?.ending(PATIENCE)?;
    ensure!(ending.status.is_some_and(|status| status != 0), "{ending}");
    ensure!(ending.console.contains("there is no such line"), "{ending}");
    Ok(())
}

/// There is no network that is known here: it ends, and says why.
fn the_gateway_says_what_is_missing(context: &Context) -> Result<()> {
    let ending = machine(context, "gateway")?.setting("on-fault=off").boot()?.ending(PATIENCE)?;
    ensure!(ending.shutdown == Shutdown::PoweredOff, "{ending}");
    ensure!(ending.status.is_some_and(|status| status != 0), "{ending}");
    ensure!(ending.console.contains("no network"), "{ending}");
    Ok(())
}

fn without_a_controller_it_says_so(context: &Context) -> Result<()> {
    let name = (&b"brcm,bcm2836-l1-intc\0"[..], &b"brcm,bcm2836-l9-intc\0"[..]);
    refused(context, "no-controller", name, "the device tree names no interrupt controller")
}

/// The timer's third interrupt is the virtual one's. Line 7 is a mailbox's, and 12 there is not.
fn a_timer_on_a_line_that_is_none_is_refused(context: &Context) -> Result<()> {
    let wiring = |line: u32| {
        let cells = [0, 4, 1, 4, line, 4, 2, 4];
        cells.iter().flat_map(|cell: &u32| cell.to_be_bytes()).collect::<Vec<u8>>()
    };
    let silent = "timer: its interrupt (local interrupt 7) never comes";
    refused(context, "a-mailbox", (&wiring(3), &wiring(7)), silent)?;
    refused(context, "no-line", (&wiring(3), &wiring(12)), "the device tree names no timer")
}

/// Boots with a tree in which the one is replaced by the other: it is told in words, and ended.
fn refused(
    context: &Context,
    name: &str,
    (right, wrong): (&[u8], &[u8]),
    words: &str,
) -> Result<()> {
    let board = Board::find(&context.boards, "raspi3b")?;
    let source = board.tree.as_ref().context("the board has no tree")?;
    let mut tree = fs::read(context.hosts.tree(source)?)?;
    let mut places = (0..tree.len()).filter(|at| tree[*at..].starts_with(right));
    let (Some(at), None) = (places.next(), places.next()) else {
        anyhow::bail!("the tree has changed: {right:?} is not in it just once");
    };
    tree[at..at + wrong.len()].copy_from_slice(wrong);
    let tree = TreeSource::File(file(context, &format!("{name}.dtb"), &tree)?);
    let board = Board { tree: Some(tree), ..board };
    let machine = Machine::new(&board, &context.image("hello")?).on(&context.hosts);
    let ending = machine.boot()?.ending(PATIENCE)?;
    ensure!(ending.console.contains(words), "{words:?} is not in {ending}");
    ended(&ending, 100)
}

/// The usual image on the board.
fn machine(context: &Context, name: &str) -> Result<Machine> {
    let board = Board::find(&context.boards, "raspi3b")?;
    Ok(Machine::new(&board, &context.image(name)?).on(&context.hosts))
}

/// The same with the console on the other UART.
fn on_the_pl011(context: &Context, name: &str) -> Result<Machine> {
    let board = Board::find(&context.boards, "raspi3b-pl011")?;
    Ok(Machine::new(&board, &context.image(name)?).on(&context.hosts))
}

/// Leaves a file among this scenario's own.
fn file(context: &Context, name: &str, bytes: &[u8]) -> Result<PathBuf> {
    fs::create_dir_all(&context.scratch)?;
    let path = Path::new(&context.scratch).join(name);
    fs::write(&path, bytes).with_context(|| format!("writing {}", path.display()))?;
    Ok(path)
}

fn greets(context: &Context, machine: Machine, facts: &[&str]) -> Result<()> {
    let ending = machine.boot()?.ending(PATIENCE)?;
    ended(&ending, 0)?;
    let level = match context.mode() {
        Mode::Joined => "application at EL1",
        Mode::Contained => "application at EL0",
    };
    let hello = "Hello from Raspberry Pi 3 Model B";
    for words in facts.iter().chain(&[level, "960 MiB", "4 cores, Cortex-A53", hello]) {
        ensure!(ending.console.contains(words), "{words:?} is not in {ending}");
    }
    Ok(())
}

/// It has switched itself off, with this status.
fn ended(ending: &Ending, status: u8) -> Result<()> {
    let is_off = ending.shutdown == Shutdown::PoweredOff && ending.status == Some(status);
    ensure!(is_off, "not switched off with {status}: {ending}");
    Ok(())
}
