//! Interrupts by message where nobody turns them into interrupts: devices have their lines still. (How
//! they serve where somebody does, `pci` tests.)

use std::fs;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, ensure};
use dtoolkit::fdt::Fdt;
use dtoolkit::model::{DeviceTree, DeviceTreeNode, DeviceTreeProperty};

use crate::scenario::scenarios;
use crate::{Board, Context, Machine, Scenario};

pub(super) const SCENARIOS: &[Scenario] = scenarios!["messages":
    Quick without_an_its_lines_serve,
    Quick an_its_that_is_not_there_leaves_lines,
    Quick the_last_message_is_for_everything,
];

const PATIENCE: Duration = Duration::from_secs(30);

/// Its devices are on PCI, and there is an ITS for them.
const BOARD: &str = "qemu-virt-pci-gicv3";
/// The same with a GICv2m frame.
const BOARD_WITH_FRAME: &str = "qemu-virt-pci";

/// Where QEMU's `virt` machine has nobody.
const NOBODY: u64 = 0x0b00_0000;

fn without_an_its_lines_serve(context: &Context) -> Result<()> {
    let mut board = Board::find(&context.boards, BOARD)?;
    board.machine.push_str(",its=off");
    serves(context.machine_of(&board, "echo")?, &["by line, "])
}

fn an_its_that_is_not_there_leaves_lines(context: &Context) -> Result<()> {
    let machine = with_tree(context, BOARD, "/intc@8000000/its@8080000", |its| {
        let place = [NOBODY, 0x2_0000].map(u64::to_be_bytes).concat();
        its.add_property(DeviceTreeProperty::new("reg", place)?);
        Ok(())
    })?;
    serves(machine, &["their controller: nothing answers there", "by line, "])
}

/// A device that would have two is content with one.
fn the_last_message_is_for_everything(context: &Context) -> Result<()> {
    let machine = with_tree(context, BOARD_WITH_FRAME, "/intc@8000000/v2m@8020000", |frame| {
        frame.add_property(DeviceTreeProperty::new("arm,msi-base-spi", 80_u32)?);
        frame.add_property(DeviceTreeProperty::new("arm,msi-num-spis", 1_u32)?);
        Ok(())
    })?;
    serves(machine, &["network interface: by message, "])
}

/// A machine on this board whose device tree is its own, but for the node at `path`.
fn with_tree(
    context: &Context,
    board: &str,
    path: &str,
    change: impl FnOnce(&mut DeviceTreeNode) -> Result<()>,
) -> Result<Machine> {
    let file = context.scratch.join("changed.dtb");
    let board = Board::find(&context.boards, board)?;
    let dumped = Command::new(&board.emulator)
        .args(["-machine", &format!("{},dumpdtb={}", board.machine, file.display())])
        .args(["-cpu", &board.cpu, "-m", &board.memory.to_string(), "-nographic", "-nodefaults"])
        .output()
        .with_context(|| format!("`{}` does not start", board.emulator))?;
    ensure!(dumped.status.success(), "no tree: {}", String::from_utf8_lossy(&dumped.stderr));

    let tree = fs::read(&file)?;
    let tree = Fdt::new(&tree).map_err(|error| anyhow!("its own tree: {error}"))?;
    let mut tree = DeviceTree::from_fdt(&tree);
    change(tree.find_node_mut(path).with_context(|| format!("the tree has no {path}"))?)?;
    fs::write(&file, tree.to_dtb())?;
    let machine = context.machine_of(&board, "echo")?;
    Ok(machine.argument("-dtb").argument(&file.display().to_string()))
}

/// The kernel says all of `words`, one after the other, and the network serves: interrupts come.
fn serves(machine: Machine, words: &[&str]) -> Result<()> {
    let guest = machine.setting("log=debug").boot()?;
    for words in words {
        guest.wait_for(words, PATIENCE)?;
    }
    // An address is had by two frames in either direction.
    guest.wait_for("echoing on 10.0.2.15:7", PATIENCE)?;
    ensure!(!guest.console().contains("never came"), "{}", guest.console());
    Ok(())
}
