//! Devices as they come: none, odd ones, poor ones, several; and cores and memory of all sizes.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use super::gateway;
use crate::client::connect;
use crate::scenario::scenarios;
use crate::{Board, Context, Ending, Forward, Machine, Network, Scenario};

pub(super) const SCENARIOS: &[Scenario] = scenarios!["devices":
    Quick without_a_network_they_say_so,
    Quick an_unknown_device_is_named_and_left_alone,
    Quick a_network_device_with_few_features_serves,
    Quick blocks_round_trip_on_legacy_virtio,
    Quick blocks_round_trip_on_modern_virtio,
    Quick blocks_round_trip_on_gicv3,
    Quick a_disk_may_be_empty,
    Quick a_disk_may_have_any_size,
    Quick a_read_only_disk_is_not_written,
    Quick a_disk_that_fails_is_told,
    Quick disks_have_the_order_of_the_command_line,
    Quick unknown_and_malformed_settings_are_named,
    Quick memory_functions_are_right_on_every_core,
    Quick other_cores_are_left_asleep,
    Quick the_gateway_serves_in_8_mib,
    Quick the_gateway_serves_in_4_gib,
    Quick the_smallest_memory_boots,
];

/// How long a machine may take, on a busy one; where it is emulated twice, too.
const PATIENCE: Duration = Duration::from_secs(240);
const SECTOR: usize = 512;

fn without_a_network_they_say_so(context: &Context) -> Result<()> {
    for image in ["echo", "gateway"] {
        let machine = context.machine("qemu-virt", image)?.network(Network::Absent);
        let ending = machine.boot()?.ending(PATIENCE)?;
        ending.expect_status(1)?;
        ensure!(ending.console.contains("no network interface"), "{image}: {ending}");
    }
    Ok(())
}

/// Its kind and its slot are told; what else is there works.
fn an_unknown_device_is_named_and_left_alone(context: &Context) -> Result<()> {
    for (model, kind) in [
        ("virtio-balloon-device", "device 5"),
        ("virtio-gpu-device", "device 16"),
        ("virtio-keyboard-device", "device 18"),
    ] {
        let machine = context.machine("qemu-virt-modern", "echo")?;
        let guest = machine.argument("-device").argument(model).boot()?;
        let line = guest.wait_for("virtio slot 0x", PATIENCE)?;
        ensure!(line.contains(&format!("{kind}: there is no driver for it")), "{model}: {line}");
        guest.wait_for("echoing on 10.0.2.15:7", PATIENCE)?;
    }
    Ok(())
}

/// Everything that a device may leave out (virtio 1.2, section 5.1.3) is left out; then everything
/// that this emulator has is there.
fn a_network_device_with_few_features_serves(context: &Context) -> Result<()> {
    let poor = ",event_idx=off,indirect_desc=off,mrg_rxbuf=off,csum=off,guest_csum=off,status=off,\
                ctrl_vq=off,any_layout=off,host_mtu=1280";
    for (board, features) in [
        ("qemu-virt", poor),
        ("qemu-virt-modern", poor),
        ("qemu-virt-modern", ",iommu_platform=on,mq=on,rss=on,packed=on"),
    ] {
        let mut board = Board::find(&context.boards, board)?;
        board.devices.network.as_mut().context("no network")?.push_str(features);
        let machine = Machine::new(&board, &context.image("echo")?);
        let mut guest = machine.network(Network::User(vec![Forward::tcp(7)])).boot()?;
        guest.wait_for("echoing on 10.0.2.15:7", PATIENCE)?;
        super::network::echoes(connect(&mut guest, 7)?, 5, 1 << 20)
            .with_context(|| format!("{}: {features}", board.name))?;
    }
    Ok(())
}

fn blocks_round_trip_on_legacy_virtio(context: &Context) -> Result<()> {
    round_trips(context, "qemu-virt", &[1, 23, 24, 25, 1000, 16_384])
}

fn blocks_round_trip_on_modern_virtio(context: &Context) -> Result<()> {
    round_trips(context, "qemu-virt-modern", &[1, 16_384])
}

fn blocks_round_trip_on_gicv3(context: &Context) -> Result<()> {
    round_trips(context, "qemu-virt-modern-gicv3", &[1, 16_384])
}

/// The guest writes and reads every sector, and what it left in the file is what it was to write.
pub(super) fn round_trips(context: &Context, board: &str, sizes: &[usize]) -> Result<()> {
    for &sectors in sizes {
        let name = format!("{board}-{sectors}");
        let file = disk(context, &name, &vec![0xee; sectors * SECTOR])?;
        let machine = context.machine(board, "block_round_trips")?.disk(&file);
        let ending = machine.boot()?.ending(PATIENCE)?;
        ending.expect_status(0)?;
        ensure!(ending.console.contains(&format!("{sectors} sectors round-tripped")), "{ending}");
        ensure!(ending.console.contains("beyond the end: outside"), "{ending}");
        let written = fs::read(&file)?;
        ensure!(written.len() == sectors * SECTOR, "the file has {} bytes", written.len());
        for (number, (sector, word)) in (0..).zip(words(&written)) {
            // As `tests/unikernels/src/bin/block_round_trips.rs` fills it.
            let expected = sector.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ (number % 64);
            ensure!(word == expected, "{name}: word {number} of the file is {word:#x}");
        }
    }
    Ok(())
}

/// The file's words of 8 bytes, each with the number of its sector.
fn words(bytes: &[u8]) -> impl Iterator<Item = (u64, u64)> {
    let words = bytes.as_chunks::<8>().0.iter().map(|word| u64::from_le_bytes(*word));
    (0_u64..).zip(words).map(|(number, word)| (number * 8 / SECTOR as u64, word))
}

fn a_disk_may_be_empty(context: &Context) -> Result<()> {
    for board in ["qemu-virt", "qemu-virt-modern"] {
        let file = disk(context, &format!("empty-{board}"), &[])?;
        let ending = boot(context.machine(board, "block_round_trips")?.disk(&file))?;
        ending.expect_status(0)?;
        ensure!(ending.console.contains("0 sectors round-tripped"), "{ending}");
    }
    Ok(())
}

/// A file that ends within a sector: the emulator rounds it up (with what is not there read as
/// zeros), and what is left of it is used.
fn a_disk_may_have_any_size(context: &Context) -> Result<()> {
    for (size, sectors) in [(1, 1), (511, 1), (513, 2), (1_000, 2), (100_001, 196)] {
        let file = disk(context, &format!("odd-{size}"), &vec![0; size])?;
        let ending = boot(context.machine("qemu-virt", "block_round_trips")?.disk(&file))?;
        ending.expect_status(0)?;
        let words = format!("{sectors} sectors round-tripped");
        ensure!(ending.console.contains(&words), "a disk of {size} bytes: {ending}");
    }
    Ok(())
}

/// It says that it is one, a write is refused in words, and the file stays as it was.
fn a_read_only_disk_is_not_written(context: &Context) -> Result<()> {
    let before = vec![0x11; 64 * SECTOR];
    let file = disk(context, "read-only", &before)?;
    let drive = format!("if=none,format=raw,readonly=on,id=sealed,file={}", file.display());
    let with_it = |image| -> Result<Machine> {
        let machine = context.machine("qemu-virt", image)?.argument("-drive").argument(&drive);
        Ok(machine.argument("-device").argument("virtio-blk-device,drive=sealed"))
    };
    let ending = boot(with_it("machine_is_described")?)?;
    ensure!(ending.console.contains("disk 0: 64 sectors, read only: true"), "{ending}");
    let ending = boot(with_it("block_round_trips")?)?;
    ending.expect_status(1)?;
    ensure!(ending.console.contains("the device does not support this"), "{ending}");
    ensure!(fs::read(&file)? == before, "a read-only disk was written to");
    Ok(())
}

/// The emulator lets every write fail: the application is told so, and the machine ends in order.
fn a_disk_that_fails_is_told(context: &Context) -> Result<()> {
    let file = disk(context, "failing", &vec![0; 64 * SECTOR])?;
    let node = format!(
        "driver=raw,node-name=bad,file.driver=blkdebug,file.image.driver=file,\
         file.image.filename={},file.inject-error.0.event=pwritev,file.inject-error.0.errno=5",
        file.display()
    );
    let machine = context.machine("qemu-virt", "block_round_trips")?;
    let machine = machine.argument("-blockdev").argument(&node);
    let ending = boot(machine.argument("-device").argument("virtio-blk-device,drive=bad"))?;
    ending.expect_status(1)?;
    ensure!(ending.console.contains("ERROR"), "no word of it: {ending}");
    ensure!(!ending.console.contains("round-tripped"), "it did not notice: {ending}");
    Ok(())
}

/// The first disk that is asked for is the guest's disk 0, and what is written to it stays there.
fn disks_have_the_order_of_the_command_line(context: &Context) -> Result<()> {
    let sizes = [10, 20, 30];
    let files = sizes
        .map(|sectors| disk(context, &format!("several-{sectors}"), &vec![0; sectors * SECTOR]));
    let files: Vec<PathBuf> = files.into_iter().collect::<Result<_>>()?;
    let with_all = |image| -> Result<Machine> {
        let machine = context.machine("qemu-virt", image)?;
        Ok(files.iter().fold(machine, |machine, file| machine.disk(file)))
    };
    let ending = boot(with_all("machine_is_described")?)?;
    for (index, sectors) in sizes.iter().enumerate() {
        let words = format!("disk {index}: {sectors} sectors");
        ensure!(ending.console.contains(&words), "{words:?} is not in {ending}");
    }
    let ending = boot(with_all("block_round_trips")?)?;
    ensure!(ending.console.contains("10 sectors round-tripped"), "{ending}");
    for file in &files[1..] {
        ensure!(fs::read(file)?.iter().all(|byte| *byte == 0), "{} changed", file.display());
    }
    Ok(())
}

/// Each is named with what it could have been; those that are right still apply.
fn unknown_and_malformed_settings_are_named(context: &Context) -> Result<()> {
    let machine = context.machine("qemu-virt", "exit_status_arrives")?;
    let ending = boot(machine.setting("foo=1 ip=banana log=debug app.status=3 =x app. log=loud"))?;
    ending.expect_status(3)?;
    for words in [
        "unknown setting \"foo\"",
        "bad value \"banana\" for \"ip\": expected \"dhcp\" or ADDRESS/PREFIX",
        "unknown setting \"\"",
        "\"app.\"",
        "bad value \"loud\" for \"log\": expected \"error\"",
        "] DEBUG ",
    ] {
        ensure!(ending.console.contains(words), "{words:?} is not in {ending}");
    }
    // Without an address that can be used, one is asked for.
    let machine = context.machine("qemu-virt", "echo")?.setting("ip=10.0.2.15/99");
    let guest = machine.boot()?;
    guest.wait_for("bad value \"10.0.2.15/99\" for \"ip\"", PATIENCE)?;
    guest.wait_for("by DHCP", PATIENCE)?;
    Ok(())
}

fn memory_functions_are_right_on_every_core(context: &Context) -> Result<()> {
    for core in ["cortex-a53", "cortex-a72", "max,pauth-impdef=on"] {
        let machine = context.machine("qemu-virt", "memory_functions_are_right")?.cpu(core);
        // It does nothing else meanwhile, for seconds where it is emulated.
        let ending = boot(machine.setting("watchdog=off"))?;
        ending.expect_status(0).with_context(|| core.to_owned())?;
        ensure!(ending.console.contains(" combinations are right"), "{core}: {ending}");
    }
    Ok(())
}

/// One core runs; the others are counted, and stay as the firmware left them.
fn other_cores_are_left_asleep(context: &Context) -> Result<()> {
    for board in ["qemu-virt", "qemu-virt-gicv3"] {
        let network = Network::User(vec![Forward::tcp(80)]);
        let machine = context.machine(board, "gateway")?.network(network);
        let mut guest = machine.argument("-smp").argument("4").boot()?;
        guest.wait_for(", 4 cores", PATIENCE)?;
        guest.wait_for("listening on", PATIENCE)?;
        gateway::client(&mut guest)?.get("/health")?.expect(200)?;
        let cores = guest.qmp()?.monitor("info cpus")?;
        ensure!(cores.lines().filter(|line| line.contains("CPU #")).count() == 4, "{cores}");
    }
    Ok(())
}

fn the_gateway_serves_in_8_mib(context: &Context) -> Result<()> {
    serves_in(context, 8)
}

fn the_gateway_serves_in_4_gib(context: &Context) -> Result<()> {
    serves_in(context, 4096)
}

fn serves_in(context: &Context, mebibytes: u32) -> Result<()> {
    let network = Network::User(vec![Forward::tcp(80)]);
    let machine = context.machine("qemu-virt", "gateway")?.network(network).memory(mebibytes);
    let mut guest = machine.boot()?;
    guest.wait_for("listening on", PATIENCE)?;
    let mut clients: Vec<_> =
        (0..32).map(|_| gateway::client(&mut guest)).collect::<Result<_>>()?;
    for client in &mut clients {
        client.get("/")?.expect(200)?;
    }
    let status = clients[0].get("/api/status")?.expect(200)?.json()?;
    let memory = u64::from(mebibytes) << 20;
    ensure!(status["machine"]["memory"] == memory, "{status}");
    Ok(())
}

/// The least that this emulator can place an image and a device tree in.
fn the_smallest_memory_boots(context: &Context) -> Result<()> {
    let ending = boot(context.machine("qemu-virt", "hello")?.memory(5))?;
    ending.expect_status(0)?;
    ensure!(ending.console.contains(": 5 MiB, "), "{ending}");
    Ok(())
}

fn boot(machine: Machine) -> Result<Ending> {
    machine.boot()?.ending(PATIENCE)
}

/// A disk's file with these contents.
fn disk(context: &Context, name: &str, contents: &[u8]) -> Result<PathBuf> {
    fs::create_dir_all(&context.scratch)?;
    let file: &Path = &context.scratch.join(format!("{name}.disk"));
    fs::write(file, contents).with_context(|| format!("writing {}", file.display()))?;
    Ok(file.to_owned())
}
