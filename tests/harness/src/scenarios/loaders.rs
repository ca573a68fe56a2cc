//! Firmware boots the image as it would on a board: U-Boot from a disk and over the network, EDK2
//! by our loader. What it leaves behind (devices that were used, caches that were on, a tree that it
//! has changed) does no harm.

use std::fs;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use crate::client::connect;
use crate::http::Client;
use crate::scenario::scenarios;
use crate::{Context, Forward, Machine, Mode, Network, Scenario};

pub(super) const SCENARIOS: &[Scenario] = scenarios!["loaders":
    Quick u_boot_over_tftp,
    Long u_boot_over_tftp_at_el2,
    Quick u_boot_from_a_disk,
    Long u_boot_from_a_disk_at_el2,
    Quick the_gateway_serves_after_u_boot,
    Quick u_boot_refuses_what_is_no_image in Joined,
    Quick u_boot_at_el3_leaves_no_interrupts in Joined,
    Quick edk2,
    Long edk2_at_el2,
    Long the_gateway_serves_after_edk2,
    Long the_loader_says_that_there_is_no_image in Joined,
    Long the_loader_refuses_an_image_cut_short in Joined,
    Long the_loader_refuses_settings_that_are_too_long in Joined,
    Long the_loader_says_that_there_is_no_tree in Joined,
];

/// How long firmware may take on a busy machine; on an idle one U-Boot takes 3 s, EDK2 7 s.
const PATIENCE: Duration = Duration::from_secs(240);

/// The boards, and what of each the log says.
const TFTP: &str = "qemu-virt-u-boot";
const DISK: &str = "qemu-virt-u-boot-disk";
const EDK2: &str = "qemu-virt-edk2";

fn u_boot_over_tftp(context: &Context) -> Result<()> {
    hello(context, TFTP, &["Filename 'elone.img'", "entered at EL1", "GICv2"])
}

fn u_boot_over_tftp_at_el2(context: &Context) -> Result<()> {
    hello(context, "qemu-virt-u-boot-el2", &["Filename 'elone.img'", "entered at EL2", "GICv3"])
}

fn u_boot_from_a_disk(context: &Context) -> Result<()> {
    hello(context, DISK, &["Retrieving file: /elone.img", "entered at EL1", "GICv2"])
}

fn u_boot_from_a_disk_at_el2(context: &Context) -> Result<()> {
    hello(context, "qemu-virt-u-boot-disk-el2", &["Retrieving file", "entered at EL2", "GICv3"])
}

fn edk2(context: &Context) -> Result<()> {
    hello(context, EDK2, &["firmware keeps ", "entered at EL1", "GICv2"])
}

fn edk2_at_el2(context: &Context) -> Result<()> {
    hello(
        context,
        "qemu-virt-edk2-el2",
        &["firmware keeps ", "entered at EL2", "GICv3", "QEMU max"],
    )
}

/// Boots hello, with a setting that shows by what the log says.
fn hello(context: &Context, board: &str, facts: &[&str]) -> Result<()> {
    let machine = context.machine(board, "hello")?.setting("log=debug");
    let ending = machine.boot()?.ending(PATIENCE)?;
    ending.expect_status(0)?;
    ensure!(ending.console.lines().any(|line| line.starts_with("Hello")), "no greeting: {ending}");
    let level = match context.mode() {
        Mode::Joined => "application at EL1",
        Mode::Contained => "application at EL0",
    };
    for fact in facts.iter().chain(&[level, "DEBUG kernel: entropy: "]) {
        ensure!(ending.console.contains(fact), "{fact:?} is not in {ending}");
    }
    Ok(())
}

/// Over the network, so that firmware has used the interface before; and from a disk that is the
/// guest's as well.
fn the_gateway_serves_after_u_boot(context: &Context) -> Result<()> {
    for board in [TFTP, DISK] {
        serves(context.machine(board, "gateway")?).with_context(|| board.to_owned())?;
    }
    Ok(())
}

fn the_gateway_serves_after_edk2(context: &Context) -> Result<()> {
    serves(context.machine(EDK2, "gateway")?)
}

fn serves(machine: Machine) -> Result<()> {
    let mut guest = machine.network(Network::User(vec![Forward::tcp(80)])).boot()?;
    guest.wait_for("gateway: listening on ", PATIENCE)?;
    let mut client = Client::new(connect(&mut guest, 80)?);
    let page = client.get("/")?.expect(200)?.text();
    ensure!(page.contains("<html"), "the page is {page:.80}");
    Ok(())
}

/// U-Boot looks at the header alone, so an image that lacks more cannot be told from a whole one.
fn u_boot_refuses_what_is_no_image(context: &Context) -> Result<()> {
    for (name, length) in [("cut", 48), ("noise", 4096)] {
        let guest = with_image(context, DISK, name, &vec![0x5a; length])?.boot()?;
        guest.wait_for("Bad Linux ARM64 Image magic!", PATIENCE)?;
    }
    Ok(())
}

/// Debian's U-Boot is not meant to be a machine's first program: at EL3 it leaves interrupts to a
/// world that nobody is in, and none of them ever comes. It is told at once, as there is no timer.
fn u_boot_at_el3_leaves_no_interrupts(context: &Context) -> Result<()> {
    let machine = context.machine(DISK, "hello")?;
    let machine = machine.argument("-machine").argument("virt,secure=on,virtualization=on");
    let guest = machine.boot()?;
    guest.wait_for("cannot boot: timer: its interrupt (PPI 11) never comes", PATIENCE)?;
    guest.wait_for("exit status 100", PATIENCE)?;
    Ok(())
}

fn the_loader_says_that_there_is_no_image(context: &Context) -> Result<()> {
    let machine = context.machine(EDK2, "hello")?.without_image();
    refuses(machine, "there is no \\elone.img on the volume it is on")
}

fn the_loader_refuses_an_image_cut_short(context: &Context) -> Result<()> {
    let cut = &fs::read(context.image("hello")?)?[..48];
    refuses(
        with_image(context, EDK2, "loader-cut", cut)?,
        "\\elone.img: it is cut short: 48 bytes, and its header alone has 64",
    )
}

fn the_loader_refuses_settings_that_are_too_long(context: &Context) -> Result<()> {
    let machine = context.machine(EDK2, "hello")?.setting(&"x".repeat(2049));
    refuses(machine, "\\elone.txt: its settings are too long: 2049 bytes, over 2048")?;
    let machine = context.machine(EDK2, "hello")?.setting(&"x".repeat(5000));
    refuses(machine, "\\elone.txt: it is too long: 5000 bytes")
}

/// Where there is ACPI, EDK2 keeps the tree to itself.
fn the_loader_says_that_there_is_no_tree(context: &Context) -> Result<()> {
    let machine = context.machine(EDK2, "hello")?.argument("-machine").argument("acpi=on");
    refuses(machine, "firmware hands over no device tree")
}

/// The loader says so, and firmware has the machine again: it says that it could start nothing.
fn refuses(machine: Machine, why: &str) -> Result<()> {
    let guest = machine.boot()?;
    guest.wait_for(&format!("elone-loader: {why}"), PATIENCE)?;
    guest.wait_for("BdsDxe: failed to start Boot", PATIENCE)?;
    Ok(())
}

/// The board, with a file of these bytes for an image.
fn with_image(context: &Context, board: &str, name: &str, bytes: &[u8]) -> Result<Machine> {
    fs::create_dir_all(&context.scratch)?;
    let file = context.scratch.join(format!("{name}.img"));
    fs::write(&file, bytes).with_context(|| format!("writing {}", file.display()))?;
    let mut machine = context.machine(board, "hello")?;
    machine.image = file;
    Ok(machine)
}
