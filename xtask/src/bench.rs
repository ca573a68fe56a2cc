//! `bench`: what Elone takes and gives, in one table, beside what it is meant to.
//!
//! Two kinds of figures. Counts come from the emulator (see [`plugin`]) and are the same on every
//! machine, however busy. Times depend on the machine and its mood: what they are compared with is
//! measured in the same run, turn by turn. Nothing here fails because something was slow.

mod beside;
mod calls;
mod counts;
mod debian;
mod elf;
mod figure;
mod floor;
mod grid;
mod http;
mod initramfs;
mod linux;
mod load;
mod memory;
mod passes;
mod plugin;
mod process;
mod protections;
mod report;
mod restarts;
mod startup;
mod subject;
mod throughput;
mod variant;
mod weight;

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::thread;

use anyhow::{Context as _, Result};
use clap::ValueEnum;
use elone_harness::{Board, Mode};

use self::beside::Beside;
use self::plugin::Plugin;
use self::report::{Figure, Report, Samples, Section, Target, Unit};
use self::subject::Subject;
use crate::build::Profile;
use crate::toolchain::{self, Toolchain};
use crate::workspace::Workspace;
use crate::{build, emulator, program};

/// The board that everything is measured on.
const BOARD: &str = "qemu-virt";
/// Without a server to ask for an address, so that no time of ours is spent waiting for another.
const STATIC_ADDRESS: &str = "ip=10.0.2.15/24,10.0.2.2";
/// A machine that is busier than this is not one to take times on.
const BUSY: f64 = 0.5;

/// Measure what Elone takes and gives
///
/// Boots the applications on QEMU's virt machine with one Cortex-A72, on 127.0.0.1 only, and prints
/// a table: sizes, guest instructions and device accesses (counted exactly), the time to the first
/// answer, the least memory that serves, HTTP throughput and latency, wake-ups while idle, gate calls,
/// restarts, and what each protection costs. Everything is measured joined and contained, in turns.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  cargo xtask bench                          everything, in about five minutes
  cargo xtask bench --contained              in contained mode alone
  cargo xtask bench --quick                  fewer and shorter runs
  cargo xtask bench --against linux          beside Debian's Linux with nginx
  cargo xtask bench --only instructions      counts until the first line: exact, in seconds
  cargo xtask bench --json > figures.json

Times want a machine that does nothing else. Counts do not mind.")]
pub(crate) struct Arguments {
    /// Print the figures as data
    #[arg(long)]
    json: bool,
    /// Measure this beside it, in the same run
    #[arg(long, value_name = "SYSTEM")]
    against: Option<Rival>,
    /// Leave out joined mode
    #[arg(long)]
    contained: bool,
    /// Measure only these
    #[arg(long, value_name = "NAME", num_args = 1..)]
    only: Vec<Topic>,
    /// Fewer and shorter runs: for a first look
    #[arg(long)]
    quick: bool,
    #[command(flatten)]
    toolchain: toolchain::Options,
}

/// What to compare with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Rival {
    /// Debian's arm64 kernel and nginx; their packages are fetched by apt and only unpacked
    Linux,
}

/// A part of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Topic {
    /// Bytes of each image
    Size,
    /// Guest instructions and device accesses until the first line
    Instructions,
    /// Time from the emulator's start to the first answer
    Startup,
    /// The smallest memory that serves
    Memory,
    /// Wake-ups while nobody asks for anything
    Idle,
    /// Guest instructions and device accesses for each request
    Requests,
    /// Requests a second on connections that are kept
    KeepAlive,
    /// Requests a second with a connection each
    Connections,
    /// Guest instructions of gate calls
    Calls,
    /// Time from a contained application's fault to its next life
    Restarts,
    /// What each protection costs: it is left out, and the rest is not
    Protections,
}

/// How often and how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Effort {
    Full,
    Quick,
}

/// What every measurement has at hand.
#[derive(Debug)]
struct Bench {
    workspace: Workspace,
    toolchain: Toolchain,
    board: Board,
    joined: Option<Guests>,
    contained: Option<Guests>,
    linux: Option<Subject>,
    floor: Subject,
    plugin: Plugin,
    effort: Effort,
}

/// The applications, in one mode.
#[derive(Debug)]
struct Guests {
    hello: Subject,
    echo: Subject,
    gateway: Subject,
    gateway_by_dhcp: Subject,
    calls: Subject,
    restarts: Subject,
}

pub(crate) fn main(arguments: &Arguments) -> Result<ExitCode> {
    let bench = Bench::prepare(arguments)?;
    let topics = match &arguments.only[..] {
        [] => Topic::value_variants(),
        some => some,
    };
    let mut report = Report { machine: machine()?, ..Report::default() };
    let busy = load_average();
    if busy.is_some_and(|load| load > BUSY) {
        eprintln!("bench: the machine is busy, so times will be off; counts will not");
        let load = busy.unwrap_or_default();
        report.notes.push(format!(
            "the machine was busy (load average {load:.1}): times are off, their ratios less so"
        ));
    }
    for topic in Topic::value_variants().iter().filter(|topic| topics.contains(topic)) {
        if *topic == Topic::Protections {
            report.grids = protections::measure(&bench, &mut report.notes)?;
        }
        let Some(section) = bench.measure(*topic, &mut report.notes)? else { continue };
        // Sections of one title are one.
        match report.sections.last_mut() {
            Some(last) if last.title == section.title => last.figures.extend(section.figures),
            _ => report.sections.push(section),
        }
    }
    if arguments.json {
        println!("{:#}", report.data());
    } else {
        print!("{}", report.table());
    }
    Ok(ExitCode::SUCCESS)
}

impl Bench {
    fn prepare(arguments: &Arguments) -> Result<Self> {
        let workspace = Workspace::read()?;
        let directory = workspace.root.join("target/bench");
        let permission = arguments.toolchain.install.permission();
        let toolchain = Toolchain::find(&arguments.toolchain, workspace.rust_version)?;
        let emulator = emulator::ensure(permission)?;
        let plugin = Plugin::build(&directory, major_version(&version_of(&emulator)?), permission)?;
        let board = Board::find(&workspace.boards(), BOARD)?;
        let linux = match arguments.against {
            Some(Rival::Linux) => Some(linux::subject(&directory.join("debian"), &board)?),
            None => None,
        };
        let build = |mode| Guests::build(&workspace, &toolchain, &board, mode, &directory);
        Ok(Self {
            joined: (!arguments.contained).then(|| build(Mode::Joined)).transpose()?,
            contained: Some(build(Mode::Contained)?),
            linux,
            floor: Subject::application("floor", &board, &floor::image(&directory)?, ""),
            workspace,
            toolchain,
            board,
            plugin,
            effort: if arguments.quick { Effort::Quick } else { Effort::Full },
        })
    }

    /// Measures a part; `None` if nothing of it was asked for.
    fn measure(&self, topic: Topic, notes: &mut Vec<String>) -> Result<Option<Section>> {
        match topic {
            Topic::Size => self.sizes(),
            Topic::Instructions => counts::until_the_line(self),
            Topic::Startup => startup::measure(self),
            Topic::Memory => memory::measure(self),
            Topic::Idle => counts::while_idle(self),
            Topic::Requests => counts::per_request(self),
            Topic::KeepAlive => throughput::keep_alive(self, notes),
            Topic::Connections => throughput::connections(self, notes),
            Topic::Calls => calls::measure(self),
            Topic::Restarts => return restarts::measure(self),
            // Beside its grids, which have more than one figure a row.
            Topic::Protections => passes::measure(self),
        }
        .map(Some)
    }

    fn sizes(&self) -> Result<Section> {
        let figure = |name, label, subjects: Beside<&Subject>| -> Result<Figure> {
            let size = subjects.try_map(|subject| {
                let mut bytes = 0;
                for file in &subject.files {
                    bytes += fs::metadata(file)?.len();
                }
                Ok(Samples::one(bytes as f64))
            })?;
            Ok(Figure::new(name, label, Unit::Bytes, size))
        };
        Ok(Section {
            title: "Image",
            figures: vec![
                figure("image.hello", "hello", self.each(|guests| &guests.hello))?
                    .target(Target::AtMost(131_072.0)),
                figure("image.echo", "echo", self.each(|guests| &guests.echo))?,
                figure("image.gateway", "gateway", self.servers())?
                    .target(Target::AtMost(409_600.0)),
            ],
        })
    }

    /// One application in each mode.
    fn each<'a>(&'a self, pick: impl Fn(&'a Guests) -> &'a Subject) -> Beside<&'a Subject> {
        let Self { joined, contained, .. } = self;
        Beside {
            joined: joined.as_ref().map(&pick),
            contained: contained.as_ref().map(pick),
            linux: None,
        }
    }

    /// Each mode that is measured.
    fn modes(&self) -> Beside<Mode> {
        Beside {
            joined: self.joined.as_ref().map(|_| Mode::Joined),
            contained: self.contained.as_ref().map(|_| Mode::Contained),
            linux: None,
        }
    }

    /// The gateway in each mode, and what else serves: whatever is done to one is done to the others.
    fn servers(&self) -> Beside<&Subject> {
        Beside { linux: self.linux.as_ref(), ..self.each(|guests| &guests.gateway) }
    }

    const fn choose<T: Copy>(&self, full: T, quick: T) -> T {
        match self.effort {
            Effort::Full => full,
            Effort::Quick => quick,
        }
    }
}

impl Guests {
    fn build(
        workspace: &Workspace,
        toolchain: &Toolchain,
        board: &Board,
        mode: Mode,
        directory: &Path,
    ) -> Result<Self> {
        let names = ["hello", "echo", "gateway", "calls_are_cheap", "restarts_are_quick"];
        let programs: Vec<_> =
            names.iter().map(|name| workspace.program(name)).collect::<Result<_>>()?;
        // All of them as applications are built: a test's profile would make calls dearer.
        let profile = Some(Profile::Release);
        let images = build::images(workspace, toolchain, mode, &programs, profile)?;
        let images = keep(&images, directory)?;
        let [hello, echo, gateway, calls, restarts]: &[PathBuf; 5] =
            images[..].try_into().context("not every image was built")?;
        let subject = |name: &str, image, marker| {
            let name = match mode {
                Mode::Joined => name.to_owned(),
                Mode::Contained => format!("{name}, contained"),
            };
            Subject::application(&name, board, image, marker)
        };
        let listening = "listening on";
        let any_address = subject("gateway", gateway, listening);
        Ok(Self {
            hello: subject("hello", hello, "Hello"),
            echo: subject("echo", echo, listening),
            gateway: any_address.setting(STATIC_ADDRESS),
            gateway_by_dhcp: any_address.setting("ip=dhcp"),
            calls: subject("calls_are_cheap", calls, "exit status"),
            restarts: subject("restarts_are_quick", restarts, "exit status"),
        })
    }
}

/// Copies of the images, so that a build meanwhile does not change what is measured.
fn keep(images: &[PathBuf], directory: &Path) -> Result<Vec<PathBuf>> {
    let keep = |image: &PathBuf| {
        let copy = directory.join(image.file_name().unwrap_or_default());
        fs::copy(image, &copy).with_context(|| format!("copying {}", image.display()))?;
        Ok(copy)
    };
    images.iter().map(keep).collect()
}

/// What this machine is, without its name.
fn machine() -> Result<Vec<(&'static str, String)>> {
    let cores = thread::available_parallelism()?;
    let load = load_average().map(|load| format!(", load average {load:.1}")).unwrap_or_default();
    let emulator = program::find(emulator::PROGRAM).context("the emulator has gone")?;
    Ok(vec![
        ("host", format!("{cores} × {}{load}", env::consts::ARCH)),
        ("emulator", format!("QEMU {}, TCG", version_of(&emulator)?)),
        ("guest", format!("{BOARD}, {}, one vCPU, {STATIC_ADDRESS}", subject::CPU)),
    ])
}

/// The emulator's version, such as `7.2.22`.
fn version_of(emulator: &Path) -> Result<String> {
    let text = program::output(Command::new(emulator).arg("--version"))?;
    let mut words = text.split_whitespace().skip_while(|word| *word != "version").skip(1);
    Ok(words.next().unwrap_or("unknown").to_owned())
}

fn major_version(version: &str) -> u32 {
    version.split('.').next().and_then(|number| number.parse().ok()).unwrap_or_default()
}

/// How many tasks wanted to run in the last minute, on average (proc(5)).
fn load_average() -> Option<f64> {
    fs::read_to_string("/proc/loadavg").ok()?.split_whitespace().next()?.parse().ok()
}
