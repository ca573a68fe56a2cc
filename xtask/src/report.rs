//! `report`: what the faults in a console's text mean, by the symbols of what faulted.
//!
//! The same is done for a machine that runs, while it runs ([`Live`]).

mod lines;
mod live;
pub(crate) mod promises;
pub(crate) mod read;
pub(crate) mod show;

pub(crate) use live::Live;

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};

use crate::WrongArgument;
use crate::report::lines::Lines;
use crate::report::read::{Reader, Report, Step};
use crate::symbols::library::Library;
use crate::workspace::Workspace;

/// Say what the faults in a console's text mean: function, file and line of each address
///
/// Each report is printed with its backtrace in words, functions that were inlined marked. What
/// explains it is the ELF file with the build id that it names, of those that lie beside the images
/// which were built here. Exit status 1 if there is no report in the text.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  cargo xtask report console.txt
  ssh edge journalctl -o cat -u gateway | cargo xtask report
  curl -s http://127.0.0.1:8080/report | cargo xtask report -
  cargo xtask report console.txt --elf gateway-1.4.elf")]
pub(crate) struct Arguments {
    /// The console's text; - is standard input
    #[arg(value_name = "FILE", default_value = "-")]
    console: PathBuf,
    /// One more ELF file that may be what faulted; may be given again
    #[arg(long, value_name = "FILE")]
    elf: Vec<PathBuf>,
}

pub(crate) fn main(arguments: &Arguments) -> Result<ExitCode> {
    let mut library = Library::new(&Workspace::read()?.target(), &arguments.elf)?;
    let console: Box<dyn Read> = if arguments.console == Path::new("-") {
        Box::new(io::stdin())
    } else {
        let name = arguments.console.display();
        let file = File::open(&arguments.console).with_context(|| format!("the console {name}"));
        Box::new(file.map_err(WrongArgument)?)
    };
    let mut out = io::stdout();
    let found = reports(console, |report| {
        writeln!(out, "{}", show::report(report, &mut library))?;
        out.flush()
    });
    let found = match found {
        // Whoever reads has read enough, as `head` does.
        Err(error) if is_broken_pipe(&error) => return Ok(ExitCode::SUCCESS),
        found => found?,
    };
    if found == 0 {
        eprintln!("error: no fault is reported there: no line begins with FAULT class=");
        return Ok(ExitCode::FAILURE);
    }
    Ok(ExitCode::SUCCESS)
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let error = error.downcast_ref::<io::Error>();
    error.is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

/// Reads a console to its end, and acts on each report as soon as it is over. Returns how many
/// there were.
pub(crate) fn reports(
    mut console: impl Read,
    mut act: impl FnMut(&Report) -> io::Result<()>,
) -> Result<usize> {
    let (mut lines, mut reader) = (Lines::default(), Reader::default());
    let (mut buffer, mut count) = (vec![0; 64 << 10], 0);
    let mut take = |line: &str| match reader.take(line) {
        Step::Over(report) => act(&report).map(|()| count += 1),
        Step::Traced | Step::Nothing => Ok(()),
    };
    loop {
        let length = match console.read(&mut buffer) {
            Ok(length) => length,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error).context("reading the console"),
        };
        if length == 0 {
            break;
        }
        let mut rest = &buffer[..length];
        while !rest.is_empty() {
            let line;
            (rest, line) = lines.take(rest);
            line.map_or(Ok(()), |line| take(&line))?;
        }
    }
    lines.last().map_or(Ok(()), |line| take(&line))?;
    if let Some(report) = reader.end() {
        act(&report)?;
        count += 1;
    }
    Ok(count)
}
