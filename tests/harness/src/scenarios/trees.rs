//! Device trees that a machine should not have: each is told in words and ends the boot in order,
//! or does no harm.

use std::io::{Read, Write};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use crate::client::connect;
use crate::scenario::scenarios;
use crate::shim::with_tree;
use crate::tree::{Device, Tree};
use crate::{Board, Console, Context, Ending, Forward, Machine, Network, Scenario, Shutdown};

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
    Quick devices_that_are_not_there_are_named,
    Quick a_uart_that_is_not_there_is_named,
    Quick an_interrupt_controller_that_is_not_there_is_refused,
    Quick a_conduit_that_traps_is_named,
    Quick a_timer_on_another_line_is_refused,
    Quick a_device_on_another_line_is_looked_at,
    Quick memory_that_is_not_there_is_left_alone,
    Quick banks_that_overlap_count_once,
    Quick what_lies_over_the_image_is_told,
    Quick a_tree_over_the_image_is_refused,
    Quick a_uart_in_memory_is_left_alone,
    Quick consoles_that_disagree_are_told_which_counts,
    Quick what_is_not_there_reads_as_zeros_under_kvm,
];

/// QEMU's `virt` machine has nothing at these addresses, which are pages of their own.
const NOBODY: u64 = 0x0b00_0000;
const NOR_HERE: u64 = 0x0b10_0000;

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

fn a_tree_where_no_memory_is_is_told(context: &Context) -> Result<()> {
    let image = context.image("hello")?;
    for core in ["cortex-a72", "max,pauth-impdef=on"] {
        let shim = crate::shim::with_tree_at(&image, 0x200, &context.scratch, "nowhere")?;
        let machine = Machine::new(&Board::find(&context.boards, "qemu-virt")?, &shim).cpu(core);
        let guest = machine.boot()?;
        guest.wait_for("cannot boot: the device tree: nothing answers there", PATIENCE)?;
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
    let ending = guest.ending(PATIENCE)?;
    ensure!(ending.shutdown == Shutdown::Halted && ending.fault.is_none(), "{ending}");
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
        let words = format!("virtio slot {address}: lies in memory that has a use already");
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

/// A page of registers of a device that does not interrupt.
const fn page(compatible: &'static str, address: u64) -> Device {
    Device { compatible, address, length: 0x1000, interrupt: None }
}

/// A slot, a clock, a button, a notice board: the bus answers with an abort. What is there is used all the same.
fn devices_that_are_not_there_are_named(context: &Context) -> Result<()> {
    let mut tree = Tree::default();
    tree.slots.insert(0, (NOBODY, 15));
    tree.devices = vec![page("arm,pl031", NOR_HERE), page("microsoft,vmgenid", NOR_HERE + 0x1000)];
    tree.button = Some((NOR_HERE + 0x2000, 7));
    let guest = machine(context, "echo", "nobody", &tree.bytes()?)?.boot()?;
    guest.wait_for("real-time clock 0xb100000: nothing answers there", PATIENCE)?;
    guest.wait_for("virtio slot 0xb000000: nothing answers there", PATIENCE)?;
    guest.wait_for("power button, PL061 0xb102000: nothing answers there", PATIENCE)?;
    guest.wait_for("vmgenid: nothing answers there", PATIENCE)?;
    guest.wait_for("echoing on 10.0.2.15:7", PATIENCE)?;
    Ok(())
}

/// The tree's first one is not; the next one is, and says so. With none of them it runs in silence.
fn a_uart_that_is_not_there_is_named(context: &Context) -> Result<()> {
    let absent = || Tree { uart_at: NOBODY, ..Tree::default() };
    for (name, absent_too) in [("arm,pl011", "PL011"), ("ns16550a", "16550")] {
        let devices = vec![page("arm,pl011", 0x0900_0000)];
        let tree = Tree { uart: Some(name), devices, ..absent() };
        let ending = run(context, "hello", &format!("no-{absent_too}"), &tree.bytes()?)?;
        ending.expect_status(0)?;
        let words = format!("{absent_too} 0xb000000: nothing answers there");
        ensure!(ending.console.contains(&words), "{ending}");
        ensure!(ending.console.contains("PL011 0x9000000: is the console instead"), "{ending}");
    }
    silent(context, "absent-uart", &absent())
}

fn an_interrupt_controller_that_is_not_there_is_refused(context: &Context) -> Result<()> {
    let tree = Tree { controller_at: NOBODY, ..Tree::default() };
    let words = "cannot boot: GICv2 0xb000000: nothing answers there";
    refused(context, "absent-gic", &tree, words).map(drop)
}

/// No abort comes there: the monitor gives something for the registers of nobody.
fn what_is_not_there_reads_as_zeros_under_kvm(context: &Context) -> Result<()> {
    /// Everything is emulated twice.
    const PATIENCE: Duration = Duration::from_secs(120);
    let boot = |name, tree: Tree| {
        let shim = with_tree(&context.image("hello")?, &tree.bytes()?, &context.scratch, name)?;
        let board = Board::find(&context.boards, "kvm-gicv2")?;
        Machine::new(&board, &shim).on(&context.hosts).boot()?.ending(PATIENCE)
    };
    let mut tree = Tree { uart_at: NOBODY, ..Tree::default() };
    tree.devices = vec![page("arm,pl011", 0x0900_0000)];
    tree.slots.insert(0, (NOR_HERE, 15));
    let ending = boot("kvm-nobody", tree)?;
    ending.expect_status(0)?;
    for words in [
        "PL011 0xb000000: nothing answers there",
        "PL011 0x9000000: is the console instead",
        "virtio slot 0xb100000: nothing answers there",
    ] {
        ensure!(ending.console.contains(words), "{words:?} is not in {ending}");
    }
    for (name, tree, words) in [
        (
            "kvm-no-gic",
            Tree { controller_at: NOBODY, ..Tree::default() },
            "cannot boot: GICv2 0xb000000: nothing answers there",
        ),
        (
            "kvm-timer",
            Tree { timer_line: 14, ..Tree::default() },
            "cannot boot: timer: its interrupt (PPI 14) never comes",
        ),
    ] {
        let ending = boot(name, tree)?;
        ending.expect_status(100)?;
        ensure!(ending.console.contains(words), "{words:?} is not in {ending}");
    }
    Ok(())
}

/// There is no EL3, and nobody at EL2 who would answer in its place.
fn a_conduit_that_traps_is_named(context: &Context) -> Result<()> {
    let tree = Tree { method: "smc", ..Tree::default() };
    let guest = machine(context, "hello", "smc", &tree.bytes()?)?.boot()?;
    guest.wait_for("psci: smc traps: this machine cannot be powered off", PATIENCE)?;
    guest.wait_for("Hello from", PATIENCE)?;
    guest.wait_for("this machine cannot be powered off: halted", PATIENCE)?;
    Ok(())
}

/// That of the physical timer, and one on which nothing is at all.
fn a_timer_on_another_line_is_refused(context: &Context) -> Result<()> {
    for line in [14, 1] {
        let tree = Tree { timer_line: line, ..Tree::default() };
        let words = format!("cannot boot: timer: its interrupt (PPI {line}) never comes");
        refused(context, &format!("timer-{line}"), &tree, &words)?;
    }
    Ok(())
}

/// What an interface received, and a disk has done, is found though nobody tells of it, until it is
/// clear that nobody will.
fn a_device_on_another_line_is_looked_at(context: &Context) -> Result<()> {
    let mut tree = Tree::default();
    tree.slots.iter_mut().for_each(|(_, interrupt)| *interrupt += 100);
    let tree = tree.bytes()?;
    let words = "virtio slot 0xa003e00: its interrupt (SPI 147) never came: looked at every 10 ms";

    let network = Network::User(vec![Forward::tcp(7)]);
    let mut guest = machine(context, "echo", "deaf", &tree)?.network(network).boot()?;
    guest.wait_for("echoing on 10.0.2.15:7", PATIENCE)?;
    let mut client = connect(&mut guest, 7)?;
    for line in [b"one", b"two", b"six", b"ten"] {
        thread::sleep(Duration::from_millis(300)); // it sleeps, too: what comes before is just seen
        client.write_all(line)?;
        let mut back = [0; 3];
        client.read_exact(&mut back)?;
        ensure!(back == *line, "{back:?}");
    }
    // On a busy host it may have been found out while there was no address yet.
    if !guest.console().contains(words) {
        guest.wait_for(words, PATIENCE)?;
    }

    std::fs::create_dir_all(&context.scratch)?;
    let file = context.scratch.join("deaf.disk");
    std::fs::write(&file, [0; 200 * 512])?;
    let machine = machine(context, "block_round_trips", "deaf-disk", &tree)?.disk(&file);
    let ending = machine.boot()?.ending(PATIENCE)?;
    ending.expect_status(0)?;
    ensure!(ending.console.contains("200 sectors round-tripped"), "{ending}");
    Ok(())
}

/// A bank of which nothing is there, and one of which the end is not.
fn memory_that_is_not_there_is_left_alone(context: &Context) -> Result<()> {
    let ram = vec![(0x4000_0000, 128 << 20), (0x1_0000_0000, 16 << 20)];
    let ending = run(context, "hello", "no-bank", &Tree { ram, ..Tree::default() }.bytes()?)?;
    ending.expect_status(0)?;
    let words = "memory 0x100000000..0x101000000 is not used: nothing answers there";
    ensure!(ending.console.contains(words), "{ending}");

    let ram = vec![(0x4000_0000, 256 << 20)];
    let tree = Tree { ram, ..Tree::default() };
    let ending = run(context, "hello", "half-a-bank", &tree.bytes()?)?;
    ending.expect_status(0)?; // what is below the image is a range of its own, and enough for this one
    ensure!(ending.console.contains("0x50000000 is not used: nothing answers there"), "{ending}");
    Ok(())
}

fn banks_that_overlap_count_once(context: &Context) -> Result<()> {
    let ram = vec![(0x4000_0000, 64 << 20), (0x4200_0000, 96 << 20)];
    let tree = Tree { ram, ..Tree::default() };
    let ending = run(context, "machine_is_described", "overlap", &tree.bytes()?)?;
    ending.expect_status(0)?;
    ensure!(ending.console.contains("memory@42000000: it overlaps other memory"), "{ending}");
    ensure!(ending.console.contains("memory 134217728"), "{ending}");
    Ok(())
}

/// The real image lies 4 MiB above RAM's start: outside of what the tree calls RAM, or under an initrd.
fn what_lies_over_the_image_is_told(context: &Context) -> Result<()> {
    let outside = Tree { ram: vec![(0x4400_0000, 64 << 20)], ..Tree::default() };
    let initrd: Vec<(_, &[u8])> = vec![
        ("linux,initrd-start", &[0x40, 0x40, 0, 0]),
        ("linux,initrd-end", &[0x40, 0x50, 0, 0]),
    ];
    let under = Tree { seeds: initrd, ..Tree::default() };
    for (name, tree, words) in [
        ("outside", outside, "memory: no bank of it holds the image, 0x40400000.."),
        ("initrd", under, "initrd 0x40400000..0x40500000: the image lies in it"),
    ] {
        let ending = run(context, "hello", name, &tree.bytes()?)?;
        ending.expect_status(0)?;
        ensure!(ending.console.contains(words), "{ending}");
    }
    Ok(())
}

/// It says that it is so long that its end lies in the image, 2 MiB further on.
fn a_tree_over_the_image_is_refused(context: &Context) -> Result<()> {
    let mut tree = Tree::default().bytes()?;
    tree[4..8].copy_from_slice(&(2_u32 << 20).to_be_bytes());
    let words = "cannot boot: the device tree: lies in memory that has a use already";
    halts(context, "over", &tree, words)
}

fn a_uart_in_memory_is_left_alone(context: &Context) -> Result<()> {
    for at in [0x4040_0000, 0x4700_0000] {
        let devices = vec![page("arm,pl011", 0x0900_0000)];
        let tree = Tree { uart_at: at, devices, ..Tree::default() };
        let ending = run(context, "hello", &format!("uart-{at:x}"), &tree.bytes()?)?;
        ending.expect_status(0)?;
        let words = format!("PL011 {at:#x}: lies in memory that has a use already");
        ensure!(ending.console.contains(&words), "{ending}");
        ensure!(ending.console.contains("PL011 0x9000000: is the console instead"), "{ending}");
    }
    Ok(())
}

/// Of two UARTs one is not there: named by the weaker word it is not missed; named by the stronger one
/// it is, and the other serves.
fn consoles_that_disagree_are_told_which_counts(context: &Context) -> Result<()> {
    let tree = |path: &'static [u8], bootargs| Tree {
        devices: vec![page("arm,pl011", NOBODY)],
        seeds: vec![("stdout-path", path)],
        bootargs,
        ..Tree::default()
    };
    for (name, tree, words) in [
        (
            "weaker",
            tree(b"/device@b000000\0", "console=ttyAMA0"),
            [
                "device@b000000: not the console, though `stdout-path` names it",
                "serial@9000000: it is the console: `console=` names it",
            ],
        ),
        (
            "stronger",
            tree(b"/serial@9000000\0", "console=ttyAMA1"),
            ["PL011 0xb000000: nothing answers there", "PL011 0x9000000: is the console instead"],
        ),
    ] {
        let ending = run(context, "hello", name, &tree.bytes()?)?;
        ending.expect_status(0)?;
        for words in words {
            ensure!(ending.console.contains(words), "{words:?} is not in {ending}");
        }
    }
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
