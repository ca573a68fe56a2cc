//! `cargo xtask`, the one command: builds, boots, tests and measures Elone.
//!
//! Each subcommand is a module; what several of them need stands beside it: the [`workspace`], the
//! [`toolchain`] that builds images, the [`emulator`] that boots them, and [`install`], which gets
//! what is missing. Nothing asks a question; where something cannot be had, the commands that would
//! get it are printed.

mod attack;
mod bench;
mod board;
mod build;
mod check;
mod cross;
mod debugger;
mod deploy;
mod diversity;
mod emulator;
mod flatten;
mod images;
mod install;
mod layering;
mod layout;
mod link;
mod loader;
#[cfg(test)]
mod made_up;
mod matrix;
mod miri;
mod names;
mod packages;
mod program;
mod program_file;
mod promises;
mod report;
mod run;
mod rustup;
mod scan;
mod scratch;
mod seed;
mod size;
mod symbols;
mod systems;
mod tally;
mod target;
mod test;
mod toolchain;
mod workspace;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

use crate::install::Missing;

/// Something is missing or asked for wrongly: nothing was built, booted or tested.
const CANNOT_BEGIN: u8 = 2;

/// Builds, boots, tests and measures Elone, a unikernel for ARM.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", after_help = EXAMPLES)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "\
Examples:
  cargo xtask run                          boot the gateway: http://127.0.0.1:8080/
  cargo xtask run hello                    boot the smallest application
  cargo xtask test                         run every test
  cargo xtask check                        what a change has to pass before it is sent
  cargo xtask attack                       try every promise, and that it is needed
  cargo xtask matrix                       one image on every machine there is here
  cargo xtask bench                        what it takes and gives, measured
  cargo xtask report console.txt           what the faults in a console mean
  cargo xtask board new NAME               begin a port to another board
  cargo xtask image gateway --out DIR      what it takes to run it as a service

What is missing (the toolchain's sources, QEMU) is installed when it is first needed, as root or
through sudo; --no-install leaves that out and prints the commands instead.

Exit status:
  0    all is well             1    something failed
  2    it could not begin: a wrong argument, or something is missing that cannot be installed
  130  ended by Ctrl-C         else the guest's own status (run)

Environment:
  ELONE_TOOLCHAIN=rustup|distribution      as --toolchain does";

#[derive(Debug, Subcommand)]
enum Command {
    Build(build::Arguments),
    Board(board::Arguments),
    Run(run::Arguments),
    Test(test::Arguments),
    Check(check::Arguments),
    Size(size::Arguments),
    Layout(layout::Arguments),
    Scan(scan::Arguments),
    Attack(attack::Arguments),
    Matrix(matrix::Arguments),
    Bench(bench::Arguments),
    Report(report::Arguments),
    Image(deploy::Arguments),
    Loader(loader::Arguments),
}

/// An argument names something that is not there; the message says what there is.
#[derive(Debug)]
pub(crate) struct WrongArgument(pub(crate) anyhow::Error);

impl std::fmt::Display for WrongArgument {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:#}", self.0)
    }
}

impl std::error::Error for WrongArgument {}

fn main() -> ExitCode {
    match dispatch(Arguments::parse()) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            match error.is::<Missing>() || error.is::<WrongArgument>() {
                true => ExitCode::from(CANNOT_BEGIN),
                false => ExitCode::FAILURE,
            }
        }
    }
}

fn dispatch(arguments: Arguments) -> Result<ExitCode> {
    match arguments.command {
        Command::Build(arguments) => build::main(&arguments),
        Command::Board(arguments) => board::main(&arguments),
        Command::Run(arguments) => run::main(&arguments),
        Command::Test(arguments) => test::main(&arguments),
        Command::Check(arguments) => check::main(&arguments),
        Command::Size(arguments) => size::main(&arguments),
        Command::Layout(arguments) => layout::main(&arguments),
        Command::Scan(arguments) => scan::main(&arguments),
        Command::Attack(arguments) => attack::main(&arguments),
        Command::Matrix(arguments) => matrix::main(&arguments),
        Command::Bench(arguments) => bench::main(&arguments),
        Command::Report(arguments) => report::main(&arguments),
        Command::Image(arguments) => deploy::main(&arguments),
        Command::Loader(arguments) => loader::main(&arguments),
    }
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, Parser};

    #[test]
    fn the_command_line_is_well_formed() {
        super::Arguments::command().debug_assert();
    }

    /// The emulator would take no memory for its default.
    #[test]
    fn a_machine_without_memory_is_refused() {
        let parse = |memory| {
            super::Arguments::try_parse_from(["cargo xtask", "run", "--memory", memory]).is_ok()
        };
        assert_eq!(["0", "-1", "x", "16"].map(parse), [false, false, false, true]);
    }
}
