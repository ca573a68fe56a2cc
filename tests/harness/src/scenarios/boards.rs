//! Boards that are not QEMU's `virt` machine, and machines that lack what a kernel cannot do without:
//! they say so as early as they can, name what they have instead, and end.

use std::fs::File;

use anyhow::{Result, ensure};

use crate::client::{PATIENCE, connect};
use crate::http::Client;
use crate::scenario::scenarios;
use crate::shim::with_tree;
use crate::tree::Tree;
use crate::{Board, Context, Ending, Forward, Machine, Mode, Network, Scenario, Shutdown};

pub(super) const SCENARIOS: &[Scenario] = scenarios!["boards":
    Quick hello_on_versal,
    Quick hello_on_versal_with_memory_in_two_banks,
    Quick hello_on_versal_from_el3,
    Quick the_gateway_serves_on_versal,
    Quick hello_on_zcu102,
    Quick hello_on_zcu102_from_el2,
    Quick hello_on_zcu102_from_el3,
    Quick hello_from_el3_on_gicv3,
    Quick one_image_serves_the_whole_family,
    Quick an_unknown_interrupt_controller_is_named,
    Quick an_unknown_uart_leaves_the_early_one_in_service,
    Quick what_lacks_a_controller_or_a_timer_says_so_without_a_console,
    Quick without_a_tree_at_el3_it_says_so_and_halts,
];

fn hello_on_versal(context: &Context) -> Result<()> {
    hello_on(context, "versal", &["entered at EL2", "Xilinx Versal", "1024 MiB, GICv3, PL011"])
}

/// 2 GiB from 0 on, and as much from 32 GiB on.
fn hello_on_versal_with_memory_in_two_banks(context: &Context) -> Result<()> {
    hello_on(context, "versal-banks", &["4096 MiB"])
}

fn hello_on_versal_from_el3(context: &Context) -> Result<()> {
    hello_on(context, "versal-el3", &["entered at EL3", "GICv3"])
}

fn hello_on_zcu102(context: &Context) -> Result<()> {
    hello_on(context, "zcu102", &["ZynqMP ZCU102", "GICv2, Cadence UART", "Cortex-A53"])
}

fn hello_on_zcu102_from_el2(context: &Context) -> Result<()> {
    hello_on(context, "zcu102-el2", &["entered at EL2"])
}

fn hello_on_zcu102_from_el3(context: &Context) -> Result<()> {
    hello_on(context, "zcu102-el3", &["entered at EL3", "Cadence UART"])
}

fn hello_from_el3_on_gicv3(context: &Context) -> Result<()> {
    hello_on(context, "qemu-virt-el3-gicv3", &["entered at EL3", "GICv3"])
}

/// Boots hello, which ends with status 0, and whose machine says each of `facts` about itself.
fn hello_on(context: &Context, board: &str, facts: &[&str]) -> Result<()> {
    let ending = context.machine(board, "hello")?.boot()?.ending(PATIENCE)?;
    ending.expect_status(0)?;
    let level = match context.mode() {
        Mode::Joined => "application at EL1",
        Mode::Contained => "application at EL0",
    };
    for fact in facts.iter().chain(&[level, "\nHello"]) {
        ensure!(ending.console.contains(fact), "{fact:?} is not in {ending}");
    }
    ensure!(
        !ending.console.contains("WARN  kernel: device tree, "),
        "warnings about the tree: {ending}"
    );
    Ok(())
}

/// With its three devices: the page is served, a disk is there, and so is entropy.
fn the_gateway_serves_on_versal(context: &Context) -> Result<()> {
    let disk = context.scratch.join("disk");
    File::create(&disk)?.set_len(1 << 20)?;
    let machine = context.machine("versal", "gateway")?.disk(&disk);
    let forward = Network::User(vec![Forward::tcp(80)]);
    let mut guest = machine.setting("ip=dhcp").network(forward).boot()?;
    guest.wait_for("listening on 10.0.2.15:80", PATIENCE)?;
    let mut client = Client::new(connect(&mut guest, 80)?);
    ensure!(client.get("/")?.expect(200)?.text().contains("Elone gateway"), "another page");
    let machine = client.get("/api/status")?.expect(200)?.json()?["machine"].clone();
    let board = machine["board"].as_str().unwrap_or_default();
    ensure!(board.contains("Versal") && machine["entered_at"] == "EL2", "{machine}");
    let console = guest.console();
    ensure!(!console.contains("no source of entropy"), "without entropy: {console}");
    ensure!(!console.contains("WARN  kernel: device tree, "), "warnings about the tree: {console}");
    Ok(())
}

/// What a tree says is not in the image: boards with the same early facts boot the same bytes.
fn one_image_serves_the_whole_family(context: &Context) -> Result<()> {
    let usual = Board::find(&context.boards, Board::USUAL)?;
    for board in Board::all(&context.boards)? {
        let own = board.image_of(&usual);
        let family = ["qemu-virt", "kvm", "edge"].iter().any(|stem| board.file == *stem);
        ensure!(!family || own.is_none(), "{} has an image of its own", board.name);
    }
    ensure!(
        Board::find(&context.boards, "versal-el3")?.image_of(&usual) == Some("versal"),
        "versal"
    );
    Ok(())
}

fn an_unknown_interrupt_controller_is_named(context: &Context) -> Result<()> {
    let tree = Tree { controller: Some("acme,pic-9000"), ..Tree::default() };
    let ending = refused(context, "pic", &tree)?;
    ensure!(ending.console.contains("it has `acme,pic-9000`"), "{ending}");
    Ok(())
}

/// The tree's console is at the place of the image's early UART, and of a kind that nobody knows.
fn an_unknown_uart_leaves_the_early_one_in_service(context: &Context) -> Result<()> {
    let uart = Some("acme,uart");
    let tree = Tree { uart, stdout_path: Some("/serial@9000000"), ..Tree::default() };
    let ending = machine(context, "uart", &tree.bytes()?)?.boot()?.ending(PATIENCE)?;
    ending.expect_status(0)?;
    for words in ["console: `acme,uart` is not known; the early UART", "\nHello from test,virt"] {
        ensure!(ending.console.contains(words), "{words:?} is not in {ending}");
    }
    Ok(())
}

/// Nothing in the tree that could be a console: what ends the boot is said on the early UART all the
/// same, with what was to be said before.
fn what_lacks_a_controller_or_a_timer_says_so_without_a_console(context: &Context) -> Result<()> {
    for (name, tree, words) in [
        ("mute-pic", Tree { controller: None, ..Tree::default() }, "no interrupt controller"),
        ("mute-timer", Tree { timer: None, ..Tree::default() }, "names no timer"),
    ] {
        let ending = refused(context, name, &Tree { uart: None, ..tree })?;
        ensure!(ending.console.contains(words), "{words:?} is not in {ending}");
    }
    Ok(())
}

/// On a board that has no tree where its file says: nobody to power it off, so it says that it halts,
/// and who waits for its end is told.
fn without_a_tree_at_el3_it_says_so_and_halts(context: &Context) -> Result<()> {
    let image = context.machine("zcu102-el3", "hello")?;
    let mut board = Board::find(&context.boards, "zcu102-el3")?;
    board.tree = None;
    let ending = image.with_board(&board).boot()?.ending(PATIENCE)?;
    ensure!(ending.shutdown == Shutdown::Halted && ending.status == Some(100), "{ending}");
    ensure!(ending.console.contains("cannot boot: there is no device tree"), "{ending}");
    Ok(())
}

/// Boots hello with a tree that the kernel refuses: the machine ends in order, and powers off.
fn refused(context: &Context, name: &str, tree: &Tree) -> Result<Ending> {
    let ending = machine(context, name, &tree.bytes()?)?.boot()?.ending(PATIENCE)?;
    ensure!(ending.status == Some(100) && ending.shutdown == Shutdown::PoweredOff, "{ending}");
    ensure!(ending.console.contains("cannot boot: "), "{ending}");
    Ok(ending)
}

fn machine(context: &Context, name: &str, tree: &[u8]) -> Result<Machine> {
    let image = with_tree(&context.image("hello")?, tree, &context.scratch, name)?;
    Ok(Machine::new(&Board::find(&context.boards, Board::USUAL)?, &image))
}
