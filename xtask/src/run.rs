//! `run`: builds an application, boots it, and stays with it until it ends.

use std::fs;
use std::io::{self, IsTerminal, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use elone_harness::{Board, Debugger, Ending, Forward, Guest, HandOver, Machine, Network, Resets};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use crate::report::Live;
use crate::symbols::library::Library;
use crate::toolchain::{self, Toolchain};
use crate::workspace::Workspace;
use crate::{CANNOT_BEGIN, WrongArgument, build, debugger, emulator, loader, seed};

/// The application that is booted unless another is named, and the port that leads to it.
const DEFAULT: &str = "gateway";
const DEFAULT_FORWARD: &str = "8080:80";

/// A guest that has said nothing for this long is reported, and goes on.
const SILENCE: Duration = Duration::from_secs(60);
/// How long a page may take to answer once its server listens.
const PAGE: Duration = Duration::from_secs(30);
/// The port at which a debugger is waited for unless another is given.
const DEBUGGER: &str = "1234";

/// Build an application, boot it on a virtual machine and stay with it
///
/// The guest's console goes to standard output and what is typed goes to the guest. Once its page
/// answers, the page's address is printed. Ctrl-C ends the machine; the exit status is the guest's,
/// 1 if it ended without one.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  cargo xtask run                                  the gateway, http://127.0.0.1:8080/
  cargo xtask run -- ip=10.0.2.15/24,10.0.2.2      with a static address
  cargo xtask run hello --board qemu-virt-el2      entered at EL2
  cargo xtask run --contained                      the application at EL0
  cargo xtask run --forward 9000:80 --memory 16    another port, less memory
  cargo xtask run echo --forward 7007:7            then: nc 127.0.0.1 7007
  cargo xtask run --gdb                            stopped; prints the line that starts gdb

A board of another name lists those that there are.")]
pub(crate) struct Arguments {
    /// The application to boot
    #[arg(value_name = "APP", default_value = DEFAULT)]
    program: String,
    /// The machine to boot it on
    #[arg(long, value_name = "NAME", default_value = "qemu-virt")]
    board: String,
    /// The machine's memory (default: the board's)
    #[arg(long, value_name = "MIB", value_parser = clap::value_parser!(u32).range(1..))]
    memory: Option<u32>,
    /// The machine's processor model (default: the board's)
    #[arg(long, value_name = "NAME")]
    cpu: Option<String>,
    /// A port of 127.0.0.1 that leads to a port of the guest, udp:HOST:GUEST for datagrams; may be
    /// given again (default: 8080:80)
    #[arg(long, value_name = "HOST:GUEST")]
    forward: Vec<Forward>,
    /// A file that is the guest's disk
    #[arg(long, value_name = "FILE")]
    disk: Vec<PathBuf>,
    /// A file that is the kernel's black box, which keeps what is known of faults; made if there is
    /// none
    #[arg(long, value_name = "FILE")]
    black_box: Option<PathBuf>,
    /// Stop before the first instruction, until a debugger at this port of 127.0.0.1 says go on
    #[arg(long, value_name = "PORT", num_args = 0..=1, require_equals = true,
        default_missing_value = DEBUGGER, value_parser = clap::value_parser!(u16).range(1..))]
    gdb: Option<u16>,
    #[arg(long, help = "How much the compiler takes its time (default: release)")]
    profile: Option<build::Profile>,
    #[command(flatten)]
    mode: build::ModeOption,
    #[command(flatten)]
    seed: seed::Options,
    #[command(flatten)]
    toolchain: toolchain::Options,
    /// Settings for the guest
    #[arg(last = true, value_name = "key=value")]
    settings: Vec<String>,
}

pub(crate) fn main(arguments: &Arguments) -> Result<ExitCode> {
    let workspace = Workspace::read()?;
    let program = workspace.program(&arguments.program)?;
    let board = Board::find(&workspace.boards(), &arguments.board).map_err(WrongArgument)?;
    board.takes(&arguments.settings).map_err(WrongArgument)?;
    let Some(forwards) = forwards(arguments, &board)? else {
        return Ok(ExitCode::from(CANNOT_BEGIN));
    };
    can_be_used(arguments).map_err(WrongArgument)?;
    let toolchain = Toolchain::find(&arguments.toolchain, workspace.rust_version)?;
    let toolchain = build::for_board(&workspace, &toolchain, &board)?;
    emulator::ensure(arguments.toolchain.install.permission())?;
    let (mode, profile) = (arguments.mode.mode(), arguments.profile);
    let order = build::Order { mode, profile, seed: arguments.seed.seed()? };
    let directory = workspace.images(&toolchain);
    let images = order.images(&workspace, &toolchain, &[program], &directory)?;
    let image = images.first().context("nothing was built")?;

    let mut machine = Machine::new(&board, image).on(&workspace.hosts());
    if board.hand_over == HandOver::Uefi {
        machine = machine.loader(&loader::build(&workspace, &toolchain)?);
    }
    let mut machine = machine.network(Network::User(forwards.clone())).resets(Resets::Reboot);
    let disks = arguments.disk.iter().chain(&arguments.black_box);
    machine = disks.fold(machine, |machine, disk| machine.disk(disk));
    machine = arguments.settings.iter().fold(machine, |machine, setting| machine.setting(setting));
    if let Some(mebibytes) = arguments.memory {
        machine = machine.memory(mebibytes);
    }
    if let Some(model) = &arguments.cpu {
        machine = machine.cpu(model);
    }
    if let Some(port) = arguments.gdb {
        let address = format!("127.0.0.1:{port}");
        machine = machine.argument("-gdb").argument(&format!("tcp:{address}")).held();
        let debugger = Debugger::new(image, &workspace.root, &address)
            .with_context(|| format!("beside {}", image.display()))?;
        if let Err(missing) = debugger::ensure(arguments.toolchain.install.permission()) {
            eprintln!("note: {missing}");
        }
        // In one piece: the line's words are found one by one.
        let line = debugger.to_string();
        eprintln!("waiting for a debugger: {line}");
    }
    let signal = Arc::new(AtomicUsize::new(0));
    for number in [SIGINT, SIGTERM, SIGHUP] {
        let value = usize::try_from(number)?;
        signal_hook::flag::register_usize(number, Arc::clone(&signal), value)?;
    }
    let console = Live::new(io::stdout(), Library::new(&workspace.target(), &[])?);
    let mut guest = machine.boot_with_echo(Box::new(console))?;
    if let Some(input) = guest.take_input() {
        thread::spawn(move || pass_on_typing(input));
    }
    // Who waits for a debugger says nothing, and is not stuck.
    let silence = arguments.gdb.is_none().then_some(SILENCE);
    attend(guest, &forwards, silence, &signal)
}

/// Checks that what is named is there, and nobody else's.
fn can_be_used(arguments: &Arguments) -> Result<()> {
    for disk in &arguments.disk {
        is_a_disk(disk).with_context(|| format!("the disk {}", disk.display()))?;
    }
    if let Some(file) = &arguments.black_box {
        elone_harness::black_box(file)?;
    }
    if let Some(port) = arguments.gdb {
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).map(drop);
        let at = || format!("a debugger is awaited at 127.0.0.1:{port} (another port: --gdb=PORT)");
        free.with_context(at)?;
    }
    Ok(())
}

/// Checks that there is a file or a device of this name.
fn is_a_disk(disk: &Path) -> Result<()> {
    ensure!(!fs::metadata(disk)?.is_dir(), "it is a directory");
    Ok(())
}

/// The ports to forward, all of them free; `None` if one is in use, which is then said.
fn forwards(arguments: &Arguments, board: &Board) -> Result<Option<Vec<Forward>>> {
    let asked_for = !arguments.forward.is_empty();
    let forwards = match asked_for {
        true => arguments.forward.clone(),
        false if board.devices.network.is_none() => Vec::new(),
        false => vec![DEFAULT_FORWARD.parse().map_err(anyhow::Error::msg)?],
    };
    for forward in &forwards {
        let Err(error) = forward.check_free() else { continue };
        let (host, guest) = (forward.host, forward.guest);
        if !asked_for && arguments.program != DEFAULT {
            eprintln!("note: port {host} is in use, so nothing is forwarded ({error})");
            return Ok(Some(Vec::new()));
        }
        eprintln!("error: port {host} of 127.0.0.1 cannot be had: {error}");
        eprintln!("  another one: --forward {}:{guest}", host.checked_add(1).unwrap_or(8080));
        return Ok(None);
    }
    Ok(Some(forwards))
}

/// Stays with a guest: says when its page answers, or that it has said nothing for as long as
/// `silence`, and ends it when a signal asks for that.
fn attend(
    guest: Guest,
    forwards: &[Forward],
    mut silence: Option<Duration>,
    signal: &AtomicUsize,
) -> Result<ExitCode> {
    let begin = Instant::now();
    let mut listening = false;
    while !guest.has_ended(Duration::from_millis(50)) {
        let number = signal.load(Ordering::Relaxed);
        if number != 0 {
            eprintln!("\nending the machine");
            guest.stop()?;
            return Ok(ExitCode::from(u8::try_from(128 + number).unwrap_or(u8::MAX)));
        }
        if !listening && let Ok(line) = guest.wait_for("listening on", Duration::ZERO) {
            listening = true;
            if let Some(forward) = forwards.iter().find(|forward| serves(&line, forward.guest)) {
                let port = forward.host;
                thread::spawn(move || announce_page(port));
            }
        }
        if let Some(length) = silence.take_if(|length| begin.elapsed() >= *length)
            && !guest.says_anything(Duration::ZERO)
        {
            let seconds = length.as_secs();
            eprintln!("the guest is stuck: it has said nothing for {seconds} s (Ctrl-C ends it)");
        }
    }
    Ok(ExitCode::from(verdict(&guest.ending(Duration::from_secs(10))?)))
}

/// Whether a line such as `listening on 10.0.2.15:80` is about this port.
fn serves(line: &str, port: u16) -> bool {
    let address = line.split("listening on").nth(1).unwrap_or_default();
    let address = address.split_whitespace().next().unwrap_or_default();
    address.rsplit(':').next().is_some_and(|digits| digits.parse() == Ok(port))
}

/// Our exit status: the guest's own, or 1 with a reason. Faults that it has survived are said, and
/// change nothing about how it ended.
fn verdict(ending: &Ending) -> u8 {
    if ending.fault.is_some() {
        eprintln!("note: the guest has reported a fault");
    }
    if let Some(status) = ending.status {
        return status;
    }
    let complaint = ending.complaint.trim();
    if complaint.is_empty() {
        eprintln!("error: the machine ended without a status");
    } else {
        eprintln!("error: the machine ended without a status: {complaint}");
    }
    1
}

/// Prints the page's address as soon as it answers.
fn announce_page(port: u16) {
    let deadline = Instant::now() + PAGE;
    while Instant::now() < deadline {
        if answers(port).unwrap_or(false) {
            println!("page: http://127.0.0.1:{port}/");
            return;
        }
        thread::sleep(Duration::from_millis(50));
    }
    eprintln!("no page answers at http://127.0.0.1:{port}/");
}

/// Whether something that speaks HTTP answers at a port.
fn answers(port: u16) -> io::Result<bool> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(1))?;
    stream.set_read_timeout(Some(Duration::from_secs(2)))?;
    stream.write_all(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")?;
    let mut begin = [0; 5];
    stream.read_exact(&mut begin)?;
    // Read to the end, so that the first the guest sees of us is not a client that breaks off.
    io::copy(&mut stream, &mut io::sink())?;
    Ok(&begin == b"HTTP/")
}

/// Passes on what is typed, if there is a terminal and it is ours to read: a background job that
/// read from it would be stopped.
fn pass_on_typing(mut input: impl Write) {
    let mut stdin = io::stdin();
    let mut buffer = [0; 256];
    while stdin.is_terminal() && in_foreground() {
        let Ok(length) = stdin.read(&mut buffer) else { return };
        if length == 0 || input.write_all(&buffer[..length]).is_err() {
            return;
        }
    }
}

/// Whether our process group is the terminal's foreground one: fields 5 and 8 of `/proc/self/stat`
/// (proc(5)); where there is no such file, it is taken to be.
fn in_foreground() -> bool {
    let Ok(stat) = fs::read_to_string("/proc/self/stat") else { return true };
    // The second field is the program's name in parentheses, which may hold blanks.
    let fields: Vec<_> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    fields.get(2) == fields.get(5)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listening_line_names_its_port() {
        assert!(serves("[    0.0] INFO  gateway: listening on 10.0.2.15:80", 80));
        assert!(serves("listening on [fe80::1]:80 and more", 80));
        assert!(!serves("listening on 10.0.2.15:8080", 80));
        assert!(!serves("not a word", 80));
    }

    #[test]
    fn the_status_is_the_guests_whatever_it_has_survived() {
        let ended = |status, fault: Option<&str>| {
            let (console, complaint) = (String::new(), String::new());
            let fault = fault.map(str::to_owned);
            let shutdown = elone_harness::Shutdown::PoweredOff;
            verdict(&Ending { status, fault, shutdown, console, complaint })
        };
        assert_eq!(ended(Some(7), None), 7);
        assert_eq!(ended(Some(0), Some("FAULT class=panic")), 0);
        assert_eq!(ended(Some(101), Some("FAULT class=panic")), 101);
        assert_eq!(ended(None, None), 1);
    }

    #[test]
    fn a_disk_is_no_directory_and_must_be_there() {
        let here = std::env::current_exe().unwrap();
        assert!(is_a_disk(&here).is_ok());
        assert!(is_a_disk(here.parent().unwrap()).is_err());
        assert!(is_a_disk(&here.join("nothing")).is_err());
    }
}
