//! Interrupts by message where nobody turns them into interrupts: devices have their lines still. (How
//! they serve where somebody does, `pci` tests.)

use std::fs;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use crate::scenario::scenarios;
use crate::{Board, Context, Machine, Scenario};

pub(super) const SCENARIOS: &[Scenario] = scenarios!["messages":
    Quick without_an_its_lines_serve,
    Quick an_its_that_is_not_there_leaves_lines,
];

const PATIENCE: Duration = Duration::from_secs(30);

/// Its devices are on PCI, and there is an ITS for them.
const BOARD: &str = "qemu-virt-pci-gicv3";

/// Where QEMU's `virt` machine has its ITS, and where it has nobody.
const ITS: u64 = 0x0808_0000;
const NOBODY: u64 = 0x0b00_0000;

fn without_an_its_lines_serve(context: &Context) -> Result<()> {
    let mut board = Board::find(&context.boards, BOARD)?;
    board.machine.push_str(",its=off");
    serves(context.machine_of(&board, "echo")?, &["by line, "])
}

/// The device tree is the machine's own, but for the place of its ITS.
fn an_its_that_is_not_there_leaves_lines(context: &Context) -> Result<()> {
    let file = context.scratch.join("its-elsewhere.dtb");
    let board = Board::find(&context.boards, BOARD)?;
    let dumped = Command::new(&board.emulator)
        .args(["-machine", &format!("{},dumpdtb={}", board.machine, file.display())])
        .args(["-cpu", &board.cpu, "-m", &board.memory.to_string(), "-nographic", "-nodefaults"])
        .output()
        .with_context(|| format!("`{}` does not start", board.emulator))?;
    ensure!(dumped.status.success(), "no tree: {}", String::from_utf8_lossy(&dumped.stderr));

    let mut tree = packed(&fs::read(&file)?)?;
    let places: Vec<usize> = (0..tree.len().saturating_sub(8))
        .filter(|&at| tree[at..at + 8] == ITS.to_be_bytes())
        .collect();
    ensure!(places.len() == 1, "{} places in the tree may be that of the ITS", places.len());
    tree[places[0]..places[0] + 8].copy_from_slice(&NOBODY.to_be_bytes());
    fs::write(&file, &tree)?;

    let machine = context.machine_of(&board, "echo")?;
    let machine = machine.argument("-dtb").argument(&file.display().to_string());
    serves(machine, &["their controller: nothing answers there", "by line, "])
}

/// A tree without the room that QEMU leaves in it: it is to have less than 2 MiB when QEMU has left more.
fn packed(tree: &[u8]) -> Result<Vec<u8>> {
    let word = |at: usize| {
        let bytes = tree.get(at..at + 4).context("a tree without a header")?;
        Ok::<u32, anyhow::Error>(u32::from_be_bytes(bytes.try_into()?))
    };
    // Where structure and strings begin, and how long they are (Devicetree Specification 0.4, section 5.2).
    let [structure, strings, strings_size, structure_size] =
        [word(8)?, word(12)?, word(32)?, word(36)?];
    let end = (structure + structure_size).max(strings + strings_size);
    let mut tree = tree.get(..usize::try_from(end)?).context("a tree cut short")?.to_vec();
    tree[4..8].copy_from_slice(&end.to_be_bytes());
    Ok(tree)
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
