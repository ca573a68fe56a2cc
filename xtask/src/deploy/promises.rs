//! System tests of the folder that an operator gets: it is what it says, each file is one of its
//! kind, and the machine that its script starts serves and ends as the unit of systemd expects.

use std::collections::BTreeSet;
use std::env;
use std::fs::{self, File, Permissions};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use elone_harness::{Board, Context, LeftOut, Mode, Modes, Pace, Scenario, spawn};
use object::{Object, ObjectSymbol};
use serde_json::Value;

use super::bill;
use super::folder::{Folder, sha256};
use super::machine::Wishes;
use super::validators::{LIBVIRT, SHELLCHECK, SYSTEMD, Validator};
use super::{Order, image_in};
use crate::program;
use crate::toolchain::Toolchain;
use crate::workspace::Workspace;

/// Every such test.
pub(crate) const SCENARIOS: &[Scenario] = &[
    scenario("deploy::a_seed_makes_the_same_folder", Modes::Both, a_seed_makes_the_same_folder),
    scenario("deploy::the_bill_lists_every_crate", Modes::Both, the_bill_lists_every_crate),
    scenario("deploy::the_script_is_in_order", JOINED, the_script_is_in_order),
    scenario("deploy::the_unit_is_in_order", JOINED, the_unit_is_in_order),
    scenario("deploy::the_domain_is_in_order", JOINED, the_domain_is_in_order),
    scenario("deploy::the_service_answers_until_it_is_stopped", Modes::Both, the_service_answers),
    scenario("deploy::the_status_decides_what_follows", Modes::Both, the_status_decides),
    scenario("deploy::the_monitor_has_its_say", JOINED, the_monitor_has_its_say),
    scenario("deploy::the_deaf_monitor_ends", JOINED, the_deaf_monitor_ends),
];

const fn scenario(name: &'static str, modes: Modes, run: fn(&Context) -> Result<()>) -> Scenario {
    Scenario { name, pace: Pace::Quick, modes, run }
}

/// What is the same in both modes.
const JOINED: Modes = Modes::Only(Mode::Joined);
/// What the script starts the machine with, here.
const EMULATOR: &str = "qemu-system-aarch64";
const PATIENCE: Duration = Duration::from_secs(60);
/// Everything it knows but one: that what is in single quotes stays as it is, which is the point.
const STRICT: &[&str] = &["--severity=style", "--exclude=SC2016"];
/// What every language of the ready files gives a meaning of its own.
const TRICKY: &str = "app.text=it's\"a\\$HOME`%n`${x}{{y}}&<b>#;|*~";

/// Writes the folder of a program.
fn folder(context: &Context, program: &str, name: &str, settings: &[&str]) -> Result<PathBuf> {
    let workspace = Workspace::read()?;
    let toolchain = Toolchain::find(&Default::default(), workspace.rust_version)?;
    let order = Order {
        workspace: &workspace,
        program: workspace.program(program)?,
        board: &Board::find(&context.boards, "qemu-virt")?,
        mode: context.mode(),
        wishes: &Wishes::with(settings),
    };
    order.check()?;
    let folder = Folder::begin(&context.scratch.join(name))?;
    order.write(&folder, &toolchain, "0x5eed".parse().map_err(anyhow::Error::msg)?)?;
    folder.finish()
}

/// Nothing of when and where it was written is in it, and what it says of itself is so.
fn a_seed_makes_the_same_folder(context: &Context) -> Result<()> {
    let one = folder(context, "hello", "one", &[TRICKY])?;
    let other = folder(context, "hello", "other/place", &[TRICKY])?;
    let sums = fs::read_to_string(one.join("SHA256SUMS"))?;
    let mut count = 0;
    for line in sums.lines() {
        let (sum, name) = line.split_once("  ").context("a line without a name")?;
        let bytes = fs::read(one.join(name))?;
        ensure!(sha256(&bytes) == sum, "{name} is not what its checksum says");
        ensure!(fs::read(other.join(name))? == bytes, "{name} differs");
        count += 1;
    }
    ensure!(fs::read_to_string(other.join("SHA256SUMS"))? == sums, "there are other files");
    ensure!(count >= 11, "only {count} files");

    let manifest: Value = serde_json::from_slice(&fs::read(one.join("manifest.json"))?)?;
    let image = fs::read(image_in(&one)?)?;
    ensure!(manifest["image"]["sha256"] == *sha256(&image), "{manifest:#}");
    ensure!(manifest["image"]["size"] == image.len(), "{manifest:#}");
    ensure!(manifest["layout_seed"] == "0x0000000000005eed", "{manifest:#}");
    ensure!(manifest["machine"]["settings"] == TRICKY, "{manifest:#}");
    Ok(())
}

/// The symbols in the linked programs say of which crates there is code.
fn the_bill_lists_every_crate(context: &Context) -> Result<()> {
    let workspace = Workspace::read()?;
    let toolchain = Toolchain::find(&Default::default(), workspace.rust_version)?;
    let mode = context.mode();
    let bill = bill::of(&workspace, workspace.program("gateway")?, mode, &toolchain)?;
    let listed: BTreeSet<String> =
        bill.crates.keys().map(|name| name.name.replace('-', "_")).collect();
    let image = context.image("gateway")?;
    let kinds: &[&str] = match mode {
        Mode::Joined => &["elf"],
        Mode::Contained => &["elf", "app.elf"],
    };
    let mut found = BTreeSet::new();
    for kind in kinds {
        found.extend(crates_in(&fs::read(image.with_extension(kind))?)?);
    }
    let missing: Vec<_> = found.difference(&listed).collect();
    ensure!(missing.is_empty(), "in the image and not on the bill: {missing:?}");
    // That the search finds what is there.
    for name in ["core", "elone_hal", "elone_kernel", "gateway", "smoltcp"] {
        ensure!(found.contains(name), "{name} is not among {found:?}");
    }
    // What runs while it is built is not in it.
    for name in ["syn", "quote", "elone_macros"] {
        ensure!(!listed.contains(name), "{name} is on the bill");
    }
    Ok(())
}

/// The crates that the names of a program's functions begin with.
fn crates_in(elf: &[u8]) -> Result<BTreeSet<String>> {
    let file = object::File::parse(elf)?;
    let mut found = BTreeSet::new();
    for name in file.symbols().filter_map(|symbol| symbol.name().ok()) {
        let Ok(name) = rustc_demangle::try_demangle(name) else { continue };
        let word = |letter: char| letter.is_ascii_alphanumeric() || "_:".contains(letter);
        for path in format!("{name:#}").split(|letter| !word(letter)) {
            if let Some((first, _)) = path.split_once("::")
                && first.starts_with(|letter: char| letter.is_ascii_lowercase())
            {
                found.insert(first.to_owned());
            }
        }
    }
    Ok(found)
}

/// Has a validator look at a file.
fn validate(validator: &Validator, arguments: &[&str], file: &Path, after: &[&str]) -> Result<()> {
    let Some(found) = validator.find() else {
        bail!(LeftOut(format!("{} is not installed", validator.program)));
    };
    let output = Command::new(found).args(arguments).arg(file).args(after).output()?;
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    ensure!(output.status.success(), "{}: {said}", validator.program);
    Ok(())
}

/// A file of which a piece is something else: what a validator has to find.
fn spoilt(file: &Path, right: &str, wrong: &str) -> Result<PathBuf> {
    let text = fs::read_to_string(file)?;
    ensure!(text.contains(right), "{right:?} is not in {}", file.display());
    let name = file.file_name().and_then(|name| name.to_str()).context("a file without a name")?;
    let spoilt = file.with_file_name(format!("spoilt-{name}"));
    fs::write(&spoilt, text.replacen(right, wrong, 1))?;
    Ok(spoilt)
}

fn the_script_is_in_order(context: &Context) -> Result<()> {
    let run = folder(context, "hello", "folder", &[TRICKY])?.join("run");
    validate(&SHELLCHECK, STRICT, &run, &[])?;
    let wrong = spoilt(&run, "\"$here/hello.img\"", "$here/hello.img")?;
    ensure!(validate(&SHELLCHECK, STRICT, &wrong, &[]).is_err(), "it sees nothing");
    Ok(())
}

fn the_unit_is_in_order(context: &Context) -> Result<()> {
    let folder = folder(context, "hello", "folder", &[TRICKY])?;
    // The program has to be where the unit says that it is.
    let here = folder.to_str().context("the folder has no plain name")?;
    let unit = folder.join("hello.service");
    fs::write(&unit, fs::read_to_string(&unit)?.replace("/opt/elone/hello", here))?;
    validate(&SYSTEMD, &["verify", "--man=no"], &unit, &[])?;
    let wrong = spoilt(&unit, "Restart=on-failure", "Restart=on-fialure")?;
    let output = Command::new(SYSTEMD.program).args(["verify", "--man=no"]).arg(wrong).output()?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(said.contains("on-fialure"), "it sees nothing: {said}");
    // The exposure, in tenths: systemd calls it OK below 50.
    validate(&SYSTEMD, &["security", "--offline=yes", "--threshold=20"], &unit, &[])
}

fn the_domain_is_in_order(context: &Context) -> Result<()> {
    let domain = folder(context, "hello", "folder", &[TRICKY])?.join("libvirt.xml");
    validate(&LIBVIRT, &[], &domain, &["domain"])?;
    let wrong = spoilt(&domain, "<vcpu>1</vcpu>", "<vcpu>one</vcpu>")?;
    ensure!(validate(&LIBVIRT, &[], &wrong, &["domain"]).is_err(), "it sees nothing");
    Ok(())
}

/// The script of a folder at work, emulated, with a port of this machine that leads to its 80.
struct Service {
    child: Child,
    console: PathBuf,
}

impl Service {
    fn start(folder: &Path, scratch: &Path, network: &str) -> Result<Self> {
        Self::start_by(folder, scratch, network, |command| command)
    }

    /// With this script where the emulator would be found; `$EMULATOR` is the emulator.
    fn start_with(folder: &Path, scratch: &Path, monitor: &str) -> Result<Self> {
        let emulator = program::find(EMULATOR).context("there is no emulator")?;
        let place = scratch.join("monitor");
        fs::create_dir_all(&place)?;
        let script = place.join(EMULATOR);
        fs::write(&script, format!("#!/bin/sh\n{monitor}\n"))?;
        fs::set_permissions(&script, Permissions::from_mode(0o755))?;
        let path = env::var_os("PATH").unwrap_or_default();
        let path = env::join_paths([place].into_iter().chain(env::split_paths(&path)))?;
        Self::start_by(folder, scratch, "user", |command| {
            command.env("PATH", path).env("EMULATOR", emulator)
        })
    }

    fn start_by(
        folder: &Path,
        scratch: &Path,
        network: &str,
        change: impl FnOnce(&mut Command) -> &mut Command,
    ) -> Result<Self> {
        let console = scratch.join("console.txt");
        let (state, work) = (scratch.join("state"), scratch.join("work"));
        fs::create_dir_all(&state)?;
        fs::create_dir_all(&work)?;
        let out = File::create(&console)?;
        let mut command = Command::new(folder.join("run"));
        command.env("ACCEL", "tcg").env("NETWORK", network);
        command.env("STATE_DIRECTORY", state).env("RUNTIME_DIRECTORY", work);
        command.stdout(out.try_clone()?).stderr(out);
        let child = spawn(change(&mut command)).context("starting the script")?;
        Ok(Self { child, console })
    }

    fn says(&self) -> String {
        fs::read_to_string(&self.console).unwrap_or_default()
    }

    fn wait_for(&mut self, text: &str) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        while !self.says().contains(text) {
            let ended = self.child.try_wait()?;
            ensure!(ended.is_none(), "it ended before {text:?}: {}", self.says());
            ensure!(Instant::now() < deadline, "it never says {text:?}: {}", self.says());
            thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    /// What systemd does to stop it.
    fn terminate(&self) -> Result<()> {
        let pid = self.child.id().to_string();
        program::output(Command::new("kill").args(["-TERM", &pid])).map(drop)
    }

    fn end(&mut self) -> Result<ExitStatus> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            ensure!(Instant::now() < deadline, "it does not end: {}", self.says());
            thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Service {
    /// A script that is killed leaves its machine to itself; one that is asked twice does not.
    fn drop(&mut self) {
        for _ in 0..2 {
            if matches!(self.child.try_wait(), Ok(None)) {
                let _ = self.terminate();
                thread::sleep(Duration::from_millis(200));
            }
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn the_service_answers(context: &Context) -> Result<()> {
    let folder = folder(context, "gateway", "folder", &[TRICKY])?;
    let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
    let network = format!("user,hostfwd=tcp:127.0.0.1:{free}-:80");
    let mut service = Service::start(&folder, &context.scratch, &network)?;
    service.wait_for("listening on")?;
    let mut client = TcpStream::connect((Ipv4Addr::LOCALHOST, free))?;
    client.set_read_timeout(Some(PATIENCE))?;
    client.write_all(b"GET / HTTP/1.1\r\nHost: elone\r\nConnection: close\r\n\r\n")?;
    let mut page = String::new();
    client.read_to_string(&mut page)?;
    ensure!(page.starts_with("HTTP/1.1 200 ") && page.contains("</html>"), "{page}");
    // Its own settings are the last things it could complain of.
    ensure!(!service.says().contains("WARN"), "{}", service.says());

    service.terminate()?;
    let status = service.end()?;
    ensure!(status.code() == Some(0), "it was stopped, and {status}: {}", service.says());
    ensure!(service.says().ends_with("exit status 0\n"), "{}", service.says());
    let kept = fs::read(context.scratch.join("state/black-box"))?;
    ensure!(kept.len() == 65_536 && kept.starts_with(b"ELONE BLACK BOX 1\n"), "no black box");
    let left = context.scratch.join("work");
    ensure!(!left.exists(), "it leaves its work behind");
    Ok(())
}

/// Whether systemd starts a service again that ends by itself with this status (systemd.service(5)).
fn restarts(unit: &str, status: i32) -> Result<bool> {
    let value = |name: &str| {
        let mut lines = unit.lines().filter_map(|line| line.strip_prefix(name));
        lines.next().with_context(|| format!("the unit has no {name}"))
    };
    ensure!(value("Restart=")? == "on-failure", "it restarts otherwise");
    let never = value("RestartPreventExitStatus=")?;
    let never = never.split_whitespace().any(|number| number.parse() == Ok(status));
    Ok(status != 0 && !never)
}

fn the_status_decides(context: &Context) -> Result<()> {
    let cases = [
        ("exit_status_arrives", "app.status=0", 0, false),
        ("exit_status_arrives", "app.status=42", 42, true),
        // What shells and scripts like to end with is the application's too.
        ("exit_status_arrives", "app.status=2", 2, true),
        ("null_is_unmapped", "on-fault=off", 101, true),
    ];
    for (index, (program, setting, expected, again)) in cases.into_iter().enumerate() {
        let folder = folder(context, program, &format!("folder-{index}"), &[setting])?;
        let mut service = Service::start(&folder, &context.scratch, "user")?;
        let status = service.end()?;
        ensure!(status.code() == Some(expected), "{program}: {status}: {}", service.says());
        let unit = fs::read_to_string(folder.join(format!("{program}.service")))?;
        ensure!(restarts(&unit, expected)? == again, "{program} {setting}");
    }
    // A machine that cannot even be made: no status, and so a failure like others.
    let folder = folder(context, "exit_status_arrives", "broken", &[])?;
    fs::remove_file(image_in(&folder)?)?;
    let mut service = Service::start(&folder, &context.scratch, "user")?;
    let status = service.end()?;
    ensure!(status.code() == Some(1), "{status}: {}", service.says());
    ensure!(service.says().contains("the machine ended without a status"), "{}", service.says());
    let unit = fs::read_to_string(folder.join("exit_status_arrives.service"))?;
    ensure!(restarts(&unit, 1)? && !restarts(&unit, 100)?, "{unit}");
    // Nothing that could be run.
    let output = Command::new(folder.join("run")).arg("abacus").output()?;
    ensure!(output.status.code() == Some(78), "{output:?}");
    ensure!(!restarts(&unit, 78)?, "{unit}");
    Ok(())
}

/// The console alone does not decide: what it says counts only if the monitor ended well.
fn the_monitor_has_its_say(context: &Context) -> Result<()> {
    let folder = folder(context, "exit_status_arrives", "folder", &["app.status=0"])?;
    let cases = [
        // What the kernel does when memory runs out, at a very bad moment.
        ("\"$EMULATOR\" \"$@\"; kill -KILL $$", 1, "the monitor ended with 137"),
        ("echo exit status 0; exit 3", 1, "the monitor ended with 3"),
        // Last words of its own, and what is not quite a status.
        (r"printf 'exit status 7\r\nended\n'", 7, "ended"),
        ("echo exit status 256; echo an exit status 0", 1, "without a status"),
        ("echo exit status 0; echo exit status 9", 9, "exit status 9"),
    ];
    for (monitor, expected, mention) in cases {
        let mut service = Service::start_with(&folder, &context.scratch, monitor)?;
        let status = service.end()?;
        ensure!(status.code() == Some(expected), "{monitor}: {status}: {}", service.says());
        ensure!(service.says().contains(mention), "{monitor}: {}", service.says());
    }
    Ok(())
}

/// A monitor that never listens is not waited for: a second request ends it.
fn the_deaf_monitor_ends(context: &Context) -> Result<()> {
    let folder = folder(context, "exit_status_arrives", "folder", &[])?;
    let monitor = "echo deaf; exec sleep 600";
    let mut service = Service::start_with(&folder, &context.scratch, monitor)?;
    service.wait_for("deaf")?;
    service.terminate()?;
    // Two signals at once would be one: the script has to have heard the first.
    thread::sleep(Duration::from_millis(500));
    ensure!(service.child.try_wait()?.is_none(), "it was to be asked first");
    service.terminate()?;
    let status = service.end()?;
    ensure!(status.code() == Some(1), "{status}: {}", service.says());
    ensure!(service.says().contains("the monitor ended with 143"), "{}", service.says());
    Ok(())
}
