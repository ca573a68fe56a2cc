//! Device trees that a machine should not have: each is told in words and ends the boot in order,
//! or does no harm.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use crate::scenario::scenarios;
use crate::shim::with_tree;
use crate::tree::Tree;
use crate::{Board, Console, Context, Ending, Machine, Network, Scenario, Shutdown};

pub(super) const SCENARIOS: &[Scenario] = scenarios!["trees":
    Quick a_tree_of_our_own_boots,
    Quick a_tree_of_our_own_has_the_network,
    Quick without_a_tree_it_says_so,
    Quick a_tree_where_no_memory_is_is_told,
    Quick a_truncated_tree_is_refused,
    Quick a_garbled_tree_is_refused,
    Quick a_tree_of_another_version_is_refused,
    Quick a_huge_tree_is_refused,
    Quick a_tree_too_deep_is_refused,
    Quick a_tree_without_memory_is_refused,
    Quick too_little_memory_is_refused,
    Quick two_banks_of_memory_are_used,
    Quick without_an_interrupt_controller_it_says_so,
    Quick an_unknown_interrupt_controller_is_refused,
    Quick without_a_timer_it_says_so,
    Quick without_a_uart_it_runs_in_silence,
    Quick an_unknown_uart_is_left_alone,
    Quick a_virtio_console_serves_where_no_uart_is,
    Quick a_virtio_console_is_read,
    Quick without_psci_it_halts_and_says_so,
    Quick a_slot_without_a_device_is_passed_over,
    Quick more_slots_than_there_is_room_for_are_told,
    Quick a_slot_at_an_odd_address_is_passed_over,
    Quick a_slot_in_memory_is_refused,
    Quick an_interrupt_controller_too_short_is_refused,
];

const PATIENCE: Duration = Duration::from_secs(30);

fn a_tree_of_our_own_boots(context: &Context) -> Result<()> {
    let tree = Tree { bootargs: "log=debug", ..Tree::default() };
    let ending = run(context, "hello", "whole", &tree.bytes()?)?;
    ending.expect_status(0)?;
    ensure!(ending.console.contains("test,virt: 128 MiB, GICv2, PL011"), "{ending}");
    ensure!(ending.console.contains("Hello from test,virt"), "{ending}");
    Ok(())
}

fn a_tree_of_our_own_has_the_network(context: &Context) -> Result<()> {
    let guest = machine(context, "echo", "network", &Tree::default().bytes()?)?.boot()?;
    guest.wait_for("echoing on 10.0.2.15:7", PATIENCE)?;
    Ok(())
}

fn without_a_tree_it_says_so(context: &Context) -> Result<()> {
    halts(context, "zeros", &[0; 4096], "cannot boot: there is no device tree")?;
    let mut tree = Tree::default().bytes()?;
    tree[3] ^= 1; // the magic number
    halts(context, "magic", &tree, "cannot boot: there is no device tree")
}

/// The first look at it faults when there is no console to tell of it yet; the second one tells.
fn a_tree_where_no_memory_is_is_told(context: &Context) -> Result<()> {
    let image = context.image("hello")?;
    for core in ["cortex-a72", "max,pauth-impdef=on"] {
        let shim = crate::shim::with_tree_at(&image, 0x200, &context.scratch, "nowhere")?;
        let machine = Machine::new(&Board::find(&context.boards, "qemu-virt")?, &shim).cpu(core);
        let guest = machine.boot()?;
        guest.wait_for("FAULT class=read-abort", PATIENCE)?;
        guest.wait_for("nothing on the bus answered", PATIENCE)?;
        guest.wait_for("this machine cannot be powered off: halted", PATIENCE)?;
    }
    Ok(())
}

/// Cut in its structure, whatever is left; with its size set right, or not.
fn a_truncated_tree_is_refused(context: &Context) -> Result<()> {
    let tree = Tree::default().bytes()?;
    for (name, length) in [("header", 40), ("half", tree.len() / 2), ("end", tree.len() - 4)] {
        let mut cut = tree[..length].to_vec();
        cut[4..8].copy_from_slice(&u32::try_from(length)?.to_be_bytes());
        halts(context, name, &cut, "cannot boot: the device tree is cut short")?;
    }
    // The rest is zeros here, so it is the structure that ends early.
    halts(context, "zeroed", &tree[..tree.len() / 3], "cannot boot: the device tree is ")
}

/// Words of the structure that are no tokens, and names that lead nowhere.
fn a_garbled_tree_is_refused(context: &Context) -> Result<()> {
    let tree = Tree::default().bytes()?;
    let field =
        |at: usize| u32::from_be_bytes([tree[at], tree[at + 1], tree[at + 2], tree[at + 3]]);
    let (structure, size) = (field(8) as usize, field(36) as usize);
    for (name, from, word) in [
        ("no-begin", 0, 0x7777_7777_u32),
        ("no-end", size - 4, 0),
        ("long-property", 12, u32::MAX),
        ("far-name", 16, 0x00ff_ffff),
    ] {
        let mut tree = tree.clone();
        tree[structure + from..structure + from + 4].copy_from_slice(&word.to_be_bytes());
        halts(context, name, &tree, "cannot boot: the device tree is malformed")?;
    }
    Ok(())
}

fn a_tree_of_another_version_is_refused(context: &Context) -> Result<()> {
    let mut tree = Tree::default().bytes()?;
    tree[20..24].copy_from_slice(&16_u32.to_be_bytes());
    halts(context, "version", &tree, "cannot boot: the device tree is of version 16, not 17")
}

fn a_huge_tree_is_refused(context: &Context) -> Result<()> {
    let mut tree = Tree::default().bytes()?;
    tree[4..8].copy_from_slice(&(3_u32 << 20).to_be_bytes());
    halts(context, "huge", &tree, "cannot boot: the device tree has 3145728 bytes, over 2 MiB")
}

fn a_tree_too_deep_is_refused(context: &Context) -> Result<()> {
    let tree = Tree { depth: 40, ..Tree::default() };
    halts(context, "deep", &tree.bytes()?, "cannot boot: the device tree is nested too deep")
}

fn a_tree_without_memory_is_refused(context: &Context) -> Result<()> {
    let tree = Tree { ram: Vec::new(), ..Tree::default() };
    halts(context, "no-memory", &tree.bytes()?, "cannot boot: the device tree names no memory")
}

/// Room for the image, and next to nothing else: the real image lies 4 MiB above RAM's start.
fn too_little_memory_is_refused(context: &Context) -> Result<()> {
    let tree = Tree { ram: vec![(0x4040_0000, 1 << 20)], ..Tree::default() };
    let ending = refused(context, "small", &tree, " KiB of memory are free")?;
    ensure!(ending.console.contains("cannot boot: only "), "{ending}");
    Ok(())
}

fn two_banks_of_memory_are_used(context: &Context) -> Result<()> {
    let ram = vec![(0x4000_0000, 32 << 20), (0x4400_0000, 64 << 20)];
    let tree = Tree { ram, ..Tree::default() };
    let ending = run(context, "machine_is_described", "banks", &tree.bytes()?)?;
    ending.expect_status(0)?;
    ensure!(ending.console.contains("memory 100663296"), "{ending}");
    Ok(())
}

fn without_an_interrupt_controller_it_says_so(context: &Context) -> Result<()> {
    let tree = Tree { controller: None, ..Tree::default() };
    refused(context, "no-controller", &tree, "cannot boot: the device tree names no interrupt")
        .map(drop)
}

fn an_unknown_interrupt_controller_is_refused(context: &Context) -> Result<()> {
    let tree = Tree { controller: Some("acme,pic"), ..Tree::default() };
    refused(context, "acme-pic", &tree, "cannot boot: the device tree names no interrupt").map(drop)
}

fn without_a_timer_it_says_so(context: &Context) -> Result<()> {
    for (name, timer) in [("no-timer", None), ("acme-timer", Some("acme,timer"))] {
        let tree = Tree { timer, ..Tree::default() };
        refused(context, name, &tree, "cannot boot: the device tree names no timer")?;
    }
    Ok(())
}

/// It runs, though nobody hears it: it asks for an address, and powers off in the end.
fn without_a_uart_it_runs_in_silence(context: &Context) -> Result<()> {
    silent(context, "no-uart", &Tree { uart: None, ..Tree::default() })
}

fn an_unknown_uart_is_left_alone(context: &Context) -> Result<()> {
    silent(context, "acme-uart", &Tree { uart: Some("acme,uart"), ..Tree::default() })
}

fn a_virtio_console_serves_where_no_uart_is(context: &Context) -> Result<()> {
    let tree = Tree { uart: None, ..Tree::default() };
    let image = with_tree(&context.image("hello")?, &tree.bytes()?, &context.scratch, "virtcon")?;
    for board in ["qemu-virt", "qemu-virt-modern"] {
        let board = Board { console: Console::Virtio, ..Board::find(&context.boards, board)? };
        let ending = Machine::new(&board, &image).boot()?.ending(PATIENCE)?;
        ending.expect_status(0)?;
        ensure!(ending.console.contains("Hello from test,virt"), "{ending}");
    }
    Ok(())
}

fn a_virtio_console_is_read(context: &Context) -> Result<()> {
    let tree = Tree { uart: None, ..Tree::default() }.bytes()?;
    let image = context.image("console_is_read")?;
    let image = with_tree(&image, &tree, &context.scratch, "virtcon-read")?;
    let board = Board::find(&context.boards, "qemu-virt")?;
    let board = Board { console: Console::Virtio, ..board };
    let mut guest = Machine::new(&board, &image).boot()?;
    guest.wait_for("type a line", PATIENCE)?;
    guest.type_in(b"well, hello\n")?;
    let ending = guest.ending(PATIENCE)?;
    ending.expect_status(0)?;
    ensure!(ending.console.contains("you said WELL, HELLO"), "not heard: {ending}");
    Ok(())
}

fn without_psci_it_halts_and_says_so(context: &Context) -> Result<()> {
    let tree = Tree { psci: None, ..Tree::default() };
    let guest = machine(context, "hello", "no-psci", &tree.bytes()?)?.boot()?;
    guest.wait_for("Hello from", PATIENCE)?;
    guest.wait_for("exit status 0", PATIENCE)?;
    guest.wait_for("this machine cannot be powered off: halted", PATIENCE)?;
    let ending = guest.stop()?;
    ensure!(ending.shutdown == Shutdown::Stopped && ending.fault.is_none(), "{ending}");
    Ok(())
}

/// A slot that leads to something else (QEMU's fw-cfg), and those after it that are slots.
fn a_slot_without_a_device_is_passed_over(context: &Context) -> Result<()> {
    let mut tree = Tree::default();
    tree.slots.insert(0, (0x0902_0000, 15));
    let guest = machine(context, "echo", "no-slot", &tree.bytes()?)?.boot()?;
    guest.wait_for("virtio slot 0x9020000: ", PATIENCE)?;
    guest.wait_for("echoing on 10.0.2.15:7", PATIENCE)?;
    Ok(())
}

/// There is room for 64 (`kernel/src/machine.rs`); those over it are named.
fn more_slots_than_there_is_room_for_are_told(context: &Context) -> Result<()> {
    let mut tree = Tree::default();
    // All of them are slots of the machine, so none of them is there more than it can be.
    let again = tree.slots.clone();
    tree.slots.extend([again.clone(), again].concat());
    tree.slots.truncate(70);
    let ending = run(context, "hello", "slots", &tree.bytes()?)?;
    ending.expect_status(0)?;
    ensure!(ending.console.contains("virtio_mmio@a000000: one too many of its kind"), "{ending}");
    Ok(())
}

/// No access to its registers could be aligned.
fn a_slot_at_an_odd_address_is_passed_over(context: &Context) -> Result<()> {
    let mut tree = Tree::default();
    tree.slots.insert(0, (0x0902_0001, 15));
    let ending = run(context, "hello", "odd-slot", &tree.bytes()?)?;
    ending.expect_status(0)?;
    let words = "virtio slot 0x9020001: registers at an odd address";
    ensure!(ending.console.contains(words), "{ending}");
    Ok(())
}

/// Registers where the image lies, and in free memory: either would be a second, writable name.
fn a_slot_in_memory_is_refused(context: &Context) -> Result<()> {
    let mut tree = Tree::default();
    tree.slots.truncate(8);
    tree.slots.extend([(0x4040_0000, 15), (0x4700_0000, 14)]);
    let ending = run(context, "hello", "slot-in-memory", &tree.bytes()?)?;
    ending.expect_status(0)?;
    for address in ["0x40400000", "0x47000000"] {
        let words = format!("virtio slot {address}: mapped already");
        ensure!(ending.console.contains(&words), "{ending}");
    }
    Ok(())
}

/// Half a page of registers, where a GICv2's distributor has a whole one.
fn an_interrupt_controller_too_short_is_refused(context: &Context) -> Result<()> {
    let mut tree = Tree::default().bytes()?;
    let registers = [0x800_0000_u64, 0x1_0000].map(u64::to_be_bytes).concat();
    let place = tree.windows(registers.len()).position(|window| window == registers);
    let length = place.context("the tree has no distributor")? + 8;
    tree[length..length + 8].copy_from_slice(&0x800_u64.to_be_bytes());
    let ending = run(context, "hello", "short-controller", &tree)?;
    ending.expect_status(100)?;
    ensure!(ending.console.contains("interrupt controller too few registers"), "{ending}");
    Ok(())
}

/// It boots, says not a word, and powers off: without a UART nothing tells the status either.
fn silent(context: &Context, name: &str, tree: &Tree) -> Result<()> {
    let ending = run(context, "hello", name, &tree.bytes()?)?;
    ensure!(ending.shutdown == Shutdown::PoweredOff, "{ending}");
    ensure!(ending.console.is_empty(), "it found something to talk on: {ending}");

    let echo = machine(context, "echo", &format!("{name}-echo"), &tree.bytes()?)?;
    let guest = echo.network(Network::Wire).boot()?;
    let asked = guest.wire()?.receive(PATIENCE)?;
    ensure!(asked.is_some_and(|frame| frame.len() > 14), "it does not live");
    Ok(())
}

/// The boot ends with these words and status 100, and the machine powers off.
fn refused(context: &Context, name: &str, tree: &Tree, words: &str) -> Result<Ending> {
    let ending = run(context, "hello", name, &tree.bytes()?)?;
    ending.expect_status(100)?;
    ensure!(ending.console.contains(words), "{words:?} is not in {ending}");
    Ok(ending)
}

/// The boot ends with these words and status 100; as nobody says how this machine is powered off,
/// it halts, and says that too.
fn halts(context: &Context, name: &str, tree: &[u8], words: &str) -> Result<()> {
    let guest = machine(context, "hello", name, tree)?.boot()?;
    guest.wait_for(words, PATIENCE)?;
    guest.wait_for("exit status 100", PATIENCE)?;
    guest.wait_for("this machine cannot be powered off: halted", PATIENCE)?;
    Ok(())
}

fn run(context: &Context, image: &str, name: &str, tree: &[u8]) -> Result<Ending> {
    machine(context, image, name, tree)?.boot()?.ending(PATIENCE)
}

/// QEMU's `virt` machine, with an image that is handed this tree.
fn machine(context: &Context, image: &str, name: &str, tree: &[u8]) -> Result<Machine> {
    let image = with_tree(&context.image(image)?, tree, &context.scratch, &format!("tree-{name}"))?;
    Ok(Machine::new(&Board::find(&context.boards, "qemu-virt")?, &image))
}
