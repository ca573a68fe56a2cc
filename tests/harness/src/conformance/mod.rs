//! What every machine is to have, tried by one image: `conforms` of the tiny unikernels goes through
//! it in a fixed order and says a line of each, and what it says is held against what was plugged in
//! and against what is seen from outside: an echo, a disk's bytes, an answer on the console, the
//! machine's end.
//!
//! A machine on which something is not there (a board without a network) conforms all the same, and
//! the table says what was not tried. What was plugged in and is not found is a failure.

mod here;
mod maps;

use std::fmt;
use std::io::{Read, Write};
use std::net::{Shutdown as Close, TcpStream};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use crate::LeftOut;

pub use here::on_a_board;
pub use maps::on_a_map;

/// The image that is booted in every cell.
pub const IMAGE: &str = "conforms";
/// The port of 10.0.2.15 at which it echoes.
const PORT: u16 = 7;
/// How long it may take to come to anything, on a busy machine that emulates twice.
const PATIENCE: Duration = Duration::from_secs(180);
/// How many sectors of 512 bytes its disk has: few, as each is a request of its own.
const SECTORS: usize = 32;
/// How many bytes are echoed: more than fit into a segment, or into a window.
const ECHOED: usize = 200_000;

/// One thing of those that are tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Item {
    /// The application runs, and says on the console what it runs on.
    Boots,
    /// Sleeps end, by the interrupt, and never early.
    Timer,
    /// Two draws differ.
    Entropy,
    /// Every sector of a disk holds what was written.
    Block,
    /// An address by DHCP, and an echo over TCP.
    Network,
    /// A line that is typed comes back in capitals.
    Console,
    /// The machine goes off by itself, with status 0; or, where nobody can switch it off, halts.
    Power,
}

impl Item {
    /// Every one, in the order in which they are tried.
    pub const ALL: [Self; 7] = [
        Self::Boots,
        Self::Timer,
        Self::Entropy,
        Self::Block,
        Self::Network,
        Self::Console,
        Self::Power,
    ];

    /// Its name, for tables and programs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Boots => "boots",
            Self::Timer => "timer",
            Self::Entropy => "entropy",
            Self::Block => "blk",
            Self::Network => "net",
            Self::Console => "console",
            Self::Power => "power",
        }
    }
}

/// What came of an item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is as it has to be.
    Kept,
    /// The machine has no such thing.
    NotThere,
    /// It is not, or something before it was not; the words say what.
    Failed(String),
}

/// What is plugged into a machine.
#[derive(Clone, Copy, Debug)]
pub struct Plugged {
    /// A disk of the size that is tried.
    pub disk: bool,
    /// A network interface.
    pub network: bool,
    /// An entropy device. The core, or the firmware, may have some without one.
    pub entropy: bool,
}

/// What was found.
#[derive(Clone, Debug)]
pub struct Findings {
    /// Item by item, in their order.
    pub verdicts: Vec<(Item, Verdict)>,
    /// What this machine lacks, where nothing could be tried for that.
    pub left_out: Option<String>,
}

impl Findings {
    /// Whether nothing failed.
    #[must_use]
    pub fn conform(&self) -> bool {
        !self.verdicts.iter().any(|(_, verdict)| matches!(verdict, Verdict::Failed(_)))
    }

    /// Of a machine that could not even be started.
    fn of_none(error: &anyhow::Error) -> Self {
        let failed = || Verdict::Failed(format!("{error:#}"));
        let verdicts = Item::ALL.into_iter().map(|item| (item, failed())).collect();
        let left_out = error.downcast_ref::<LeftOut>().map(ToString::to_string);
        Self { verdicts, left_out }
    }
}

/// Names what failed first, and what it said.
impl fmt::Display for Findings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let failed = self.verdicts.iter().find_map(|(item, verdict)| match verdict {
            Verdict::Failed(why) => Some((item, why)),
            _ => None,
        });
        match failed {
            Some((item, why)) => write!(f, "{}: {why}", item.name()),
            None => f.write_str("conforms"),
        }
    }
}

/// A machine that runs the image, wherever it does.
trait Subject {
    /// Waits for a line that contains `text`, after those that were waited for before.
    fn wait_for(&self, text: &str) -> Result<String>;

    /// Types on the console.
    fn type_in(&mut self, bytes: &[u8]) -> Result<()>;

    /// Connects to the TCP port [`PORT`].
    fn connect(&mut self) -> Result<TcpStream>;

    /// Waits until it has ended by itself, with status 0.
    fn end(self, plugged: Plugged) -> Result<End>;
}

/// How a machine ended.
struct End {
    /// What is in its disk, if it has one.
    disk: Vec<u8>,
    /// Whether it went off; one that nobody can switch off halts.
    is_off: bool,
}

/// Goes through all of it. What comes after a failure has failed as well.
fn examine(mut subject: impl Subject, plugged: Plugged) -> Findings {
    let mut findings = Vec::new();
    let mut broken = None;
    for item in Item::ALL.into_iter().filter(|item| *item != Item::Power) {
        let verdict = broken.clone().map_or_else(|| attempt(&mut subject, item, plugged), Ok);
        let verdict = verdict.unwrap_or_else(|error| Verdict::Failed(format!("{error:#}")));
        if let Verdict::Failed(_) = verdict {
            broken.get_or_insert_with(|| verdict.clone());
        }
        findings.push((item, verdict));
    }
    let power = broken.unwrap_or_else(|| match subject.end(plugged) {
        Ok(end) if plugged.disk && !holds_the_pattern(&end.disk) => {
            Verdict::Failed("the disk's file holds something else".to_owned())
        }
        Ok(end) if end.is_off => Verdict::Kept,
        Ok(_) => Verdict::NotThere,
        Err(error) => Verdict::Failed(format!("{error:#}")),
    });
    findings.push((Item::Power, power));
    Findings { verdicts: findings, left_out: None }
}

/// Tries one thing.
fn attempt(subject: &mut impl Subject, item: Item, plugged: Plugged) -> Result<Verdict> {
    match item {
        Item::Network if plugged.network => {
            subject.wait_for("conforms: echoing on ")?;
            echo(subject.connect()?).context("echoing over TCP")?;
        }
        Item::Console => {
            subject.wait_for("conforms: type a line")?;
            subject.type_in(b"every word\n")?;
            subject.wait_for("EVERY WORD")?;
        }
        _ => {}
    }
    let beginning = format!("conforms: {}: ", item.name());
    let line = subject.wait_for(&beginning)?;
    let found = line.split_once(&beginning).map_or("", |(_, found)| found.trim());
    let is_there = match item {
        Item::Block => plugged.disk,
        Item::Network => plugged.network,
        Item::Entropy => plugged.entropy || found != "none",
        _ => true,
    };
    Ok(match found {
        "none" if !is_there => Verdict::NotThere,
        "none" => Verdict::Failed("it was plugged in, and is not found".to_owned()),
        _ if !is_there => Verdict::Failed(format!("nothing was plugged in, and there is {found}")),
        _ if found.starts_with("FAILED") => Verdict::Failed(found.to_owned()),
        _ => Verdict::Kept,
    })
}

/// Sends bytes and takes all of them back.
fn echo(mut stream: TcpStream) -> Result<()> {
    let sent: Vec<u8> = (0..251).cycle().take(ECHOED).collect();
    let mut writer = stream.try_clone()?;
    let mut received = Vec::new();
    std::thread::scope(|scope| -> Result<()> {
        let sender = scope.spawn(|| -> std::io::Result<()> {
            writer.write_all(&sent)?;
            writer.shutdown(Close::Write)
        });
        stream.read_to_end(&mut received)?;
        Ok(sender.join().map_err(|_| anyhow::anyhow!("the sender gave up"))??)
    })?;
    let same = received.iter().zip(&sent).take_while(|(one, other)| one == other).count();
    ensure!(received == sent, "{same} of {} bytes came back in order", sent.len());
    Ok(())
}

/// Whether every sector holds what the image wrote there (`pattern` in `conforms.rs`).
fn holds_the_pattern(disk: &[u8]) -> bool {
    let patterns = (0..=u8::MAX).cycle().map(|sector| sector.wrapping_mul(7).wrapping_add(1));
    let mut sectors = disk.chunks(512).zip(patterns);
    disk.len() == SECTORS * 512
        && sectors.all(|(sector, pattern)| sector.iter().all(|byte| *byte == pattern))
}
