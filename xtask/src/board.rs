//! `board`: what machines there are, and a new one's file.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, anyhow, ensure};
use elone_harness::Board;

use crate::WrongArgument;
use crate::workspace::Workspace;

/// List the boards that there are, or begin a new one
///
/// A board is a file, boards/NAME.toml: how a machine is launched, and the few facts that an image
/// needs before it reads a device tree. docs/porting.md says what comes after it.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  cargo xtask board list
  cargo xtask board new zcu102
  cargo xtask build hello --board zcu102")]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Print every board with what it is, in a line
    List,
    /// Write boards/NAME.toml, valid as it is, with every field explained
    New {
        /// What the board is to be called: small letters, digits, dashes
        #[arg(value_name = "NAME")]
        name: String,
    },
}

pub(crate) fn main(arguments: &Arguments) -> Result<ExitCode> {
    let boards = Workspace::read()?.boards();
    match &arguments.command {
        Command::List => {
            for board in Board::all(&boards)? {
                println!("{:24} {}", board.name, board.summary);
            }
        }
        Command::New { name } => println!("{}", begin(&boards, name)?.display()),
    }
    Ok(ExitCode::SUCCESS)
}

/// What a new file says. `@NAME@` stands for the board's name.
const TEMPLATE: &str = include_str!("board/template.toml");

/// Writes the file of a new board, and nothing over anything.
fn begin(directory: &Path, name: &str) -> Result<PathBuf> {
    check(name).map_err(WrongArgument)?;
    let taken = Board::all(directory)?.into_iter().find(|board| board.name == name);
    if let Some(board) = taken {
        let message = anyhow!("there is a board {name} already: {}", board.summary);
        return Err(WrongArgument(message).into());
    }
    let path = directory.join(format!("{name}.toml"));
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(&path)
        .with_context(|| format!("making {}", path.display()))?;
    file.write_all(TEMPLATE.replace("@NAME@", name).as_bytes())?;
    Ok(path)
}

/// Whether a board can be called so: its name is a file's, and a part of images' names.
fn check(name: &str) -> Result<()> {
    let plain = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit();
    let good = name.starts_with(|first: char| first.is_ascii_lowercase())
        && name.ends_with(plain)
        && name.chars().all(|letter| plain(letter) || letter == '-')
        && name.len() <= 32;
    ensure!(
        good,
        "{name:?} is no board's name: it takes small letters, digits and dashes, up to 32"
    );
    // The package's own file lies among them.
    ensure!(name != "cargo", "a board cannot be called cargo");
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn directory(name: &str) -> PathBuf {
        let directory = std::env::temp_dir().join(format!("elone-{name}-{}", std::process::id()));
        fs::create_dir_all(&directory).unwrap();
        directory
    }

    #[test]
    fn a_new_board_is_well_formed_and_has_facts_of_its_own() {
        let directory = directory("new-board");
        let file = begin(&directory, "imx8").unwrap();
        assert_eq!(file, directory.join("imx8.toml"));
        let board = Board::find(&directory, "imx8").unwrap();
        assert!(board.early.is_some() && board.summary.contains("imx8"), "{board:?}");
        assert!(!fs::read_to_string(&file).unwrap().contains("@NAME@"));
        fs::remove_dir_all(&directory).unwrap();
    }

    #[test]
    fn every_field_that_a_board_has_is_explained() {
        for field in [
            "summary",
            "emulator",
            "machine",
            "cpu",
            "memory",
            "console",
            "load-address",
            "hand-over",
            "tree",
            "settings",
            "arguments",
            "network",
            "disk",
            "entropy",
            "host",
            "uart",
            "device-tree",
            "distributor",
            "cpu-interface",
            "counter-frequency",
            "variant",
        ] {
            let set = TEMPLATE.lines().any(|line| {
                let line = line.trim_start_matches("# ").trim_start_matches('[');
                line.starts_with(&format!("{field} = ")) || line.starts_with(&format!("{field}."))
            });
            assert!(set, "{field} is not in the template");
        }
    }

    #[test]
    fn what_exists_or_is_no_name_is_refused_and_nothing_written() {
        let directory = directory("no-board");
        begin(&directory, "imx8").unwrap();
        let before = fs::read(directory.join("imx8.toml")).unwrap();
        for name in ["imx8", "", "Imx8", "-x", "x-", "../x", "a b", "x.toml", "cargo", "8x"] {
            let error = begin(&directory, name).unwrap_err();
            assert!(error.is::<WrongArgument>(), "{name:?}: {error}");
        }
        assert_eq!(fs::read_dir(&directory).unwrap().count(), 1);
        assert_eq!(fs::read(directory.join("imx8.toml")).unwrap(), before);
        // A variant is a board as well.
        fs::write(directory.join("a.toml"), format!("{TEMPLATE}\n[variant.b]\nsummary = \"x\"\n"))
            .unwrap();
        assert!(begin(&directory, "a-b").unwrap_err().to_string().contains("a-b already"));
        fs::remove_dir_all(&directory).unwrap();
    }
}
