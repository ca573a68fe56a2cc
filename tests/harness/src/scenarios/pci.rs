//! Devices on PCI: alone and together, behind bridges, by message and by line; and those that cannot be
//! used, which are named.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use super::{devices, network};
use crate::client::connect_by;
use crate::scenario::scenarios;
use crate::{Board, Context, Forward, Guest, Machine, Network, Scenario};

pub(super) const SCENARIOS: &[Scenario] = scenarios!["pci":
    Quick the_network_serves,
    Quick the_network_serves_by_the_its,
    Quick the_network_serves_by_a_line,
    Quick the_network_serves_below_4_gib,
    Quick blocks_round_trip,
    Quick blocks_round_trip_by_the_its,
    Quick blocks_round_trip_by_a_line,
    Quick entropy_is_had,
    Quick devices_that_share_a_line_are_all_heard,
    Quick devices_in_slots_and_on_pci_serve_together,
    Quick devices_behind_bridges_serve,
    Quick a_second_function_serves,
    Quick devices_that_cannot_be_used_are_named,
    Quick memory_without_room_is_named,
];

/// How long a machine may take on a busy one.
const PATIENCE: Duration = Duration::from_secs(60);
const SECTOR: usize = 512;

fn the_network_serves(context: &Context) -> Result<()> {
    serves(echo(context, "qemu-virt-pci")?, &["network interface: by message, "]).map(drop)
}

fn the_network_serves_by_the_its(context: &Context) -> Result<()> {
    serves(echo(context, "qemu-virt-pci-gicv3")?, &["network interface: by message, "]).map(drop)
}

fn the_network_serves_by_a_line(context: &Context) -> Result<()> {
    serves(echo(context, "qemu-virt-pci-lines")?, &["network interface: by line, "]).map(drop)
}

fn the_network_serves_below_4_gib(context: &Context) -> Result<()> {
    serves(echo(context, "qemu-virt-pci-low")?, &["PCI 00:01.0: network interface: by message, "])
        .map(drop)
}

fn blocks_round_trip(context: &Context) -> Result<()> {
    devices::round_trips(context, "qemu-virt-pci", &[1, 16_384])
}

fn blocks_round_trip_by_the_its(context: &Context) -> Result<()> {
    devices::round_trips(context, "qemu-virt-pci-gicv3", &[1, 16_384])
}

fn blocks_round_trip_by_a_line(context: &Context) -> Result<()> {
    devices::round_trips(context, "qemu-virt-pci-lines", &[1, 16_384])
}

/// It is a source like any other, and nobody waits for an interrupt of it.
fn entropy_is_had(context: &Context) -> Result<()> {
    for board in ["qemu-virt-pci", "qemu-virt-pci-gicv3"] {
        let machine = context.machine(board, "hello")?.network(Network::Absent);
        let ending = machine.setting("log=debug").boot()?.ending(PATIENCE)?;
        ending.expect_status(0)?;
        ensure!(ending.console.contains("entropy source: without interrupts"), "{ending}");
        let sources = ending.console.lines().find(|line| line.contains("entropy: "));
        ensure!(sources.is_some_and(|line| line.contains("virtio")), "{ending}");
    }
    Ok(())
}

/// Pins of devices that are a multiple of four apart are one line (hw/arm/virt.c). Both devices are used
/// on it: whoever did not ask one of them would hang, or be stormed.
fn devices_that_share_a_line_are_all_heard(context: &Context) -> Result<()> {
    let mut board = Board::find(&context.boards, "qemu-virt-pci-lines")?;
    let at = |model: &Option<String>, device: u8| {
        model.as_ref().map(|model| format!("{model},addr={device}"))
    };
    board.devices.network = at(&board.devices.network, 4);
    board.devices.disk = at(&board.devices.disk, 8);
    board.devices.entropy = at(&board.devices.entropy, 12);
    for image in ["block_round_trips", "echo"] {
        let (disk, _) = disk(context, &format!("shared-{image}"))?;
        let network = Network::User(vec![Forward::tcp(7)]);
        let machine = context.machine_of(&board, image)?.network(network).disk(&disk);
        let machine = machine.setting("log=debug");
        if image == "echo" {
            let guest = serves(machine, &["PCI 00:04.0: ", "PCI 00:08.0: "])?;
            let line = |of: &str| {
                let console = guest.console();
                let line =
                    console.lines().find_map(|line| line.split_once(of).map(|(_, line)| line));
                line.map(str::to_owned).with_context(|| format!("{of:?} is not in {console}"))
            };
            let (one, other) = (line("interface: by line, ")?, line("disk: by line, ")?);
            ensure!(one == other, "two lines: {one} and {other}");
        } else {
            let ending = machine.boot()?.ending(PATIENCE)?;
            ending.expect_status(0)?;
            ensure!(!ending.console.contains("never came"), "{ending}");
        }
    }
    Ok(())
}

fn devices_in_slots_and_on_pci_serve_together(context: &Context) -> Result<()> {
    let mut board = Board::find(&context.boards, "qemu-virt-pci")?;
    board.devices.network = Some("virtio-net-device".to_owned());
    let (file, _) = disk(context, "mixed")?;
    let network = || Network::User(vec![Forward::tcp(7)]);
    let ending = context.machine_of(&board, "block_round_trips")?.network(network()).disk(&file);
    ending.boot()?.ending(PATIENCE)?.expect_status(0)?;
    drop(serves(context.machine_of(&board, "echo")?.network(network()).disk(&file), &[])?);
    board.devices.network = Some("virtio-net-pci,romfile=".to_owned());
    board.devices.disk = Some("virtio-blk-device".to_owned());
    let machine = context.machine_of(&board, "block_round_trips")?.network(network()).disk(&file);
    machine.boot()?.ending(PATIENCE)?.expect_status(0)?;
    serves(context.machine_of(&board, "echo")?.network(network()).disk(&file), &[]).map(drop)
}

/// Ports of PCI Express, one behind the other; and a bridge of the older kind, behind which more
/// than one device shares the line of the bridge.
fn devices_behind_bridges_serve(context: &Context) -> Result<()> {
    for (board, bridges, bus, at) in [
        ("qemu-virt-pci-gicv3", &["pcie-root-port,id=root0,chassis=1"][..], "root0", "01:00.0"),
        ("qemu-virt-pci-lines", &["pcie-root-port,id=root0,chassis=1"], "root0", "01:00.0"),
        (
            "qemu-virt-pci-lines",
            &[
                "pcie-root-port,id=root0,chassis=1",
                "x3130-upstream,id=up0,bus=root0",
                "xio3130-downstream,id=down0,bus=up0,chassis=2",
            ],
            "down0",
            "03:00.0",
        ),
        ("qemu-virt-pci-lines", &["pcie-pci-bridge,id=older0"], "older0,addr=3", "01:03.0"),
        ("qemu-virt-pci-gicv3", &["pcie-pci-bridge,id=older0"], "older0,addr=3", "01:03.0"),
    ] {
        // A bridge has to be there before what is behind it: these are the only devices.
        let model = Board::find(&context.boards, board)?.devices.network.context("a network")?;
        let mut machine = echo(context, board)?.network(Network::Absent);
        for bridge in bridges {
            machine = machine.argument("-device").argument(bridge);
        }
        let device = format!("{model},bus={bus},netdev=behind");
        let network = "user,id=behind,hostfwd=tcp:127.0.0.1:0-:7";
        let machine = machine.argument("-netdev").argument(network);
        let mut guest = machine.argument("-device").argument(&device).boot()?;
        let how = if board == "qemu-virt-pci-lines" { "by line, " } else { "by message, " };
        guest.wait_for(&format!("PCI {at}: network interface: {how}"), PATIENCE)?;
        let ports = guest.find_ports(&[Forward::tcp(7)])?;
        echoes_by_interrupts(&mut guest, ports[0].host)?;
    }
    Ok(())
}

fn a_second_function_serves(context: &Context) -> Result<()> {
    let mut board = Board::find(&context.boards, "qemu-virt-pci")?;
    let at = |model: &str, at: &str| Some(format!("{model},{at}"));
    board.devices.entropy = at("virtio-rng-pci", "addr=6.0,multifunction=on");
    board.devices.network = at("virtio-net-pci,romfile=", "addr=6.5");
    let machine = context.machine_of(&board, "echo")?.setting("log=debug");
    serves(machine, &["PCI 00:06.0: entropy source: ", "PCI 00:06.5: network interface: "])
        .map(drop)
}

/// Each by its place and by what it is; the network beside them serves.
fn devices_that_cannot_be_used_are_named(context: &Context) -> Result<()> {
    let mut machine = echo(context, "qemu-virt-pci")?;
    for device in [
        "virtio-rng-pci,disable-modern=on,disable-legacy=off,addr=8",
        "virtio-balloon-pci,addr=9",
        "pci-testdev,addr=0xa",
    ] {
        machine = machine.argument("-device").argument(device);
    }
    let words = [
        "PCI 00:0a.0: 1b36:0005: there is no driver for it",
        "PCI 00:08.0: entropy source: it speaks the legacy interface only",
        "PCI 00:09.0: device 5: there is no driver for it",
    ];
    serves(machine, &words).map(drop)
}

/// The tree is the machine's own, but for the length of its windows.
fn memory_without_room_is_named(context: &Context) -> Result<()> {
    /// The windows, as QEMU has them: the space, the address on the bus and for the processor, and the
    /// length.
    const WINDOWS: [[u32; 7]; 2] = [
        [0x200_0000, 0, 0x1000_0000, 0, 0x1000_0000, 0, 0x2eff_0000],
        [0x300_0000, 0x80, 0, 0x80, 0, 0x80, 0],
    ];
    let board = Board::find(&context.boards, "qemu-virt-pci")?;
    let file = context.scratch.join("narrow.dtb");
    let dumped = Command::new(&board.emulator)
        .args(["-machine", &format!("{},dumpdtb={}", board.machine, file.display())])
        .args(["-cpu", &board.cpu, "-m", &board.memory.to_string(), "-nographic", "-nodefaults"])
        .output()
        .with_context(|| format!("`{}` does not start", board.emulator))?;
    ensure!(dumped.status.success(), "no tree: {}", String::from_utf8_lossy(&dumped.stderr));
    let mut tree = fs::read(&file)?;
    for window in WINDOWS {
        let bytes: Vec<u8> = window.iter().flat_map(|cell| cell.to_be_bytes()).collect();
        let places: Vec<usize> =
            (0..tree.len() - 28).filter(|&at| tree[at..at + 28] == bytes).collect();
        ensure!(places.len() == 1, "{} places in the tree may be that window", places.len());
        // Enough for the table of messages, and for nothing else.
        tree[places[0] + 20..places[0] + 28].copy_from_slice(&0x2000_u64.to_be_bytes());
    }
    // Of what it dumps, most is room, which it would double.
    let field =
        |at: usize| tree[at..at + 4].iter().fold(0, |all, byte| all << 8 | usize::from(*byte));
    let end = (field(8) + field(36)).max(field(12) + field(32));
    tree.truncate(end);
    tree[4..8].copy_from_slice(&u32::try_from(end)?.to_be_bytes());
    fs::write(&file, &tree)?;
    let machine = echo(context, "qemu-virt-pci")?.argument("-dtb");
    let ending = machine.argument(&file.display().to_string()).boot()?.ending(PATIENCE)?;
    ending.expect_status(1)?;
    ensure!(ending.console.contains("PCI 00:01.0: no room for BAR 4 (0x4000 bytes)"), "{ending}");
    ensure!(ending.console.contains("no network interface"), "{ending}");
    Ok(())
}

/// The echo application, which says how its devices interrupt.
fn echo(context: &Context, board: &str) -> Result<Machine> {
    Ok(context.machine(board, "echo")?.setting("log=debug"))
}

/// The kernel says `words`, in that order, and a mebibyte comes back unchanged. No interrupt is
/// missed meanwhile.
fn serves(machine: Machine, words: &[&str]) -> Result<Guest> {
    let mut guest = machine.network(Network::User(vec![Forward::tcp(7)])).boot()?;
    for words in words {
        guest.wait_for(words, PATIENCE)?;
    }
    let port = guest.port(7)?;
    echoes_by_interrupts(&mut guest, port)?;
    Ok(guest)
}

/// A mebibyte comes back unchanged by a port of 127.0.0.1 that leads to the guest, and no interrupt is
/// missed meanwhile: the kernel would say so.
fn echoes_by_interrupts(guest: &mut Guest, port: u16) -> Result<()> {
    guest.wait_for("echoing on 10.0.2.15:7", PATIENCE)?;
    network::echoes(connect_by(guest, port)?, 11, 1 << 20)?;
    let console = guest.console();
    ensure!(!console.contains("never came") && !console.contains("no interrupt"), "{console}");
    Ok(())
}

/// A disk's file, and its contents.
fn disk(context: &Context, name: &str) -> Result<(PathBuf, Vec<u8>)> {
    fs::create_dir_all(&context.scratch)?;
    let contents = vec![0xee; 100 * SECTOR];
    let file = context.scratch.join(format!("pci-{name}.disk"));
    fs::write(&file, &contents).with_context(|| format!("writing {}", file.display()))?;
    Ok((file, contents))
}
